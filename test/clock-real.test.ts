/** The real clock: the contract of every clock, and how it behaves in a process that was held up. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { openClock } from "../src/real/clock.ts";
import { clockContract } from "./kit/contract/clock.ts";

clockContract("the real clock", () =>
  Promise.resolve({
    clock: openClock(),
    wait: (start) => new Promise(start),
    end: () => Promise.resolve(),
  }),
);

test("after a process was held up, what arrived meanwhile is read before a late alarm rings", async (context) => {
  const echo = spawn("cat", { stdio: ["pipe", "pipe", "inherit"] });
  context.after(() => echo.kill("SIGKILL"));
  echo.stdin.write("ready");
  await once(echo.stdout, "data");

  const seen: string[] = [];
  echo.stdout.on("data", () => seen.push("read"));
  const clock = openClock();
  const rung = new Promise<void>((done) => {
    clock.alarm(clock.now().mono + 20, () => {
      seen.push("rang");
      done();
    });
  });
  echo.stdin.write("an answer, long before the alarm is heard");
  // The process does nothing for a while, as if it were paused or had no core.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
  await rung;
  assert.deepEqual(seen, ["read", "rang"]);
});

test("after a process was held up, a late alarm still rings before one that is not late", async () => {
  const clock = openClock();
  const start = clock.now().mono;
  const rung = await new Promise<number[]>((done) => {
    const seen: number[] = [];
    for (const afterMs of [10, 180]) {
      clock.alarm(start + afterMs, () => {
        seen.push(afterMs);
        if (seen.length === 2) done(seen);
      });
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  });
  assert.deepEqual(rung, [10, 180]);
});

test("a clock sleeps towards an alarm 40 days ahead in steps of a minute, so that no timer overflows", (context) => {
  const sleeps = context.mock.method(globalThis, "setTimeout");
  const clock = openClock();
  const cancel = clock.alarm(clock.now().mono + 40 * 24 * 3_600_000, () => assert.fail("rang"));
  cancel();
  assert.deepEqual(
    sleeps.mock.calls.map((call) => call.arguments[1]),
    [60_000],
  );
});
