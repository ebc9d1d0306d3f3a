/**
 * How many files (sockets and pipes too) a process may have open, and what that means for a peer. With too few a peer can't
 * answer, link with others, or read its own disk, and each start of a run may be the one that fails.
 */

/** Each run needs some; connections of peers and callers as many again. */
const perRun = 8;
const beside = 256;
/** An idle peer that is alone has about 45 open. Below this it has too few to be relied on, so it takes no ticks. */
const leastForTicks = 128;

export function descriptorsWanted(capacity: number): number {
  return beside + capacity * perRun;
}

/** The soft limit with that name in the text of `/proc/PID/limits`. */
export function limitIn(text: string, name: string): number {
  const soft = new RegExp(`^${name} +(\\S+)`, "m").exec(text)?.[1];
  return soft === undefined || soft === "unlimited" ? Infinity : Number(soft);
}

/** Whether a process with that limit is too poor to take ticks. */
export function isTooFew(limit: number): boolean {
  return limit < leastForTicks;
}

/** What a person should know about the limit; undefined = it is enough. */
export function describeFew(limit: number, capacity: number): string | undefined {
  const wanted = descriptorsWanted(capacity);
  if (limit >= wanted) return undefined;
  const what = `this peer may have only ${limit.toLocaleString("en")} files open, and ${wanted.toLocaleString("en")} are wanted for`;
  const effect = isTooFew(limit) ? "it takes no ticks" : "runs may fail to start";
  return `${what} ${capacity} runs at once: ${effect}. Raise LimitNOFILE= in the unit, or ulimit -n before the start`;
}
