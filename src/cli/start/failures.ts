/**
 * Failures that nobody has handled, and which of them a peer may live through.
 *
 * libp2p and its company throw from timers and sockets where no caller can catch it; such a failure has cost a stream
 * or a connection, which the mesh makes anew, so it is logged and counted. Anything else may have left the peer's own
 * state half-changed: it is logged, and the process ends, for a peer that starts again is safe and one that goes on is
 * not known to be. A promise that nobody awaits is survived, unless an assertion broke in it.
 */
import type { Log } from "../../ports.ts";

/** Frames of any package or of the peer itself: not of Node. */
const someFrame = /^\s+at .*[\\/](?:node_modules|src)[\\/]/;
const meshFrame = /node_modules[\\/](?:@libp2p|@chainsafe|libp2p)[\\/]/;
/** Where decisions are made and state is changed. */
const decidingFrame = /[\\/]src[\\/](?:core|peer|table|wire|api)[\\/]/;

/** True of a failure that began in the mesh's packages and went through none of the peer's own decisions. */
export function isOfMesh(error: unknown): boolean {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const origin = stack.split("\n").find((line) => someFrame.test(line));
  return origin !== undefined && meshFrame.test(origin) && !decidingFrame.test(stack);
}

function isBroken(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("assertion failed");
}

export interface Failures {
  unhandledRejections: number;
  uncaughtExceptions: number;
}

/** Counts what was survived; `end` is called once for what was not. */
export function surviveFailures(
  log: Log,
  end: () => void,
  on: Pick<NodeJS.Process, "on"> = process,
): Readonly<Failures> {
  const count: Failures = { unhandledRejections: 0, uncaughtExceptions: 0 };
  on.on("unhandledRejection", (reason) => {
    // Thrown on, it comes back as an exception that nobody has caught.
    if (isBroken(reason)) throw reason;
    count.unhandledRejections += 1;
    log.error("a failure that nobody has handled", { what: say(reason), count: count.unhandledRejections });
  });
  on.on("uncaughtException", (error) => {
    if (isOfMesh(error) && !isBroken(error)) {
      count.uncaughtExceptions += 1;
      log.error("the mesh's library has failed; the peer goes on", {
        what: say(error),
        count: count.uncaughtExceptions,
      });
      return;
    }
    log.error("this peer has met what can't happen, and stops", { what: say(error) });
    end();
  });
  return count;
}

function say(reason: unknown): string {
  return reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
}
