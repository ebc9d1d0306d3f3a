/** What people are told about a tick. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { noticesOf } from "../src/core/records/notices.ts";
import { noticeEvents, type NoticeEvent, type NotifyRule } from "../src/schema/notice.ts";
import type { PeerId } from "../src/schema/ids.ts";
import type { RunRecord, RunState } from "../src/schema/run.ts";
import { noon, someRecord } from "./kit/contract/disk.ts";

const every: NotifyRule = { on: [...noticeEvents], to: ["ops"] };

interface Case {
  records?: readonly Partial<RunRecord>[];
  earlier?: readonly RunState[];
  told?: readonly NoticeEvent[];
  afterFailures?: number;
  expected: readonly NoticeEvent[];
}

const ran = { startedAt: noon, finishedAt: noon + 1_000 };
const bob = { peer: "12D3KooWbob" as PeerId };

const cases: Readonly<Record<string, Case>> = {
  "a success says nothing": { records: [{ state: "succeeded", ...ran }], expected: [] },
  "a failure is told": { records: [{ state: "failed", ...ran }], expected: ["failed"] },
  "a timeout is a failure": { records: [{ state: "timeout", ...ran }], expected: ["failed"] },
  "a lost run is told as lost": { records: [{ state: "lost", ...ran }], expected: ["lost"] },
  "a cancelled run is what a person wanted": { records: [{ state: "cancelled", ...ran }], expected: [] },
  "a missed tick is told": { records: [{ state: "missed" }], expected: ["missed"] },
  "a skipped tick is told": { records: [{ state: "skipped", reason: "overlap" }], expected: ["skipped"] },
  "a run in progress is not over": { records: [{ state: "running", startedAt: noon }], expected: [] },
  "an attempt that is repeated is not the tick's final word": {
    records: [{ state: "failed", ...ran, retryAt: noon + 10_000 }],
    expected: [],
  },
  "the last attempt is": {
    records: [
      { state: "failed", ...ran, retryAt: noon + 10_000 },
      { state: "failed", ...ran, attempt: 2 },
    ],
    expected: ["failed"],
  },
  "a tick that failed and was repeated with success is a success": {
    records: [
      { state: "failed", ...ran, retryAt: noon + 10_000 },
      { state: "succeeded", ...ran, attempt: 2 },
    ],
    expected: [],
  },
  "a success after a failure is a recovery": {
    records: [{ state: "succeeded", ...ran }],
    earlier: ["failed", "succeeded"],
    expected: ["recovered"],
  },
  "skipped ticks between don't hide the failure": {
    records: [{ state: "succeeded", ...ran }],
    earlier: ["skipped", "missed", "timeout"],
    expected: ["recovered"],
  },
  "a success after a success is no recovery": {
    records: [{ state: "succeeded", ...ran }],
    earlier: ["succeeded", "failed"],
    expected: [],
  },
  "the second failure in a row is not yet the third": {
    records: [{ state: "failed", ...ran }],
    earlier: ["failed", "succeeded", "failed"],
    afterFailures: 3,
    expected: [],
  },
  "the third failure in a row is told, and each further one": {
    records: [{ state: "failed", ...ran }],
    earlier: ["lost", "skipped", "timeout", "failed"],
    afterFailures: 3,
    expected: ["failed"],
  },
  "no recovery from failures that were not told": {
    records: [{ state: "succeeded", ...ran }],
    earlier: ["failed", "failed", "succeeded"],
    afterFailures: 3,
    expected: [],
  },
  "a run that was told as lost and then reports success is a recovery": {
    records: [{ state: "succeeded", ...ran }],
    told: ["lost"],
    expected: ["recovered"],
  },
  "nothing is told twice": { records: [{ state: "failed", ...ran }], told: ["failed"], expected: [] },
  "a start more than 30 s after due is late": {
    records: [{ state: "succeeded", due: noon, startedAt: noon + 30_001, finishedAt: noon + 40_000 }],
    expected: ["late"],
  },
  "a start 30 s after due is not": {
    records: [{ state: "succeeded", due: noon, startedAt: noon + 30_000, finishedAt: noon + 40_000 }],
    expected: [],
  },
  "of several runs of a tick each one counts: it has failed when all are over and one has failed": {
    records: [
      { state: "succeeded", ...ran, of: 2 },
      { state: "failed", ...ran, of: 2, slot: "1" },
    ],
    expected: ["failed"],
  },
  "a tick of which one run is still to come is not over": {
    records: [{ state: "failed", ...ran, of: 2 }],
    expected: [],
  },
  "a tick that two peers ran is a duplicate": {
    records: [
      { state: "succeeded", ...ran },
      { state: "failed", ...ran, ...bob },
    ],
    expected: ["duplicate"],
  },
};

describe("of a tick", () => {
  for (const [name, { records = [], earlier = [], told = [], afterFailures, expected }] of Object.entries(
    cases,
  )) {
    test(name, () => {
      const rule = afterFailures === undefined ? every : { ...every, afterFailures };
      const tick = { records: records.map(someRecord), earlier, told: new Set(told) };
      assert.deepEqual([...noticesOf([rule], tick).keys()], expected);
    });
  }
});

test("each rule tells its own channels, and a channel of two rules is told once", () => {
  const rules: NotifyRule[] = [
    { on: ["failed", "missed"], to: ["ops", "log"] },
    { on: ["failed"], to: ["ops", "boss"], afterFailures: 1 },
    { on: ["failed"], to: ["pager"], afterFailures: 5 },
  ];
  const tick = {
    records: [someRecord({ state: "failed", ...ran })],
    earlier: [],
    told: new Set<NoticeEvent>(),
  };
  assert.deepEqual(noticesOf(rules, tick), new Map([["failed", new Set(["ops", "log", "boss"])]]));
});
