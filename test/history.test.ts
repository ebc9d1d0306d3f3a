/** Orders that are over stay over (core/records/history.ts). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  advanceWatermark,
  beginWatermark,
  forgetRequested,
  hearWatermark,
  isOver,
  isQuiet,
  overAbove,
  overCount,
  settle,
  settleRange,
  unsureUntilOf,
  watermarkOf,
} from "../src/core/records/history.ts";
import { withdrawAhead } from "../src/core/records/reopen.ts";
import { createHistory, type HistoryState } from "../src/core/records/ledger-state.ts";
import { tickAt, type JobId, type TickId } from "../src/schema/ids.ts";

const job = "j" as JobId;
const at = (minute: number): number => Date.UTC(2026, 0, 1) + minute * 60_000;
const tick = (minute: number): TickId => tickAt(at(minute));
const isMinuteOver = (history: HistoryState, minute: number): boolean =>
  isOver(history, job, tick(minute), "0");

function begun(minute: number, unsure = -Infinity): HistoryState {
  const history = createHistory();
  beginWatermark(history, job, { since: at(minute), at: at(minute), open: [] }, unsure);
  return history;
}

test("a job is quiet while there is nothing to forget and nothing that its watermark could move past", () => {
  assert.equal(isQuiet(createHistory(), job), true);
  const history = begun(0);
  assert.equal(isQuiet(history, job), true);
  settle(history, { job, tick: tick(5), slot: "0" });
  assert.equal(isQuiet(history, job), false);
  advanceWatermark(history, job, at(6), [at(3)]);
  assert.equal(isQuiet(history, job), false, "a tick is open");
  advanceWatermark(history, job, at(7), []);
  assert.equal(isQuiet(history, job), true);
  settleRange(history, job, at(8), at(9));
  assert.equal(isQuiet(history, job), false);
  const ordered = begun(0);
  settle(ordered, { job, tick: "manual-01KAS000000000000000000000" as TickId, slot: "0" });
  assert.equal(isQuiet(ordered, job), false);
});

test("jobs that begin alike share one watermark, until that of one moves", () => {
  const history = begun(0);
  const other = "k" as JobId;
  beginWatermark(history, other, { since: at(0), at: at(0), open: [] }, -Infinity);
  assert.equal(history.jobs.get(other)?.watermark, history.jobs.get(job)?.watermark);
  assert.ok(advanceWatermark(history, job, at(5), []));
  assert.equal(watermarkOf(history, other)?.at, at(0));
  for (const open of [[at(1)], [at(2)]]) {
    beginWatermark(history, other, { since: at(0), at: at(2), open }, -Infinity);
    assert.deepEqual(watermarkOf(history, other)?.open, open);
  }
});

describe("an order that was started or decided", () => {
  test("stays over in whatever order the watermark moves up, meets others', and ticks are settled", () => {
    const minutes = fc.integer({ min: 1, max: 30 });
    const action = fc.oneof(
      fc.record({ kind: fc.constant("settle" as const), minute: minutes }),
      fc.record({ kind: fc.constant("advance" as const), minute: minutes }),
      fc.record({ kind: fc.constant("hear" as const), minute: minutes, since: minutes }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const history = begun(0);
        const over = new Set<number>();
        let mark = 0;
        for (const one of actions) {
          if (one.kind === "settle") {
            settle(history, { job, tick: tick(one.minute), slot: "0" });
            over.add(one.minute);
          } else if (one.kind === "advance") {
            // Ticks below the new watermark that are not over are named as open.
            const undecided = Array.from({ length: one.minute }, (_, index) => index + 1).filter(
              (minute) => !over.has(minute),
            );
            if (one.minute >= mark) mark = Math.max(mark, one.minute);
            advanceWatermark(history, job, at(one.minute), undecided.map(at));
          } else {
            hearWatermark(history, job, { since: at(one.since), at: at(one.minute), open: [] }, at(99));
            if (one.since <= mark && one.minute > mark) {
              for (let minute = one.since + 1; minute <= one.minute; minute++) over.add(minute);
              mark = one.minute;
            }
          }
          for (const minute of over)
            assert.ok(isMinuteOver(history, minute), `minute ${minute} after ${JSON.stringify(one)}`);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("is over only for its slot: another slot of the same tick is another order", () => {
    const history = begun(0);
    settle(history, { job, tick: tick(5), slot: "0" });
    assert.equal(isOver(history, job, tick(5), "1"), false);
    settle(history, { job, tick: tick(5), slot: "1" });
    assert.ok(isMinuteOver(history, 5) && isOver(history, job, tick(5), "1"));
    settle(history, { job, tick: tick(6), slot: "0" });
    assert.equal(isOver(history, job, tick(6), "1"), false);
  });

  test("needs no memory once the watermark covers it", () => {
    const history = begun(0);
    for (let minute = 1; minute <= 1_000; minute++) {
      settle(history, { job, tick: tick(minute), slot: "0" });
      advanceWatermark(history, job, at(minute), []);
    }
    assert.equal(overCount(history, job), 0);
  });
});

describe("a watermark", () => {
  test("leaves open exactly the ticks that it names", () => {
    const history = begun(0);
    advanceWatermark(history, job, at(10), [at(4)]);
    assert.deepEqual(
      [3, 4, 5, 10, 11].map((minute) => isMinuteOver(history, minute)),
      [true, false, true, true, false],
    );
    settle(history, { job, tick: tick(4), slot: "0" });
    assert.ok(isMinuteOver(history, 4));
  });

  test("is not taken over from a peer that doesn't know the ticks between the two watermarks", () => {
    const history = begun(5);
    assert.equal(hearWatermark(history, job, { since: at(7), at: at(20), open: [] }, at(99)), false);
    assert.equal(isMinuteOver(history, 6), false);
  });

  test("of another peer counts only up to now", () => {
    const history = begun(0);
    hearWatermark(history, job, { since: at(0), at: at(20), open: [] }, at(10));
    assert.deepEqual(watermarkOf(history, job), { job, since: at(0), at: at(10), open: [] });
  });

  test("keeps ticks open that are open here and about which the other peer knows nothing", () => {
    const history = begun(0);
    advanceWatermark(history, job, at(10), [at(2), at(8)]);
    hearWatermark(history, job, { since: at(5), at: at(20), open: [] }, at(99));
    assert.deepEqual(watermarkOf(history, job)?.open, [at(2)]);
  });

  test("of another peer doesn't reopen ticks that are over here", () => {
    const history = begun(0);
    advanceWatermark(history, job, at(10), []);
    settle(history, { job, tick: tick(12), slot: "0" });
    hearWatermark(history, job, { since: at(0), at: at(20), open: [at(5), at(12), at(15)] }, at(99));
    assert.deepEqual(watermarkOf(history, job)?.open, [at(15)]);
  });

  test("goes back with a corrected clock, and ticks above it must be looked up on the disk", () => {
    const history = begun(0);
    advanceWatermark(history, job, at(120), []);
    settle(history, { job, tick: tick(130), slot: "0" });
    assert.deepEqual(withdrawAhead(history, at(60)), [job]);
    assert.equal(watermarkOf(history, job)?.at, at(60));
    assert.equal(unsureUntilOf(history, job), at(130));
    assert.deepEqual(
      [60, 61, 130].map((minute) => isMinuteOver(history, minute)),
      [true, false, false],
    );
    assert.deepEqual(withdrawAhead(history, at(60)), []);
  });
});

test("the ticks of a reported range are over, even before the watermark covers them", () => {
  const history = begun(0);
  settleRange(history, job, at(3), at(5));
  assert.deepEqual(
    [2, 3, 4, 5, 6].map((minute) => isMinuteOver(history, minute)),
    [false, true, true, true, false],
  );
  assert.deepEqual(overAbove(history, job, at(0)), [{ from: at(3), to: at(5) }]);
  advanceWatermark(history, job, at(10), [at(2)]);
  assert.deepEqual(
    [overCount(history, job), isMinuteOver(history, 4), isMinuteOver(history, 2)],
    [0, true, false],
  );
});

test("manual orders are remembered until they can't start any more, whatever the watermark", () => {
  const history = begun(0);
  const asked = "manual-01KAS000000000000000000000" as TickId;
  settle(history, { job, tick: asked, slot: "0" });
  advanceWatermark(history, job, at(99_999), []);
  assert.ok(isOver(history, job, asked, "0"));
  forgetRequested(history, job, Date.UTC(2100, 0, 1));
  assert.equal(isOver(history, job, asked, "0"), false);
});
