/**
 * SIGTERM and SIGINT: the first asks for a clean stop, a later one for an end at once.
 *
 * Ctrl-C under npm sends the same wish twice within moments (the terminal to the whole group, npm to its child), so
 * a second signal counts only after a while.
 */

/** Signals closer together are one wish; ms. */
const oneWishMs = 1_000;

export interface StopSignal {
  /** The first signal. */
  first: Promise<NodeJS.Signals>;
  /** Called just before the process ends without a clean stop. */
  beforeEnd(act: () => void): void;
  /** Signals have their usual effect again. */
  [Symbol.dispose](): void;
}

export function stopSignal(): StopSignal {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let firstAt: number | undefined;
  let lastAct: (() => void) | undefined;
  const heard = (signal: NodeJS.Signals) => {
    const now = performance.now();
    if (firstAt === undefined) {
      firstAt = now;
      resolve(signal);
    } else if (now - firstAt > oneWishMs) {
      lastAct?.();
      process.exit(1);
    }
  };
  process.on("SIGTERM", heard).on("SIGINT", heard);
  return {
    first: promise,
    beforeEnd: (act) => void (lastAct = act),
    [Symbol.dispose]: () => void process.off("SIGTERM", heard).off("SIGINT", heard),
  };
}
