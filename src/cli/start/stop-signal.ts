/**
 * Handles SIGTERM, SIGINT, SIGQUIT (Ctrl-\), SIGHUP (a closed terminal), SIGPWR (LXC stops a container, a power supply runs out)
 * and SIGXCPU (a limit on CPU time is reached): the first signal asks for a clean stop, a later one for an immediate end. Where
 * SIGHUP means to read files again, it stops nothing. Signals that mean nothing here would otherwise end the peer, and all its
 * runs, like a crash.
 *
 * Under npm, Ctrl-C arrives twice within moments: from the terminal, which signals the whole group, and from npm. So a
 * second signal only counts after a while.
 */

/** Signals closer together than this count as one. Unit: ms. */
const oneSignalMs = 1_000;

const meaningless = ["SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGSTKFLT"] as const;

export interface StopSignal {
  /** The first signal. */
  first: Promise<NodeJS.Signals>;
  /** Called just before the process ends without a clean stop. */
  beforeEnd(act: () => void): void;
  /** Gives the signals back their usual effect. */
  [Symbol.dispose](): void;
}

function ignore(): void {
  // nothing to do
}

export function stopSignal(isHangupForFiles = false): StopSignal {
  const stopSignals: readonly NodeJS.Signals[] = [
    "SIGTERM",
    "SIGINT",
    "SIGQUIT",
    "SIGPWR",
    "SIGXCPU",
    ...(isHangupForFiles ? [] : ["SIGHUP" as const]),
  ];
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let firstAt: number | undefined;
  let lastAct: (() => void) | undefined;
  const heard = (signal: NodeJS.Signals) => {
    const now = performance.now();
    if (firstAt === undefined) {
      firstAt = now;
      resolve(signal);
    } else if (now - firstAt > oneSignalMs) {
      lastAct?.();
      process.exit(1);
    }
  };
  for (const signal of stopSignals) process.on(signal, heard);
  for (const signal of meaningless) process.on(signal, ignore);
  return {
    first: promise,
    beforeEnd: (act) => void (lastAct = act),
    [Symbol.dispose]: () => {
      for (const signal of stopSignals) process.off(signal, heard);
      for (const signal of meaningless) process.off(signal, ignore);
    },
  };
}
