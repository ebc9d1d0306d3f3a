/**
 * Waits of a fixed length in the fault rounds, where the length is part of the case. A test that waits for something to
 * happen uses `until`, which has a limit and names what did not come.
 */
import { setTimeout as passes } from "node:timers/promises";

/** The present fault lasts for this long. */
export function faultLastsFor(ms: number): Promise<void> {
  return passes(ms);
}

/** Nothing is done to the peers for this long; the judges see what they do wrong in this time. */
export function quietFor(ms: number): Promise<void> {
  return passes(ms);
}
