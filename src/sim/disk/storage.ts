/**
 * The durable storage of a simulated host: tables in memory, in which records are merged one by one as in real/disk. It
 * outlives the process, can be copied and restored, and can be full, slow, damaged or unreadable.
 */
import { bucketOf, combine, digestOf, emptyDigest, type Thing } from "../../core/records/buckets.ts";
import { mergeOtherRecord, mergeRecord, otherRecordKey, recordKey } from "../../core/records/records.ts";
import type { Horizon, Write } from "../../ports/disk.ts";
import { instantOf, type JobId, type RunId } from "../../schema/ids.ts";
import type { OtherRecord } from "../../schema/other-record.ts";
import type { AuditEntry } from "../../schema/audit.ts";
import {
  auditKept,
  auditRefusalsKept,
  deletedKeptMs,
  revisionBytesKept,
  revisionsKept,
} from "../../schema/kept.ts";
import type { JobRevision } from "../../schema/revision.ts";
import type { RequestedOrder, RunRecord, Watermark } from "../../schema/run.ts";
import type { StoredVote } from "../../schema/vote.ts";

/** The place of one record. A newer version of the record replaces the older one in it. */
interface Kept {
  record: RunRecord;
}

class Bucket {
  readonly records = new Set<Kept>();
  readonly orders = new Map<string, RequestedOrder>();
  readonly others = new Map<string, OtherRecord>();
  private known = emptyDigest;
  /**
   * what was added or removed since the digest was last asked for; a thing that was added and removed again is not in
   * here
   */
  private readonly toggled = new Set<Thing>();

  /** Notes that the thing was added or removed. */
  toggle(thing: Thing): void {
    if (!this.toggled.delete(thing)) this.toggled.add(thing);
  }

  get isEmpty(): boolean {
    return this.records.size + this.orders.size + this.others.size === 0;
  }

  digest(): string {
    for (const thing of this.toggled) this.known = combine(this.known, digestOf(thing));
    this.toggled.clear();
    return this.known;
  }
}

/** The durable storage of a host. It outlives the process. */
export class StableStorage {
  updates: Uint8Array[] = [];
  readonly meta = new Map<string, string>();
  private readonly kept = new Map<string, Kept>();
  /** the same records by job */
  private readonly keptOf = new Map<JobId, Set<Kept>>();
  readonly orders = new Map<string, RequestedOrder>();
  /** of kinds that this version doesn't know */
  readonly others = new Map<string, OtherRecord>();
  readonly outputs = new Map<RunId, Uint8Array>();
  /** by the name of their bytes */
  readonly scripts = new Map<string, Uint8Array>();
  readonly secrets = new Map<string, { value: string; version: number }>();
  /** newest first */
  readonly revisions = new Map<JobId, readonly JobRevision[]>();
  /** oldest first; `place` counts all that there were */
  audit: { entry: AuditEntry; place: number }[] = [];
  readonly votes = new Map<string, StoredVote>();
  readonly watermarks = new Map<JobId, Watermark>();
  readonly horizons = new Map<JobId, Horizon>();
  /** for the checkers: records that were written below their job's horizon */
  readonly takenAgain: RunRecord[] = [];
  readonly buckets = new Map<number, Bucket>();
  /** every write fails while this is set, as on a full disk */
  full = false;
  /** its bytes can't be read any more, so no peer starts on it */
  damaged = false;
  /** every read except the one at the start fails while this is set; writes still succeed */
  unreadable = false;
  /** added to every fsync while the disk is slow, ms */
  slowMs = 0;

  /** True for a record that isn't here because its tick was pruned. */
  private hasPruned(record: RunRecord): boolean {
    const before = this.horizons.get(record.job)?.before ?? 0;
    return instantOf(record.tick) < before && !this.kept.has(recordKey(record));
  }

  write(write: Write): void {
    switch (write.kind) {
      case "record":
        if (this.hasPruned(write.record)) this.takenAgain.push(write.record);
        this.putRecord(write.record);
        return;
      case "order":
        this.putOrder(write.order);
        return;
      case "other":
        this.putOther(write.record);
        return;
      case "output":
        this.outputs.set(write.run, write.bytes);
        return;
      case "update":
        this.updates.push(write.update);
        return;
      case "snapshot":
        this.updates = [write.update];
        return;
      case "revision":
        this.putRevision(write.revision);
        return;
      case "audit":
        this.putAudit(write.entry);
        return;
      case "meta":
        this.meta.set(write.key, write.value);
        return;
      case "watermark":
        this.watermarks.set(write.watermark.job, write.watermark);
        return;
      case "drop-horizon":
        this.horizons.delete(write.job);
        return;
      case "drop-watermark":
        this.watermarks.delete(write.job);
        return;
      case "vote":
        this.votes.set(write.vote.decision, write.vote);
        return;
      case "drop-votes":
        for (const { decision, instant } of this.votes.values()) {
          if (instant > 0 && instant < write.before) this.votes.delete(decision);
        }
        return;
    }
  }

  /** A backup of what is on it now. */
  copy(): StableStorage {
    const copy = new StableStorage();
    copy.restore(this);
    return copy;
  }

  /** Replaces everything by what the other one holds. */
  restore(other: StableStorage): void {
    this.updates = [...other.updates];
    replace(this.meta, other.meta);
    replace(this.outputs, other.outputs);
    replace(this.scripts, other.scripts);
    replace(this.secrets, other.secrets);
    replace(this.revisions, other.revisions);
    this.audit = [...other.audit];
    replace(this.votes, other.votes);
    replace(this.watermarks, other.watermarks);
    replace(this.horizons, other.horizons);
    this.damaged = false;
    this.kept.clear();
    this.keptOf.clear();
    this.orders.clear();
    this.others.clear();
    this.buckets.clear();
    for (const record of other.records()) this.putRecord(record);
    for (const order of other.orders.values()) this.putOrder(order);
    for (const record of other.others.values()) this.putOther(record);
  }

