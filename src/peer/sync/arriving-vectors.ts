/**
 * Collects other peers' state vectors, which arrive in pieces: this side asks for each piece when the one before it has come.
 * Together the vectors may take a limited number of bytes.
 */
import type { Now } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { MessageOf } from "../../schema/message.ts";

/**
 * Bytes of state vectors that arrive in pieces, from all neighbours together. Beyond it, those that began first are dropped. One
 * can have 12 MiB, if it comes from a member that lies; a million clients, more than a table may have, take 10 MB.
 */
const vectorBytesMax = 33_554_432;

/** Something that arrives in pieces. */
export interface Arriving {
  id: number;
  pieces: Uint8Array[];
  bytes: number;
  of: number;
  since: number;
}

export class ArrivingVectors {
  readonly #send: (to: PeerId, want: MessageOf<"table-have-want">) => void;
  /** by neighbour and `reply`: the one in its request and the one in its answer to this side */
  readonly #byPeer = new Map<PeerId, Map<boolean, Arriving>>();

  constructor(send: (to: PeerId, want: MessageOf<"table-have-want">) => void) {
    this.#send = send;
  }

  /** Returns the whole vector when its last piece has come; otherwise asks for the next piece. */
  collect(
    from: PeerId,
    { id, reply, piece, pieces: of, stateVector }: MessageOf<"table-have">,
    now: Now,
  ): Uint8Array | undefined {
    const vectors = this.#byPeer.get(from) ?? new Map<boolean, Arriving>();
    this.#byPeer.set(from, vectors);
    if (piece === 0) vectors.set(reply, { id, pieces: [], bytes: 0, of, since: now.mono });
    const vector = vectors.get(reply);
    if (vector?.id !== id || vector.pieces.length !== piece) return undefined;
    const bytes = Buffer.from(stateVector, "base64");
    vector.bytes += bytes.length;
    vector.pieces.push(bytes);
    if (vector.pieces.length < vector.of) {
      this.#dropOldest();
      this.#send(from, { kind: "table-have-want", id, piece: piece + 1, reply });
      return undefined;
    }
    vectors.delete(reply);
    return Buffer.concat(vector.pieces);
  }

  drop(from: PeerId, reply: boolean): void {
    this.#byPeer.get(from)?.delete(reply);
  }

  forget(peer: PeerId): void {
    this.#byPeer.delete(peer);
  }

  /** A neighbour whose vector is dropped asks again later. */
  #dropOldest(): void {
    const arriving = [...this.#byPeer.values()].flatMap((vectors) =>
      [...vectors].map(([reply, { bytes, since }]) => ({ vectors, reply, bytes, since })),
    );
    let bytes = arriving.reduce((sum, vector) => sum + vector.bytes, 0);
    for (const oldest of arriving.toSorted((a, b) => a.since - b.since)) {
      if (bytes <= vectorBytesMax) return;
      oldest.vectors.delete(oldest.reply);
      bytes -= oldest.bytes;
    }
  }
}
