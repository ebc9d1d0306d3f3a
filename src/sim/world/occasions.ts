/**
 * Occasions, and the faults that wait for one: something is said, stored or started, and a moment later the fault strikes.
 * Which faults do so is in ../faults/trigger.ts.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Chronicle } from "./chronicle.ts";
import type { Queue } from "./queue.ts";

export type Occasion =
  /** a voter has told a proposer that it accepts its value */
  | "vote told"
  /** an accepted epoch is on its way to the disk of a voter, and may or may not have reached it */
  | "epoch accepted"
  /** a child has been started */
  | "start"
  /** a change has been confirmed to a client */
  | "confirmed";

/** `other` is whom the peer told, where the occasion is a message. */
type Strike = (peer: PeerId, other?: PeerId) => void;

export class Occasions {
  readonly #queue: Queue;
  readonly #chronicle: Chronicle;
  readonly #triggers = new Set<{ on: Occasion; strike: Strike }>();

  constructor(queue: Queue, chronicle: Chronicle) {
    this.#queue = queue;
    this.#chronicle = chronicle;
  }

  /** Strikes once, a moment after the occasion has come; the returned function calls it off. */
  waitFor(on: Occasion, strike: Strike): () => void {
    const trigger = { on, strike };
    this.#triggers.add(trigger);
    return () => this.#triggers.delete(trigger);
  }

  happens(on: Occasion, peer: PeerId, other?: PeerId): void {
    for (const trigger of this.#triggers) {
      if (trigger.on !== on) continue;
      this.#triggers.delete(trigger);
      this.#queue.after(0, undefined, () => {
        this.#chronicle.line(peer, `TRIGGER: ${on}`);
        trigger.strike(peer, other);
      });
    }
  }
}
