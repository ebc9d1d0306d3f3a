/**
 * Unhandled failures, and which of them a peer survives.
 *
 * A fault inside the peer never arrives here. guarded-doors.ts catches it at the peer's entries, and the process ends,
 * because a peer that starts again is safe and one with half-changed state is not. The failures that do arrive here
 * were thrown outside: libp2p and its modules throw from timers and sockets where no caller can catch. Such a failure
 * has cost a stream or a connection, which the mesh opens again, so it is logged and counted. A failed assertion ends
 * the process wherever it is thrown, and so does a flood of failures.
 */
import { AssertionFailed } from "../../errors.ts";
import type { Log, LogFields } from "../../ports.ts";

/** The exit codes of a process that can't continue, in addition to those of the command line (as in sysexits.h). */
export const exitCodes = {
  /** EX_SOFTWARE: an internal fault */
  broken: 70,
  /** EX_IOERR: the thread that writes the database is dead or hangs */
  disk: 74,
} as const;

/** More failures than this within a minute are no longer accidents of single connections. */
const survivedPerMinute = 100;
const minuteMs = 60_000;

export interface Failures {
  unhandledRejections: number;
  uncaughtExceptions: number;
}

export interface FailureWatch {
  readonly counts: Readonly<Failures>;
  /** Logs the error and ends the process, because the peer's own state may be wrong. */
  broken: (error: unknown) => void;
}

/** Counts the failures that the peer survives. For any other, calls `noteBroken` and then `end` with an exit code. */
export function watchFailures(
  log: Log,
  end: (exitCode: number) => void,
  noteBroken: () => LogFields,
  on: Pick<NodeJS.Process, "on"> = process,
): FailureWatch {
  const counts: Failures = { unhandledRejections: 0, uncaughtExceptions: 0 };
  let survivedAt: number[] = [];
  const broken = (error: unknown): void => {
    log.error("internal fault: this peer stops", { what: describe(error), ...noteBroken() });
    end(exitCodes.broken);
  };
  const survive = (kind: keyof Failures, error: unknown): void => {
    if (error instanceof AssertionFailed) return broken(error);
    counts[kind] += 1;
    log.error("an unhandled failure; the peer continues", {
      what: describe(error),
      count: counts[kind],
    });
    const now = performance.now();
    survivedAt = [...survivedAt.filter((at) => at > now - minuteMs), now];
    if (survivedAt.length > survivedPerMinute) broken(new Error("too many unhandled failures"));
  };
  on.on("unhandledRejection", (reason) => survive("unhandledRejections", reason));
  on.on("uncaughtException", (error) => survive("uncaughtExceptions", error));
  return { counts, broken };
}

function describe(reason: unknown): string {
  return reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
}
