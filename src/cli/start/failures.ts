/**
 * Failures that nobody has handled, and which of them a peer lives through.
 *
 * What breaks inside the peer never comes here: guarded-doors.ts hands it over at the peer's entries, and the process ends,
 * because a peer that starts again is safe and one with half-changed state is not. What does come here was thrown outside:
 * libp2p and its modules throw from timers and sockets where no caller can catch it. Such a failure has cost a stream or a
 * connection, which the mesh makes anew, so it is logged and counted. A failed assertion ends the process wherever it is
 * thrown, and so does a flood of failures.
 */
import { AssertionFailed } from "../../errors.ts";
import type { Log, LogFields } from "../../ports.ts";

/** How the process ends when it can't go on, apart from the command line's own codes (as in sysexits.h). */
export const exitCodes = {
  /** EX_SOFTWARE: what can't happen has happened */
  broken: 70,
  /** EX_IOERR: the thread that writes the database is dead or hangs */
  disk: 74,
} as const;

/** More than so many within a minute are no accidents of single connections any more. */
const survivedPerMinute = 100;
const minuteMs = 60_000;

export interface Failures {
  unhandledRejections: number;
  uncaughtExceptions: number;
}

export interface FailureWatch {
  readonly counts: Readonly<Failures>;
  /** The peer's own state may be wrong: logs it and ends the process. */
  broken: (error: unknown) => void;
}

/** Counts what was survived. `end` is called, with an exit code, for what was not, after `noteBroken`. */
export function watchFailures(
  log: Log,
  end: (exitCode: number) => void,
  noteBroken: () => LogFields,
  on: Pick<NodeJS.Process, "on"> = process,
): FailureWatch {
  const counts: Failures = { unhandledRejections: 0, uncaughtExceptions: 0 };
  let survivedAt: number[] = [];
  const broken = (error: unknown): void => {
    log.error("this peer has met what can't happen, and stops", { what: describe(error), ...noteBroken() });
    end(exitCodes.broken);
  };
  const survive = (kind: keyof Failures, error: unknown): void => {
    if (error instanceof AssertionFailed) return broken(error);
    counts[kind] += 1;
    log.error("a failure that nobody has handled; the peer goes on", {
      what: describe(error),
      count: counts[kind],
    });
    const now = performance.now();
    survivedAt = [...survivedAt.filter((at) => at > now - minuteMs), now];
    if (survivedAt.length > survivedPerMinute) broken(new Error("too many failures that nobody has handled"));
  };
  on.on("unhandledRejection", (reason) => survive("unhandledRejections", reason));
  on.on("uncaughtException", (error) => survive("uncaughtExceptions", error));
  return { counts, broken };
}

function describe(reason: unknown): string {
  return reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
}
