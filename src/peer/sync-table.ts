/**
 * The table's half of sync (the protocol is told in sync.ts): which neighbour has been asked, what has come of it, and
 * which pieces of a difference are still to be fetched or handed out.
 */
import type { Now, Log } from "../ports.ts";
import type { PeerId } from "../schema/ids.ts";
import type { Message, MessageOf } from "../schema/message.ts";
import type { Applied, JobTable } from "../table/table.ts";
import { updateCapBytes } from "../table/update.ts";
import { encodeBytes, inPieces } from "./pieces.ts";
import { applyWhole, applyWithin, type BroughtClients } from "./new-clients.ts";

/** A neighbour that has said nothing for this long is asked anew. Less repeats what is on its way; more waits. */
export const answerLimitMs = 3_000;
/** After an exchange this long passes before a mere mismatch starts another: gossip is on its way meanwhile. */
const restMs = 2_000;
/** After an update that this peer refuses, so that the same is not fetched every few seconds. */
const refusedRestMs = 30_000;
/** A neighbour that has been silent for so long, or tables that have differed for so long, are shown as trouble. */
const silentTroubleMs = 30_000;
const differsTroubleMs = 300_000;
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

/** Something in pieces on its way here. */
interface Incoming {
  id: number;
  pieces: Uint8Array[];
  bytes: number;
  of: number;
  since: number;
}

interface Having {
  id: number;
  digest: string;
  pieces: Uint8Array[];
}

interface Neighbour {
  /** what this side has asked, until it is answered in full */
  asked?: { id: number; digest: string; since: number };
  /** a difference on its way here */
  incoming?: Incoming;
  /** by `reply`: its state vectors on their way here, that of its question and that of its answer to this side's */
  vectors: Map<boolean, Incoming>;
  /** by `reply`: this side's state vectors that the neighbour is fetching */
  havings: Map<boolean, Having>;
  /** a difference that the neighbour is fetching */
  outgoing?: { id: number; pieces: Uint8Array[]; since: number };
  /** what was offered last, so that two who ask each other at once don't send the same twice */
  offered?: { digest: string; stateVector: string; since: number };
  restUntil: number;
  /** in the last heartbeat the tables differed */
  differs: boolean;
  /** put off, for a large difference is coming from another neighbour */
  putOff: boolean;
  /** new clients that it has brought since then */
  brought: BroughtClients;
  /** when it last said something about the table, and since when the exchange with it has not been finished; monotonic ms */
  heardAtMono: number;
  unfinishedSinceMono: number | undefined;
  differsSinceMono: number | undefined;
  /** why its table was refused the last time */
  refused: string | undefined;
}

export class TableSync {
  readonly #deps: TableSyncDeps;
  readonly #neighbours = new Map<PeerId, Neighbour>();
  /** in this life a whole table has been taken in */
  #isComplete = false;
  /** from whom a difference of more than one piece is being fetched: from one at a time */
  #fetching: PeerId | undefined;

  constructor(deps: TableSyncDeps) {
    this.#deps = deps;
  }

  linkUp(peer: PeerId, now: Now): void {
    this.linkDown(peer);
    const neighbour: Neighbour = {
      restUntil: 0,
      differs: false,
      putOff: false,
      vectors: new Map(),
      havings: new Map(),
      brought: { count: 0, sinceMono: now.mono },
      heardAtMono: now.mono,
      unfinishedSinceMono: now.mono,
      differsSinceMono: undefined,
      refused: undefined,
    };
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
    neighbour.differsSinceMono = differs ? (neighbour.differsSinceMono ?? now.mono) : undefined;
    if (!differs || neighbour.asked !== undefined || now.mono < neighbour.restUntil) return;
    if (again || this.#deps.table.pending()) this.#ask(peer, neighbour, now);
  }

  /** An update that the peer has gossiped. One that builds on something which isn't here is fetched with the rest. */
  heardUpdate(from: PeerId, update: Uint8Array, now: Now): void {
    const neighbour = this.#neighbours.get(from);
    const applied = this.#apply(neighbour, update, now);
    if (applied === "changed") return this.#deps.onUpdate(update);
    if (applied === "known") return;
    if (applied === "pending") {
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
    const neighbour = this.#neighbours.get(from);
    if (neighbour === undefined) return;
    neighbour.heardAtMono = now.mono;
    const { id, reply } = message;
    if (reply && neighbour.asked?.id !== id) return;
    if (neighbour.asked?.id === id) neighbour.asked.since = now.mono;
    const mine = table.digest();
    // Of two equal tables the state vectors are equal too.
    if (message.digest === mine) {
      neighbour.vectors.delete(reply);
      this.#deps.onHave(from);
      if (reply) this.#finish(from, neighbour, now);
      else this.#sendHave(from, neighbour, id, true);
      return;
    }
    const stateVector = this.#collect(from, neighbour, message, now);
    if (stateVector === undefined) return;
    table.heardStateVector(stateVector);
    this.#deps.onHave(from);
    if (!reply) {
      this.#sendHave(from, neighbour, id, true);
      this.#offer(from, id, stateVector, now);
      return;
    }
    if (!hasOffered(neighbour, mine, stateVector, now)) this.#offer(from, id, stateVector, now);
    if (message.digest === neighbour.asked?.digest) this.#finish(from, neighbour, now);
  }

  /** The whole vector when its last piece is here; asks for the next one otherwise. */
  #collect(
    from: PeerId,
    neighbour: Neighbour,
    { id, reply, piece, pieces: of, stateVector }: MessageOf<"table-have">,
    now: Now,
  ): Uint8Array | undefined {
    if (piece === 0) neighbour.vectors.set(reply, { id, pieces: [], bytes: 0, of, since: now.mono });
    const vector = neighbour.vectors.get(reply);
    if (vector?.id !== id || vector.pieces.length !== piece) return undefined;
    vector.pieces.push(Buffer.from(stateVector, "base64"));
    if (vector.pieces.length < vector.of) {
      this.#deps.send(from, { kind: "table-have-want", id, piece: piece + 1, reply });
      return undefined;
    }
    neighbour.vectors.delete(reply);
    return Buffer.concat(vector.pieces);
  }

  heardHaveWant(from: PeerId, { id, piece, reply }: MessageOf<"table-have-want">, now: Now): void {
    const neighbour = this.#neighbours.get(from);
    const having = neighbour?.havings.get(reply);
    if (neighbour === undefined || having?.id !== id) return;
    neighbour.heardAtMono = now.mono;
    if (neighbour.asked?.id === id) neighbour.asked.since = now.mono;
    this.#sendHavePiece(from, having, reply, piece);
  }

  heardDiff(from: PeerId, message: MessageOf<"table-diff">, now: Now): void {
    const neighbour = this.#neighbours.get(from);
    if (neighbour === undefined) return;
    neighbour.heardAtMono = now.mono;
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
    const applied = this.#take(from, neighbour, Buffer.concat(incoming.pieces), now);
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
    neighbour.refused = "it is larger than a table can be";
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
    neighbour.unfinishedSinceMono ??= now.mono;
    this.#sendHave(peer, neighbour, id, false);
  }

  #sendHave(to: PeerId, neighbour: Neighbour, id: number, reply: boolean): void {
    const { table } = this.#deps;
    const having = { id, digest: table.digest(), pieces: inPieces(table.stateVector()) };
    neighbour.havings.set(reply, having);
    this.#sendHavePiece(to, having, reply, 0);
  }

