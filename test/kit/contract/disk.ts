/**
 * The contract of every disk, run against the real and the simulated one.
 *
 * A `DiskBed` gives the suite a disk and the world around it: `wait` starts something and lets the world run until it
 * has answered; `restart` ends the process and opens the same disk again.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { bucketMs, bucketOf, combine, digestOf, emptyDigest } from "../../../src/core/records/buckets.ts";
import { mergeRecord } from "../../../src/core/records/records.ts";
import { CicadaError } from "../../../src/errors.ts";
import { backfillTick } from "../../../src/schema/backfill.ts";
import type {
  Disk,
  Keep,
  Loaded,
  Pruned,
  PruneRule,
  RunPage,
  RunQuery,
  Things,
  ThingsQuery,
  Write,
  WrongJobs,
  WrongQuery,
} from "../../../src/ports/disk.ts";
import {
  runId,
  tickAt,
  ulid,
  type JobId,
  type PeerId,
  type RunId,
  type TickId,
} from "../../../src/schema/ids.ts";
import type { AuditEntry, AuditPage, AuditQuery } from "../../../src/schema/audit.ts";
import {
  auditRefusalsKept,
  deletedKeptMs,
  revisionBytesKept,
  revisionsKept,
} from "../../../src/schema/kept.ts";
import { keyedTick, tickKeyOf, type TickKey } from "../../../src/schema/keyed-tick.ts";
import type { OtherRecord } from "../../../src/schema/other-record.ts";
import type { JobRevision } from "../../../src/schema/revision.ts";
import type { RequestedOrder, RunRecord, Watermark } from "../../../src/schema/run.ts";
import { testOnBeds } from "./bed.ts";

export interface DiskBed {
  disk(): Disk;
  wait: <Value>(start: (done: (value: Value) => void) => void) => Promise<Value>;
  restart(): Promise<void>;
  end(): Promise<void>;
}

export const noon = Date.parse("2026-11-20T12:00:00Z");

function keyOf(key: number, request: number): TickKey {
  return tickKeyOf(new Uint8Array(12).fill(key), new Uint8Array(4).fill(request));
}

export function someRecord(fields: Partial<RunRecord> = {}): RunRecord {
  const record: RunRecord = {
    job: "backup" as JobId,
    tick: tickAt(noon),
    attempt: 1,
    slot: "0",
    peer: "12D3KooWalpha" as PeerId,
    state: "claimed",
    version: 1,
    revision: "r1",
    trigger: "schedule",
    rank: 0,
    due: noon,
    view: 3,
    signature: "",
    ...fields,
  };
  return { ...record, signature: fields.signature ?? `${record.state}-${record.version}-${record.by ?? ""}` };
}

/** A successful run of a tick so many hours after noon, which took so many ms. */
function runAt(job: string, hour: number, ms = 0): RunRecord {
  const startedAt = noon + hour * 3_600_000;
  const times = { startedAt, finishedAt: startedAt + ms };
  return someRecord({ job: job as JobId, tick: tickAt(startedAt), state: "succeeded", ...times });
}

export function someMark(job: string, at: number): Watermark {
  return { job: job as JobId, since: 0, at, open: [1, 2] };
}

function someOrder(fields: Partial<RequestedOrder> = {}): RequestedOrder {
  return {
    job: "backup" as JobId,
    tick: `manual-${ulid(noon, new Uint8Array(16))}` as TickId,
    trigger: "manual",
    requestedAt: noon,
    by: "admin",
    ...fields,
  };
}

/** As a later version may write it. */
function someNotice(fields: Partial<OtherRecord> = {}): OtherRecord {
  const notice = { kind: "notice", job: "backup" as JobId, tick: tickAt(noon), name: "", to: ["ops", null] };
  return { ...notice, peer: "12D3KooWalpha" as PeerId, version: 1, signature: "s", ...fields };
}

const otherWrite = (record: OtherRecord): Write => ({ kind: "other", record });
const recordWrite = (record: RunRecord): Write => ({ kind: "record", record });

function revisionWrite(
  job: string,
  revision: string,
  fields: { at?: number; spec?: Record<string, unknown> | undefined } = {},
): Write {
  const { spec, ...rest } = { spec: { id: job, command: "ls" }, ...fields };
  const shared = { job: job as JobId, revision, at: noon, by: "ann", createdAt: noon, pauses: 0, ...rest };
  return { kind: "revision", revision: spec === undefined ? shared : { ...shared, spec } };
}

const seconds = 1_000;
const hours = 3_600_000;

