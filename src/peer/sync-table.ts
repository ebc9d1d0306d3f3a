/**
 * The table's half of sync (the protocol is told in sync.ts): which neighbour has been asked, what has come of it, and
 * which pieces of a difference are still to be fetched or handed out.
 */
import type { Now, Log } from "../ports.ts";
import type { PeerId } from "../schema/ids.ts";
import type { Message, MessageOf } from "../schema/message.ts";
import type { Applied, JobTable } from "../table/table.ts";
import { updateCapBytes } from "../table/update.ts";

/** A neighbour that has said nothing for this long is asked anew. Less repeats what is on its way; more waits. */
export const answerLimitMs = 3_000;
/**
 * Raw bytes of a table in one message: as base64, with its envelope, well under 256 KiB. Less makes more round trips
 * (a table of 30 MB takes 230), more holds up the heartbeats behind it.
 */
export const pieceBytes = 131_072;
/** After an exchange this long passes before a mere mismatch starts another: gossip is on its way meanwhile. */
const restMs = 2_000;
/** After an update that this peer refuses, so that the same is not fetched every few seconds. */
const refusedRestMs = 30_000;
/** A difference that nobody fetches on is forgotten. */
const servingLimitMs = 30_000;

export interface TableSyncDeps {
  table: JobTable;
  send(to: PeerId, message: Message): void;
  onUpdate(update: Uint8Array): void;
  /** The peer has said what it has of the table. */
  onHave(peer: PeerId): void;
  /** This side has all that the peer had. */
  onDone(peer: PeerId): void;
  nextId(): number;
  count(name: string): void;
  log: Log;
}

interface Neighbour {
  /** what this side has asked, until it is answered in full */
  asked?: { id: number; digest: string; since: number };
  /** a difference on its way here */
  incoming?: { id: number; pieces: Uint8Array[]; bytes: number; of: number; since: number };
  /** a difference that the neighbour is fetching */
  outgoing?: { id: number; pieces: Uint8Array[]; since: number };
  /** what was offered last, so that two who ask each other at once don't send the same twice */
  offered?: { digest: string; stateVector: string; since: number };
  restUntil: number;
  /** in the last heartbeat the tables differed */
  differs: boolean;
  /** put off, for a large difference is coming from another neighbour */
  putOff: boolean;
}

export class TableSync {
  readonly #deps: TableSyncDeps;
  readonly #neighbours = new Map<PeerId, Neighbour>();
  /** from whom a difference of more than one piece is being fetched: from one at a time */
  #fetching: PeerId | undefined;

  constructor(deps: TableSyncDeps) {
    this.#deps = deps;
  }

  linkUp(peer: PeerId, now: Now): void {
    this.linkDown(peer);
    const neighbour = { restUntil: 0, differs: false, putOff: false };
    this.#neighbours.set(peer, neighbour);
    this.#ask(peer, neighbour, now);
  }

