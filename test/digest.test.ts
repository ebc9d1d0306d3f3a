/** The digest of a day: when it is due, what it says, and that one peer sends it once. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { describeDay, lastDay, type DayFacts } from "../src/core/records/digest.ts";
import { zoneOf } from "../src/core/time/zone.ts";
import { Digests } from "../src/peer/notices/digests.ts";
import type { Doors, Log } from "../src/ports.ts";
import type { RunQuery } from "../src/ports/disk.ts";
import { checkChannel } from "../src/schema/channel.ts";
import { instantOf, type JobId, type PeerId, type TickId } from "../src/schema/ids.ts";
import { noticeTextMax } from "../src/schema/notice.ts";
import type { RunRecord } from "../src/schema/run.ts";

const at = (text: string): number => Date.parse(text);

type HistoryDone = Parameters<Doors["disk"]["history"]>[1];

function zone(name: string) {
  return zoneOf(name) ?? assert.fail(name);
}

describe("the day of a digest", () => {
  const cases: readonly [what: string, zone: string, at: string, now: string, from: string, to: string][] = [
    [
      "ends at that time today",
      "UTC",
      "08:00",
      "2026-11-29T08:00:00Z",
      "2026-11-28T08:00:00Z",
      "2026-11-29T08:00:00Z",
    ],
    [
      "ended yesterday before that time",
      "UTC",
      "08:00",
      "2026-11-29T07:59:59Z",
      "2026-11-27T08:00:00Z",
      "2026-11-28T08:00:00Z",
    ],
    [
      "is by the zone's clock",
      "Asia/Tokyo",
      "08:00",
      "2026-11-28T23:30:00Z",
      "2026-11-27T23:00:00Z",
      "2026-11-28T23:00:00Z",
    ],
    [
      "of a zone behind UTC",
      "America/New_York",
      "23:30",
      "2026-11-29T04:45:00Z",
      "2026-11-28T04:30:00Z",
      "2026-11-29T04:30:00Z",
    ],
    [
      "has 23 hours when summer time begins",
      "Europe/Berlin",
      "08:00",
      "2026-03-29T06:30:00Z",
      "2026-03-28T07:00:00Z",
      "2026-03-29T06:00:00Z",
    ],
    [
      "has 25 hours when it ends",
      "Europe/Berlin",
      "08:00",
      "2026-10-25T07:30:00Z",
      "2026-10-24T06:00:00Z",
      "2026-10-25T07:00:00Z",
    ],
    [
      "at a time that is left out ends an hour later by the clock",
      "Europe/Berlin",
      "02:30",
      "2026-03-29T02:00:00Z",
      "2026-03-28T01:30:00Z",
      "2026-03-29T01:30:00Z",
    ],
  ];
  for (const [what, name, time, now, from, to] of cases) {
    test(what, () => {
      const day = lastDay(zone(name), time, at(now));
      assert.deepEqual(
        [new Date(day.from).toISOString(), new Date(day.to).toISOString()],
        [new Date(from).toISOString(), new Date(to).toISOString()],
      );
      assert.ok(day.shown.endsWith(` ${time}`), day.shown);
    });
  }
});

function ended(
  job: string,
  tick: string,
  state: RunRecord["state"],
  more: Partial<RunRecord> = {},
): RunRecord {
  const due = instantOf(tick as TickId);
  return {
    job: job as JobId,
    revision: "r",
    tick: tick as TickId,
    attempt: 1,
    slot: "0",
    due,
    trigger: "schedule",
    peer: "alpha" as PeerId,
    version: 3,
    state,
    signature: "",
    rank: 0,
    view: 1,
    ...more,
  };
}

/** So many jobs, of which none is called `gone-…`. */
function existing(size: number): DayFacts["jobs"] {
  return { size, has: (job) => !job.startsWith("gone-") };
}

function said(more: Partial<DayFacts>): string {
  const day = { from: 0, to: 1, shown: "2026-11-29 08:00" };
  const facts = { day, zone: "UTC", jobs: existing(214), succeeded: 1_320, moreSucceeded: false };
  const { state, text } = describeDay({
    ...facts,
    problems: [],
    isCut: false,
    undecided: [],
    nameOf: (peer) => `host-${peer}`,
    ...more,
  });
  return `${state}: ${text}`;
}

function saidOfLost(...jobs: string[]): string {
  return said({ problems: jobs.map((job) => ended(job, "2026-11-29T03:00:00Z", "lost")) });
}

