/**
 * The door of run records and orders from elsewhere, by gossip, answer or sync: records that their writers have not signed are
 * counted and dropped, so is what this peer has pruned, and the rest goes to core. Records that core doubts come to it later, if the
 * disk finds that they are news.
 */
import type { EventBody } from "../core/events.ts";
import type { Doors } from "../ports.ts";
import type { RequestedOrder, RunRecord } from "../schema/run.ts";
import { verifyRecord } from "../wire/records.ts";
import type { Horizons } from "./horizons.ts";
import type { StaleRecords } from "./stale-records.ts";

export interface IntakeDeps {
  doors: Pick<Doors, "keys">;
  staleRecords: StaleRecords;
  horizons: Horizons;
  /** The run is open in core's memory: news of it counts, however old it is. */
  isOpen: (record: RunRecord) => boolean;
  /** Core doubts an open record of an order that is over. */
  isPossiblyStale: (record: RunRecord) => boolean;
  feed: (event: EventBody) => void;
  count: (name: string) => void;
}

export class Intake {
  readonly #deps: IntakeDeps;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  /** Records and orders that a sync has brought. */
  learned(records: readonly RunRecord[], orders: readonly RequestedOrder[]): void {
    const kept = orders.filter((order) => !this.#isPruned(order));
    this.#deps.feed({ kind: "learned", records: this.genuine(records), orders: kept });
  }

  /** Those that core is to be told of now. */
  genuine(records: readonly RunRecord[]): RunRecord[] {
    const { doors, staleRecords, count, feed } = this.#deps;
    const doubtful: RunRecord[] = [];
    const genuine = records.filter((record) => {
      if (!verifyRecord(record, doors.keys)) {
        count("refused_signature");
        return false;
      }
      if (!this.#deps.isOpen(record) && this.#isPruned(record)) return false;
      if (this.#deps.isPossiblyStale(record)) {
        doubtful.push(record);
        return false;
      }
      return true;
    });
    if (doubtful.length > 0) {
      staleRecords.ask(doubtful, (news) => feed({ kind: "learned", records: news, orders: [] }));
    }
    for (const record of genuine) staleRecords.heard(record);
    return genuine;
  }

  /** Their giver may not believe this peer's horizon, by a clock that is far behind. */
  #isPruned(thing: RunRecord | RequestedOrder): boolean {
    const isPruned = this.#deps.horizons.isPruned(thing);
    if (isPruned) this.#deps.count("refused_pruned");
    return isPruned;
  }
}
