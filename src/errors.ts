/**
 * The two kinds of failure. What can happen in the world is a `CicadaError` with a code of errors/table.ts, or a plain value.
 * What can't happen is an assertion, which stops the program.
 */
import { errorTable, type ErrorCode } from "./errors/table.ts";
import type { Problem } from "./schema/job.ts";

/** A failure that a person can meet. `detail` says what happened this time; the hint says what to do. */
export class CicadaError extends Error {
  override readonly name = "CicadaError";
  readonly code: ErrorCode;
  readonly detail: string;
  readonly problems: readonly Problem[];

  constructor(code: ErrorCode, detail: string, problems: readonly Problem[] = []) {
    super(`${errorTable[code].title}: ${detail}`);
    this.code = code;
    this.detail = detail;
    this.problems = problems;
  }

  get hint(): string {
    return errorTable[this.code].hint;
  }

  /** The exit code of the command line. */
  get exit(): number {
    return errorTable[this.code].exit;
  }
}

/**
 * Something impossible has happened. The handler that catches this ends the peer, because nothing may continue from
 * such a state.
 */
export class AssertionFailed extends Error {
  override readonly name = "AssertionFailed";
}

/**
 * Stops the program when something impossible happens. The product and the simulator do the same: a peer whose own
 * rules contradict each other must not keep deciding who runs people's jobs.
 */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailed(`assertion failed: ${message}`);
}

/** For the `default` of a switch over a union: compiles only when every case is handled. */
export function never(value: never): never {
  throw new AssertionFailed(`assertion failed: unexpected ${JSON.stringify(value)}`);
}
