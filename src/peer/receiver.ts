/**
 * What comes over the mesh: decodes it, drops what is no message or was not signed by its writer, and hands the rest
 * to whoever deals with its kind.
 */
import type { EventBody } from "../core/events.ts";
import { never } from "../errors.ts";
import type { Doors } from "../ports.ts";
import type { PeerId } from "../schema/ids.ts";
import type { Channel, Message } from "../schema/message.ts";
import type { RequestedOrder, RunRecord } from "../schema/run.ts";
import { decode } from "../wire/codec.ts";
import { verifyRecord } from "../wire/records.ts";
import type { Edits } from "./edits.ts";
import type { KeyRotation } from "./key-rotation.ts";
import type { LogCopies } from "./log-copies.ts";
import type { Logs } from "./logs.ts";
import type { StaleRecords } from "./stale-records.ts";
import type { Sync } from "./sync.ts";

/** Who deals with what core doesn't. */
export interface Handlers {
  sync: Sync;
  logs: Logs;
  copies: LogCopies;
  edits: Edits;
  handover: KeyRotation;
}

export interface HearingDeps {
  doors: Doors;
  recall: StaleRecords;
  handlers: Handlers;
  /** core doubts an open record of an order that is over */
  isPossiblyStale: (record: RunRecord) => boolean;
  feed: (event: EventBody) => void;
  count: (name: string) => void;
}

export class Receiver {
  readonly #deps: HearingDeps;

  constructor(deps: HearingDeps) {
    this.#deps = deps;
  }

  /** Bytes from a peer that the mesh has authenticated. */
  received(from: PeerId, channel: Channel, bytes: Uint8Array): void {
    const { doors, count } = this.#deps;
    const decoded = decode(channel, bytes, from, doors.keys.cluster);
    if (decoded.ok) return this.#hear(from, decoded.message);
    count(`refused_${decoded.refusal.replaceAll("-", "_")}`);
    doors.log.debug("a message was dropped", { from, channel, why: decoded.refusal });
  }

  /** Records and orders that a sync has brought. */
  learned(records: readonly RunRecord[], orders: readonly RequestedOrder[]): void {
    this.#deps.feed({ kind: "learned", records: this.#genuine(records), orders });
  }

  #hear(from: PeerId, message: Message): void {
    const { doors, feed, handlers } = this.#deps;
    const { wall, mono } = doors.clock.now();
    switch (message.kind) {
      case "heartbeat":
        feed({ kind: "heard", from, message });
        return handlers.sync.tableDigest(from, message.table, { wall, mono });
      case "leave":
      case "ask":
      case "drain":
      case "drained":
      case "cancel":
      case "cancel-heard":
      case "ballots":
      case "replies":
      case "chosen":
      case "roster":
        return feed({ kind: "heard", from, message });
      case "runs":
      case "answer": {
        const records = this.#genuine(message.records);
        return feed({ kind: "heard", from, message: { ...message, records } });
      }
      case "update":
        return handlers.edits.heard(from, Buffer.from(message.update, "base64"));
      case "table-have":
      case "table-want":
      case "table-diff":
      case "buckets":
      case "want":
      case "records":
      case "watermarks-want":
      case "watermarks":
        return handlers.sync.heard(from, message, { wall, mono });
      case "key":
      case "key-heard":
        return handlers.handover.heard(from, message);
      case "log-read":
      case "log-piece":
        return handlers.logs.heard(from, message);
      case "log-copy":
      case "log-copy-next":
        return handlers.copies.heard(from, message);
      default:
        return never(message);
    }
  }

  /**
   * Records that their writers have signed; others are counted and dropped. Those that core doubts come to it later,
   * if the disk finds that they are news.
   */
  #genuine(records: readonly RunRecord[]): RunRecord[] {
    const { doors, recall, count, feed, isPossiblyStale } = this.#deps;
    const doubtful: RunRecord[] = [];
    const genuine = records.filter((record) => {
      if (!verifyRecord(record, doors.keys)) {
        count("refused_signature");
        return false;
      }
      if (isPossiblyStale(record)) {
        doubtful.push(record);
        return false;
      }
      return true;
    });
    if (doubtful.length > 0) {
      recall.ask(doubtful, (news) => feed({ kind: "learned", records: news, orders: [] }));
    }
    for (const record of genuine) recall.heard(record);
    return genuine;
  }
}
