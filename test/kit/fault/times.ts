/**
 * Waits of a fixed length in the fault rounds. Their length is part of the case. A test that waits until something has
 * happened uses `until`, which has a limit and says in vain for what it waited.
 */
import { setTimeout as passes } from "node:timers/promises";

/** The fault that was begun goes on for so long. */
export function faultLastsFor(ms: number): Promise<void> {
  return passes(ms);
}

/** Nothing is done to the peers for so long; what they do wrong in this time is seen by the judges. */
export function quietFor(ms: number): Promise<void> {
  return passes(ms);
}