  #sendHavePiece(to: PeerId, { id, digest, pieces }: Having, reply: boolean, piece: number): void {
    const bytes = pieces[piece];
    if (bytes === undefined) return;
    const stateVector = encodeBytes(bytes);
    this.#deps.send(to, {
      kind: "table-have",
      id,
      digest,
      stateVector,
      piece,
      pieces: pieces.length,
      reply,
    });
  }

  /** Sends the first piece of what the neighbour lacks; it fetches the others. */
  #offer(to: PeerId, id: number, stateVector: Uint8Array, now: Now): void {
    const { table } = this.#deps;
    const difference = table.diff(stateVector);
    if (difference === undefined) {
      this.#deps.count("sync_table_refused");
      return;
    }
    const pieces = inPieces(difference);
    const outgoing = { id, pieces, since: now.mono };
    const neighbour = this.#neighbours.get(to);
    if (neighbour !== undefined) {
      neighbour.offered = { digest: table.digest(), stateVector: encodeBytes(stateVector), since: now.mono };
      if (pieces.length > 1) neighbour.outgoing = outgoing;
    }
    this.#sendPiece(to, outgoing, 0);
  }

  #sendPiece(to: PeerId, outgoing: { id: number; pieces: Uint8Array[] }, piece: number): void {
    const bytes = outgoing.pieces[piece];
    if (bytes === undefined) return;
    const update = encodeBytes(bytes);
    this.#deps.send(to, {
      kind: "table-diff",
      id: outgoing.id,
      piece,
      pieces: outgoing.pieces.length,
      update,
    });
  }

  #take(from: PeerId, neighbour: Neighbour, update: Uint8Array, now: Now): Applied {
    const applied = this.#apply(neighbour, update, now);
    if (applied === "changed") this.#deps.onUpdate(update);
    else if (typeof applied === "object") {
      neighbour.refused = applied.refused;
      this.#deps.count("sync_table_refused");
      this.#deps.log.warn("a neighbour's table was refused", { peer: from, reason: applied.refused });
    }
    return applied;
  }

  #apply(neighbour: Neighbour | undefined, update: Uint8Array, now: Now): Applied {
    const { table } = this.#deps;
    if (this.#isComplete) return applyWithin(table, update, neighbour?.brought, now);
    return applyWhole(table, update);
  }

  /** Neighbours with whom no exchange can be finished, and why, in words. */
  troubles(now: Now): { peer: PeerId; what: string }[] {
    return [...this.#neighbours].flatMap(([peer, neighbour]) => {
      const what = troubleWith(neighbour, now);
      return what === undefined ? [] : [{ peer, what }];
    });
  }

  #finish(peer: PeerId, neighbour: Neighbour, now: Now): void {
    delete neighbour.asked;
    neighbour.differs = false;
    neighbour.unfinishedSinceMono = undefined;
    neighbour.refused = undefined;
    neighbour.restUntil = now.mono + restMs;
    this.#isComplete = true;
    this.#deps.onDone(peer);
  }
}

function troubleWith(neighbour: Neighbour, { mono }: Now): string | undefined {
  const { refused, unfinishedSinceMono, heardAtMono, differsSinceMono } = neighbour;
  if (refused !== undefined) return `its job table is refused: ${refused}`;
  if (unfinishedSinceMono !== undefined && !neighbour.putOff) {
    if (mono - Math.max(unfinishedSinceMono, heardAtMono) >= silentTroubleMs) {
      return "it doesn't answer what it has of the job table";
    }
  }
  const differs = differsSinceMono !== undefined && mono - differsSinceMono >= differsTroubleMs;
  return differs ? "its job table has differed from this peer's for minutes" : undefined;
}

function hasOffered(neighbour: Neighbour, digest: string, stateVector: Uint8Array, now: Now): boolean {
  const { offered } = neighbour;
  return (
    offered !== undefined &&
    offered.digest === digest &&
    now.mono - offered.since < answerLimitMs &&
    offered.stateVector === encodeBytes(stateVector)
  );
}
