/** What people are told about a tick. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { makeNotice } from "../src/core/records/notice-text.ts";
import { noticesOf } from "../src/core/records/notices.ts";
import { CicadaError } from "../src/errors.ts";
import { NoticeSender, type NoticeSenderDeps } from "../src/peer/notices/notice-sender.ts";
import { Notices, type NoticesDeps } from "../src/peer/notices/notices.ts";
import { noticeEvents, noticeKey, type NoticeEvent, type NotifyRule } from "../src/schema/notice.ts";
import type { PeerId } from "../src/schema/ids.ts";
import type { Job } from "../src/schema/job.ts";
import { rangeSlot, type RunRecord } from "../src/schema/run.ts";
import type { RunState } from "../src/schema/run-states.ts";
import { noon, someRecord } from "./kit/contract/disk.ts";

const every: NotifyRule = { on: [...noticeEvents], to: ["ops"] };

interface Case {
  records?: readonly Partial<RunRecord>[];
  earlier?: readonly RunState[];
  notified?: readonly NoticeEvent[];
  afterFailures?: number;
  on?: NoticeEvent[];
  expected: readonly NoticeEvent[];
}

const ran = { startedAt: noon, finishedAt: noon + 1_000 };
const bob = { peer: "12D3KooWbob" as PeerId };

const cases: Readonly<Record<string, Case>> = {
  "a success says nothing": { records: [{ state: "succeeded", ...ran }], expected: [] },
  "a failure is told": { records: [{ state: "failed", ...ran }], expected: ["failed"] },
  "a failure is told although a range that ended with its tick was withdrawn": {
    records: [
      { state: "failed", ...ran },
      { ...bob, state: "withdrawn", slot: rangeSlot, range: { from: noon - 60_000, count: 2 }, round: 1 },
    ],
    expected: ["failed"],
  },
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
  "recovered is told only after failed: a job's first success is none": {
    records: [{ state: "succeeded", ...ran }],
    earlier: [],
    expected: [],
  },
  "a success after ticks that were skipped, missed or cancelled is no recovery": {
    records: [{ state: "succeeded", ...ran }],
    earlier: ["skipped", "missed", "cancelled", "succeeded", "failed"],
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
  "a success after a tick that was told as lost is a recovery": {
    records: [{ state: "succeeded", ...ran }],
    earlier: ["lost", "succeeded"],
    expected: ["recovered"],
  },
  "no recovery from a lost tick of which nobody was told": {
    records: [{ state: "succeeded", ...ran }],
    earlier: ["lost", "succeeded"],
    on: ["failed", "recovered"],
    expected: [],
  },
  "a lost tick counts as a failure in a row, but tells of none": {
    records: [{ state: "succeeded", ...ran }],
    earlier: ["lost", "failed", "succeeded"],
    on: ["failed", "recovered"],
    afterFailures: 2,
    expected: [],
  },
  "a run that was told as lost and then reports success is a recovery": {
    records: [{ state: "succeeded", ...ran }],
    notified: ["lost"],
    expected: ["recovered"],
  },
  "a tick that was stopped on its way from peer to peer has failed, also if it was a run that was lost": {
    records: [
      { state: "lost", ...ran, slot: "a", of: 2, set: ["a", "b"] },
      { state: "skipped", reason: "stopped", slot: "b", of: 2, set: ["a", "b"] },
    ],
    expected: ["failed"],
  },
  "… and if that run then reports success, it is no recovery": {
    records: [
      { state: "succeeded", ...ran, slot: "a", of: 2, set: ["a", "b"] },
      { state: "skipped", reason: "stopped", slot: "b", of: 2, set: ["a", "b"] },
    ],
    earlier: ["failed"],
    notified: ["failed"],
    expected: [],
  },
  "nothing is told twice": { records: [{ state: "failed", ...ran }], notified: ["failed"], expected: [] },
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
  "a tick that fails and is not repeated after all has failed": {
    records: [
      { state: "failed", ...ran, retryAt: noon + 10_000 },
      { state: "missed", attempt: 2, reason: "retry-nowhere" },
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
  for (const [name, { records = [], earlier = [], notified = [], expected, ...said }] of Object.entries(
    cases,
  )) {
    test(name, () => {
      const rule = { ...every, ...said };
      const tick = { records: records.map(someRecord), earlier, notified: new Set(notified) };
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
    notified: new Set<NoticeEvent>(),
  };
  assert.deepEqual(noticesOf(rules, tick), new Map([["failed", new Set(["ops", "log", "boss"])]]));
});

describe("a peer whose disk can't be read", () => {
  test("tells people how a tick ended as soon as it can, and only once", () => {
    const record = someRecord({ state: "failed", ...ran });
    const job = { id: record.job, spec: { notify: [{ on: ["failed"], to: ["ops"] }] }, updatedAt: noon };
    const alarms: (() => void)[] = [];
    const sent: string[] = [];
    const counted: string[] = [];
    let isReadable = false;
    const unreadable = new CicadaError("INTERNAL", "a page can't be read");
    const deps = {
      doors: {
        clock: {
          now: () => ({ wall: noon + 2_000, mono: 0 }),
          alarm: (_: number, ring: () => void) => alarms.push(ring),
        },
        disk: {
          history: ({ tick }: { tick?: string }, done: (page: unknown) => void) =>
            done(isReadable ? { records: tick === undefined ? [] : [record] } : unreadable),
          others: (_: unknown, done: (found: unknown) => void) => done(isReadable ? [] : unreadable),
          store: (_: unknown, done: () => void) => done(),
        },
        keys: { self: record.peer, sign: () => new Uint8Array() },
        log: { warn: () => undefined },
        notifier: {
          deliver: ({ id }: { id: string }, done: (result: { ok: true }) => void) => {
            sent.push(id);
            done({ ok: true });
          },
        },
      },
      jobOf: () => job,
      channelOf: () => ({ type: "webhook", url: "http://people.example/" }),
      nameOf: (peer: PeerId) => peer,
      isAlive: () => true,
      gossip: () => undefined,
      count: (name: string) => counted.push(name),
    } as unknown as NoticesDeps;
    const notices = new Notices({ ...deps, sender: new NoticeSender(deps as unknown as NoticeSenderDeps) });
    notices.announce(record.job, record.tick);
    alarms.shift()?.();
    assert.deepEqual([sent, alarms.length], [[], 1], "it asks again");
    isReadable = true;
    alarms.shift()?.();
    assert.deepEqual(sent, [noticeKey(record.job, record.tick, "failed")]);
    assert.deepEqual(alarms, []);
    isReadable = false;
    for (let words = 0; words < 1_100; words++) notices.announce(record.job, record.tick);
    assert.equal(alarms.length, 1_000, "as many as a disk that is gone for good may cost");
    assert.equal(counted.filter((name) => name === "notices_dropped").length, 100);
  });
});

/** The text of a notice about a tick with that one record, without its job and tick. */
const toldOf = (event: NoticeEvent, fields: Partial<RunRecord>): string => {
  const record = someRecord(fields);
  const job = { id: record.job, spec: { id: record.job, command: "true" } } as unknown as Job;
  const facts = { job, tick: record.tick, event, records: [record], self: bob.peer, at: noon };
  return makeNotice({ ...facts, nameOf: () => "vm1" }).text.replace(/^.*?Z, /, "");
};

const toldOfLost = (fields: Partial<RunRecord>): string =>
  toldOf("lost", { state: "lost", by: bob.peer, ...fields });

describe("a notice of a lost run says", () => {
  const { startedAt } = ran;
  for (const fate of ["died", "left", "was forgotten", "was restarted"])
    test(`that its peer ${fate}, where that is why`, () => {
      const text = toldOfLost({ startedAt, reason: `its peer ${fate}` });
      assert.equal(text, `was running on vm1 when that peer ${fate}; how it ended isn't known`);
    });
  test("no more than that its peer was to run it, where nobody knows that it began", () => {
    const text = toldOfLost({ reason: "its peer died" });
    assert.equal(text, "was to run on vm1 when that peer died; whether it started isn't known");
  });
});

test("a notice words the reason as the story of the tick does", () => {
  assert.equal(
    toldOf("missed", { state: "missed", reason: "no-quorum" }),
    "was missed: no majority of the voters could be reached before its window closed",
  );
  assert.equal(
    toldOf("skipped", { state: "skipped", reason: "parent load was missed" }),
    "was skipped: its parent load was missed",
  );
});