  linkDown(peer: PeerId): void {
    this.#neighbours.delete(peer);
    if (this.#fetching === peer) this.#fetching = undefined;
  }

  /** From a heartbeat. The first mismatch may be gossip on its way; the second is not waited out. */
  digestHeard(peer: PeerId, digest: string, now: Now): void {
    const neighbour = this.#neighbours.get(peer);
    if (neighbour === undefined) return;
    const differs = digest !== this.#deps.table.digest();
    const again = neighbour.differs;
    neighbour.differs = differs;
    if (!differs || neighbour.asked !== undefined || now.mono < neighbour.restUntil) return;
    if (again || this.#deps.table.pending()) this.#ask(peer, neighbour, now);
  }

  /** An update that the peer has gossiped. One that builds on something which isn't here is fetched with the rest. */
  heardUpdate(from: PeerId, update: Uint8Array, now: Now): void {
    const applied = this.#deps.table.apply(update);
    if (applied === "changed") return this.#deps.onUpdate(update);
    if (applied === "known") return;
    if (applied === "pending") {
      const neighbour = this.#neighbours.get(from);
      if (neighbour !== undefined && neighbour.asked === undefined) this.#ask(from, neighbour, now);
      return;
    }
    this.#deps.count("refused_update");
    this.#deps.log.warn("a change of the job table was refused", { from, why: applied.refused });
  }

  woke(now: Now): void {
    for (const [peer, neighbour] of this.#neighbours) {
      const { asked, incoming, outgoing } = neighbour;
      const stalled = incoming !== undefined && now.mono - incoming.since >= answerLimitMs;
      if (stalled && asked === undefined) this.#ask(peer, neighbour, now);
      if (asked !== undefined && now.mono - asked.since >= answerLimitMs) {
        this.#deps.count("sync_table_timeouts");
        this.#ask(peer, neighbour, now);
      }
      if (outgoing !== undefined && now.mono - outgoing.since >= servingLimitMs) delete neighbour.outgoing;
      if (neighbour.putOff && this.#fetching === undefined) this.#ask(peer, neighbour, now);
    }
  }

  heardHave(from: PeerId, message: MessageOf<"table-have">, now: Now): void {
    const { table } = this.#deps;
    this.#deps.onHave(from);
    table.heardStateVector(Buffer.from(message.stateVector, "base64"));
    const mine = table.digest();
    if (!message.reply) {
      this.#deps.send(from, this.#have(message.id, true));
      if (message.digest !== mine) this.#offer(from, message.id, message.stateVector, now);
      return;
    }
    const neighbour = this.#neighbours.get(from);
    if (neighbour?.asked?.id !== message.id) return;
    neighbour.asked.since = now.mono;
    const wasEqual = message.digest === neighbour.asked.digest;
    if (message.digest !== mine && !hasOffered(neighbour, mine, message.stateVector, now)) {
      this.#offer(from, message.id, message.stateVector, now);
    }
    if (wasEqual || message.digest === mine) this.#finish(from, neighbour, now);
  }

  heardDiff(from: PeerId, message: MessageOf<"table-diff">, now: Now): void {
    const neighbour = this.#neighbours.get(from);
    if (neighbour === undefined) return;
    if (neighbour.asked?.id === message.id) neighbour.asked.since = now.mono;
    const { id, piece, pieces: of } = message;
    if (piece === 0) {
      if (of > 1 && this.#fetching !== undefined && this.#fetching !== from) {
        neighbour.putOff = true;
        delete neighbour.asked;
        return;
      }
      neighbour.incoming = { id, pieces: [], bytes: 0, of, since: now.mono };
    }
    const { incoming } = neighbour;
    if (incoming?.id !== id || incoming.of !== of || incoming.pieces.length !== piece) return;
    incoming.since = now.mono;
    const bytes = Buffer.from(message.update, "base64");
    incoming.bytes += bytes.length;
    incoming.pieces.push(bytes);
    if (incoming.bytes > updateCapBytes) return this.#refuse(from, neighbour, now);
    if (incoming.pieces.length < of) {
      this.#fetching = from;
      this.#deps.send(from, { kind: "table-want", id, piece: piece + 1 });
      return;
    }
    delete neighbour.incoming;
    if (this.#fetching === from) this.#fetching = undefined;
    const applied = this.#take(from, Buffer.concat(incoming.pieces));
    if (neighbour.asked?.id !== id || applied === "pending") return;
    if (typeof applied !== "object") {
      this.#finish(from, neighbour, now);
      return;
    }
    delete neighbour.asked;
    neighbour.restUntil = now.mono + refusedRestMs;
  }

  /** More than a table can be. */
  #refuse(from: PeerId, neighbour: Neighbour, now: Now): void {
    this.#deps.count("sync_table_refused");
    if (this.#fetching === from) this.#fetching = undefined;
    delete neighbour.incoming;
    delete neighbour.asked;
    neighbour.restUntil = now.mono + refusedRestMs;
  }

  heardWant(from: PeerId, message: MessageOf<"table-want">, now: Now): void {
    const outgoing = this.#neighbours.get(from)?.outgoing;
    if (outgoing?.id !== message.id) return;
    outgoing.since = now.mono;
    this.#sendPiece(from, outgoing, message.piece);
  }

  #ask(peer: PeerId, neighbour: Neighbour, now: Now): void {
    this.#deps.count("sync_table_asked");
    if (this.#fetching === peer) this.#fetching = undefined;
    delete neighbour.incoming;
    neighbour.putOff = false;
    const id = this.#deps.nextId();
    neighbour.asked = { id, digest: this.#deps.table.digest(), since: now.mono };
    this.#deps.send(peer, this.#have(id, false));
  }

  #have(id: number, reply: boolean): Message {
    const { table } = this.#deps;
    const stateVector = Buffer.from(table.stateVector()).toString("base64");
    return { kind: "table-have", id, digest: table.digest(), stateVector, reply };
  }

  /** Sends the first piece of what the neighbour lacks; it fetches the others. */
  #offer(to: PeerId, id: number, stateVector: string, now: Now): void {
    const { table } = this.#deps;
    const difference = table.diff(Buffer.from(stateVector, "base64"));
    if (difference === undefined) {
      this.#deps.count("sync_table_refused");
      return;
    }
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < difference.length; at += pieceBytes) {
      pieces.push(difference.subarray(at, at + pieceBytes));
    }
    const outgoing = { id, pieces, since: now.mono };
    const neighbour = this.#neighbours.get(to);
    if (neighbour !== undefined) {
      neighbour.offered = { digest: table.digest(), stateVector, since: now.mono };
      if (pieces.length > 1) neighbour.outgoing = outgoing;
    }
    this.#sendPiece(to, outgoing, 0);
  }

  #sendPiece(to: PeerId, outgoing: { id: number; pieces: Uint8Array[] }, piece: number): void {
    const bytes = outgoing.pieces[piece];
    if (bytes === undefined) return;
    const update = Buffer.from(bytes).toString("base64");
    this.#deps.send(to, {
      kind: "table-diff",
      id: outgoing.id,
      piece,
      pieces: outgoing.pieces.length,
      update,
    });
  }

  #take(from: PeerId, update: Uint8Array): Applied {
    const applied = this.#deps.table.apply(update);
    if (applied === "changed") this.#deps.onUpdate(update);
    else if (typeof applied === "object") {
      this.#deps.count("sync_table_refused");
      this.#deps.log.warn("a neighbour's table was refused", { peer: from, reason: applied.refused });
    }
    return applied;
  }

  #finish(peer: PeerId, neighbour: Neighbour, now: Now): void {
    delete neighbour.asked;
    neighbour.differs = false;
    neighbour.restUntil = now.mono + restMs;
    this.#deps.onDone(peer);
  }
}

function hasOffered(neighbour: Neighbour, digest: string, stateVector: string, now: Now): boolean {
  const { offered } = neighbour;
  return (
    offered !== undefined &&
    offered.digest === digest &&
    offered.stateVector === stateVector &&
    now.mono - offered.since < answerLimitMs
  );
}
