/** The log: repeats of one warning are collapsed, nothing of another one is lost, and a line about a run names its job and tick. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import pino from "pino";
import { ReadinessLog } from "../src/cli/start/readiness-log.ts";
import { logRuns } from "../src/cli/start/run-log.ts";
import type { NotReady, PeerEvent } from "../src/ports/control.ts";
import { logOver } from "../src/real/log.ts";
import { Repeats, warningsCap } from "../src/real/log/repeats.ts";
import type { JobId, PeerId, TickId } from "../src/schema/ids.ts";
import { keepingLog, type LoggedLine } from "./kit/mesh-world.ts";

const minuteMs = 60_000;

/** A log on a clock that the test moves, with the lines that it has written. */
function stage(level = "debug") {
  let now = 0;
  const alarms = new Set<{ at: number; ring: () => void }>();
  const after = (ms: number, ring: () => void) => {
    const alarm = { at: now + ms, ring };
    alarms.add(alarm);
    return () => void alarms.delete(alarm);
  };
  const pass = (ms: number) => {
    const until = now + ms;
    for (;;) {
      const [next] = [...alarms].filter(({ at }) => at <= until).toSorted((a, b) => a.at - b.at);
      if (next === undefined) break;
      alarms.delete(next);
      now = next.at;
      next.ring();
    }
    now = until;
  };
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);
  const repeats = new Repeats({ now: () => now, after });
  const log = logOver(pino({ level, base: null, timestamp: false }, { write }), repeats);
  /** What was written since the last call. */
  const taken = () => lines.splice(0);
  const messages = () => taken().map(({ msg }) => msg);
  return { log, pass, taken, messages, finish: () => repeats.finish() };
}

test("of a warning that repeats, the first is written at once, and the others in one line with their number", () => {
  const { log, pass, taken, messages } = stage();
  for (let index = 0; index < 13; index++) log.warn("the store does not answer", { to: "s3", bytes: index });
  assert.deepEqual(taken(), [{ level: 40, to: "s3", bytes: 0, msg: "the store does not answer" }]);
  pass(minuteMs);
  const msg = "the store does not answer (repeated 12 times in 1 min)";
  assert.deepEqual(taken(), [{ level: 40, to: "s3", bytes: 12, repeated: 12, msg }]);
  pass(60 * minuteMs);
  assert.deepEqual(messages(), []);
});

/** The minutes of an hour in which something is written about a fault that shows every so many seconds. */
function loggedMinutes(everySeconds: number): number[] {
  const { log, pass, messages } = stage();
  const minutes = new Set<number>();
  for (let second = 0; second < 3_600; second++) {
    if (second % everySeconds === 0) log.error("the disk is full");
    if (messages().length > 0) minutes.add(Math.floor(second / 60));
    pass(1_000);
    if (messages().length > 0) minutes.add(Math.floor((second + 1) / 60));
  }
  return [...minutes];
}

test("a fault that lasts is logged again at growing intervals of at most a quarter of an hour", () => {
  assert.deepEqual(loggedMinutes(7), [0, 1, 6, 21, 36, 51]);
  assert.deepEqual(loggedMinutes(61), [0, 1, 6, 21, 36, 51], "also one that shows just after the interval");
});

test("after an interval without it, a warning is written at once again", () => {
  const { log, pass, messages } = stage();
  log.warn("no answer");
  pass(minuteMs);
  log.warn("no answer");
  assert.deepEqual(messages(), ["no answer", "no answer"]);
  log.warn("no answer");
  pass(5 * minuteMs);
  assert.deepEqual(messages(), ["no answer (repeated once in 5 min)"]);
  pass(60 * minuteMs);
  log.warn("no answer");
  pass(minuteMs);
  log.warn("no answer");
  assert.deepEqual(messages(), ["no answer", "no answer"]);
});

test("a warning with another job, cause, level or text is another one and is written at once", () => {
  const { log, messages } = stage();
  log.warn("a tick was missed", { job: "one", reason: "down" });
  log.warn("a tick was missed", { job: "two", reason: "down" });
  log.warn("a tick was missed", { job: "one", reason: "full" });
  log.error("a tick was missed", { job: "one", reason: "down" });
  log.warn("a tick was lost", { job: "one", reason: "down" });
  assert.equal(messages().length, 5);
  log.warn("a tick was missed", { reason: "full", job: "one" });
  assert.deepEqual(messages(), [], "the order of the fields makes no difference");
});

