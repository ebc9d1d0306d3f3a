/**
 * What a disk must do, whichever it is: run against the real one and the simulated one alike.
 *
 * A `DiskBed` lends the suite a disk and the world around it: `wait` starts something and lets the world go on
 * until it has answered, `restart` ends the process and opens the same disk again.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bucketMs, bucketOf, combine, digestOf, emptyDigest } from "../../../src/core/records/buckets.ts";
import { mergeRecord } from "../../../src/core/records/records.ts";
import { CicadaError } from "../../../src/errors.ts";
import type { Disk, Loaded, RunQuery, Write } from "../../../src/ports.ts";
import { runId, tickAt, ulid, type JobId, type PeerId, type TickId } from "../../../src/schema/ids.ts";
import type { RequestedOrder, RunRecord, Watermark } from "../../../src/schema/run.ts";

export interface DiskBed {
  disk(): Disk;
  wait: <Value>(start: (done: (value: Value) => void) => void) => Promise<Value>;
  restart(): Promise<void>;
  end(): Promise<void>;
}

export const noon = Date.parse("2026-11-20T12:00:00Z");

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

export function someMark(job: string, at: number): Watermark {
  return { job: job as JobId, since: 0, at, open: [1, 2] };
}

function someOrder(fields: Partial<RequestedOrder> = {}): RequestedOrder {
  return {
    job: "backup" as JobId,
    tick: `manual-${ulid(noon, new Uint8Array(16))}` as TickId,
    trigger: "manual",
    askedAt: noon,
    by: "admin",
    ...fields,
  };
}

const recordWrite = (record: RunRecord): Write => ({ kind: "record", record });
const seconds = 1_000;
const hours = 3_600_000;

export function diskContract(name: string, make: () => Promise<DiskBed>): void {
  const onBed = (title: string, body: (bed: DiskBed) => Promise<void>) => {
    void test(`${name}: ${title}`, async () => {
      const bed = await make();
      try {
        await body(bed);
      } finally {
        await bed.end();
      }
    });
  };

  onBed("what has been acknowledged is there after a restart", async (bed) => {
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
      { updates: [], records: [], orders: [], votes: [], watermarks: [], meta: [] },
    );
  });

  onBed("a job's watermark is the last one stored, until it is dropped", async (bed) => {
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

  onBed("a record never moves down, in whichever order its writings come", async (bed) => {
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
  });

  onBed("reads see every write that was asked for before them, acknowledged or not", async (bed) => {
    const page = await bed.wait<Page>((done) => {
      bed.disk().store([recordWrite(someRecord())], () => undefined);
      bed.disk().history({ limit: 10 }, (found) => done(asPage(found)));
    });
    assert.deepEqual(page.records, [someRecord()]);
  });

  onBed("stores are acknowledged in the order of their calls, and never within the call", async (bed) => {
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

  onBed("an update that is a view on a larger buffer is kept as it was when it was given", async (bed) => {
    const large = new Uint8Array(1_024).fill(7);
    await store(bed, [{ kind: "update", update: large.subarray(10, 13) }]);
    assert.equal(large.length, 1_024);
    const { updates } = await load(bed, noon);
    assert.deepEqual(
      updates.map((bytes) => [...bytes]),
      [[7, 7, 7]],
    );
  });

  onBed("loading gives what is recent, and what is open whatever its age", async (bed) => {
    const old = tickAt(noon - 48 * hours);
    const oldOrder = someOrder({
      tick: `manual-${ulid(noon - 48 * hours, new Uint8Array(16))}` as TickId,
      askedAt: noon - 48 * hours,
    });
    const endedOrder = someOrder({
      ...oldOrder,
      tick: `manual-${ulid(noon - 49 * hours, new Uint8Array(16))}` as TickId,
      askedAt: noon - 49 * hours,
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

  onBed("history comes newest tick first, page by page, each record once", async (bed) => {
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
    const seen: RunRecord[] = [];
    let after: string | undefined;
    do {
      const page = await history(bed, { limit: 7, ...(after === undefined ? {} : { after }) });
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
  });

  onBed("history can be narrowed by job, tick, state, peer and time", async (bed) => {
    const records = Array.from({ length: 12 }, (_, index) =>
      someRecord({
        tick: tickAt(noon + index * seconds),
        job: (index % 2 === 0 ? "backup" : "report") as JobId,
        state: index % 3 === 0 ? "failed" : "succeeded",
        peer: (index < 6 ? "12D3KooWalpha" : "12D3KooWbeta") as PeerId,
      }),
    );
    await store(bed, records.map(recordWrite));
    const cases: [Omit<RunQuery, "limit">, (record: RunRecord) => boolean][] = [
      [{ job: "report" as JobId }, (record) => record.job === "report"],
      [{ tick: tickAt(noon + 3 * seconds) }, (record) => record.tick === tickAt(noon + 3 * seconds)],
      [{ states: ["failed", "lost"] }, (record) => record.state === "failed"],
      [{ states: [] }, () => false],
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

  onBed("a cursor that no page gave is refused", async (bed) => {
    const answer = await bed.wait<Page | CicadaError>((done) =>
      bed.disk().history({ limit: 1, after: "nonsense" }, done),
    );
    assert.ok(answer instanceof CicadaError);
    assert.equal(answer.code, "BAD_REQUEST");
  });

  onBed("the digest of a bucket is that of what it holds, however it came to hold it", async (bed) => {
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
    const found = await valueOf<{ records: RunRecord[]; orders: RequestedOrder[] }>(bed, (done) =>
      bed.disk().bucket(first, done),
    );
    assert.deepEqual(sorted(found.records), sorted(held.filter((record) => bucketOf(record) === first)));
    assert.deepEqual(found.orders, [someOrder()]);
  });

  onBed(
    "pruning keeps what the job keeps, what is open and what is young, and the digests follow",
    async (bed) => {
      const runs = Array.from({ length: 10 }, (_, index) =>
        someRecord({ tick: tickAt(noon - index * hours), state: index === 8 ? "running" : "succeeded" }),
      );
      const other = someRecord({ job: "report" as JobId, tick: tickAt(noon - 9 * hours), state: "failed" });
      await store(bed, [...runs, other].map(recordWrite));
      const removed = await valueOf<string[]>(bed, (done) =>
        bed
          .disk()
          .prune({ job: "backup" as JobId, runs: 3, ageMs: Number.MAX_SAFE_INTEGER }, noon - 4 * hours, done),
      );
      const gone = runs.filter((_, index) => index > 4 && index !== 8);
      assert.deepEqual(removed.toSorted(), gone.map(runId).toSorted());
      const { records } = await history(bed, { limit: 100 });
      const left = [...runs.filter((record) => !gone.includes(record)), other];
      assert.deepEqual(sorted(records), sorted(left));
      const buckets = await digestsOf(bed, 0, Number.MAX_SAFE_INTEGER);
      assert.deepEqual(
        buckets.map(([bucket]) => bucket),
        [...new Set(left.map(bucketOf))].toSorted((a, b) => a - b),
      );
    },
  );

  onBed("pruning takes an order together with the last record of its tick", async (bed) => {
    const order = someOrder();
    await store(bed, [
      { kind: "order", order },
      recordWrite(someRecord({ tick: order.tick, state: "succeeded" })),
    ]);
    await valueOf<string[]>(bed, (done) =>
      bed.disk().prune({ job: order.job, runs: 0, ageMs: Number.MAX_SAFE_INTEGER }, noon + hours, done),
    );
    assert.deepEqual((await load(bed, 0)).orders, []);
    assert.deepEqual(await digestsOf(bed, 0, Number.MAX_SAFE_INTEGER), []);
  });

  onBed("closing waits for the writes before it, and a closed disk says so", async (bed) => {
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

/** What the disk answers, unless it is an error. */
async function valueOf<Value>(
  bed: DiskBed,
  ask: (done: (answer: Value | CicadaError) => void) => void,
): Promise<Value> {
  const answer = await bed.wait<Value | CicadaError>(ask);
  if (answer instanceof CicadaError) throw answer;
  return answer;
}

type Page = { records: RunRecord[]; next: string | null; total: number };

function asPage(answer: Page | CicadaError): Page {
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

async function history(bed: DiskBed, query: RunQuery): Promise<Page> {
  return asPage(await bed.wait<Page | CicadaError>((done) => bed.disk().history(query, done)));
}

function digestsOf(bed: DiskBed, from: number, to: number): Promise<[number, string][]> {
  return valueOf(bed, (done) => bed.disk().digests(from, to, done));
}

function sorted(records: readonly RunRecord[]): RunRecord[] {
  return records.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}
