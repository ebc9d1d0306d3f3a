/** Patterns over real outputs, in real workers. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { ChildOutcome, Log, RunSpec } from "../src/ports.ts";
import type { PatternRule } from "../src/ports/patterns.ts";
import { openDisk } from "../src/real/disk.ts";
import { openExecutor } from "../src/real/executor.ts";
import { Patterns, type Judged, type Verdict } from "../src/real/patterns.ts";
import type { JobId, RunId, TickId } from "../src/schema/ids.ts";
import { launchToEnd, Reports, type ExecutorBed } from "./kit/contract/executor.ts";

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

function must(pattern: string): PatternRule {
  return { field: "success.mustMatch", pattern, matches: true, over: "output" };
}

function mustNot(pattern: string): PatternRule {
  return { field: "success.mustNotMatch", pattern, matches: false, over: "output" };
}

function ofBody(pattern: string, matches: boolean): PatternRule {
  return { field: "http.expectBody", pattern, matches, over: "body" };
}

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "cicada-patterns-"));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function judge(patterns: Patterns, judged: Judged): Promise<string | undefined> {
  return new Promise((done) =>
    patterns.judge(judged, (verdict) => {
      if (verdict.kind === "kept") done(undefined);
      else done(verdict.kind === "broken" ? verdict.broken : verdict.reason);
    }),
  );
}

test("a pattern that RE2 doesn't know is named with what is wrong, a right one is not", async () => {
  const wrong = await new Patterns().check(["ok", "a(b", "(?=x)", "(?i)^straße$", "(x{1,1000}){1,1000}"]);
  assert.ok("length" in wrong);
  assert.deepEqual(
    wrong.map((problem) => problem !== undefined),
    [false, true, true, false, true],
  );
  assert.match(wrong[1] ?? "", /missing closing \)/);
});

test("the first broken rule is named: a pattern that must be there, and one that must not", async (context) => {
  const file = join(folderOf(context), "output");
  writeFileSync(file, "started\nwarning: low\ndone ✓\n");
  const patterns = new Patterns();
  const over = (...rules: PatternRule[]) => judge(patterns, { rules, file, bodyFrom: 0, isCut: false });
  assert.equal(await over(must("(?m)^done ✓$"), mustNot("ERROR")), undefined);
  assert.equal(
    await over(must("finished"), mustNot("warning")),
    'success.mustMatch: the output doesn\'t match "finished"',
  );
  assert.equal(await over(mustNot("(?i)WARN")), 'success.mustNotMatch: the output matches "(?i)WARN"');
});

test("a body is matched without the head before it; of a cut output cicada's own line is no output, and the reason says that it was cut", async (context) => {
  const file = join(folderOf(context), "output");
  const head = "HTTP/1.1 200 OK\nserver: x\n\n";
  writeFileSync(file, `${head}body\n… 12,345 bytes not kept …\nend`);
  const patterns = new Patterns();
  const body = { file, bodyFrom: head.length, isCut: true };
  assert.equal(
    await judge(patterns, { ...body, rules: [ofBody("^body\\nend$", true), ofBody("not kept", false)] }),
    undefined,
  );
  assert.equal(
    await judge(patterns, { ...body, rules: [ofBody("server", true)] }),
    'http.expectBody: the body doesn\'t match "server"; the output was cut at keep.logBytes',
  );
});

test("patterns that take too long fail with that reason, and neither hold this process up nor the outputs behind them", async (context) => {
  const folder = folderOf(context);
  const [huge, small] = [join(folder, "huge"), join(folder, "small")];
  writeFileSync(huge, Buffer.alloc(100_000_000, "lorem ipsum dolor sit amet\n"));
  writeFileSync(small, "ok\n");
  const patterns = new Patterns(1_500);
  let beats = 0;
  const watch = setInterval(() => beats++, 5);
  const hostile = {
    rules: [must("(?i)(a|b|c|d)*(e|f|g)*zq1|zq2|zq3")],
    file: huge,
    bodyFrom: 0,
    isCut: false,
  };
  const quick = { rules: [must("ok")], file: small, bodyFrom: 0, isCut: false };
  const answers = await Promise.all(
    [hostile, hostile, hostile, quick].map((judged) => judge(patterns, judged)),
  );
  clearInterval(watch);
  const tooLong = "the patterns took longer than 1.5 s";
  assert.deepEqual(answers, [tooLong, tooLong, tooLong, undefined]);
  assert.ok(beats > 50, `in the meantime this process did only ${beats} other things`);
  assert.equal(await judge(patterns, quick), undefined, "others are judged afterwards");
});

test("an output that has gone is neither a success nor a failure: this host can't judge it", async (context) => {
  const file = join(folderOf(context), "gone");
  const gone = { rules: [mustNot("x")], file, bodyFrom: 0, isCut: false };
  const verdict = await new Promise<Verdict>((done) => new Patterns(1_500, 5).judge(gone, done));
  assert.match(
    verdict.kind === "unjudged" ? verdict.reason : verdict.kind,
    /the output can't be read: .*ENOENT/,
  );
});

test("a run's output of both streams is judged when it has succeeded, and one that has failed is not", async (context) => {
  const data = folderOf(context);
  const folder = { work: join(data, "work"), logs: join(data, "logs"), scripts: join(data, "scripts") };
  for (const one of Object.values(folder)) mkdirSync(one);
  const disk = await openDisk({ folder: data, log: quiet });
  const executor = openExecutor({ folder, disk, log: quiet });
  const reports = new Reports(executor);
  const bed = {
    executor,
    wait: <Value>(start: (done: (value: Value) => void) => void) => new Promise<Value>(start),
  };
  let made = 0;
  const run = (command: string, rules: PatternRule[]): Promise<ChildOutcome> => {
    const spec: RunSpec = {
      run: `judged@2026-11-20T12:00:00Z~1@${process.pid}-${made++}` as RunId,
      job: "judged" as JobId,
      tick: "2026-11-20T12:00:00Z" as TickId,
      action: {
        kind: "process",
        argv: ["/bin/sh", "-c", command],
        stdin: "",
        cwd: "",
        user: "",
        umask: 0o77,
        killGraceMs: 1,
      },
      hostEnv: { PATH: process.env["PATH"] ?? "/bin" },
      env: {},
      timeoutMs: 0,
      patterns: { exitCodes: [0], rules },
      logCapBytes: 65_536,
      notAfter: Date.now() + 60_000,
    };
    return launchToEnd(bed as ExecutorBed, reports, spec);
  };
  const printing = "echo out; echo ERROR >&2";
  assert.partialDeepStrictEqual(await run(printing, [must("out"), mustNot("ERROR")]), {
    kind: "exited",
    exitCode: 0,
    broken: 'success.mustNotMatch: the output matches "ERROR"',
  });
  assert.partialDeepStrictEqual(await run(printing, [must("out")]), { kind: "exited", broken: undefined });
  const failed = await run(`${printing}; exit 3`, [mustNot("ERROR")]);
  assert.ok(failed.kind === "exited" && failed.exitCode === 3 && failed.broken === undefined);
  // A run whose output is still being judged is reported before the executor is closed.
  const last = run("echo out", [must("nothing")]);
  await last;
  await new Promise<void>((done) => executor.close(done));
  await new Promise<void>((done) => disk.close(done));
});