  remove(record: RunRecord): void {
    const key = recordKey(record);
    const kept = this.kept.get(key);
    if (kept === undefined) return;
    const bucket = this.bucket(bucketOf(record));
    bucket.records.delete(kept);
    bucket.toggle(kept.record);
    this.kept.delete(key);
    this.keptOf.get(record.job)?.delete(kept);
  }

  removeOrder(of: Pick<RequestedOrder, "job" | "tick">): void {
    const order = this.orders.get(orderName(of));
    if (order === undefined) return;
    const bucket = this.bucket(bucketOf(order));
    bucket.orders.delete(orderName(order));
    bucket.toggle(order);
    this.orders.delete(orderName(order));
  }

  removeOther(record: OtherRecord): void {
    const key = otherRecordKey(record);
    if (!this.others.delete(key)) return;
    const bucket = this.bucket(bucketOf(record));
    bucket.others.delete(key);
    bucket.toggle(record);
  }

  private putRevision(revision: JobRevision): void {
    const known = this.revisions.get(revision.job) ?? [];
    if (known.some((one) => one.revision === revision.revision)) return;
    let bytes = 0;
    const kept = [revision, ...known].slice(0, revisionsKept).filter((one, place) => {
      bytes += JSON.stringify(one).length;
      return place < 2 || bytes <= revisionBytesKept;
    });
    this.revisions.set(revision.job, kept);
    if (revision.spec !== undefined) return;
    for (const [job, [newest]] of this.revisions) {
      const isGone = newest?.spec === undefined && (newest?.at ?? 0) < revision.at - deletedKeptMs;
      if (isGone) this.revisions.delete(job);
    }
  }

  private putAudit(entry: AuditEntry): void {
    this.audit.push({ entry, place: (this.audit.at(-1)?.place ?? 0) + 1 });
    const isRefused = entry.outcome === "refused";
    const alike = this.audit.filter((one) => (one.entry.outcome === "refused") === isRefused);
    if (alike.length > (isRefused ? auditRefusalsKept : auditKept)) {
      this.audit = this.audit.filter((one) => one !== alike[0]);
    }
  }

  private putOther(record: OtherRecord): void {
    const key = otherRecordKey(record);
    const known = this.others.get(key);
    if (known !== undefined && mergeOtherRecord(known, record) === known) return;
    const bucket = this.bucket(bucketOf(record));
    if (known !== undefined) bucket.toggle(known);
    bucket.toggle(record);
    bucket.others.set(key, record);
    this.others.set(key, record);
  }

  private putRecord(record: RunRecord): void {
    const key = recordKey(record);
    const known = this.kept.get(key);
    if (known === undefined) this.addRecord(key, record);
    else {
      const stands = mergeRecord(known.record, record);
      if (stands === known.record) return;
      const bucket = this.bucket(bucketOf(record));
      bucket.toggle(known.record);
      bucket.toggle(stands);
      known.record = stands;
    }
  }

  private addRecord(key: string, record: RunRecord): void {
    const kept = { record };
    const bucket = this.bucket(bucketOf(record));
    bucket.records.add(kept);
    bucket.toggle(record);
    this.kept.set(key, kept);
    const ofJob = this.keptOf.get(record.job);
    if (ofJob === undefined) this.keptOf.set(record.job, new Set([kept]));
    else ofJob.add(kept);
  }

  /** All records, or those of one job. */
  records(job?: JobId): RunRecord[] {
    const found = job === undefined ? this.kept.values() : (this.keptOf.get(job) ?? []);
    return Array.from(found, ({ record }) => record);
  }

  /** The records of their ticks that are not among them. */
  beside(records: readonly RunRecord[]): RunRecord[] {
    const shown = new Set(records.map(recordKey));
    const ticks = new Set(records.map(({ job, tick }) => `${job}@${tick}`));
    return this.records().filter(
      (record) => ticks.has(`${record.job}@${record.tick}`) && !shown.has(recordKey(record)),
    );
  }

  /** Jobs that have records or orders. */
  jobs(): JobId[] {
    const ofRuns = [...this.keptOf].flatMap(([job, kept]) => (kept.size > 0 ? job : []));
    const ofOthers = Array.from([...this.others.values(), ...this.orders.values()], ({ job }) => job);
    return [...new Set([...ofRuns, ...ofOthers])];
  }

  thingsIn(bucket: number): Thing[] {
    const found = this.buckets.get(bucket);
    if (found === undefined) return [];
    return [
      ...Array.from(found.records, ({ record }) => record),
      ...found.orders.values(),
      ...found.others.values(),
    ];
  }

  private putOrder(order: RequestedOrder): void {
    const name = orderName(order);
    if (this.orders.has(name)) return;
    const bucket = this.bucket(bucketOf(order));
    bucket.toggle(order);
    bucket.orders.set(name, order);
    this.orders.set(name, order);
  }

  private bucket(number: number): Bucket {
    let bucket = this.buckets.get(number);
    if (bucket === undefined) {
      bucket = new Bucket();
      this.buckets.set(number, bucket);
    }
    return bucket;
  }
}

function replace<Key, Value>(map: Map<Key, Value>, by: ReadonlyMap<Key, Value>): void {
  map.clear();
  for (const [key, value] of by) map.set(key, value);
}

function orderName(order: Pick<RequestedOrder, "job" | "tick">): string {
  return `${order.job}@${order.tick}`;
}
