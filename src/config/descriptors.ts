/**
 * How many files (sockets and pipes too) a process may have open, and what that means for a peer. With too few a peer can't
 * answer, link with others, or read its own disk, and each start of a run may be the one that fails.
 */

/** Each run needs some; connections of peers and callers as many again. */
const perRun = 8;
const beside = 256;
/** An idle peer that is alone has about 45 open. Below this it has too few to be relied on, so it takes no ticks. */
const leastForTicks = 128;
/** Below this it can't even open its disk and both ports. */
export const leastForStart = 64;
/** For the disk, links with members, and what else a peer opens itself. The rest is divided among callers and handshakes. */
const kept = 128;

export function descriptorsWanted(capacity: number): number {
  return beside + capacity * perRun;
}

/** How many connections, of callers and for handshakes, fit in beside what a peer needs itself. */
export function connectionsWithin(limit: number): number {
  return Math.max(0, limit - kept);
}

/** Whether a process with that limit is too poor to take ticks. */
export function isTooFew(limit: number): boolean {
  return limit < leastForTicks;
}

/** What a person should know about a limit that is too low; undefined = it is enough. */
export function describeFew(limit: number, capacity: number): string | undefined {
  const wanted = descriptorsWanted(capacity);
  if (limit >= wanted) return undefined;
  const what = `this peer may have only ${limit.toLocaleString("en")} files open, and ${wanted.toLocaleString("en")} are wanted for`;
  const effect = isTooFew(limit) ? "it takes no ticks" : "runs may fail to start";
  return `${what} ${capacity} runs at once: ${effect}. Raise LimitNOFILE= in the unit, or ulimit -n before the start`;
}
