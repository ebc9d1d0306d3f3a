/**
 * I3, bounded duplicates, and I11, zombies.
 *
 * I3: one order (job, tick, attempt) starts at most once on each peer that has no duplicate, and at most as often as there
 * were components around its starts: sets of peers that could talk to each other, round by two others at most, all
 * through from 15 s before the first start to the last one. A peer that was down, paused or disturbed in that time
 * counts as a component of its own. So in a time without faults it starts at most once (I1 requires at least once).
 *
 * I11: a peer that was paused for more than 5 s, or was not there at all, starts nothing, in the 10 s after it goes on,
 * that another peer had started before that, provided that the two could talk ever since it went on.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Breach, Evidence, Outage, Run } from "../world/truth.ts";
import { hadDuplicateIdentity, knewEachOther, longPauses, orphanMs, together } from "./surroundings.ts";
import { groupRuns } from "./ticks.ts";

const beforeMs = 15_000;
const suspectMs = 5_000;
const watchedMs = 10_000;

function orderOf(run: Run): string {
  return `${run.job}@${run.tick}~${run.attempt}`;
}

export function checkDuplicates(evidence: Evidence): Breach[] {
  const breaches: Breach[] = [];
  for (const [order, runs] of groupRuns(evidence, orderOf)) {
    if (runs.length < 2) continue;
    const first = Math.min(...runs.map((run) => run.start));
    const last = Math.max(...runs.map((run) => run.start));
    const peers = runs.map((run) => run.peer);
    const repeated = peers.find((peer, index) => peers.indexOf(peer) !== index);
    if (repeated !== undefined && wasPutBack(evidence, repeated, first, last)) continue;
    if (repeated !== undefined && hadDuplicateIdentity(evidence, repeated, first - beforeMs, last)) continue;
    if (repeated !== undefined) {
      breaches.push({ rule: "I3", at: first, what: `${order} started twice on ${repeated}` });
      continue;
    }
    const talked = pairsOf(peers).find(([one, other]) =>
      together(evidence, one, other, first - beforeMs, last),
    );
    if (talked !== undefined) {
      const what = `${order} started on ${peers.join(", ")}, of which ${talked.join(" and ")} could talk all along`;
      breaches.push({ rule: "I3", at: first, what });
    }
  }
  return breaches;
}

function pairsOf(peers: readonly PeerId[]): (readonly [PeerId, PeerId])[] {
  return peers.flatMap((one, index) => peers.slice(index + 1).map((other) => [one, other] as const));
}

/** A peer whose disk was put back to what it was before the first start can't know of it. */
function wasPutBack(evidence: Evidence, peer: PeerId, first: number, last: number): boolean {
  return (evidence.rollbacks ?? []).some(
    ({ peer: whose, startedAt }) => whose === peer && startedAt >= first - orphanMs && startedAt <= last,
  );
}

export function checkZombies(evidence: Evidence): Breach[] {
  const byOrder = groupRuns(evidence, orderOf);
  const breaches: Breach[] = [];
  for (const pause of [...longPauses(evidence, suspectMs), ...restarts(evidence)]) {
    const woken = evidence.runs.filter(
      ({ peer, start }) => peer === pause.peer && start >= pause.to && start <= pause.to + watchedMs,
    );
    for (const run of woken) {
      const others = byOrder.get(orderOf(run)) ?? [];
      const earlier = others.find(
        (other) =>
          other.peer !== run.peer &&
          other.start < pause.to &&
          !wasPutBack(evidence, other.peer, other.start, run.start) &&
          heard(evidence, other.peer, pause.peer, pause.to, run.start),
      );
      if (earlier === undefined) continue;
      const since = pause.kind === "paused" ? "pause" : "restart";
      const what = `${orderOf(run)} started on ${run.peer} just after its ${since}, and before on ${earlier.peer}`;
      breaches.push({ rule: "I11", at: run.start, what });
    }
  }
  return breaches;
}

function restarts(evidence: Evidence): Outage[] {
  return evidence.outages.filter(({ kind, to }) => kind === "down" && to < Infinity);
}

/**
 * Could the two talk from the end of the pause on, and did they know of each other? (A peer warms up with those that it
 * knows. The moment of the pause's end itself does not count as paused.)
 */
function heard(evidence: Evidence, a: PeerId, b: PeerId, from: number, to: number): boolean {
  if (!knewEachOther(evidence, a, b, from)) return false;
  return together(evidence, a, b, from + 1, Math.max(to, from + 1));
}
