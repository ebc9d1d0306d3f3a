/**
 * What a due run does while another run of its job is in progress (the job's `overlap`). A pure rule.
 *
 * "In progress" means running on any peer, or claimed with a lease that still holds and going first. Which of two claims goes first
 * follows from the claims themselves, so two peers that each hold one never wait for each other.
 */
import type { JobSpec } from "../../schema/job.ts";

/** Another order of the same job that a peer runs, has claimed, or asks about. */
export interface Contender {
  /** false = claimed or asked about, not started */
  running: boolean;
  /** its claim is held back behind an earlier run */
  waiting: boolean;
  /** no run of its tick has begun, and it waits for a slot of its pool or for a place on its peer */
  awaitsPlace?: boolean;
  /** it goes before the order in question */
  earlier: boolean;
  /** it is due now */
  isDue: boolean;
  /** a person has asked for its tick again */
  isBackfill?: boolean;
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
      // One tick may wait: for a run, or for a slot or a place.
      if (running && others.some((other) => other.waiting && other.earlier)) return "skip";
      if (others.some((other) => other.awaitsPlace === true && other.earlier)) return "skip";
      return running || earlier ? "wait" : "go";
    case "replace":
      // The newest order replaces those that run and those that still wait. So an order is skipped when a newer one is about
      // to start; otherwise both would start.
      if (newer) return "skip";
      if (running) return "replace";
      return others.some((other) => !other.running && other.earlier && !other.waiting) ? "wait" : "go";
  }
}

/**
 * Whether it is a tick of a backfill that runs, or is about to. Whatever the policy says, a live tick waits for it, because
 * nobody chose this moment for the backfill's tick. Ticks of a backfill that are held go behind the live ticks.
 */
export function isBackfillOn({ isBackfill, running, waiting, isDue }: Contender): boolean {
  return isBackfill === true && (running || (isDue && !waiting));
}

/** The live ones. `onBackfill` is called if there is a backfill for which a live tick waits. */
export function* withoutBackfills(all: Iterable<Contender>, onBackfill: () => void): Generator<Contender> {
  for (const one of all) {
    if (one.isBackfill !== true) yield one;
    else if (isBackfillOn(one)) onBackfill();
  }
}

/**
 * The ticks of a backfill run one after the other, and behind their job's live ticks. No live tick runs at the same time, unless
 * the job allows overlaps.
 */
export function overlapOfBackfill(
  policy: NonNullable<JobSpec["overlap"]>,
  others: Iterable<Contender>,
): OverlapVerdict {
  for (const { isBackfill, running, earlier, isDue } of others) {
    if (isBackfill !== true && policy === "allow") continue;
    if (running || (isBackfill === true ? earlier : isDue)) return "wait";
  }
  return "go";
}
