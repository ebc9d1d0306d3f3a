/**
 * Gives back the memory that only the start needed: what was read from the disk, code that runs once, and the gaps that both leave.
 * By itself V8 keeps all of this until the heap has grown by half, which an idle peer never does: 8 MiB without jobs, and 120 with
 * 100,000. It takes 0.1 s, or 1 s with 100,000 jobs, so it is done once, before the peer is ready. The launcher and the thread that
 * writes, which live as long as the peer, each give back 2 MiB.
 */
import { setFlagsFromString } from "node:v8";

/** After how many rounds of the collector V8 gives up the code of a function that nobody has called meanwhile; V8's own number. */
const usualRounds = 6;

export function giveBackMemory(): void {
  setFlagsFromString("--bytecode-old-age=1");
  // It exists in a peer that cicada.mjs has started with its flags. A peer inside a test continues without it.
  globalThis.gc?.({ type: "major", flavor: "last-resort", execution: "sync" });
  setFlagsFromString(`--bytecode-old-age=${usualRounds}`);
}
