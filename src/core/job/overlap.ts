/**
 * What a run that is due does while another of its job is on (INTERFACE, `overlap`). A pure table.
 *
 * "On" means running anywhere, or claimed by a peer that holdsLease its claim and goes first. Which of two claims goes
 * first is read out of the claims themselves, so two peers that each hold one never wait for each other.
 */
import type { JobSpec } from "../../schema/job.ts";

/** Another order of the same job that somebody holds. */
export interface Contender {
  /** false = claimed, not started */
  running: boolean;
  /** its claim is held back behind an earlier run */
  waiting: boolean;
  /** it goes before the order in question */
  earlier: boolean;
  /** its time has come */
  isDue: boolean;
}

export type OverlapVerdict = "go" | "wait" | "skip" | "replace";

export function overlapVerdict(
  policy: NonNullable<JobSpec["overlap"]>,
  others: readonly Contender[],
): OverlapVerdict {
  if (policy === "allow") return "go";
  const running = others.some((other) => other.running);
  const earlier = others.some((other) => !other.running && other.earlier);
  const newer = others.some((other) => !other.running && !other.earlier && (other.waiting || other.isDue));
  switch (policy) {
    case "skip":
      return running || earlier ? "skip" : "go";
    case "queue-all":
      return running || earlier ? "wait" : "go";
    case "queue":
      if (running && others.some((other) => other.waiting && other.earlier)) return "skip";
      return running || earlier ? "wait" : "go";
    case "replace":
      // The newest replaces whatever runs, and whatever still waits to: so one that waited goes no more when a newer
      // one is about to, or both would start.
      if (newer) return "skip";
      if (running) return "replace";
      return others.some((other) => !other.running && other.earlier && !other.waiting) ? "wait" : "go";
  }
}
