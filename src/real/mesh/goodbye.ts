/** Waits, before a clean stop, until the linked peers have understood that this is a leave and not a death. */
import type { PeerId } from "../../schema/ids.ts";

/** A peer that doesn't answer by then takes the leave for a broken link, which costs it some redials. */
const timeoutMs = 500;

export class Goodbyes {
  private readonly awaited = new Set<PeerId>();
  private whenHeard: () => void = () => undefined;

  /** Resolves when each of them has `answered`, or a short time has passed. */
  say(peers: readonly PeerId[], bye: (peer: PeerId) => void): Promise<void> {
    for (const peer of peers) {
      this.awaited.add(peer);
      bye(peer);
    }
    if (this.awaited.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.whenHeard = resolve;
      setTimeout(resolve, timeoutMs).unref();
    });
  }

  /** It has understood, or is not there any more. */
  answered(peer: PeerId): void {
    if (this.awaited.delete(peer) && this.awaited.size === 0) this.whenHeard();
  }
}
