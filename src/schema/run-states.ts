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

/** The states of ticks that went wrong. */
export const wrongStates = ["failed", "timeout", "lost", "missed"] as const satisfies readonly RunState[];
export type WrongState = (typeof wrongStates)[number];

export function isWrong(state: RunState): state is WrongState {
  return (wrongStates as readonly RunState[]).includes(state);
}
