/** The peer's only alarm: core says when it wants to be woken next, and each time replaces the one before. */
import type { Cancel, Clock } from "../ports.ts";

export class WakeUp {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #set: { atMono: number; cancel: Cancel } | undefined;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  at(atMono: number): void {
    if (this.#set?.atMono === atMono) return;
    this.#set?.cancel();
    const cancel = this.#clock.alarm(atMono, () => {
      this.#set = undefined;
      this.#ring();
    });
    this.#set = { atMono, cancel };
  }

  cancel(): void {
    this.#set?.cancel();
  }
}
