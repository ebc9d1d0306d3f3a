/** Which peer tells people what became of a tick: one of those that are up, and another one if that one dies. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Cores } from "./kit/cores.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

const notify = [{ on: ["failed" as const, "recovered" as const], to: ["ops"] }];
const hourly = { id: "beat", schedule: "@every 1h", command: "true", notify } as const;

/** Peers just before the first tick of an hourly job, whose runs take 2 s and fail. */
function beforeTick(names: readonly string[], spec: Partial<Parameters<Cores["put"]>[0]> = {}): Cores {
  const cores = new Cores(names, { runMs: 2 * second });
  cores.pass(minute);
  cores.exitCodeOf = () => 1;
  cores.put({ ...hourly, notify: [...notify], ...spec });
  cores.pass(hour - (cores.wall(cores.now) % hour) - 5 * second);
  return cores;
}

test("one of the peers announces it, within seconds of the tick's end", () => {
  const cores = beforeTick(["a", "b", "c"]);
  cores.pass(12 * second);
  assert.equal(cores.announced.length, 1);
  cores.pass(50 * minute);
  assert.equal(cores.announced.length, 1);
});

test("nothing is announced of a job that has no rules", () => {
  const cores = beforeTick(["a", "b"], { notify: [] });
  cores.pass(50 * minute);
  assert.equal(cores.starts.length, 1);
  assert.deepEqual(cores.announced, []);
});

test("an attempt that is repeated is not announced, only the tick's final word", () => {
  const cores = beforeTick(["a", "b"], { retry: { attempts: 1, backoff: "1m" } });
  cores.pass(40 * second);
  assert.deepEqual(cores.announced, []);
  cores.pass(2 * minute);
  assert.equal(cores.announced.length, 1);
});

test("if the peer that has to make the announcement dies, another one makes it, in case it was not made", () => {
  const cores = beforeTick(["a", "b", "c"]);
  cores.pass(12 * second);
  const [first = ""] = cores.announced;
  cores.kill(first.slice(0, 1));
  cores.pass(minute);
  assert.equal(cores.announced.length, 2);
  const [, next = ""] = cores.announced;
  assert.notEqual(next.slice(0, 1), first.slice(0, 1));
  assert.equal(next.slice(1), first.slice(1));
});

test("successes are announced only after a tick that went wrong", () => {
  const cores = beforeTick(["a", "b"]);
  cores.exitCodeOf = () => 0;
  cores.pass(3 * hour);
  const first = cores.announced.length;
  assert.ok(first <= 1, "the first one may end a failure that nobody here remembers");
  cores.exitCodeOf = () => 1;
  cores.pass(hour);
  cores.exitCodeOf = () => 0;
  cores.pass(2 * hour);
  assert.equal(cores.announced.length, first + 2, "the failure and its end");
});

test("a peer that is restarted announces again what ended just before, since its notice may not have been sent", () => {
  const cores = beforeTick(["a"]);
  cores.pass(12 * second);
  const records = cores.recordsOf("a");
  cores.kill("a");
  cores.up("a" as never, { records });
  cores.pass(20 * second);
  assert.deepEqual(
    cores.announced.map((one) => one.slice(0, 7)),
    ["a: beat", "a: beat"],
  );
});

test("what ended long before a restart is not announced again", () => {
  const cores = beforeTick(["a"]);
  cores.pass(12 * second);
  assert.equal(cores.announced.length, 1);
  const records = cores.recordsOf("a");
  cores.kill("a");
  cores.exitCodeOf = () => 0;
  cores.pass(90 * minute);
  cores.up("a" as never, { records });
  const before = cores.announced.length;
  cores.pass(20 * second);
  const again = cores.announced.slice(before).filter((one) => one === cores.announced[0]);
  assert.deepEqual(again, []);
});
