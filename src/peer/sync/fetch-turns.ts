/**
 * Decides from which neighbours a large difference of the table is fetched now. Usually that is one neighbour, because each
 * difference takes memory and most of its bytes are the same as the others'. A slow link, or a neighbour that lies, can make a
 * turn long; the next turn then begins beside it after a moment. When there are too many turns, the oldest one is given up as
 * soon as it is long, and its neighbour is asked again later. The bytes that all turns hold together are limited as well.
 */
import type { Now } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";

/**
 * How long a turn keeps the next one waiting. A table of 30 MB takes 230 round trips, some seconds. Less fetches the same bytes
 * several times over slow links; more lets each member that lies hold up what the others have.
 */
export const nextTurnMs = 5_000;
/** After this a turn is long. Less never comes to an end over slow links; more lets members that lie keep all turns for longer. */
const longTurnMs = 20_000;
/** More takes more memory and fetches the same bytes more often; less lets fewer members that lie keep all turns. */
const turnsMax = 4;
/** What all turns together hold: as much as two of the largest differences that are taken in. */
export const turnsBytesMax = 536_870_912;

export class FetchTurns {
  /** since when; monotonic ms. In the order in which they began. */
  readonly #since = new Map<PeerId, number>();

  /** Whether another turn may begin now. */
  isFree({ mono }: Now): boolean {
    const since = [...this.#since.values()];
    const [oldest = -Infinity] = since;
    if (since.length >= turnsMax && mono - oldest < longTurnMs) return false;
    return mono - (since.at(-1) ?? -Infinity) >= nextTurnMs;
  }

  has(peer: PeerId): boolean {
    return this.#since.has(peer);
  }

  /** Returns false if the neighbour has to wait. */
  begin(peer: PeerId, now: Now): boolean {
    if (!this.isFree(now)) return false;
    this.#since.set(peer, now.mono);
    return true;
  }

  end(peer: PeerId): void {
    this.#since.delete(peer);
  }

  /** The turn that is to be given up, so that there are not too many. */
  takeSurplus(): PeerId | undefined {
    if (this.#since.size <= turnsMax) return undefined;
    const [oldest] = this.#since.keys();
    if (oldest !== undefined) this.#since.delete(oldest);
    return oldest;
  }

  /** The turn that is to be given up, so that all of them don't hold too much: the one that holds most. */
  takeLargest(bytesOf: (peer: PeerId) => number): PeerId | undefined {
    const held = [...this.#since.keys()].map((peer) => ({ peer, bytes: bytesOf(peer) }));
    if (held.reduce((sum, { bytes }) => sum + bytes, 0) <= turnsBytesMax) return undefined;
    const [largest] = held.toSorted((a, b) => b.bytes - a.bytes);
    if (largest !== undefined) this.#since.delete(largest.peer);
    return largest?.peer;
  }
}
