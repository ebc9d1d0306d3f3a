/**
 * The serving side of the table's sync (sync.ts describes the protocol): sends a neighbour this side's state vector, and what the
 * neighbour lacks of the table. The first piece of either is sent at once, and each further piece when the neighbour asks for it.
 * A difference that the neighbour has stopped fetching is dropped.
 */
import type { Now } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Message, MessageOf } from "../../schema/message.ts";
import type { JobTable } from "../../table/table.ts";
import { encodeBytes, inPieces } from "../messages/pieces.ts";
import { stepsOfBytes } from "../messages/work-shares.ts";

/** A difference that the neighbour has not asked about for this long is dropped. */
const servingLimitMs = 30_000;
/** How long an offer is not repeated: as long as a neighbour waits for an answer before it asks again. */
const offeredLimitMs = 3_000;

export interface TableServingDeps {
  table: JobTable;
  send(to: PeerId, message: Message): void;
  /** What is sent to the neighbour costs that many steps of its share (work-shares.ts). */
  charge(peer: PeerId, steps: number): void;
  count(name: string): void;
}

/** This side's digest and state vector, which a neighbour fetches. */
interface Vector {
  id: number;
  digest: string;
  pieces: Uint8Array[];
}

interface Difference {
  id: number;
  pieces: Uint8Array[];
  since: number;
}

/** What one neighbour is being sent. */
interface Served {
  /** by `reply`: the state vectors that it is fetching */
  vectors: Map<boolean, Vector>;
  /** the difference that it is fetching */
  difference?: Difference;
  /** what was offered last, so that two peers that ask each other at the same time don't send the same pieces twice */
  offered?: { digest: string; stateVector: string; since: number };
}

export class TableServing {
  readonly #deps: TableServingDeps;
  readonly #served = new Map<PeerId, Served>();

  constructor(deps: TableServingDeps) {
    this.#deps = deps;
  }

  linkUp(peer: PeerId): void {
    this.#served.set(peer, { vectors: new Map() });
  }

  linkDown(peer: PeerId): void {
    this.#served.delete(peer);
  }

  woke({ mono }: Now): void {
    for (const served of this.#served.values()) {
      const { difference } = served;
      if (difference !== undefined && mono - difference.since >= servingLimitMs) delete served.difference;
    }
  }

  /** Sends the first piece of this side's state vector: `reply` = in answer to the neighbour's. */
  sendHave(to: PeerId, id: number, reply: boolean): void {
    const { table } = this.#deps;
    const stateVector = table.stateVector();
    if (reply) this.#deps.charge(to, stepsOfBytes(stateVector.length));
    const vector = { id, digest: table.digest(), pieces: inPieces(stateVector) };
    this.#served.get(to)?.vectors.set(reply, vector);
    this.#sendHavePiece(to, vector, reply, 0);
  }

  /** The neighbour asks for a further piece of a state vector. Returns false if it isn't fetching that one. */
  heardHaveWant(from: PeerId, { id, piece, reply }: MessageOf<"table-have-want">): boolean {
    const vector = this.#served.get(from)?.vectors.get(reply);
    if (vector?.id !== id) return false;
    this.#sendHavePiece(from, vector, reply, piece);
    return true;
  }

  /** Sends the first piece of what the neighbour lacks, which has sent its state vector. */
  offer(to: PeerId, id: number, stateVector: Uint8Array, now: Now): void {
    const { table } = this.#deps;
    const difference = table.diff(stateVector);
    if (difference === undefined) {
      this.#deps.count("sync_table_refused");
      return;
    }
    this.#deps.charge(to, stepsOfBytes(difference.length));
    const offer = { id, pieces: inPieces(difference), since: now.mono };
    const served = this.#served.get(to);
    if (served !== undefined) {
      served.offered = { digest: table.digest(), stateVector: encodeBytes(stateVector), since: now.mono };
      if (offer.pieces.length > 1) served.difference = offer;
    }
    this.#sendPiece(to, offer, 0);
  }

  /** Whether the difference between this table and that state vector was offered to the neighbour a moment ago. */
  hasOffered(to: PeerId, digest: string, stateVector: Uint8Array, now: Now): boolean {
    const offered = this.#served.get(to)?.offered;
    return (
      offered !== undefined &&
      offered.digest === digest &&
      now.mono - offered.since < offeredLimitMs &&
      offered.stateVector === encodeBytes(stateVector)
    );
  }

  /** The neighbour asks for a further piece of what it lacks. */
  heardWant(from: PeerId, { id, piece }: MessageOf<"table-want">, now: Now): void {
    const difference = this.#served.get(from)?.difference;
    if (difference?.id !== id) return;
    difference.since = now.mono;
    this.#sendPiece(from, difference, piece);
  }

  #sendHavePiece(to: PeerId, { id, digest, pieces }: Vector, reply: boolean, piece: number): void {
    const bytes = pieces[piece];
    if (bytes === undefined) return;
    const stateVector = encodeBytes(bytes);
    const part = { id, digest, stateVector, piece, pieces: pieces.length, reply };
    this.#deps.send(to, { kind: "table-have", ...part });
  }

  #sendPiece(to: PeerId, { id, pieces }: Difference, piece: number): void {
    const bytes = pieces[piece];
    if (bytes === undefined) return;
    const update = encodeBytes(bytes);
    this.#deps.send(to, { kind: "table-diff", id, piece, pieces: pieces.length, update });
  }
}