describe("a digest says", () => {
  test("that all is well, and how much ran", () => {
    assert.equal(
      said({}),
      "ok: 214 jobs: 1320 runs succeeded in the day until 2026-11-29 08:00 (UTC), and nothing failed, timed out, was missed or was lost",
    );
  });

  test("which jobs had trouble, how often, and how the last tick ended", () => {
    const problems = [
      ended("backup", "2026-11-29T03:00:00Z", "failed", { exitCode: 2 }),
      ended("mail", "2026-11-29T01:00:00Z", "missed", {
        reason: "no peer was up",
        range: { from: 0, count: 4 },
      }),
      ended("backup", "2026-11-29T02:00:00Z", "failed", { exitCode: 1 }),
      ended("backup", "2026-11-29T01:00:00Z", "timeout", { reason: "longer than 1m" }),
    ];
    assert.equal(
      said({ problems }),
      "trouble: 2 of 214 jobs had trouble in the day until 2026-11-29 08:00 (UTC): " +
        "backup failed 2 times, timed out once, last at 2026-11-29T03:00:00Z on host-alpha (exit code 2); " +
        "mail was missed 4 times, last at 2026-11-29T01:00:00Z (no peer was up). 1320 runs succeeded in that time",
    );
  });

  test("nothing about an attempt that was repeated: the tick ended as its last attempt did", () => {
    const problems = [ended("backup", "2026-11-29T03:00:00Z", "failed", { retryAt: 5 })];
    assert.match(said({ problems }), /^ok: /);
  });

  test("which ticks are due and have not begun: a day with such a tick is not well", () => {
    assert.equal(
      said({ undecided: ["report" as JobId] }),
      "trouble: jobs with ticks that are due and have not begun: report. 1320 runs succeeded in the day until 2026-11-29 08:00 (UTC)",
    );
  });

  test("that a day was not well if attempts failed that were not looked at", () => {
    assert.equal(
      said({ isCut: true, succeeded: 100_000, moreSucceeded: true }),
      "trouble: so many attempts failed and were repeated in the day until 2026-11-29 08:00 (UTC) that not all of them were looked at. " +
        "at least 100000 runs succeeded in that time",
    );
  });

  test("of jobs that are deleted since, that they are, and counts them beside the others", () => {
    assert.match(
      saidOfLost("gone-a", "backup", "gone-b"),
      /^trouble: 1 of 214 jobs and 2 jobs deleted since had trouble in/,
    );
    assert.match(saidOfLost("gone-a"), /^trouble: 1 job deleted since had trouble in/);
  });

  test("so much that it fits into a notice, however many jobs had trouble and however long their names are", () => {
    const problems = Array.from({ length: 900 }, (_, index) =>
      ended(`job-${index}-${"x".repeat(100)}`, "2026-11-29T03:00:00Z", "failed", { reason: "y".repeat(500) }),
    );
    const text = said({ problems, isCut: true, undecided: problems.map(({ job }) => job) });
    assert.match(text, /at least 900 of 214 jobs/);
    const [, more] = /and (\d+) more jobs\. /.exec(text) ?? [];
    assert.ok(Number(more) >= 888 && Number(more) < 900, more);
    assert.match(text, /have not begun: .*, …\. 1320 runs succeeded in that time$/);
    assert.ok(text.length <= "trouble: ".length + noticeTextMax, String(text.length));
  });
});

test("a failure is found behind more repeated attempts than are read at once", () => {
  const repeated = Array.from({ length: 2_500 }, () =>
    ended("flaky", "2026-11-29T03:00:00Z", "failed", { retryAt: 5 }),
  );
  const records = [...repeated, ended("backup", "2026-11-28T09:00:00Z", "failed", { exitCode: 2 })];
  const sent: string[] = [];
  const self = "alpha" as PeerId;
  const digests = new Digests({
    doors: {
      keys: { self } as Doors["keys"],
      log: { warn: assert.fail } as Partial<Log> as Log,
      disk: {
        history: ({ states, limit, after = "0" }: RunQuery, done: HistoryDone) => {
          if (states?.includes("succeeded") === true)
            return done({ records: [], next: null, total: 7, beside: [] });
          const end = Number(after) + limit;
          const next = end < records.length ? String(end) : null;
          done({ records: records.slice(Number(after), end), next, total: records.length, beside: [] });
        },
      } as Doors["disk"],
    },
    nameOf: (peer) => peer,
    jobs: () => existing(2),
    isSent: () => false,
    send: (_topic, { state, text }) => sent.push(`${state}: ${text}`),
  });
  const sight = { seen: [], facts: [], reporterOf: () => self, undecided: () => [] };
  digests.woke(new Map([["ops", { at: "08:00" }]]), sight, { wall: at("2026-11-29T08:02:00Z"), mono: 0 });
  assert.equal(sent.length, 1);
  assert.match(sent[0] ?? "", /^trouble: 1 of 2 jobs had trouble .*: backup failed once/);
});

function problemsOf(digest: unknown): string[] {
  const check = checkChannel({ type: "slack", url: "https://hooks.example.org/x", digest });
  return check.ok ? [] : check.problems.map(({ pointer, message }) => `${pointer} ${message}`);
}

describe("a channel's digest", () => {
  const cases: readonly [digest: unknown, problem: RegExp | undefined][] = [
    [{ at: "08:00" }, undefined],
    [{ at: "23:59", timezone: "Europe/Berlin" }, undefined],
    [{ at: "24:00" }, /^\/digest\/at .*00:00 to 23:59/],
    [{ at: "8:00" }, /^\/digest\/at /],
    [{}, /^\/digest\/at the at is missing/],
    ["08:00", /^\/digest a digest is \{"at": "08:00"/],
    [{ at: "08:00", timezone: "Berlin" }, /^\/digest\/timezone no time zone is called "Berlin"/],
    [{ at: "08:00", timezone: "+01:00" }, /^\/digest\/timezone /],
    [{ at: "08:00", zone: "UTC" }, /^\/digest\/zone there is no such field/],
  ];
  for (const [digest, problem] of cases) {
    test(`${JSON.stringify(digest)} is ${problem === undefined ? "taken" : "refused"}`, () => {
      const found = problemsOf(digest);
      if (problem === undefined) assert.deepEqual(found, []);
      else
        assert.ok(
          found.some((one) => problem.test(one)),
          found.join("\n"),
        );
    });
  }
});
