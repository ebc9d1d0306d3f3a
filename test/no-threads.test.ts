/** A host that has no room for another thread: what needed it fails with that reason, and nothing else does. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import threads from "node:worker_threads";
import type { CicadaError } from "../src/errors.ts";
import type { Log } from "../src/ports.ts";
import type { Loaded } from "../src/ports/disk.ts";
import { CalendarReader } from "../src/real/calendars.ts";
import { openDisk } from "../src/real/disk.ts";
import { Patterns, type Verdict } from "../src/real/patterns.ts";

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };
const { Worker } = threads;

const Refused = new Proxy(Worker, {
  construct() {
    throw new Error("EAGAIN");
  },
});

function put(worker: typeof Worker): void {
  threads.Worker = worker;
  syncBuiltinESMExports();
}

/** From now on no thread starts, until the returned function is called. */
function refuseThreads(context: TestContext): () => void {
  const allow = () => put(Worker);
  context.after(allow);
  put(Refused);
  return allow;
}

test("a read of the database fails, a write doesn't, and the next read works once there is room", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "cicada-no-threads-"));
  const disk = await openDisk({ folder, log: quiet });
  context.after(async () => {
    await new Promise<void>((done) => disk.close(done));
    rmSync(folder, { recursive: true });
  });
  const allow = refuseThreads(context);
  const load = () => new Promise<Loaded | CicadaError>((done) => disk.load(0, done));
  const refused = await load();
  assert.match("detail" in refused ? refused.detail : "", /no room for another thread \(EAGAIN\)/);
  const failed = await new Promise<unknown>((done) =>
    disk.store([{ kind: "meta", key: "a", value: "1" }], done),
  );
  assert.equal(failed, undefined);
  allow();
  const loaded = await load();
  assert.equal("meta" in loaded ? loaded.meta.get("a") : loaded.detail, "1");
});

test("a peer whose database has no thread to write it doesn't start, and says why", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "cicada-no-threads-"));
  context.after(() => rmSync(folder, { recursive: true }));
  refuseThreads(context);
  await assert.rejects(openDisk({ folder, log: quiet }), {
    code: "DISK_FAILED",
    detail: /no room for another thread \(EAGAIN\)/,
  });
});

test("patterns are not matched, and are again once there is room", async (context) => {
  const allow = refuseThreads(context);
  const patterns = new Patterns();
  // More at once than there may be workers: none of them may wait for ever.
  const refused = await Promise.all([1, 2, 3].map(() => patterns.check(["a"])));
  for (const answer of refused) assert.match(JSON.stringify(answer), /unchecked.*no room for another thread/);
  allow();
  assert.deepEqual(await patterns.check(["a"]), [undefined]);
});

test("patterns that find no room for a second worker are matched by the first one", async (context) => {
  context.after(() => put(Worker));
  for (const second of [Refused, workerThat("throw new Error('EMFILE')")]) {
    put(Worker);
    const patterns = new Patterns();
    const first = patterns.check(["a"]);
    put(second);
    const others = [patterns.check(["b"]), patterns.check(["("])];
    // oxlint-disable-next-line no-await-in-loop -- one kind of worker after the other
    const [a, b, broken] = await Promise.all([first, ...others]);
    assert.deepEqual([a, b], [[undefined], [undefined]]);
    assert.match(JSON.stringify(broken), /^\["/);
  }
});

test("an output is judged once there is room for that, and if there never is, that is no fault of its job", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "cicada-no-threads-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "output");
  writeFileSync(file, "done\n");
  const rule = { field: "success.mustMatch", pattern: "done", matches: true, over: "output" } as const;
  const allow = refuseThreads(context);
  const patterns = new Patterns(undefined, 5);
  const judge = () =>
    new Promise<Verdict>((done) => patterns.judge({ rules: [rule], file, bodyFrom: 0, isCut: false }, done));
  const never = await judge();
  assert.match(
    never.kind === "unjudged" ? never.reason : never.kind,
    /no room for another thread \(EAGAIN\)/,
  );
  const later = judge();
  allow();
  assert.deepEqual(await later, { kind: "kept" });
});

/** A worker that does that instead of its task. */
function workerThat(code: string): typeof Worker {
  return class extends Worker {
    constructor() {
      super(code, { eval: true });
    }
  };
}

test("a worker for patterns that can't begin, or is ended by something else, is not the patterns' fault", async (context) => {
  context.after(() => put(Worker));
  for (const code of ["throw new Error('EMFILE')", "process.exit(0)"]) {
    put(workerThat(code));
    // oxlint-disable-next-line no-await-in-loop -- one kind of worker after the other
    assert.match(JSON.stringify(await new Patterns().check(["a"])), /unchecked/, code);
    assert.match(JSON.stringify(await new CalendarReader().read("", 0)), /unread/, code);
  }
});

test("a calendar is refused with that reason, and the next one is read once there is room", async (context) => {
  const allow = refuseThreads(context);
  const reader = new CalendarReader();
  const event = "BEGIN:VEVENT\r\nUID:1\r\nDTSTART;VALUE=DATE:20261224\r\nEND:VEVENT\r\n";
  const text = `BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n${event}END:VCALENDAR\r\n`;
  const refused = await reader.read(text, Date.UTC(2026, 10, 1));
  assert.match(JSON.stringify(refused), /unread.*no room for another thread/);
  allow();
  const read = await reader.read(text, Date.UTC(2026, 10, 1));
  assert.deepEqual(read, { ok: true, expanded: { days: ["2026-12-24"], floating: [], spans: [] } });
});
