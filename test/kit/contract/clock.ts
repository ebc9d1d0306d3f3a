/**
 * The contract of every clock, run against the real and the simulated one. `wait` starts something and lets the world
 * run until it has answered.
 */
import assert from "node:assert/strict";
import type { Clock } from "../../../src/ports.ts";
import { testOnBeds } from "./bed.ts";

export interface ClockBed {
  clock: Clock;
  wait: <Value>(start: (done: (value: Value) => void) => void) => Promise<Value>;
  end(): Promise<void>;
}

export function clockContract(name: string, make: () => Promise<ClockBed>): void {
  const onBed = testOnBeds(name, make);

  onBed("an alarm rings once, at its instant or a little later, never earlier", async ({ clock, wait }) => {
    const at = clock.now().mono + 30;
    let rings = 0;
    const rungAt = await wait<number>((done) => {
      clock.alarm(at, () => {
        rings++;
        done(clock.now().mono);
      });
    });
    assert.ok(rungAt >= at, `rang ${at - rungAt} ms early`);
    await wait<void>((done) => clock.alarm(clock.now().mono + 30, () => done()));
    assert.equal(rings, 1);
  });

  onBed(
    "an alarm whose instant has passed rings soon, but never within the call",
    async ({ clock, wait }) => {
      let within = true;
      const rangWithin = await wait<boolean>((done) => {
        clock.alarm(clock.now().mono - 1_000, () => done(within));
        within = false;
      });
      assert.equal(rangWithin, false);
    },
  );

  onBed("a cancelled alarm doesn't ring", async ({ clock, wait }) => {
    let rang = false;
    const cancel = clock.alarm(clock.now().mono + 10, () => {
      rang = true;
    });
    cancel();
    cancel();
    await wait<void>((done) => clock.alarm(clock.now().mono + 40, () => done()));
    assert.equal(rang, false);
  });

  onBed(
    "alarms ring in the order of their instants, whatever the order of the calls",
    async ({ clock, wait }) => {
      const start = clock.now().mono;
      const rung = await wait<number[]>((done) => {
        const seen: number[] = [];
        for (const afterMs of [60, 20, 100]) {
          clock.alarm(start + afterMs, () => {
            seen.push(afterMs);
            if (seen.length === 3) done(seen);
          });
        }
      });
      assert.deepEqual(rung, [20, 60, 100]);
    },
  );

  onBed("wall time and monotonic time advance together", async ({ clock, wait }) => {
    const before = clock.now();
    await wait<void>((done) => clock.alarm(before.mono + 50, () => done()));
    const after = clock.now();
    const apartMs = Math.abs(after.wall - before.wall - (after.mono - before.mono));
    assert.ok(after.mono - before.mono >= 50);
    assert.ok(apartMs < 25, `${apartMs} ms apart`);
  });
}
