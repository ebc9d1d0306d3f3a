/**
 * I10, overlap: of a job that does not allow it, no two runs are on at once within a component.
 *
 * Two runs are held against each other when both of their peers could talk to each other, directly or round by others,
 * all through from 15 s before the earlier start to the later one; or when both were started by one life of one peer.
 * They are not while much gossip is being lost: timely claims travel by gossip alone, and two peers that don't hear of each
 * other's claim both start. Where a little is lost all the time, the next heartbeats make up for it, so only starts that
 * are close together are excused.
 */
import type { JobId } from "../../schema/ids.ts";
import type { Breach, Evidence, JobRules, Run } from "../world/truth.ts";
import { together } from "./surroundings.ts";
import { groupRuns } from "./ticks.ts";
import { perhapsInForce } from "./requests.ts";

const beforeMs = 15_000;
/** Two heartbeats show that something was lost, and then it is fetched. */
const madeUpMs = 3_000;

export function checkOverlap(evidence: Evidence): Breach[] {
  const breaches: Breach[] = [];
  for (const [job, runs] of groupRuns(evidence, (run) => run.job)) {
    if (mayOverlap(perhapsInForce(evidence, job as JobId).map(({ rules }) => rules))) continue;
    const inOrder = runs.toSorted((a, b) => a.start - b.start);
    for (const [index, run] of inOrder.entries()) {
      for (const earlier of inOrder.slice(Math.max(0, index - 20), index)) {
        if ((earlier.end ?? Infinity) <= run.start || !held(evidence, earlier, run)) continue;
        const what = `${job}@${run.tick} started on ${run.peer} while ${earlier.tick} was on on ${earlier.peer}`;
        breaches.push({ rule: "I10", at: run.start, what });
      }
    }
  }
  return breaches;
}

function mayOverlap(rules: readonly JobRules[]): boolean {
  return rules.length === 0 || rules.some(({ overlap }) => overlap === "allow");
}

/** Two starts of one tick are duplicates, which I3 judges. */
function held(evidence: Evidence, earlier: Run, later: Run): boolean {
  if (earlier.tick === later.tick) return false;
  if (earlier.peer === later.peer) return earlier.life === later.life;
  const from = earlier.start - beforeMs;
  if (evidence.gossipIsLost === true && later.start - earlier.start < madeUpMs) return false;
  const unheard = evidence.faultWindows.some(
    (window) => window.kind === "lossy network" && window.from <= later.start && window.to >= from,
  );
  return !unheard && together(evidence, earlier.peer, later.peer, from, later.start);
}
