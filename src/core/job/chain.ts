/**
 * What the ends of its parents mean for a tick of a job that runs after them (`after`). A pure rule.
 *
 * The tick's final word counts, and not each attempt's. A parent that was skipped or missed, or has no such tick, decides the
 * tick at once: it is skipped. Otherwise the tick waits until all parents have ended. If one of a parent's several runs was
 * skipped or missed and another has ended, that parent fulfils only `always`.
 */
import type { JobId } from "../../schema/ids.ts";
import type { JobSpec } from "../../schema/job.ts";
import type { RunState } from "../../schema/run-states.ts";

export type ChainCondition = "success" | "failure" | "always";

export interface After {
  readonly jobs: readonly JobId[];
  readonly on: ChainCondition;
}

/** The final word about a parent's tick. */
export interface ParentEnd {
  readonly state: RunState;
  /** when it ended, ms */
  readonly at: number;
  /** one of its slots has run, although the tick counts as skipped or missed, because of another one */
  readonly hasRun?: true;
}

/** `absent`: the parent has no such tick. `not-run`: it has the tick, a past one, and nothing is known of a run. */
export type ParentTick = ParentEnd | "undecided" | "absent" | "not-run";

/** `due`: when the last parent ended, ms. */
export type ChainVerdict =
  | { readonly kind: "run"; readonly due: number }
  | { readonly kind: "skip"; readonly due: number; readonly reason: string };

export function afterOf({ after }: Pick<JobSpec, "after">): After | undefined {
  return after === undefined ? undefined : { jobs: [...new Set(after.jobs)], on: after.on ?? "success" };
}

const fulfilling: Readonly<Record<ChainCondition, ReadonlySet<RunState>>> = {
  success: new Set<RunState>(["succeeded"]),
  failure: new Set<RunState>(["failed", "timeout", "lost"]),
  always: new Set<RunState>(["succeeded", "failed", "timeout", "lost", "cancelled"]),
};

/** How the reason of a tick that is skipped because of a parent describes that parent's end. */
const ends: Readonly<Partial<Record<RunState, string>>> = {
  succeeded: "succeeded",
  failed: "failed",
  timeout: "timed out",
  cancelled: "was cancelled",
  lost: "was lost",
  skipped: "was skipped",
  missed: "was missed",
};

/** The beginning of every reason of a tick that is skipped because of a parent. */
export const parentReason = "parent ";

/** Undefined = the tick waits for some of its parents. */
export function chainVerdict(
  { jobs, on }: After,
  tickOf: (parent: JobId) => ParentTick,
): ChainVerdict | undefined {
  const parents = jobs.map((job) => ({ job, tick: tickOf(job) }));
  const due = Math.max(...parents.map(({ tick }) => (typeof tick === "string" ? -Infinity : tick.at)));
  const skip = ({ job, tick }: (typeof parents)[number]): ChainVerdict => ({
    kind: "skip",
    due,
    reason: reasonOf(job, tick),
  });
  const without = parents.find(({ tick }) => tick !== "undecided" && !hasRun(tick, on));
  if (without !== undefined) return skip(without);
  if (parents.some(({ tick }) => tick === "undecided")) return undefined;
  const unfulfilled = parents.find(({ tick }) => typeof tick !== "string" && !fulfils(tick, on));
  return unfulfilled === undefined ? { kind: "run", due } : skip(unfulfilled);
}

function hasRun(tick: ParentTick, on: ChainCondition): boolean {
  return typeof tick !== "string" && (isEndOfRun(tick.state) || fulfils(tick, on));
}

function fulfils({ state, hasRun: isRunInPart }: ParentEnd, on: ChainCondition): boolean {
  return fulfilling[on].has(state) || (on === "always" && isRunInPart === true);
}

/** Whether it ended as a run does, which a tick that was skipped or missed doesn't. */
export function isEndOfRun(state: RunState): boolean {
  return fulfilling.always.has(state);
}

/** What is said of a job whose parent is not there. */
export function missingParent(parent: JobId): string {
  return `it runs after "${parent}", and there is no such job`;
}

function reasonOf(job: JobId, tick: ParentTick): string {
  if (tick === "not-run") return `${parentReason}${job} has not run that tick`;
  if (typeof tick === "string") return `${parentReason}${job} has no such tick`;
  return `${parentReason}${job} ${ends[tick.state] ?? tick.state}`;
}