export function diskContract(name: string, make: () => Promise<DiskBed>): void {
  const onBed = testOnBeds(name, make);

  onBed("acknowledged writes are there after a restart", async (bed) => {
    const update = Uint8Array.of(0, 1, 255);
    await store(bed, [
      recordWrite(someRecord()),
      { kind: "order", order: someOrder() },
      { kind: "update", update },
      { kind: "meta", key: "tzdata", value: "2026b" },
    ]);
    await bed.restart();
    const loaded = await load(bed, noon);
    assert.deepEqual(loaded.records, [someRecord()]);
    assert.deepEqual(loaded.orders, [someOrder()]);
    assert.deepEqual(
      loaded.updates.map((bytes) => Uint8Array.from(bytes)),
      [update],
    );
    assert.deepEqual([...loaded.meta], [["tzdata", "2026b"]]);
  });

  onBed("a new disk holds nothing", async (bed) => {
    const loaded = await load(bed, 0);
    assert.deepEqual(
      { ...loaded, meta: [...loaded.meta] },
      {
        updates: [],
        records: [],
        orders: [],
        ordersLeftOut: 0,
        votes: [],
        watermarks: [],
        horizons: [],
        meta: [],
      },
    );
  });

  onBed("an output is what was stored last of its run, empty or not, after a restart too", async (bed) => {
    const [one, two, empty] = ["a", "b", "c"].map((job) => runId(someRecord({ job: job as JobId })));
    assert.ok(one !== undefined && two !== undefined && empty !== undefined);
    await store(bed, [
      { kind: "output", run: one, bytes: Uint8Array.of(1, 0, 255) },
      { kind: "output", run: two, bytes: Uint8Array.of(2) },
      { kind: "output", run: empty, bytes: new Uint8Array() },
    ]);
    await store(bed, [{ kind: "output", run: two, bytes: Uint8Array.of(3, 4) }]);
    await bed.restart();
    assert.deepEqual(await outputOf(bed, one), [1, 0, 255]);
    assert.deepEqual(await outputOf(bed, two), [3, 4]);
    assert.deepEqual(await outputOf(bed, empty), []);
    assert.equal(await outputOf(bed, runId(someRecord({ job: "d" as JobId }))), undefined);
  });

  onBed("the outputs of pruned runs go with their records, and those that stay are kept", async (bed) => {
    const old = someRecord({ tick: tickAt(noon - 2 * hours), state: "failed" });
    const copied = { ...old, peer: "12D3KooWbeta" as PeerId };
    const young = someRecord({ state: "failed" });
    for (const record of [old, copied, young]) {
      await store(bed, [
        recordWrite(record),
        { kind: "output", run: runId(record), bytes: Uint8Array.of(7) },
      ]);
    }
    await prune(bed, pruneRule({ before: noon - hours, olderThan: noon - hours }));
    for (const record of [old, copied]) assert.equal(await outputOf(bed, runId(record)), undefined);
    assert.deepEqual(await outputOf(bed, runId(young)), [7]);
  });

  onBed("the size counts the outputs", async (bed) => {
    const bytes = () =>
      valueOf<{ bytes: number; instant: number }>(bed, (done) => bed.disk().measure(0, done));
    const { bytes: before } = await bytes();
    for (let index = 0; index < 50; index++) {
      const run = runId(someRecord({ tick: tickAt(noon + index * seconds) }));
      await store(bed, [{ kind: "output", run, bytes: new Uint8Array(4_000) }]);
    }
    assert.ok((await bytes()).bytes >= before + 50 * 4_000);
  });

  onBed("a job's watermark is the last stored one, until it is dropped", async (bed) => {
    await store(bed, [{ kind: "watermark", watermark: someMark("a", 5) }]);
    await store(bed, [
      { kind: "watermark", watermark: someMark("a", 9) },
      { kind: "watermark", watermark: someMark("b", 7) },
    ]);
    assert.deepEqual(
      [...(await load(bed, 0)).watermarks].toSorted((a, b) => (a.job < b.job ? -1 : 1)),
      [someMark("a", 9), someMark("b", 7)],
    );
    await store(bed, [{ kind: "drop-watermark", job: "a" as JobId }]);
    assert.deepEqual((await load(bed, 0)).watermarks, [someMark("b", 7)]);
  });

  onBed(
    "a record never goes back to an older version, in whatever order its versions are written",
    async (bed) => {
      const writings = [
        someRecord({ state: "claimed", version: 1 }),
        someRecord({ state: "running", version: 2, startedAt: noon }),
        someRecord({ state: "lost", version: 3, by: "12D3KooWbeta" as PeerId }),
        someRecord({ state: "succeeded", version: 3, startedAt: noon, finishedAt: noon + 1, exitCode: 0 }),
      ];
      const orders = fc.sample(fc.shuffledSubarray(writings, { minLength: 1 }), { numRuns: 12, seed: 7 });
      for (const [index, order] of orders.entries()) {
        const tick = tickAt(noon + index * seconds);
        const said = order.map((record) => ({ ...record, tick }));
        for (const record of said) await store(bed, [recordWrite(record)]);
        const { records } = await history(bed, { tick, limit: 10 });
        assert.deepEqual(records, [said.reduce(mergeRecord)]);
      }
    },
  );

  onBed("a page has, if it is asked to, the records of its ticks that are not on it", async (bed) => {
    const [early, late] = [tickAt(noon), tickAt(noon + seconds)];
    const beta = "12D3KooWbeta" as PeerId;
    const failed = someRecord({ tick: early, state: "failed" });
    const second = someRecord({ tick: early, peer: beta });
    const third = someRecord({ tick: early, peer: "12D3KooWgamma" as PeerId });
    const later = [someRecord({ tick: late }), someRecord({ tick: late, job: "other" as JobId })];
    await store(bed, [failed, second, third, ...later].map(recordWrite));
    const isBeside = async (query: Partial<RunQuery>, beside: readonly RunRecord[]) =>
      assert.deepEqual(
        places((await history(bed, { limit: 10, beside: true, ...query })).beside),
        places(beside),
      );
    await isBeside({ states: ["failed"] }, [second, third]);
    await isBeside({ peer: beta }, [failed, third]);
    await isBeside({}, []);
    await isBeside({ job: failed.job, to: noon + 1 }, []);
    // The first page ends within the early tick, whichever of its records comes first.
    const cut = await history(bed, { limit: 3, beside: true });
    assert.deepEqual(places([...cut.records, ...cut.beside]), places([failed, second, third, ...later]));
    const next = await history(bed, { limit: 1, beside: true, after: cut.next ?? "" });
    assert.deepEqual(places([...next.records, ...next.beside]), places([failed, second, third]));
    assert.deepEqual((await history(bed, { limit: 3 })).beside, []);
  });

  onBed("the newest records of several jobs, in the order of the jobs, newest first", async (bed) => {
    const runs = [runAt("a", 0), runAt("b", 1), runAt("a", 3), runAt("a", 2), runAt("c", 9)];
    await store(bed, runs.map(recordWrite));
    const jobs = ["b", "none", "a"] as JobId[];
    const found = await valueOf<RunRecord[][]>(bed, (done) => bed.disk().newest(jobs, 2, done));
    assert.deepEqual(found, [[runAt("b", 1)], [], [runAt("a", 3), runAt("a", 2)]]);
  });

  onBed(
    "how long the newest successful runs of several jobs took, without those of earlier ticks",
    async (bed) => {
      const failed = { ...runAt("a", 3, 40), state: "failed" } as const;
      const runs = [runAt("a", 0, 10), runAt("a", 1, 20), runAt("a", 2, 30), failed, runAt("b", 5, 50)];
      await store(bed, runs.map(recordWrite));
      const durations = (limit: number, from: number) =>
        valueOf<number[][]>(bed, (done) =>
          bed.disk().durations(
            ["a", "none", "b"].map((job) => ({ job: job as JobId, from })),
            limit,
            done,
          ),
        );
      assert.deepEqual(await durations(2, 0), [[30, 20], [], [50]]);
      assert.deepEqual(await durations(60, noon + hours), [[30, 20], [], [50]]);
      assert.deepEqual(await durations(60, noon + 4 * hours), [[], [], [50]]);
    },
  );

  onBed(
    "the jobs of which ticks went wrong, newest first, each with its last one and its counts, however often another does",
    async (bed) => {
      const wrong = (job: string, hour: number, fields: Partial<RunRecord> = {}): RunRecord => ({
        ...runAt(job, hour, 40),
        state: "failed",
        ...fields,
      });
      const often = Array.from({ length: 30 }, (_, hour) => wrong("often", 10 + hour));
      const missed = wrong("missed", 6, { state: "missed", range: { from: noon, count: 4 } });
      const records = [
        ...often,
        missed,
        wrong("missed", 7),
        wrong("early", 1),
        wrong("repeated", 8, { retryAt: noon + 8 * hours + 1 }),
        wrong("noted", 5, { note: '"retryAt":' }),
        runAt("fine", 9),
      ];
      await store(bed, records.map(recordWrite));
      const found = (query: WrongQuery) =>
        valueOf<WrongJobs>(bed, (done) => bed.disk().wentWrong(query, done));
      assert.deepEqual(await found({ from: noon + 2 * hours, limit: 10 }), {
        jobs: [
          { last: wrong("often", 39), counts: { failed: 30 } },
          { last: wrong("missed", 7), counts: { failed: 1, missed: 4 } },
          { last: wrong("noted", 5, { note: '"retryAt":' }), counts: { failed: 1 } },
        ],
        total: 3,
      });
      const { jobs, total } = await found({ from: noon, limit: 1 });
      assert.deepEqual([jobs.map(({ last }) => last.job), total], [["often"], 4]);
      const some = [
        { job: "missed" as JobId, from: noon + 7 * hours },
        { job: "early" as JobId, from: noon + 2 * hours },
      ];
      assert.deepEqual(await found({ from: noon, jobs: some, limit: 10 }), {
        jobs: [{ last: wrong("missed", 7), counts: { failed: 1 } }],
        total: 1,
      });
    },
  );

  onBed("reads see every earlier write, acknowledged or not", async (bed) => {
    const page = await bed.wait<RunPage>((done) => {
      bed.disk().store([recordWrite(someRecord())], () => undefined);
      bed.disk().history({ limit: 10 }, (found) => done(asPage(found)));
    });
    assert.deepEqual(page.records, [someRecord()]);
  });

  onBed("writes are acknowledged in the order of their calls, and never within the call", async (bed) => {
    const acknowledged = await bed.wait<number[]>((done) => {
      const seen: number[] = [];
      for (let i = 0; i < 20; i++) {
        bed.disk().store([{ kind: "meta", key: "last", value: String(i) }], () => {
          seen.push(i);
          if (seen.length === 20) done(seen);
        });
      }
      assert.deepEqual(seen, []);
    });
    assert.deepEqual(acknowledged, [...acknowledged.keys()]);
    const { meta } = await load(bed, noon);
    assert.equal(meta.get("last"), "19");
  });

  onBed("a snapshot replaces the updates before it and keeps those after it", async (bed) => {
    await store(bed, [{ kind: "update", update: Uint8Array.of(1) }]);
    await store(bed, [{ kind: "update", update: Uint8Array.of(2) }]);
    await store(bed, [
      { kind: "snapshot", update: Uint8Array.of(12) },
      { kind: "update", update: Uint8Array.of(3) },
    ]);
    await bed.restart();
    const { updates } = await load(bed, noon);
    assert.deepEqual(
      updates.map((bytes) => [...bytes]),
      [[12], [3]],
    );
  });

  onBed("an update that is a view of a larger buffer is kept as it was at the call", async (bed) => {
    const large = new Uint8Array(1_024).fill(7);
    await store(bed, [{ kind: "update", update: large.subarray(10, 13) }]);
    assert.equal(large.length, 1_024);
    const { updates } = await load(bed, noon);
    assert.deepEqual(
      updates.map((bytes) => [...bytes]),
      [[7, 7, 7]],
    );
  });

  onBed("loading gives recent records, and open ones of any age", async (bed) => {
    const old = tickAt(noon - 48 * hours);
    const oldOrder = someOrder({
      tick: `manual-${ulid(noon - 48 * hours, new Uint8Array(16))}` as TickId,
      requestedAt: noon - 48 * hours,
    });
    const endedOrder = someOrder({
      ...oldOrder,
      tick: `manual-${ulid(noon - 49 * hours, new Uint8Array(16))}` as TickId,
      requestedAt: noon - 49 * hours,
    });
    const kept = [
      someRecord({ tick: old, state: "running" }),
      someRecord({ tick: old, state: "claimed", attempt: 2 }),
      someRecord({ state: "succeeded" }),
    ];
    const left = [
      someRecord({ tick: old, state: "failed", attempt: 3 }),
      someRecord({ tick: endedOrder.tick, state: "succeeded" }),
    ];
    await store(bed, [...kept, ...left].map(recordWrite));
    await store(bed, [
      { kind: "order", order: oldOrder },
      { kind: "order", order: endedOrder },
    ]);
    const loaded = await load(bed, noon - 1 * hours);
    assert.deepEqual(sorted(loaded.records), sorted(kept));
    assert.deepEqual(loaded.orders, [oldOrder]);
  });

  onBed("history comes page by page, the newest tick first, each record once", async (bed) => {
    const records = Array.from({ length: 25 }, (_, index) =>
      someRecord({
        tick: tickAt(noon + Math.floor(index / 2) * 60 * seconds),
        job: (index % 2 === 0 ? "backup" : "report") as JobId,
        state: index % 3 === 0 ? "failed" : "succeeded",
        peer: `12D3KooW${index % 4}` as PeerId,
      }),
    );
    await store(
      bed,
      fc
        .sample(fc.shuffledSubarray(records, { minLength: 25 }), { numRuns: 1, seed: 3 })[0]
        ?.map(recordWrite) ?? [],
    );
    const some = ["backup", "report", "other"] as JobId[];
    const many = [...some, ...Array.from({ length: 1_000 }, (_, index) => `job-${index}` as JobId)];
    for (const which of [{}, { jobs: some }, { jobs: many }]) {
      const seen: RunRecord[] = [];
      let after: string | undefined;
      do {
        const page = await history(bed, { ...which, limit: 7, ...(after === undefined ? {} : { after }) });
        assert.equal(page.total, 25);
        assert.ok(page.records.length <= 7);
        seen.push(...page.records);
        after = page.next ?? undefined;
      } while (after !== undefined);
      assert.deepEqual(sorted(seen), sorted(records));
      const instants = seen.map((record) => Date.parse(record.tick));
      assert.deepEqual(
        instants,
        instants.toSorted((a, b) => b - a),
      );
    }
  });

  onBed(
    "history finds what was asked for in place of a past tick, forced or not, and nothing else",
    async (bed) => {
      const [past, asked] = [noon - 3_600_000, noon + 5_000];
      const ticks = [
        backfillTick(asked, past, 0),
        backfillTick(asked, past, 77),
        backfillTick(asked, past + 1_000, 0),
        tickAt(past),
      ];
      const records = ticks.map((tick) => someRecord({ tick }));
      await store(bed, records.map(recordWrite));
      const [{ job }] = records as [RunRecord];
      const { records: found } = await history(bed, { job, from: past, backfills: past, limit: 10 });
      assert.deepEqual(found.map(({ tick }) => tick).toSorted(), ticks.slice(0, 2).toSorted());
    },
  );

  onBed(
    "history finds what was asked for under a key, by whichever request, and nothing else",
    async (bed) => {
      const ticks = [
        keyedTick(noon + 2, keyOf(1, 1)),
        keyedTick(noon + 1, keyOf(1, 2)),
        keyedTick(noon, keyOf(2, 1)),
        tickAt(noon),
      ];
      const records = ticks.map((tick) => someRecord({ tick }));
      await store(bed, records.map(recordWrite));
      const [{ job }] = records as [RunRecord];
      const found = async (from: number) =>
        (await history(bed, { job, from, key: keyOf(1, 1), limit: 10 })).records.map(({ tick }) => tick);
      assert.deepEqual(await found(noon), ticks.slice(0, 2));
      assert.deepEqual(await found(noon + 2), ticks.slice(0, 1));
    },
  );

  onBed("history can be narrowed by job, jobs, tick, state, peer and time", async (bed) => {
    const records = Array.from({ length: 12 }, (_, index) =>
      someRecord({
        tick: tickAt(noon + index * seconds),
        job: (index % 2 === 0 ? "backup" : "report") as JobId,
        state: index % 3 === 0 ? "failed" : "succeeded",
        ...(index % 4 === 0 ? { startedAt: noon + index * seconds } : {}),
        peer: (index < 6 ? "12D3KooWalpha" : "12D3KooWbeta") as PeerId,
      }),
    );
    await store(bed, records.map(recordWrite));
    const cases: [Omit<RunQuery, "limit">, (record: RunRecord) => boolean][] = [
      [{ job: "report" as JobId }, (record) => record.job === "report"],
      [{ jobs: ["report", "other"] as JobId[] }, (record) => record.job === "report"],
      [{ jobs: [] }, () => false],
      [{ job: "report" as JobId, jobs: ["backup" as JobId] }, () => false],
      [
        { jobs: ["backup", "report"] as JobId[], states: ["failed"], peer: "12D3KooWalpha" as PeerId },
        (record) => record.state === "failed" && record.peer === "12D3KooWalpha",
      ],
      [{ tick: tickAt(noon + 3 * seconds) }, (record) => record.tick === tickAt(noon + 3 * seconds)],
      [{ states: ["failed", "lost"] }, (record) => record.state === "failed"],
      [{ states: [] }, () => false],
      [{ started: true }, (record) => record.startedAt !== undefined],
      [{ peer: "12D3KooWbeta" as PeerId }, (record) => record.peer === "12D3KooWbeta"],
      [
        { from: noon + 2 * seconds, to: noon + 5 * seconds },
        (record) =>
          Date.parse(record.tick) >= noon + 2 * seconds && Date.parse(record.tick) < noon + 5 * seconds,
      ],
      [
        { job: "backup" as JobId, states: ["succeeded"], from: noon + 4 * seconds },
        (record) =>
          record.job === "backup" &&
          record.state === "succeeded" &&
          Date.parse(record.tick) >= noon + 4 * seconds,
      ],
    ];
    for (const [query, admits] of cases) {
      const page = await history(bed, { ...query, limit: 100 });
      assert.deepEqual(sorted(page.records), sorted(records.filter(admits)), JSON.stringify(query));
      assert.equal(page.total, records.filter(admits).length);
      assert.equal(page.next, null);
    }
  });

  onBed("a cursor that doesn't come from a page is refused", async (bed) => {
    const answer = await bed.wait<RunPage | CicadaError>((done) =>
      bed.disk().history({ limit: 1, after: "nonsense" }, done),
    );
    assert.ok(answer instanceof CicadaError);
    assert.equal(answer.code, "UNPROCESSABLE");
  });

  onBed("the digest of a bucket depends only on its contents, not on how they got there", async (bed) => {
    const things = fc.sample(
      fc.record({
        minute: fc.nat(12),
        attempt: fc.integer({ min: 1, max: 3 }),
        state: fc.constantFrom("claimed", "running", "failed"),
      }),
      { numRuns: 60, seed: 11 },
    );
    const records = things.map(({ minute, attempt, state }) =>
      someRecord({ tick: tickAt(noon + minute * 60 * seconds), attempt, state }),
    );
    for (const record of records) await store(bed, [recordWrite(record)]);
    await store(bed, [{ kind: "order", order: someOrder() }]);
    await store(bed, [{ kind: "order", order: someOrder({ by: "someone else" }) }]);
    const { records: held } = await history(bed, { limit: 1_000 });
    const expected = new Map<number, string>();
    for (const thing of [...held, someOrder()]) {
      const bucket = bucketOf(thing);
      expected.set(bucket, combine(expected.get(bucket) ?? emptyDigest, digestOf(thing)));
    }
    const first = noon / bucketMs;
    const digests = await digestsOf(bed, first, first + 12);
    assert.deepEqual(new Map(digests), expected);
    assert.deepEqual(
      await digestsOf(bed, first + 1, first + 2),
      digests.filter(([bucket]) => bucket === first + 1),
    );
    const found = await thingsOf(bed, { buckets: [first], after: undefined, upTo: undefined, limit: 1_000 });
    assert.deepEqual(sorted(found.records), sorted(held.filter((record) => bucketOf(record) === first)));
    assert.deepEqual(found.orders, [someOrder()]);
  });

  onBed(
    "the contents of buckets come page by page, each thing once, however small the pages",
    async (bed) => {
      const records = Array.from({ length: 30 }, (_, index) =>
        someRecord({
          job: `job-${index % 4}` as JobId,
          tick: tickAt(noon + (index % 3) * 240 * seconds),
          attempt: 1 + index,
          state: "failed",
        }),
      );
      await store(bed, records.map(recordWrite));
      await store(bed, [{ kind: "order", order: someOrder() }]);
      const first = noon / bucketMs;
      const buckets = [first, first + 1, first + 7];
      const whole = await thingsOf(bed, { buckets, after: undefined, upTo: undefined, limit: 1_000 });
      assert.equal(whole.next, undefined);
      assert.equal(whole.records.length + whole.orders.length, 31);
      for (const limit of [1, 4, 31, 32]) {
        const seen: (RunRecord | RequestedOrder)[] = [];
        for (let after: string | undefined, pages = 0; pages < 40; pages++) {
          const page = await thingsOf(bed, { buckets, after, upTo: undefined, limit });
          assert.ok(page.records.length + page.orders.length <= limit);
          seen.push(...page.records, ...page.orders);
          const upTo = page.next;
          if (upTo === undefined) break;
          const same = await thingsOf(bed, { buckets, after, upTo, limit: 1_000 });
          assert.deepEqual(same, { ...page, next: undefined }, "a page ends where its cursor says");
          after = upTo;
        }
        assert.equal(seen.length, 31, `in pages of ${limit}`);
        assert.equal(new Set(seen.map(digestOf)).size, 31);
      }
      const nonsense = await bed.wait<Things | CicadaError>((done) =>
        bed.disk().things({ buckets, after: "nonsense", upTo: undefined, limit: 5 }, done),
      );
      assert.ok(nonsense instanceof CicadaError && nonsense.code === "UNPROCESSABLE");
    },
  );

  onBed(
    "records of other kinds are kept beside the runs, count in digests, and go with their ticks",
    async (bed) => {
      const run = someRecord({ state: "failed" });
      const [old, young] = [noon - 5 * hours, noon].map((instant) => someNotice({ tick: tickAt(instant) }));
      assert.ok(old !== undefined && young !== undefined);
      const elsewhere = someNotice({ job: "gone" as JobId });
      await store(bed, [recordWrite(run), ...[old, young, elsewhere].map(otherWrite)]);
      const newer = someNotice({ version: 2, signature: "b" });
      await store(bed, [newer, young, someNotice({ version: 2, signature: "a" })].map(otherWrite));
      await bed.restart();
      const buckets = [bucketOf(old), bucketOf(run)];
      const all = { buckets, after: undefined, upTo: undefined };
      const { records, others } = await thingsOf(bed, { ...all, limit: 10 });
      assert.deepEqual([records, others], [[run], [old, newer, elsewhere]]);
      const first = await thingsOf(bed, { ...all, limit: 3 });
      const rest = await thingsOf(bed, { ...all, after: first.next, limit: 3 });
      assert.deepEqual([first.others, rest.others], [[old, newer], [elsewhere]]);
      const digest = [run, newer, elsewhere].map(digestOf).reduce(combine, emptyDigest);
      assert.deepEqual(await digestsOf(bed, bucketOf(run), bucketOf(run) + 1), [[bucketOf(run), digest]]);
      const jobs = await valueOf<JobId[]>(bed, (done) => bed.disk().jobsWithRecords("", 9, done));
      assert.deepEqual(jobs, ["backup", "gone"]);
      const everything = { before: noon + hours, olderThan: noon + hours, countedBefore: noon + hours };
      await prune(bed, pruneRule(everything));
      assert.deepEqual((await thingsOf(bed, { ...all, limit: 10 })).others, [newer, elsewhere]);
      for (const job of ["backup", "gone"] as JobId[]) {
        await prune(bed, pruneRule({ ...everything, job, keepsLast: false }));
      }
      assert.deepEqual(await digestsOf(bed, 0, Number.MAX_SAFE_INTEGER), []);
      assert.deepEqual((await history(bed, { limit: 5 })).records, []);
    },
  );

  onBed(
    "of many notices the newest are read, oldest first, and those of one peer however many others have sent",
    async (bed) => {
      const notices = [1, 2, 3, 4].map((hour) => someNotice({ tick: tickAt(noon + hour * hours) }));
      const [first, second, third, fourth] = notices;
      const own = someNotice({ tick: tickAt(noon), peer: "12D3KooWbeta" as PeerId });
      await store(
        bed,
        [fourth, own, second, first, third].flatMap((one) => (one === undefined ? [] : otherWrite(one))),
      );
      const read = (of: { from: number; peer?: PeerId }) =>
        valueOf<OtherRecord[]>(bed, (done) => bed.disk().others({ kind: own.kind, of, limit: 2 }, done));
      assert.deepEqual(await read({ from: noon }), [third, fourth]);
      assert.deepEqual(await read({ from: noon, peer: own.peer }), [own]);
      assert.deepEqual(await read({ from: noon + hours, peer: own.peer }), []);
    },
  );

  onBed(
    "the audit is kept in order, found by actor, job, action, group and time, and read page by page",
    async (bed) => {
      const entry = (at: number, more: Partial<AuditEntry> = {}): AuditEntry => ({
        at: noon + at,
        actor: "ann@a",
        token: "0123456789ab",
        role: "editor",
        action: "put-job",
        kind: "job",
        name: "backup",
        job: "backup",
        group: "db",
        outcome: "done",
        ...more,
      });
      const entries = [
        entry(0),
        entry(1, { actor: "bob@a", job: "other", name: "other", group: "web" }),
        entry(2, { action: "delete-job" }),
        entry(3, { outcome: "refused", code: "FORBIDDEN" }),
      ];
      await store(
        bed,
        entries.map((one) => ({ kind: "audit", entry: one })),
      );
      const read = (query: Partial<AuditQuery>): Promise<AuditPage> =>
        valueOf<AuditPage>(bed, (done) => bed.disk().audit({ limit: 10, ...query }, done));
      const times = async (query: Partial<AuditQuery>): Promise<number[]> =>
        (await read(query)).rows.map(({ entry: { at } }) => at - noon);
      assert.deepEqual(
        (await read({})).rows.map((row) => row.entry),
        entries.toReversed(),
      );
      assert.deepEqual(await times({ actor: "bob@a" }), [1]);
      assert.deepEqual(await times({ actor: "bob" }), [1]);
      assert.deepEqual(await times({ actor: "@a" }), [3, 2, 1, 0]);
      assert.deepEqual(await times({ actor: "ob@a" }), [], "what has a name and a peer is a whole actor");
      assert.deepEqual(await times({ job: "backup" }), [3, 2, 0]);
      assert.deepEqual(await times({ action: "delete-job" }), [2]);
      assert.deepEqual(await times({ groups: ["web", "none"] }), [1]);
      assert.deepEqual(await times({ from: noon + 1, to: noon + 3 }), [2, 1]);
      const first = await read({ limit: 3 });
      assert.deepEqual(await times({ limit: 3, after: first.rows.at(-1)?.place ?? 0 }), [0]);
      assert.deepEqual([first.more, (await read({ limit: 4 })).more], [true, false]);
      const refusals = Array.from({ length: auditRefusalsKept + 200 }, (_, index) =>
        entry(10 + index, { outcome: "refused" }),
      );
      await store(
        bed,
        refusals.map((one) => ({ kind: "audit", entry: one })),
      );
      await bed.restart();
      const kept = (await read({ limit: 2 * auditRefusalsKept })).rows.map((row) => row.entry);
      assert.equal(kept.filter(({ outcome }) => outcome === "done").length, 3, "refusals push out no change");
      assert.ok(
        kept.length >= auditRefusalsKept && kept.length < auditRefusalsKept + 100,
        String(kept.length),
      );
    },
  );

  onBed("of a job's revisions the last 50 are kept, fewer if they are long, and each once", async (bed) => {
    const of = async (job: string) => {
      const found = await valueOf<JobRevision[]>(bed, (done) => bed.disk().revisions(job as JobId, done));
      return found.map(({ revision }) => revision);
    };
    const names = Array.from({ length: revisionsKept + 3 }, (_, index) => `r${index}`);
    await store(
      bed,
      names.map((revision) => revisionWrite("backup", revision)),
    );
    await store(bed, [revisionWrite("backup", "r52"), revisionWrite("report", "r1")]);
    await bed.restart();
    assert.deepEqual(await of("backup"), names.slice(3).toReversed());
    const long = { spec: { id: "report", command: "x".repeat(revisionBytesKept / 2) } };
    await store(
      bed,
      ["r2", "r3", "r4"].map((revision) => revisionWrite("report", revision, long)),
    );
    assert.deepEqual(await of("report"), ["r4", "r3"]);
  });

  onBed("a deleted job's revisions stay for a while, and for ever if it was made anew", async (bed) => {
    const of = (job: string) =>
      valueOf<JobRevision[]>(bed, (done) => bed.disk().revisions(job as JobId, done));
    const gone = (job: string, at: number) => revisionWrite(job, `deleted-${at}`, { spec: undefined, at });
    const old = noon - deletedKeptMs - 1;
    await store(bed, [revisionWrite("a", "r1"), gone("a", old), gone("b", old), revisionWrite("b", "r2")]);
    await store(bed, [revisionWrite("c", "r1"), gone("c", noon)]);
    assert.deepEqual(await of("a"), []);
    assert.deepEqual(
      (await of("b")).map(({ revision }) => revision),
      ["r2", `deleted-${old}`],
    );
    assert.deepEqual(
      (await of("c")).map(({ spec }) => spec === undefined),
      [true, false],
    );
  });

  onBed("the jobs that have records are listed in order, page by page", async (bed) => {
    const jobs = ["c", "a", "b", "a"].map((id) => id as JobId);
    const runs = jobs.map((job, index) => someRecord({ job, tick: tickAt(noon - index * hours) }));
    await store(bed, runs.map(recordWrite));
    const page = (after: string, limit: number) =>
      valueOf<JobId[]>(bed, (done) => bed.disk().jobsWithRecords(after, limit, done));
    assert.deepEqual(await page("", 2), ["a", "b"]);
    assert.deepEqual(await page("b", 2), ["c"]);
    assert.deepEqual(await page("c", 2), []);
  });

  onBed("pruning keeps young records and those that the job keeps, and the digests follow", async (bed) => {
    const runs = Array.from({ length: 10 }, (_, index) =>
      someRecord({ tick: tickAt(noon - index * hours), state: "failed" }),
    );
    const other = someRecord({ job: "report" as JobId, tick: tickAt(noon - 9 * hours), state: "failed" });
    await store(bed, [...runs, other].map(recordWrite));
    const rule = pruneRule({ keep: { ...keepAll, runs: 3 }, before: noon - 4 * hours });
    const pruned = await prune(bed, rule);
    const gone = runs.filter((_, index) => index > 4);
    assert.deepEqual(pruned.runs.toSorted(), gone.map(runId).toSorted());
    assert.deepEqual(pruned.horizons, [
      {
        job: "backup",
        before: noon - 4 * hours,
        keep: rule.keep,
        starts: [9, 8, 7, 6, 5].map((back) => ({ from: noon - back * hours, to: noon - back * hours })),
      },
    ]);
    const { records } = await history(bed, { limit: 100 });
    const left = [...runs.filter((record) => !gone.includes(record)), other];
    assert.deepEqual(sorted(records), sorted(left));
    const buckets = await digestsOf(bed, 0, Number.MAX_SAFE_INTEGER);
    assert.deepEqual(
      buckets.map(([bucket]) => bucket),
      [...new Set(left.map(bucketOf))].toSorted((a, b) => a - b),
    );
    await bed.restart();
    assert.deepEqual((await load(bed, 0)).horizons, pruned.horizons);
    assert.deepEqual(await prune(bed, rule), { runs: [], horizons: [], more: false }, "once is enough");
  });

  onBed(
    "an existing job's last tick and last success stay, but nothing of a deleted job does",
    async (bed) => {
      const runs = Array.from({ length: 6 }, (_, index) =>
        someRecord({ tick: tickAt(noon - index * hours), state: index === 4 ? "succeeded" : "failed" }),
      );
      await store(bed, runs.map(recordWrite));
      const rule = pruneRule({
        olderThan: noon + hours,
        before: noon + hours,
        countedBefore: noon + 2 * hours,
      });
      await prune(bed, rule);
      const { records } = await history(bed, { limit: 100 });
      assert.deepEqual(sorted(records), sorted(runs.filter((_, index) => index === 0 || index === 4)));
      await prune(bed, { ...rule, keepsLast: false });
      assert.equal((await history(bed, { limit: 100 })).total, 0);
    },
  );

  onBed("a future horizon, noted by a clock that was wrong, is replaced", async (bed) => {
    const run = someRecord({ tick: tickAt(noon), state: "failed" });
    await store(bed, [recordWrite(run)]);
    const ahead = pruneRule({
      before: noon + 50 * hours,
      olderThan: noon + 50 * hours,
      countedBefore: noon + 99 * hours,
    });
    await prune(bed, ahead);
    const now = pruneRule({ before: noon - hours, olderThan: noon - 2 * hours, countedBefore: noon });
    assert.equal((await prune(bed, now)).horizons[0]?.before, noon - 2 * hours);
  });

  onBed(
    "of what was removed is kept when it had started, whatever a wrong clock made of the horizon",
    async (bed) => {
      const year = 365 * 24 * hours;
      const states = [
        [noon, "lost"],
        [noon + hours, "skipped"],
        [noon + year, "failed"],
        [noon + year + hours, "missed"],
      ] as const;
      await store(
        bed,
        states.map(([at, state]) => recordWrite(someRecord({ tick: tickAt(at), state }))),
      );
      const rule = { before: noon + 2 * year, olderThan: noon + 2 * year, countedBefore: noon + 2 * year };
      await prune(bed, pruneRule({ ...rule, keepsLast: false }));
      const starts = [noon, noon + year].map((at) => ({ from: at, to: at }));
      assert.deepEqual((await load(bed, 0)).horizons[0]?.starts, starts);
      await prune(bed, pruneRule({ before: noon - hours, olderThan: noon - hours, countedBefore: noon }));
      assert.deepEqual((await load(bed, 0)).horizons[0]?.starts, starts);
    },
  );

  onBed("a dropped horizon is forgotten", async (bed) => {
    await store(bed, [recordWrite(someRecord({ state: "failed" }))]);
    await prune(bed, pruneRule({ before: noon - hours, olderThan: noon - hours }));
    await store(bed, [{ kind: "drop-horizon", job: "backup" as JobId }]);
    assert.deepEqual((await load(bed, 0)).horizons, []);
  });

  onBed("the size grows with the contents, and the older half is before the reported middle", async (bed) => {
    const measure = (share: number) =>
      valueOf<{ bytes: number; instant: number }>(bed, (done) => bed.disk().measure(share, done));
    const empty = await measure(0.5);
    const runs = Array.from({ length: 200 }, (_, index) =>
      someRecord({ tick: tickAt(noon + index * hours), state: "failed", reason: "x".repeat(200) }),
    );
    await store(bed, runs.map(recordWrite));
    const { bytes, instant } = await measure(0.5);
    assert.ok(bytes > empty.bytes + 200 * 400, `${bytes} after ${empty.bytes}`);
    assert.ok(Math.abs(instant - (noon + 100 * hours)) <= hours, new Date(instant).toISOString());
  });

  onBed("pruning removes an order together with the last record of its tick", async (bed) => {
    const order = someOrder();
    await store(bed, [
      { kind: "order", order },
      recordWrite(someRecord({ tick: order.tick, state: "succeeded" })),
    ]);
    const everything = { before: noon + hours, olderThan: noon + hours, keepsLast: false };
    await prune(bed, pruneRule({ job: order.job, ...everything }));
    assert.deepEqual((await load(bed, 0)).orders, []);
    assert.deepEqual(await digestsOf(bed, 0, Number.MAX_SAFE_INTEGER), []);
  });

  onBed("orders of ticks without a record are removed, however few the job's runs are", async (bed) => {
    const [old, young] = [noon - 3 * hours, noon].map((at) =>
      someOrder({ tick: `manual-${ulid(at, new Uint8Array(16))}` as TickId, requestedAt: at }),
    );
    assert.ok(old !== undefined && young !== undefined);
    await store(bed, [
      { kind: "order", order: old },
      { kind: "order", order: young },
    ]);
    const jobs = await valueOf<JobId[]>(bed, (done) => bed.disk().jobsWithRecords("", 10, done));
    assert.deepEqual(jobs, [old.job]);
    await prune(bed, pruneRule({ job: old.job, before: noon - hours }));
    assert.deepEqual((await load(bed, 0)).orders, [young]);
    assert.equal((await digestsOf(bed, 0, Number.MAX_SAFE_INTEGER)).length, 1);
  });

  onBed("closing waits for earlier writes, and a closed disk refuses calls with that reason", async (bed) => {
    const ended: string[] = [];
    await bed.wait<void>((done) => {
      bed
        .disk()
        .store([recordWrite(someRecord())], (error) => ended.push(error === undefined ? "stored" : "failed"));
      bed.disk().close(() => {
        ended.push("closed");
        done();
      });
    });
    assert.deepEqual(ended, ["stored", "closed"]);
    const error = await bed.wait<CicadaError | undefined>((done) =>
      bed.disk().store([recordWrite(someRecord())], done),
    );
    assert.equal(error?.code, "DISK_FAILED");
    await bed.restart();
    assert.deepEqual((await load(bed, noon)).records, [someRecord()]);
  });
}

