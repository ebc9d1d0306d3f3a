/**
 * I3 and I1 for past ticks that a person has asked for again.
 *
 * I3: however often a tick was asked for, and wherever, it starts at most once on peers that could talk to each other from before
 * the first request until the last start. I1: a tick of a job that was surely in force to the end, asked for at a peer that is up
 * at the end, starts within ten minutes in which the job had time.
 */
import type { JobId } from "../../schema/ids.ts";
import { backfilledInstant } from "../../schema/backfill.ts";
import type { Operation } from "../world/requests.ts";
import type { Breach, Evidence, Run } from "../world/truth.ts";
import { perhapsInForce, surelyInForce } from "./requests.ts";
import { hadDuplicateIdentity, together } from "./surroundings.ts";
import { firstAttempts } from "./ticks.ts";

const withinMs = 600_000;
/** The share of the time for which other runs may keep the job busy, 0 to 1. */
const busyShare = 0.5;
const beforeMs = 15_000;

/** The requests for that past tick (ms) that were not refused. */
export function requestsOf(evidence: Evidence, job: JobId, tick: number): Operation[] {
  return evidence.operations.filter(
    ({ request, accepted, answeredAt }) =>
      request.kind === "backfill" &&
      request.id === job &&
      request.ticks.includes(tick) &&
      (accepted || answeredAt === undefined),
  );
}

export function checkBackfills(evidence: Evidence): Breach[] {
  const made = firstAttempts(evidence.runs).filter(({ tick }) => backfilledInstant(tick) !== undefined);
  const byTick = Map.groupBy(made, ({ job, tick }) => `${job}@${backfilledInstant(tick)}`);
  return [...twice(evidence, byTick), ...never(evidence, byTick)];
}

function twice(evidence: Evidence, byTick: ReadonlyMap<string, readonly Run[]>): Breach[] {
  if ((evidence.rollbacks ?? []).length > 0) return [];
  const breaches: Breach[] = [];
  for (const [name, runs] of byTick) {
    const sorted = runs.toSorted((a, b) => a.start - b.start);
    const [first] = sorted;
    // Two starts of one order are for duplicates.ts; the slots of a tick run side by side.
    const second = sorted.find(({ tick }) => tick !== first?.tick);
    if (first === undefined || second === undefined) continue;
    if (mayFollowTwice(evidence, first.job)) continue;
    const past = backfilledInstant(first.tick) ?? 0;
    const asked = withAncestors(evidence, first.job).flatMap((job) => requestsOf(evidence, job, past));
    const from = Math.min(first.start, ...asked.map(({ askedAt }) => askedAt)) - beforeMs;
    const peers = [...new Set([first.peer, second.peer, ...asked.map(({ peer }) => peer)])];
    if (peers.some((peer) => hadDuplicateIdentity(evidence, peer, from, second.start))) continue;
    const talked = peers.every((one) =>
      peers.every((other) => one === other || together(evidence, one, other, from, second.start)),
    );
    if (!talked) continue;
    const what = `${name} was backfilled on ${first.peer} and on ${second.peer}, which could talk to each other`;
    breaches.push({ rule: "I3", at: second.start, what });
  }
  return breaches;
}

/**
 * Whether the job may run after a parent's tick that has no run. Then it may follow a request whose tick was lost before its
 * start, and also the next request, whose tick runs.
 */
function mayFollowTwice(evidence: Evidence, job: JobId): boolean {
  return perhapsInForce(evidence, job).some(
    ({ rules: { after } }) => after !== undefined && after.on !== "success",
  );
}

/** The job, and those that it runs after, directly or not, by any rules that may have been in force. */
function withAncestors(evidence: Evidence, job: JobId): JobId[] {
  const found = new Set([job]);
  for (const one of found)
    for (const { rules } of perhapsInForce(evidence, one))
      for (const parent of rules.after?.jobs ?? []) found.add(parent);
  return [...found];
}

function never(evidence: Evidence, byTick: ReadonlyMap<string, readonly Run[]>): Breach[] {
  if (evidence.crowded === true) return [];
  return evidence.operations.flatMap((operation): Breach[] => {
    const { request, accepted, answeredAt, peer } = operation;
    if (request.kind !== "backfill" || !accepted || answeredAt === undefined) return [];
    const span = surelyInForce(evidence, request.id).find(
      ({ from, to }) => from <= answeredAt && to >= evidence.to,
    );
    if (span === undefined || answeredAt > evidence.to - withinMs) return [];
    const { partition, peers, pool, overlap } = span.rules;
    if (partition !== undefined || peers !== undefined || pool !== undefined) return [];
    if (evidence.outages.some((outage) => outage.peer === peer && outage.to > evidence.to - withinMs))
      return [];
    if ((evidence.rollbacks ?? []).some((one) => one.peer === peer)) return [];
    if (overlap !== "allow" && isBusy(evidence, request.id)) return [];
    return request.ticks
      .filter((tick) => !byTick.has(`${request.id}@${tick}`))
      .map((tick) => ({
        rule: "I1" as const,
        at: answeredAt,
        what: `${request.id} was to be backfilled at ${new Date(tick).toISOString()}, and never was`,
      }));
  });
}

/** Whether the job's runs leave too little time for others at the end. */
function isBusy(evidence: Evidence, job: JobId): boolean {
  const from = evidence.to - withinMs;
  let busyMs = 0;
  for (const run of evidence.runs)
    if (run.job === job)
      busyMs += Math.max(0, Math.min(run.end ?? evidence.to, evidence.to) - Math.max(run.start, from));
  return busyMs > busyShare * withinMs;
}
