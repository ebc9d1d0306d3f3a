/**
 * What happens to ticks that are more than 30 s overdue because no peer could run them (the job's `catchUp`). A pure rule: the
 * same ticks, policy and `now` give the same verdicts on every peer.
 */
import type { Plan } from "./plan.ts";

export type CatchUpVerdict =
  | { run: true }
  | { run: false; reason: "policy" | "window" | "superseded" | "limit" };

/**
 * Verdicts for the overdue ticks of one job, by when they were due (ms, oldest first). `newest` is when the job's newest
 * tick at or before `now` that is not skipped by a person or a stop was due, whatever else happened to it: under `latest` it
 * supersedes all ticks before it.
 */
export function catchUp(
  policy: Plan["catchUp"],
  overdue: readonly number[],
  newest: number,
  now: number,
): CatchUpVerdict[] {
  return overdue.map((instant, place) => {
    if (policy.policy === "none") return { run: false, reason: "policy" };
    if (now - instant > policy.windowMs) return { run: false, reason: "window" };
    if (policy.policy === "latest" && instant < newest) return { run: false, reason: "superseded" };
    if (overdue.length - place > policy.limit) return { run: false, reason: "limit" };
    return { run: true };
  });
}
