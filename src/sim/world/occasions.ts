/**
 * Occasions, and the faults that wait for one: something is sent, stored or started, and a moment later the fault
 * strikes. ../faults/trigger.ts has those faults.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Chronicle } from "./chronicle.ts";
import type { Queue } from "./queue.ts";

export type Occasion =
  /** a voter has told a proposer that it accepts its value */
  | "vote told"
  /** a voter's accepted epoch is on its way to its disk, and may or may not have reached it */
  | "epoch accepted"
  /** a child has been started */
  | "start"
  /** a change has been confirmed to a client */
  | "confirmed";

/** `other`: the receiver, if the occasion is a message. */
type Strike = (peer: PeerId, other?: PeerId) => void;

export class Occasions {
  readonly #queue: Queue;
  readonly #chronicle: Chronicle;
  readonly #triggers = new Set<{ on: Occasion; strike: Strike }>();

  constructor(queue: Queue, chronicle: Chronicle) {
    this.#queue = queue;
    this.#chronicle = chronicle;
  }

  /** Strikes once, a moment after the occasion; the returned function cancels that. */
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
