/** Decodes what comes over the mesh, drops and counts what is no valid message, and passes the rest to the right part. */
import type { EventBody } from "../core/events.ts";
import { never } from "../errors.ts";
import type { Doors } from "../ports.ts";
import type { PeerId } from "../schema/ids.ts";
import type { Channel, Message } from "../schema/message.ts";
import type { Codec } from "../wire/codec.ts";
import type { Intake } from "./history/intake.ts";
import type { KeyRotation } from "./key-rotation.ts";
import type { LogCopies } from "./outputs/log-copies.ts";
import type { AuditReader } from "./audit.ts";
import type { Logs } from "./outputs/logs.ts";
import type { ScriptStore } from "./host/scripts.ts";
import type { Sync } from "./sync/sync.ts";
import { stepsOf } from "./messages/work-prices.ts";

export interface ReceiverDeps {
  doors: Doors;
  codec: Codec;
  intake: Intake;
  sync: Sync;
  logs: Logs;
  audit: AuditReader;
  copies: LogCopies;
  scripts: ScriptStore;
  keyRotation: KeyRotation;
  /** Work that a message causes, in steps, and whose share it is (work-shares.ts). */
  charge: (payer: PeerId, steps: number) => void;
  feed: (event: EventBody) => void;
  count: (name: string) => void;
}

export class Receiver {
  readonly #deps: ReceiverDeps;

  constructor(deps: ReceiverDeps) {
    this.#deps = deps;
  }

  /** Bytes from a peer that the mesh has authenticated. `payer` has the share that they are taken from. */
  received(from: PeerId, channel: Channel, bytes: Uint8Array, payer: PeerId): void {
    const { doors, count, codec } = this.#deps;
    const decoded = codec.decode(channel, bytes, from, doors.keys.cluster);
    if (decoded.ok) return this.#hear(from, decoded.message, payer);
    count(`refused_${decoded.refusal.replaceAll("-", "_")}`);
    doors.log.debug("a message was dropped", { from, channel, why: decoded.refusal });
  }

  #hear(from: PeerId, message: Message, payer: PeerId): void {
    const { doors, feed, intake, sync, logs, audit, copies, scripts, keyRotation, charge } = this.#deps;
    const { wall, mono } = doors.clock.now();
    charge(payer, stepsOf(message));
    switch (message.kind) {
      case "heartbeat":
        feed({ kind: "heard", from, message });
        return sync.tableDigest(from, message.table, { wall, mono });
      case "leave":
      case "ask":
      case "drain":
      case "drained":
      case "cancel":
      case "cancel-heard":
      case "skip":
      case "skip-heard":
      case "ballots":
      case "replies":
      case "chosen":
      case "roster":
        return feed({ kind: "heard", from, message });
      case "runs": {
        intake.keep(message.others ?? []);
        const [records, orders] = [intake.genuine(message.records), intake.kept(message.orders)];
        return feed({ kind: "heard", from, message: { ...message, records, orders } });
      }
      case "answer":
        return feed({
          kind: "heard",
          from,
          message: { ...message, records: intake.genuine(message.records) },
        });
      case "update":
        return charge(payer, sync.heardUpdate(from, Buffer.from(message.update, "base64"), { wall, mono }));
      case "table-have":
      case "table-have-want":
      case "table-want":
      case "table-diff":
      case "buckets":
      case "want":
      case "records":
      case "watermarks-want":
      case "watermarks":
      case "horizons":
      case "horizons-want":
        return sync.heard(from, message, { wall, mono });
      case "key":
      case "key-heard":
        return keyRotation.heard(from, message);
      case "log-read":
      case "log-piece":
        return logs.heard(from, message);
      case "audit-read":
      case "audit-page":
        return audit.heard(from, message);
      case "blob-read":
      case "blob-piece":
        return scripts.heard(from, message);
      case "log-copy":
      case "log-copy-next":
        return copies.heard(from, message);
      default:
        return never(message);
    }
  }
}