test("runs and ticks of one job with one cause are repeats, and the line names the latest", () => {
  const { log, pass, taken } = stage();
  for (const minute of ["00", "01", "02"]) {
    log.warn("a run did not start", {
      run: `backup@2026-11-20T02:${minute}:00Z~1@DEm4Gy1e`,
      why: "no memory",
    });
  }
  pass(minuteMs);
  const [first, repeated] = taken();
  assert.equal(first?.["tick"], "2026-11-20T02:00:00Z");
  assert.equal(repeated?.["tick"], "2026-11-20T02:02:00Z");
  assert.equal(repeated["run"], "backup@2026-11-20T02:02:00Z~1@DEm4Gy1e");
  assert.equal(repeated["repeated"], 2);
});

test("a line that names a run names its job and tick, at every level", () => {
  const { log, taken } = stage();
  const run = "backup@manual-01HZXW5Y7Q3N8K2M4P6R9T0VAB~2@DEm4Gy1e#3";
  for (const level of ["debug", "info", "warn", "error"] as const) log[level]("it ended", { run });
  log.info("nothing", { run: "no run id" });
  const lines = taken();
  for (const line of lines.slice(0, 4)) {
    assert.equal(line["job"], "backup");
    assert.equal(line["tick"], "manual-01HZXW5Y7Q3N8K2M4P6R9T0VAB");
  }
  assert.deepEqual(lines[4], { level: 30, run: "no run id", msg: "nothing" });
});

test("when the peer ends, what was counted is logged", () => {
  const { log, finish, messages } = stage();
  log.warn("no answer");
  log.warn("no answer");
  finish();
  assert.deepEqual(messages(), ["no answer", "no answer (repeated once in 1 min)"]);
});

test("if there are more different warnings than are remembered, no warning and no count is lost", () => {
  const { log, finish, messages } = stage();
  for (let index = 0; index < 3 * warningsCap; index++) {
    log.warn("refused", { from: `host-${index}` });
    log.warn("refused", { from: `host-${index}` });
  }
  finish();
  const all = messages();
  assert.equal(all.filter((msg) => msg === "refused").length, 3 * warningsCap);
  assert.equal(all.filter((msg) => msg === "refused (repeated once in 1 min)").length, 3 * warningsCap);
});

test("what is below the level is neither written nor counted", () => {
  const { log, finish, messages } = stage("error");
  log.warn("no answer");
  log.warn("no answer");
  finish();
  assert.deepEqual(messages(), []);
});

test("info lines are not collapsed", () => {
  const { log, messages } = stage();
  log.info("a run has ended", { state: "succeeded" });
  log.info("a run has ended", { state: "succeeded" });
  assert.equal(messages().length, 2);
});

test("a reason for not being ready is logged when it lasts, again while it lasts, and when it is over", () => {
  const lines: LoggedLine[] = [];
  let notReady: NotReady[] = [];
  let warnings: string[] = [];
  const watch = new ReadinessLog(keepingLog(lines), () => ({ notReady, warnings }));
  const said = () => lines.splice(0).map(({ level, message }) => `${level}: ${message}`);
  watch.check();
  notReady = [{ code: "no-quorum", message: "1 of 3 voters are heard" }];
  watch.check();
  assert.deepEqual(said(), [], "it may be over in a moment");
  watch.check();
  assert.deepEqual(said(), ["warn: this peer is not ready"]);
  for (let index = 0; index < 29; index++) watch.check();
  assert.deepEqual(said(), []);
  watch.check();
  assert.deepEqual(said(), ["warn: this peer is still not ready"]);
  notReady = [];
  warnings = ["bob's clock is 1200 ms ahead"];
  watch.check();
  assert.deepEqual(said(), ["info: a reason for which this peer was not ready is over"]);
  warnings = ["bob's clock is 1300 ms ahead"];
  watch.check();
  warnings = ["bob's clock is 1400 ms ahead"];
  watch.check();
  assert.deepEqual(said(), ["warn: this peer has a warning"]);
  warnings = [];
  watch.check();
  assert.deepEqual(said(), ["info: a warning of this peer is over"]);
});

