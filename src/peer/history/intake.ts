/**
 * Takes in the records and orders that come from other peers by gossip, answer or sync. It drops and counts records without
 * their writer's valid signature, and things that this peer has pruned. Core gets the rest. A record that core doubts is first
 * compared with the disk, and reaches core later, if it is news. Records of kinds that this version doesn't know only go to the
 * disk.
 */
import type { EventBody } from "../../core/events.ts";
import type { Thing } from "../../core/records/buckets.ts";
import { isPlanted, type PlantedBug } from "../../core/probes/planted.ts";
import type { Doors } from "../../ports.ts";
import type { Things } from "../../ports/disk.ts";
import type { RequestedOrder, RunRecord } from "../../schema/run.ts";
import type { TickId } from "../../schema/ids.ts";
import type { OtherRecord } from "../../schema/other-record.ts";
import { verifyOtherRecord, verifyRecord } from "../../wire/records.ts";
import type { Horizons } from "./horizons.ts";
import type { StaleRecords } from "./stale-records.ts";

export interface IntakeDeps {
  settings: { readonly planted?: PlantedBug };
  doors: Pick<Doors, "keys" | "disk">;
  staleRecords: StaleRecords;
  horizons: Horizons;
  /** The run is open in core's memory, so news about it counts, however old it is. */
  isOpen: (record: RunRecord) => boolean;
  /** Core doubts the record, because it is open and its order is over. */
  isPossiblyStale: (record: RunRecord) => boolean;
  /** The tick lies further ahead than any right clock would have a record about it. */
  isAhead: (tick: TickId) => boolean;
  feed: (event: EventBody) => void;
  /** Genuine records of other kinds than runs have come. */
  onOthers: (records: readonly OtherRecord[]) => void;
  count: (name: string) => void;
}

export class Intake {
  readonly #deps: IntakeDeps;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  /** Records and orders that a sync has brought. */
  learned({ records, orders, others }: Omit<Things, "next">): void {
    this.keep(others);
    this.#deps.feed({ kind: "learned", records: this.genuine(records), orders: this.kept(orders) });
  }

  /** The orders without those whose history this peer has pruned: it would accept no record of their runs. */
  kept(orders: readonly RequestedOrder[]): RequestedOrder[] {
    return orders.filter((order) => !this.#isPruned(order));
  }

  /** The records that core gets now. */
  genuine(records: readonly RunRecord[]): RunRecord[] {
    const { doors, staleRecords, count, feed } = this.#deps;
    const possiblyStale: RunRecord[] = [];
    const genuine = records.filter((record) => {
      if (!verifyRecord(record, doors.keys) && !isPlanted(this.#deps, "signature-unchecked")) {
        count("refused_signature");
        return false;
      }
      if (!this.#deps.isOpen(record) && this.#isPruned(record)) return false;
      if (this.#deps.isPossiblyStale(record)) {
        possiblyStale.push(record);
        return false;
      }
      return true;
    });
    if (possiblyStale.length > 0) {
      staleRecords.ask(possiblyStale, (news) => feed({ kind: "learned", records: news, orders: [] }));
    }
    for (const record of genuine) staleRecords.heard(record);
    return genuine;
  }

  /**
   * Stores records of other kinds. If the disk refuses one, a later sync offers it again, and so it does with one that is refused
   * because it comes too early: nothing would remove a record before its tick has come and gone.
   */
  keep(others: readonly OtherRecord[]): void {
    const { doors, count, isAhead } = this.#deps;
    const kept = others.filter((record) => {
      const isGenuine = verifyOtherRecord(record, doors.keys);
      if (!isGenuine) count("refused_signature");
      if (!isGenuine || this.#isPruned(record)) return false;
      const isTooEarly = isAhead(record.tick);
      if (isTooEarly) count("records_refused_ahead");
      return !isTooEarly;
    });
    if (kept.length === 0) return;
    this.#deps.onOthers(kept);
    doors.disk.store(
      kept.map((record) => ({ kind: "other", record })),
      (error) => {
        if (error !== undefined) count("other_records_refused_by_disk");
      },
    );
  }

  /** Pruned things can arrive, because a peer whose clock is far behind does not believe this peer's horizon. */
  #isPruned(thing: Thing): boolean {
    const isPruned = this.#deps.horizons.isPruned(thing);
    if (isPruned) this.#deps.count("refused_pruned");
    return isPruned;
  }
}
