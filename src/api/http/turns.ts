/**
 * Requests of one caller begin one after the other, one in each turn of the event loop. Otherwise all that a caller sends at
 * once on a hundred sockets is worked on in one go, and everybody else's request waits behind it for seconds.
 *
 * A request that is alone begins at once. Not promised: anything between the requests of one token.
 */
export class Turns {
  /** by caller: what waits, in its order */
  readonly #waiting = new Map<string, (() => void)[]>();
  /** callers of which a request has begun in this turn */
  readonly #begun = new Set<string>();

  /** Undefined if the caller's request may begin at once. */
  take(caller: string): Promise<void> | undefined {
    if (!this.#begun.has(caller)) {
      this.#begin(caller);
      return undefined;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(caller) ?? [];
    waiting.push(resolve);
    this.#waiting.set(caller, waiting);
    return promise;
  }

  #begin(caller: string): void {
    if (this.#begun.size === 0) setImmediate(() => this.#next());
    this.#begun.add(caller);
  }

  #next(): void {
    this.#begun.clear();
    for (const [caller, waiting] of this.#waiting) {
      const first = waiting.shift();
      if (waiting.length === 0) this.#waiting.delete(caller);
      this.#begin(caller);
      first?.();
    }
  }
}
