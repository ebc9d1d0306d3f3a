/** The states of a run, and which of them are ends. */
export const runStates = [
  "claimed",
  "running",
  "succeeded",
  "failed",
  "timeout",
  "cancelled",
  "lost",
  "skipped",
  "missed",
  "withdrawn",
] as const;
export type RunState = (typeof runStates)[number];

export function isFinal(state: RunState): boolean {
  return state !== "claimed" && state !== "running";
}