/** The disk's answer; an error fails the test. */
async function valueOf<Value>(
  bed: DiskBed,
  ask: (done: (answer: Value | CicadaError) => void) => void,
): Promise<Value> {
  const answer = await bed.wait<Value | CicadaError>(ask);
  if (answer instanceof CicadaError) throw answer;
  return answer;
}

async function outputOf(bed: DiskBed, run: RunId): Promise<number[] | undefined> {
  const output = await valueOf<Uint8Array | undefined>(bed, (done) => bed.disk().output(run, done));
  return output && [...output];
}

function asPage(answer: RunPage | CicadaError): RunPage {
  if (answer instanceof CicadaError) throw answer;
  return answer;
}

export async function store(bed: DiskBed, writes: readonly Write[]): Promise<void> {
  const error = await bed.wait<CicadaError | undefined>((done) => bed.disk().store(writes, done));
  if (error !== undefined) throw error;
}

export async function load(bed: DiskBed, since: number): Promise<Loaded> {
  const loaded = await bed.wait<Loaded | CicadaError>((done) => bed.disk().load(since, done));
  if (loaded instanceof CicadaError) throw loaded;
  return loaded;
}

async function history(bed: DiskBed, query: RunQuery): Promise<RunPage> {
  return asPage(await bed.wait<RunPage | CicadaError>((done) => bed.disk().history(query, done)));
}

function digestsOf(bed: DiskBed, from: number, to: number): Promise<[number, string][]> {
  return valueOf(bed, (done) => bed.disk().digests(from, to, done));
}

const keepAll: Keep = { runs: 100_000, ageMs: Number.MAX_SAFE_INTEGER, windowMs: 0 };

/** A rule for the job "backup", which removes nothing by default. */
export function pruneRule(rule: Partial<PruneRule>): PruneRule {
  return {
    job: "backup" as JobId,
    keep: keepAll,
    before: noon,
    countedBefore: noon + 24 * hours,
    olderThan: 0,
    keepsLast: true,
    ...rule,
  };
}

function prune(bed: DiskBed, ...rules: readonly PruneRule[]): Promise<Pruned> {
  return valueOf(bed, (done) => bed.disk().prune(rules, done));
}

function thingsOf(bed: DiskBed, page: ThingsQuery): Promise<Things> {
  return valueOf(bed, (done) => bed.disk().things(page, done));
}

function sorted(records: readonly RunRecord[]): RunRecord[] {
  return records.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

/** Which records these are, in an order of its own. */
function places(records: readonly RunRecord[]): string[] {
  return records.map(({ job, tick, peer }) => `${job} ${tick} ${peer}`).toSorted();
}
