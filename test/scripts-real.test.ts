/** Scripts on a real disk, and run by real interpreters. */
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { scriptName } from "../src/core/checks/script.ts";
import type { ChildOutcome, Log, ProcessAction, RunSpec } from "../src/ports.ts";
import type { Scripts } from "../src/ports/scripts.ts";
import { openDisk } from "../src/real/disk.ts";
import { openExecutor } from "../src/real/executor.ts";
import { openScripts } from "../src/real/scripts.ts";
import type { JobId, RunId, TickId } from "../src/schema/ids.ts";
import { launchToEnd, readAll, Reports, type ExecutorBed } from "./kit/contract/executor.ts";

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };
const path = process.env["PATH"] ?? "/usr/bin:/bin";

interface Bed {
  folder: string;
  scripts: Scripts;
  keep(text: string): Promise<string>;
  run(script: string, action: Partial<ProcessAction>): Promise<{ outcome: ChildOutcome; output: string }>;
}

async function openBed(context: TestContext): Promise<Bed> {
  const data = mkdtempSync(join(tmpdir(), "cicada-scripts-"));
  const folder = { work: join(data, "work"), logs: join(data, "logs"), scripts: join(data, "scripts") };
  for (const one of Object.values(folder)) mkdirSync(one);
  const disk = await openDisk({ folder: data, log: quiet });
  const executor = openExecutor({ folder, disk, log: quiet });
  context.after(async () => {
    await new Promise<void>((done) => executor.close(done));
    await new Promise<void>((done) => disk.close(done));
    rmSync(data, { recursive: true });
  });
  const scripts = openScripts({ folder: folder.scripts, path, log: quiet });
  const reports = new Reports(executor);
  const bed = {
    executor,
    wait: <Value>(start: (done: (value: Value) => void) => void) => new Promise<Value>(start),
  };
  const whole = bed as ExecutorBed;
  let made = 0;
  return {
    folder: folder.scripts,
    scripts,
    keep: async (text) => {
      const bytes = Buffer.from(text);
      const error = await new Promise((done) => scripts.store(scriptName(bytes), bytes, done));
      assert.equal(error, undefined);
      return scriptName(bytes);
    },
    run: async (script, action) => {
      const spec: RunSpec = {
        run: `script@2026-11-20T12:00:00Z~1@${process.pid}-${made++}` as RunId,
        job: "script" as JobId,
        tick: "2026-11-20T12:00:00Z" as TickId,
        action: {
          kind: "process",
          argv: ["/bin/sh"],
          script,
          stdin: "",
          cwd: "",
          user: "",
          umask: 0o077,
          killGraceMs: 1_000,
          ...action,
        },
        hostEnv: { PATH: path },
        env: {},
        timeoutMs: 0,
        logCapBytes: 65_536,
        notAfter: Date.now() + 60_000,
      };
      const outcome = await launchToEnd(whole, reports, spec);
      return { outcome, output: Buffer.from((await readAll(whole, spec.run))?.bytes ?? []).toString() };
    },
  };
}

/** What is left of the copies that runs had. */
function copiesIn({ folder }: Bed): string[] {
  const running = join(folder, "running");
  return existsSync(running) ? readdirSync(running) : [];
}

test("a script runs with its arguments, by its interpreter, and its copy is gone when it has ended", async (context) => {
  const bed = await openBed(context);
  const python = await bed.keep("import sys\nprint(sys.argv[1:])\nsys.exit(3)\n");
  const { outcome, output } = await bed.run(python, { argv: ["python3", "a", "b c"] });
  assert.partialDeepStrictEqual(outcome, { kind: "exited", exitCode: 3 });
  assert.equal(output, "['a', 'b c']\n");
  const shell = await bed.keep("echo one\necho two >&2\n");
  assert.equal((await bed.run(shell, {})).output, "one\ntwo\n");
  assert.deepEqual(copiesIn(bed), []);
});

test("a run that overwrites its own script changes no other run of it", async (context) => {
  const bed = await openBed(context);
  const script = await bed.keep('echo before\nchmod u+w "$0"\necho "echo evil" > "$0"\n');
  for (let i = 0; i < 2; i++) assert.match((await bed.run(script, {})).output, /^before\n/);
});

test("a script runs as another user, who can't read the data folder", async (context) => {
  if (process.getuid?.() !== 0) return context.skip("only root may run jobs as another user");
  const bed = await openBed(context);
  const script = await bed.keep('id -un; cat "$0" | head -c 6; ls -ld "$0" | cut -c1-10\n');
  const { output } = await bed.run(script, { user: "nobody", cwd: "/" });
  assert.equal(output, "nobody\nid -un-r--------\n");
  const left = readdirSync(tmpdir()).filter((name) => name.startsWith("cicada-script-"));
  assert.deepEqual(left, []);
});

test("bytes that have changed on the disk are never run and never read, and are removed", async (context) => {
  const bed = await openBed(context);
  const script = await bed.keep("echo good\n");
  writeFileSync(join(bed.folder, script), "echo evil\n");
  const { outcome, output } = await bed.run(script, {});
  assert.partialDeepStrictEqual(outcome, { kind: "not-started", why: "host" });
  assert.match(outcome.kind === "not-started" ? outcome.reason : "", /missing or damaged/);
  assert.equal(output, "");
  assert.equal(await new Promise((done) => bed.scripts.read(script, done)), undefined);
  const kept = await new Promise<ReadonlyMap<string, number>>((done) => bed.scripts.list(done));
  assert.equal(kept.size, 0);
});

test("an interpreter that isn't there is the job's failure, with its name", async (context) => {
  const bed = await openBed(context);
  const script = await bed.keep("echo good\n");
  const { outcome } = await bed.run(script, { argv: ["no-such-interpreter"] });
  assert.partialDeepStrictEqual(outcome, {
    kind: "not-started",
    why: "error",
    reason: "there is no program no-such-interpreter",
  });
  assert.deepEqual(copiesIn(bed), []);
});

test("a script is durable and whole after it is stored, listed with its size, and what was half written is removed", async (context) => {
  const bed = await openBed(context);
  const script = await bed.keep("echo good\n");
  assert.equal(readFileSync(join(bed.folder, script), "utf8"), "echo good\n");
  writeFileSync(join(bed.folder, `${script}.7.new`), "half");
  writeFileSync(join(bed.folder, "notes.txt"), "somebody's");
  const kept = await new Promise<ReadonlyMap<string, number>>((done) => bed.scripts.list(done));
  assert.deepEqual([...kept], [[script, 10]]);
  assert.deepEqual(readdirSync(bed.folder).toSorted(), [script, "notes.txt"].toSorted());
  assert.equal(
    Buffer.from(
      (await new Promise<Uint8Array | undefined>((done) => bed.scripts.read(script, done))) ?? [],
    ).toString(),
    "echo good\n",
  );
});

test("an interpreter is found on the PATH or by its absolute path, if it may be executed", async (context) => {
  const bed = await openBed(context);
  const bin = join(bed.folder, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "plain"), "#!/bin/sh\n", { mode: 0o644 });
  mkdirSync(join(bin, "folder"));
  symlinkSync("/bin/sh", join(bin, "linked"));
  const scripts = openScripts({ folder: bed.folder, path: `/no/such/folder:${bin}`, log: quiet });
  const names = ["plain", "folder", "linked", "nothing", "/bin/sh", "/bin/nothing", "sh"];
  const missing = await new Promise((done) => scripts.missingInterpreters(names, done));
  assert.deepEqual(missing, ["plain", "folder", "nothing", "/bin/nothing", "sh"]);
});
