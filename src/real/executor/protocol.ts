/**
 * What the peer's process and its launcher say to each other: one JSON object a line, over the launcher's standard
 * input and output. The pipe is also the bond between the two: when it closes, the peer is gone.
 */
import type { ChildOutcome, RunSpec } from "../../ports.ts";
import type { RunId } from "../../schema/ids.ts";

export type ToLauncher =
  | { kind: "launch"; spec: RunSpec; logFile: string }
  | { kind: "stop"; run: RunId }
  /** End what is left of these runs, and say which of them have a log. */
  | { kind: "sweep"; id: number; runs: { run: RunId; logFile: string }[] }
  /** Take no more runs, end those that are on, then leave. */
  | { kind: "close" };

export type FromLauncher =
  | { kind: "started"; run: RunId; pid: number; at: number }
  | { kind: "ended"; run: RunId; outcome: ChildOutcome; at: number }
  | { kind: "swept"; id: number; started: RunId[] };

/**
 * Reads a line. Undefined when it is cut off, as the last one is when its writer is killed while it writes. A whole
 * line is taken at its word: it comes from the other half of the same program.
 */
export function readLine<Message extends ToLauncher | FromLauncher>(line: string): Message | undefined {
  try {
    return JSON.parse(line) as Message;
  } catch {
    return undefined;
  }
}
