/**
 * Gives back the memory that only the start needed: what was read from the disk, code that runs once, and the gaps that both leave.
 * By itself V8 keeps all of this until the heap has grown by half, which an idle peer never does: 8 MiB without jobs, and 120 with
 * 100,000. It takes 0.1 s, or 1 s with 100,000 jobs, so it is done once, before the peer is ready. The launcher and the thread that
 * writes, which live as long as the peer, each give back 2 MiB.
 */
import { setFlagsFromString } from "node:v8";

/** After how many rounds of the collector V8 gives up the code of a function that nobody has called meanwhile; V8's own number. */
const usualRounds = 6;

/**
 * Ends the room for a start that cicada.mjs has given to V8, and gives back what the start left. From then on young objects keep
 * their 1 MiB, which would grow to 32 in any burst of work, such as a flood of connections; and old objects are collected when
 * there are half as many again as are in use, where V8 waits until there are up to four times as many. A peer that somebody has
 * started with settings of their own keeps those.
 */
export function staySmall(): void {
  if (globalThis.gc === undefined) return;
  setFlagsFromString("--semi-space-growth-factor=1");
  setFlagsFromString("--heap-growing-percent=50");
  giveBackMemory();
}

export function giveBackMemory(): void {
  setFlagsFromString("--bytecode-old-age=1");
  // It exists in a peer that cicada.mjs has started with its flags. A peer inside a test continues without it.
  globalThis.gc?.({ type: "major", flavor: "last-resort", execution: "sync" });
  setFlagsFromString(`--bytecode-old-age=${usualRounds}`);
}
