/** What happens to ticks that came due while no peer was up to run them (core/job/gap.ts). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { divideGap } from "../src/core/job/gap.ts";
import type { Plan } from "../src/core/job/plan.ts";
import type { JobSpec, Pause } from "../src/schema/job.ts";
import { planOfJob, storedJob } from "./kit/planned-job.ts";

const hour = 3_600_000;
const minute = 60_000;
const now = Date.UTC(2026, 10, 28, 12, 0, 10);

function planOf(spec: Partial<JobSpec>, pauses: readonly Pause[] = []): Plan {
  return planOfJob(storedJob("gap", { schedule: "* * * * *", ...spec }, { pauses: [...pauses] }));
}

/** Minutes before noon; ranges as `from-to=count reason`. */
function divided(plan: Plan, since: number): { admit: number[]; ranges: string[] } {
  const noon = now - 10_000;
  const ago = (instant: number): number => (noon - instant) / minute;
  const { admit, ranges } = divideGap(plan, [{ from: since + 1, to: now + 1 }], now);
  return {
    admit: admit.map(ago),
    ranges: ranges.map(({ from, to, count, reason }) => `${ago(from)}-${ago(to)}=${count} ${reason}`),
  };
}

const table: [title: string, spec: Partial<JobSpec>, sinceMs: number, admit: number[], ranges: string[]][] = [
  [
    "a tick that is not yet overdue may run under every policy",
    { catchUp: { policy: "none" } },
    30_000,
    [0],
    [],
  ],
  [
    "under `none` all overdue ticks are one range",
    { catchUp: { policy: "none" } },
    10 * minute + 11_000,
    [0],
    ["10-1=10 policy"],
  ],
  [
    "under `latest` a tick that is not yet overdue supersedes all before it",
    {},
    10 * minute + 11_000,
    [0],
    ["10-1=10 superseded"],
  ],
  [
    "under `latest` only the newest overdue tick may run",
    { schedule: "*/5 * * * *", catchUp: { window: "20m" }, endsAt: "2026-11-28T11:59:00Z" },
    hour,
    [5],
    ["55-20=8 window", "15-10=2 superseded"],
  ],
  [
    "under `all` every tick of the window may run, and all earlier ones are one range",
    { schedule: "*/10 * * * *", catchUp: { policy: "all", window: "30m" } },
    3 * hour,
    [20, 10, 0],
    ["170-30=15 window"],
  ],
  [
    "under `all` the newest ticks may run, up to the limit",
    { catchUp: { policy: "all", window: "30m", limit: 3 } },
    20 * minute,
    [3, 2, 1, 0],
    ["19-4=16 limit"],
  ],
  [
    "a single tick that will not run gets a record of its own, not a range",
    { schedule: "0 11 * * *", catchUp: { window: "10m" } },
    6 * hour,
    [60],
    [],
  ],
];

describe("a gap is divided into ticks that may run and ranges that will not", () => {
  for (const [title, spec, sinceMs, admit, ranges] of table) {
    test(title, () => assert.deepEqual(divided(planOf(spec), now - sinceMs), { admit, ranges }));
  }

  test("ticks of a pause are reported as paused and never caught up, even after the pause has ended", () => {
    const pause = { by: "ada", at: now - 30 * minute - 10_000, until: now - 10 * minute - 10_000 };
    const plan = planOf({ catchUp: { policy: "all" } }, [pause]);
    assert.deepEqual(divided(plan, now - 32 * minute), {
      admit: [31, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
      ranges: ["30-11=20 paused"],
    });
  });

  test("under `latest` a tick that is skipped supersedes none, even while it is not yet overdue", () => {
    const pause = { by: "ada", at: now - 2 * minute - 10_000, until: now + minute };
    assert.deepEqual(divided(planOf({}, [pause]), now - 5 * minute), {
      admit: [4, 3, 0],
      ranges: ["2-1=2 paused"],
    });
  });

  test("ticks between finished ticks are one gap, of which only the newest may run under `latest`", () => {
    const plan = planOf({ endsAt: "2026-11-28T11:58:00Z" });
    const noon = now - 10_000;
    const before = { from: noon - 9 * minute, to: noon - 6 * minute };
    const after = { from: noon - 5 * minute, to: noon };
    const { admit, ranges } = divideGap(plan, [before, after], now);
    assert.deepEqual(
      [admit.map((tick) => (noon - tick) / minute), ranges.map(({ count, reason }) => `${count} ${reason}`)],
      [[2], ["3 superseded", "3 superseded"]],
    );
  });

  test("three days of ticks every second are reported at once, with at most the limit as single ticks", () => {
    const plan = planOf({ schedule: "* * * * * *", catchUp: { policy: "all", window: "7d", limit: 100 } });
    const { admit, ranges } = divideGap(plan, [{ from: now - 72 * hour + 1, to: now + 1 }], now);
    assert.equal(admit.length, 131);
    assert.equal(admit.length + ranges.reduce((sum, { count }) => sum + count, 0), 72 * 3_600);
  });

  test("a gap since 1970 costs no more than one since yesterday", () => {
    const plan = planOf({ schedule: "*/5 * * * *" });
    assert.deepEqual(
      divideGap(plan, [{ from: 1, to: now + 1 }], now).ranges.map(({ reason }) => reason),
      ["window", "superseded"],
    );
  });
});
