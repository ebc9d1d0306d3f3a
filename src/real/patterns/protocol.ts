/** The messages between the peer and a worker that matches patterns. A worker has one task at a time. */
import type { PatternRule } from "../../ports/patterns.ts";

export type PatternTask =
  /** Is each of them a pattern? */
  | { kind: "check"; patterns: readonly string[] }
  | {
      kind: "judge";
      rules: readonly PatternRule[];
      file: string;
      /** where the body begins in the output, bytes */
      bodyFrom: number;
      /** the file has a line that says how much was not kept */
      isCut: boolean;
    };

/** Sent when a worker begins a task. Until then it may have waited for the processor. */
export const begun = "begun";

/**
 * For a check: what is wrong with each pattern. For a judgement: the first rule that is broken, in words, or why the output
 * can't be read.
 */
export type PatternAnswer =
  | { problems: (string | null)[] }
  | { broken: string | null }
  | { unreadable: string };
