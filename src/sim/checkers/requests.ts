/**
 * What clients had asked for, as the checkers read it: in which faultWindows of time a job was surely in force everywhere,
 * and in which it may have been in force somewhere.
 */
import type { JobId } from "../../schema/ids.ts";
import type { Evidence, JobRules, Operation, ClientRequest } from "../world/truth.ts";
import { knownToAll } from "./surroundings.ts";

export interface InForce {
  rules: JobRules;
  from: number;
  to: number;
}

function jobOf(request: ClientRequest): JobId {
  return request.kind === "put" ? request.rules.id : request.id;
}

/** Everything asked about one job that was not refused, in the order of asking; `run` apart. */
function changesOf(evidence: Evidence, job: JobId): Operation[] {
  return evidence.operations
    .filter(({ request }) => request.kind !== "run" && jobOf(request) === job)
    .filter(({ accepted, answeredAt }) => accepted || answeredAt === undefined)
    .toSorted((a, b) => a.askedAt - b.askedAt);
}

export function jobsOf(evidence: Evidence): JobId[] {
  return [...new Set(evidence.operations.map(({ request }) => jobOf(request)))];
}

/** When the change must have been known to all; an unanswered one, whenever it may come out. */
function warmedUpAt(evidence: Evidence, { answeredAt, knownAt }: Operation): number {
  return knownAt ?? (answeredAt === undefined ? Infinity : knownToAll(evidence, answeredAt));
}

/**
 * The first change that was asked for before an earlier one of the same job had become known to all: from there on
 * nobody outside can say what became of the two, for a deletion wins over what it did not know.
 */
function firstUnclear(evidence: Evidence, changes: readonly Operation[]): number {
  let settled = -Infinity;
  for (const [index, change] of changes.entries()) {
    if (change.askedAt < settled) return index;
    settled = Math.max(settled, warmedUpAt(evidence, change));
  }
  return Infinity;
}

/** Spells in which the job was surely in force on every peer, enabled and not paused. */
export function surelyInForce(evidence: Evidence, job: JobId): InForce[] {
  const changes = changesOf(evidence, job);
  const faultWindows: InForce[] = [];
  const unclear = firstUnclear(evidence, changes);
  let rules: JobRules | undefined;
  for (const [index, change] of changes.entries()) {
    if (index >= unclear) break;
    if (change.request.kind === "put") rules = change.request.rules;
    else if (change.request.kind === "delete") rules = undefined;
    if (rules === undefined || change.request.kind === "pause" || isPausedAfter(changes.slice(0, index + 1)))
      continue;
    // Until every earlier change has settled too, somebody may see them in another order.
    const from = Math.max(...changes.slice(0, index + 1).map((earlier) => warmedUpAt(evidence, earlier)));
    const to = changes[index + 1]?.askedAt ?? Infinity;
    if (from < to) faultWindows.push({ rules, from, to });
  }
  return faultWindows;
}

/** A pause outlives edits; only a resume or a delete ends it. */
function isPausedAfter(changes: readonly Operation[]): boolean {
  const last = changes.findLast(({ request }) => request.kind !== "put");
  return last?.request.kind === "pause";
}

/** Spells in which some peer may have held the job with these rules, enabled and not paused. */
export function perhapsInForce(evidence: Evidence, job: JobId): InForce[] {
  const changes = changesOf(evidence, job);
  const unclear = firstUnclear(evidence, changes);
  const faultWindows: InForce[] = [];
  for (const [index, change] of changes.entries()) {
    if (change.request.kind !== "put") continue;
    const end = changes.findIndex(
      ({ request }, later) => later > index && (request.kind === "put" || request.kind === "delete"),
    );
    const next = end < unclear ? changes[end] : undefined;
    faultWindows.push({
      rules: change.request.rules,
      from: change.askedAt,
      to: next === undefined ? Infinity : warmedUpAt(evidence, next),
    });
  }
  return faultWindows;
}

/** Spells in which nobody may start the job any more: it had been deleted or paused, and all knew. */
export function surelyRevoked(evidence: Evidence, job: JobId): { from: number; to: number; why: string }[] {
  const changes = changesOf(evidence, job);
  const unclear = firstUnclear(evidence, changes);
  const faultWindows: { from: number; to: number; why: string }[] = [];
  for (const [index, { request }] of changes.entries()) {
    if (index >= unclear) break;
    if (request.kind !== "delete" && request.kind !== "pause") continue;
    const from = Math.max(...changes.slice(0, index + 1).map((earlier) => warmedUpAt(evidence, earlier)));
    const next = changes
      .slice(index + 1)
      .find(
        ({ request: later }) =>
          later.kind === "resume" || later.kind === (request.kind === "delete" ? "put" : "delete"),
      );
    const to = next?.askedAt ?? Infinity;
    if (from < to) faultWindows.push({ from, to, why: `${request.kind}d` });
  }
  return faultWindows;
}

/** True when the last word on the job is clear, and says whether it must be there. */
export function lastWord(evidence: Evidence, job: JobId): "there" | "gone" | "unclear" {
  const changes = changesOf(evidence, job);
  const last = changes.at(-1);
  if (last === undefined || changes.some(({ answeredAt }) => answeredAt === undefined)) return "unclear";
  for (const [index, change] of changes.entries()) {
    const next = changes[index + 1];
    if (next !== undefined && next.askedAt < warmedUpAt(evidence, change)) return "unclear";
  }
  if (warmedUpAt(evidence, last) > evidence.to) return "unclear";
  const made = changes.findLast(({ request }) => request.kind === "put" || request.kind === "delete");
  if (made === undefined) return "unclear";
  return made.request.kind === "put" ? "there" : "gone";
}
