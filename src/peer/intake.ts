/**
 * The door of run records from elsewhere, by gossip, answer or sync: those that their writers have not signed are counted and
 * dropped, so are those that this peer has pruned, and the rest goes to core. Records that core doubts come to it later, if the
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
    this.#deps.feed({ kind: "learned", records: this.genuine(records), orders });
  }

  /** Those that core is to be told of now. */
  genuine(records: readonly RunRecord[]): RunRecord[] {
    const { doors, staleRecords, horizons, count, feed } = this.#deps;
    const doubtful: RunRecord[] = [];
    const genuine = records.filter((record) => {
      if (!verifyRecord(record, doors.keys)) {
        count("refused_signature");
        return false;
      }
      if (horizons.isPruned(record) && !this.#deps.isOpen(record)) {
        count("refused_pruned");
        return false;
      }
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
}
