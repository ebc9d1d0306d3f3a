/**
 * From which neighbours a large difference of the table is being fetched: from one at a time, because each takes memory and its
 * bytes are mostly the same. A turn that lasts long, because the link is slow or the neighbour wants to hold the others up,
 * doesn't keep the next one waiting: there may be one more beside it. Of two long ones the older is given up when a third is
 * to begin, and its neighbour is asked again in its turn.
 */
import type { Now } from "../ports.ts";
import type { PeerId } from "../schema/ids.ts";

/**
 * After this a turn is long. A table of 30 MB takes 230 round trips, some seconds. Less fetches the same bytes twice over slow
 * links; more lets a member that lies hold up what the others have.
 */
export const longTurnMs = 20_000;
/** Turns at once. Each may hold a whole table. */
const turnsMax = 2;

export class FetchTurns {
  /** since when; monotonic ms. In the order in which they began. */
  readonly #since = new Map<PeerId, number>();

  /** Whether another turn may begin now. */
  isFree({ mono }: Now): boolean {
    return [...this.#since.values()].every((since) => mono - since >= longTurnMs);
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
}
