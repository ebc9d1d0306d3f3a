/**
 * I10, overlap: if a job does not allow overlap, no two of its runs go on at once within a component.
 *
 * Two runs are compared if their peers could talk to each other, directly or by way of others, from 15 s before the
 * earlier start until the later one, or if one process started both. A tick with several runs is one unit: between two of
 * them no other tick of its job begins, if nothing at all was disturbed. They are not compared while much gossip is lost:
 * timely claims travel by gossip only, so two peers that don't receive each other's claim both start. If a little
 * gossip is lost all the time, the next heartbeats make up for it, so only starts close together are excused. A run of a
 * peer that a person has forgotten meanwhile counts as lost, although its child may go on.
 */
import type { JobId, PeerId } from "../../schema/ids.ts";
import type { JobRules } from "../world/requests.ts";
import type { Breach, Evidence, Run } from "../world/truth.ts";
import { together, workers } from "./surroundings.ts";
import { dueOf, groupRuns } from "./ticks.ts";
import { perhapsInForce } from "./requests.ts";

const beforeMs = 15_000;
/** Within this time two heartbeats show that something was lost, and it is fetched, ms. */
const madeUpMs = 3_000;

export function checkOverlap(evidence: Evidence): Breach[] {
  const breaches: Breach[] = [];
  for (const [job, runs] of groupRuns(evidence, (run) => run.job)) {
    if (mayOverlap(perhapsInForce(evidence, job as JobId).map(({ rules }) => rules))) continue;
    const inOrder = runs.toSorted((a, b) => a.start - b.start);
    for (const [index, run] of inOrder.entries()) {
      for (const earlier of inOrder.slice(Math.max(0, index - 20), index)) {
        if ((earlier.end ?? Infinity) <= run.start || !held(evidence, earlier, run)) continue;
        const what = `${job}@${run.tick} started on ${run.peer} while ${earlier.tick} was running on ${earlier.peer}`;
        breaches.push({ rule: "I10", at: run.start, what });
      }
    }
  }
  return [...breaches, ...checkUnits(evidence)];
}

function checkUnits(evidence: Evidence): Breach[] {
  const disturbances = [...evidence.outages, ...evidence.cuts, ...evidence.faultWindows];
  const isCalm = (from: number, to: number) =>
    !disturbances.some((disturbance) => disturbance.from <= to && disturbance.to >= from);
  return [...groupRuns(evidence, (run) => run.job)].flatMap(([job, runs]) => {
    const rules = perhapsInForce(evidence, job as JobId).map((span) => span.rules);
    if (mayOverlap(rules) || rules.some(isNoUnit)) return [];
    const awaitsPeers = rules.some(({ onAll }) => (onAll?.offlineMs ?? 0) > 0);
    // A run that only waits for a drained peer holds up no other tick.
    const wasAwaited = (run: Run) =>
      awaitsPeers && workers(evidence, [run.peer], dueOf(evidence, run)).length === 0;
    const inTime = runs.filter((run) => !wasAwaited(run));
    const ticks = [...Map.groupBy(inTime, ({ tick }) => tick)].map(([tick, some]) => {
      const starts = some.map(({ start }) => start);
      return { tick, from: Math.min(...starts), to: Math.max(...starts) };
    });
    return ticks.flatMap(({ tick, from, to }) =>
      ticks
        .filter((other) => other.from > from && other.from < to && isCalm(from - beforeMs, to))
        .map((other) => ({
          rule: "I10" as const,
          at: other.from,
          what: `${job}@${other.tick} began between two runs of ${tick}`,
        })),
    );
  });
}

/** Whether the job's ticks have one run each, or a newer tick takes the place of another. */
function isNoUnit({ count = 1, onAll, overlap }: JobRules): boolean {
  return (count === 1 && onAll === undefined) || overlap === "replace";
}

function mayOverlap(rules: readonly JobRules[]): boolean {
  return rules.length === 0 || rules.some(({ overlap }) => overlap === "allow");
}

/** True if the two runs must not overlap. Two starts of one tick are duplicates, which I3 judges. */
function held(evidence: Evidence, earlier: Run, later: Run): boolean {
  return earlier.tick !== later.tick && couldKnow(evidence, earlier, later);
}

/** True if the peer of the later run could know of the earlier one, or one process started both. */
export function couldKnow(evidence: Evidence, earlier: Run, later: Run): boolean {
  if (wasForgotten(evidence, earlier.peer, later.start)) return false;
  if (earlier.peer === later.peer) return earlier.life === later.life;
  const from = earlier.start - beforeMs;
  if (evidence.gossipIsLost === true && later.start - earlier.start < madeUpMs) return false;
  const unheard = evidence.faultWindows.some(
    (window) => window.kind === "lossy network" && window.from <= later.start && window.to >= from,
  );
  return !unheard && together(evidence, earlier.peer, later.peer, from, later.start);
}

function wasForgotten({ operations }: Evidence, peer: PeerId, at: number): boolean {
  return operations.some(
    ({ request, accepted, askedAt, answeredAt }) =>
      request.kind === "forget" &&
      request.target === peer &&
      askedAt <= at &&
      (accepted || answeredAt === undefined),
  );
}
