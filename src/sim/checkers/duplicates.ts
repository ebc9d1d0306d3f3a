/**
 * I3, bounded duplicates, and I11, zombies.
 *
 * I3: an order (job, tick, attempt, slot) starts at most once on each peer that has no duplicate identity, and at most once
 * in each component. A component is a set of peers that could talk to each other, by way of at most two others, from 15
 * s before the first start until the last one. A peer that was down, paused or disturbed in that time counts as a
 * component of its own. So without faults an order starts at most once (I1 requires at least once).
 *
 * I11: for 10 s after a peer resumes from a pause of more than 5 s, or is started again, it starts nothing that another
 * peer had already started, if the two could talk since then.
 */
import type { PeerId } from "../../schema/ids.ts";
import { orderName, type Breach, type Evidence, type Outage } from "../world/truth.ts";
import { hadDuplicateIdentity, knewEachOther, longPauses, orphanMs, together } from "./surroundings.ts";
import { groupRuns } from "./ticks.ts";

const beforeMs = 15_000;
const suspectMs = 5_000;
const watchedMs = 10_000;

export function checkDuplicates(evidence: Evidence): Breach[] {
  const breaches: Breach[] = [];
  for (const [order, runs] of groupRuns(evidence, orderName)) {
    if (runs.length < 2) continue;
    const first = Math.min(...runs.map((run) => run.start));
    const last = Math.max(...runs.map((run) => run.start));
    const peers = runs.map((run) => run.peer);
    const repeated = peers.find((peer, index) => peers.indexOf(peer) !== index);
    if (repeated !== undefined && wasRestored(evidence, repeated, first, last)) continue;
    if (repeated !== undefined && hadDuplicateIdentity(evidence, repeated, first - beforeMs, last)) continue;
    if (repeated !== undefined) {
      breaches.push({ rule: "I3", at: first, what: `${order} started twice on ${repeated}` });
      continue;
    }
    const talked = pairsOf(peers).find(([one, other]) =>
      together(evidence, one, other, first - beforeMs, last),
    );
    if (talked !== undefined) {
      const what = `${order} started on ${peers.join(", ")}, although ${talked.join(" and ")} could talk to each other`;
      breaches.push({ rule: "I3", at: first, what });
    }
  }
  return breaches;
}

function pairsOf(peers: readonly PeerId[]): (readonly [PeerId, PeerId])[] {
  return peers.flatMap((one, index) => peers.slice(index + 1).map((other) => [one, other] as const));
}

/** A peer whose disk was restored to a state from before the first start can't know of that start. */
function wasRestored(evidence: Evidence, peer: PeerId, first: number, last: number): boolean {
  return (evidence.rollbacks ?? []).some(
    ({ peer: whose, startedAt }) => whose === peer && startedAt >= first - orphanMs && startedAt <= last,
  );
}

export function checkZombies(evidence: Evidence): Breach[] {
  const byOrder = groupRuns(evidence, orderName);
  const breaches: Breach[] = [];
  for (const pause of [...longPauses(evidence, suspectMs), ...restarts(evidence)]) {
    const woken = evidence.runs.filter(
      ({ peer, start }) => peer === pause.peer && start >= pause.to && start <= pause.to + watchedMs,
    );
    for (const run of woken) {
      const others = byOrder.get(orderName(run)) ?? [];
      const earlier = others.find(
        (other) =>
          other.peer !== run.peer &&
          other.start < pause.to &&
          !wasRestored(evidence, other.peer, other.start, run.start) &&
          heard(evidence, other.peer, pause.peer, pause.to, run.start),
      );
      if (earlier === undefined) continue;
      const since = pause.kind === "paused" ? "pause" : "restart";
      const what = `${orderName(run)} started on ${run.peer} just after its ${since}, and earlier on ${earlier.peer}`;
      breaches.push({ rule: "I11", at: run.start, what });
    }
  }
  return breaches;
}

function restarts(evidence: Evidence): Outage[] {
  return evidence.outages.filter(({ kind, to }) => kind === "down" && to < Infinity);
}

/**
 * True if the two could talk since the end of the pause and knew of each other. (A peer warms up with those that it
 * knows. The instant at which the pause ends does not count as paused.)
 */
function heard(evidence: Evidence, a: PeerId, b: PeerId, from: number, to: number): boolean {
  if (!knewEachOther(evidence, a, b, from)) return false;
  return together(evidence, a, b, from + 1, Math.max(to, from + 1));
}