test("warnings about two peers are two, and one that has no room in the log is not over", () => {
  const lines: LoggedLine[] = [];
  let warnings = ["node-1's clock is 3.2 s behind this peer's"];
  const watch = new ReadinessLog(keepingLog(lines), () => ({ notReady: [], warnings }));
  const said = () => lines.splice(0).map(({ message, fields }) => `${message}: ${String(fields["why"])}`);
  watch.check();
  watch.check();
  assert.equal(said().length, 1);
  warnings = ["node-1's clock is 3.3 s behind this peer's", "node-2's clock is 3.3 s behind this peer's"];
  watch.check();
  watch.check();
  assert.deepEqual(said(), ["this peer has a warning: node-2's clock is 3.3 s behind this peer's"]);
  const [ofOne = "", ofTwo = ""] = warnings;
  const stuck = Array.from(
    { length: 20 },
    (_, index) => `run job-${index}@2026-11-20T02:00:00Z~1@DEm4Gy1e can't be ended`,
  );
  warnings = [ofOne, ...stuck, ofTwo];
  watch.check();
  watch.check();
  assert.ok(!said().some((line) => line.startsWith("a warning of this peer is over")));
  warnings = [ofTwo];
  watch.check();
  assert.ok(said().includes(`a warning of this peer is over: ${ofOne}`));
});

test("each own run that ends has one line, with its outcome", () => {
  const lines: LoggedLine[] = [];
  const listeners: ((event: PeerEvent) => void)[] = [];
  const subscribe = (listener: (event: PeerEvent) => void) => {
    listeners.push(listener);
    return () => undefined;
  };
  const self = "12D3KooWDEm4Gy1e" as PeerId;
  logRuns(keepingLog(lines), { subscribe }, self);
  const record = {
    kind: "run" as const,
    job: "backup" as JobId,
    tick: "2026-11-20T02:00:00Z" as TickId,
    attempt: 1,
    slot: "0",
    peer: self,
    version: 1,
    state: "running" as const,
    trigger: "schedule" as const,
    revision: 1,
    due: 0,
    startedAt: 1_000,
    rank: 0,
    signature: "",
  };
  const moved = (fields: object) => {
    for (const listener of listeners) listener({ kind: "run", record: { ...record, ...fields } as never });
  };
  moved({});
  moved({ state: "failed", finishedAt: 3_500, exitCode: 2 });
  moved({ state: "failed", finishedAt: 3_500, exitCode: 2, peer: "12D3KooWanother1" });
  moved({ state: "withdrawn" });
  assert.equal(lines.length, 1);
  assert.equal(lines[0]?.message, "a run has ended");
  assert.equal(lines[0].fields["run"], "backup@2026-11-20T02:00:00Z~1@DEm4Gy1e");
  assert.equal(lines[0].fields["state"], "failed");
  assert.equal(lines[0].fields["exitCode"], 2);
  assert.equal(lines[0].fields["tookMs"], 2_500);
  moved({ state: "missed", startedAt: undefined });
  assert.equal(lines[1]?.message, "a tick has ended without a run");
});

test("a name that another peer has given itself can't act on the terminal that shows the log", () => {
  const log = new URL("../src/real/log.ts", import.meta.url).href;
  const name = "ada\u001b[2J\u009b31m\u202e\u007f\nforged";
  const program = `
    import { openLog } from ${JSON.stringify(log)};
    const log = await openLog({ level: "info", format: "pretty" });
    log.info(${JSON.stringify(`${name} is up`)}, { peer: ${JSON.stringify(name)} });
  `;
  const { stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
    encoding: "utf8",
  });
  const [line, ...more] = stderr.split("\n");
  assert.deepEqual(more, [""], "one line");
  assert.match(line ?? "", /ada\\x1b\[2J\\x9b31m\\x202e\\x7f\\x0aforged is up/);
  assert.doesNotMatch(line ?? "", /\p{Cc}|\p{Cf}/u);
});
