/**
 * The serving side of the run records' sync: answers a neighbour's `want` with those records and orders of some buckets that the
 * neighbour has not named, in messages of bounded size. It sends nothing that the neighbour has pruned.
 */
import { digestOf, type Thing } from "../../core/records/buckets.ts";
import { CicadaError } from "../../errors.ts";
import type { Log } from "../../ports.ts";
import type { Disk, Things } from "../../ports/disk.ts";
import { instantOf, type JobId, type PeerId } from "../../schema/ids.ts";
import type { Message, MessageOf } from "../../schema/message.ts";
import { stepsPerRow } from "../messages/work-prices.ts";

/**
 * Records read for one request, on either side: the credit that keeps a full disk from flooding a link. More takes more memory
 * (about 1 KiB each) and occupies the reading thread for longer; less makes more round trips.
 */
export const pageSize = 1_024;
export const bucketsPerWant = 32;
/** Bytes of records in one message. */
const recordsBytes = 131_072;

export interface RecordServerDeps {
  disk: Pick<Disk, "things">;
  /** The instant (ms) before which the neighbour has pruned the job's ticks: it doesn't want them. */
  horizonAt(peer: PeerId, job: JobId): number;
  send(to: PeerId, message: Message): void;
  charge(peer: PeerId, steps: number): void;
  count(name: string): void;
  log: Log;
}

export class RecordServer {
  readonly #deps: RecordServerDeps;
  /**
   * Neighbours that are being served, each with its latest request since then. Earlier ones are dropped, because a neighbour that
   * sends a new request has given up the one before. So no neighbour has more than one answer in this peer's memory.
   */
  readonly #serving = new Map<PeerId, MessageOf<"want"> | undefined>();

  constructor(deps: RecordServerDeps) {
    this.#deps = deps;
  }

  /** Sends what the neighbour lacks. Each neighbour gets one answer at a time. */
  heardWant(from: PeerId, message: MessageOf<"want">): void {
    const isBusy = this.#serving.has(from);
    this.#serving.set(from, isBusy ? message : undefined);
    if (!isBusy) this.#serve(from, message);
  }

  #serve(from: PeerId, message: MessageOf<"want">): void {
    const { id, page, after, upTo } = message;
    const have = new Set(message.have);
    const stretch = { buckets: message.buckets.slice(0, bucketsPerWant), after, upTo, limit: pageSize };
    this.#deps.disk.things(stretch, (found) => {
      if (found instanceof CicadaError) {
        noteUnreadable(this.#deps, found);
      } else {
        const { records, orders, others } = found;
        this.#deps.charge(from, (records.length + orders.length + others.length) * stepsPerRow);
        const isLacked = (thing: Thing): boolean =>
          !have.has(digestOf(thing)) && instantOf(thing.tick) >= this.#deps.horizonAt(from, thing.job);
        const lacked = {
          records: records.filter(isLacked),
          orders: orders.filter(isLacked),
          others: others.filter(isLacked),
        };
        this.#sendPieces(from, { id, page, reached: found.next }, lacked);
      }
      const next = this.#serving.get(from);
      this.#serving.delete(from);
      if (next !== undefined) this.heardWant(from, next);
    });
  }

  #sendPieces(
    to: PeerId,
    { id, page, reached }: { id: number; page: number; reached: string | undefined },
    { records, orders, others }: Omit<Things, "next">,
  ): void {
    let piece = emptyPiece();
    let bytes = 0;
    const flush = (last: boolean): void => {
      this.#deps.send(to, { kind: "records", id, page, ...piece, ...(reached && { reached }), last });
      piece = emptyPiece();
      bytes = 0;
    };
    const fits = (thing: Thing): boolean => {
      const size = Buffer.byteLength(JSON.stringify(thing));
      if (size > recordsBytes) {
        this.#deps.count("sync_records_too_large");
        return false;
      }
      if (bytes + size > recordsBytes) flush(false);
      bytes += size;
      return true;
    };
    for (const record of records) if (fits(record)) piece.records.push(record);
    for (const order of orders) if (fits(order)) piece.orders.push(order);
    for (const record of others) if (fits(record)) piece.others.push(record);
    flush(true);
  }
}

function emptyPiece(): Omit<Things, "next"> {
  return { records: [], orders: [], others: [] };
}

export function noteUnreadable(
  { count, log }: Pick<RecordServerDeps, "count" | "log">,
  { detail }: CicadaError,
): void {
  count("sync_reads_failed");
  log.error("run records can't be read, so they can't be compared with other peers", { why: detail });
}
