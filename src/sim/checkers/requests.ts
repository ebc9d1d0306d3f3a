/**
 * What clients had asked for, as the checkers read it: in which spells of time a job was surely in force everywhere,
 * and in which it may have been in force somewhere.
 */
import type { JobId } from "../../schema/ids.ts";
import type { Evidence, JobRules, Operation, Wish } from "../world/truth.ts";
import { knownToAll } from "./surroundings.ts";

export interface InForce {
  rules: JobRules;
  from: number;
  to: number;
}

function jobOf(wish: Wish): JobId {
  return wish.kind === "put" ? wish.rules.id : wish.id;
}

/** Everything asked about one job that was not refused, in the order of asking; `run` apart. */
function changesOf(evidence: Evidence, job: JobId): Operation[] {
  return evidence.operations
    .filter(({ wish }) => wish.kind !== "run" && jobOf(wish) === job)
    .filter(({ accepted, answeredAt }) => accepted || answeredAt === undefined)
    .toSorted((a, b) => a.askedAt - b.askedAt);
}

export function jobsOf(evidence: Evidence): JobId[] {
  return [...new Set(evidence.operations.map(({ wish }) => jobOf(wish)))];
}

/** When the change must have been known to all; an unanswered one, whenever it may come out. */
function settledAt(evidence: Evidence, { answeredAt, knownAt }: Operation): number {
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
    settled = Math.max(settled, settledAt(evidence, change));
  }
  return Infinity;
}

/** Spells in which the job was surely in force on every peer, enabled and not paused. */
export function surelyInForce(evidence: Evidence, job: JobId): InForce[] {
  const changes = changesOf(evidence, job);
  const spells: InForce[] = [];
  const unclear = firstUnclear(evidence, changes);
  let rules: JobRules | undefined;
  for (const [index, change] of changes.entries()) {
    if (index >= unclear) break;
    if (change.wish.kind === "put") rules = change.wish.rules;
    else if (change.wish.kind === "delete") rules = undefined;
    if (rules === undefined || change.wish.kind === "pause" || isPausedAfter(changes.slice(0, index + 1)))
      continue;
    // Until every earlier change has settled too, somebody may see them in another order.
    const from = Math.max(...changes.slice(0, index + 1).map((earlier) => settledAt(evidence, earlier)));
    const to = changes[index + 1]?.askedAt ?? Infinity;
    if (from < to) spells.push({ rules, from, to });
  }
  return spells;
}

/** A pause outlives edits; only a resume or a delete ends it. */
function isPausedAfter(changes: readonly Operation[]): boolean {
  const last = changes.findLast(({ wish }) => wish.kind !== "put");
  return last?.wish.kind === "pause";
}

/** Spells in which some peer may have held the job with these rules, enabled and not paused. */
export function perhapsInForce(evidence: Evidence, job: JobId): InForce[] {
  const changes = changesOf(evidence, job);
  const unclear = firstUnclear(evidence, changes);
  const spells: InForce[] = [];
  for (const [index, change] of changes.entries()) {
    if (change.wish.kind !== "put") continue;
    const end = changes.findIndex(
      ({ wish }, later) => later > index && (wish.kind === "put" || wish.kind === "delete"),
    );
    const next = end < unclear ? changes[end] : undefined;
    spells.push({
      rules: change.wish.rules,
      from: change.askedAt,
      to: next === undefined ? Infinity : settledAt(evidence, next),
    });
  }
  return spells;
}

/** Spells in which nobody may start the job any more: it had been deleted or paused, and all knew. */
export function surelyRevoked(evidence: Evidence, job: JobId): { from: number; to: number; why: string }[] {
  const changes = changesOf(evidence, job);
  const unclear = firstUnclear(evidence, changes);
  const spells: { from: number; to: number; why: string }[] = [];
  for (const [index, { wish }] of changes.entries()) {
    if (index >= unclear) break;
    if (wish.kind !== "delete" && wish.kind !== "pause") continue;
    const from = Math.max(...changes.slice(0, index + 1).map((earlier) => settledAt(evidence, earlier)));
    const next = changes
      .slice(index + 1)
      .find(
        ({ wish: later }) =>
          later.kind === "resume" || later.kind === (wish.kind === "delete" ? "put" : "delete"),
      );
    const to = next?.askedAt ?? Infinity;
    if (from < to) spells.push({ from, to, why: `${wish.kind}d` });
  }
  return spells;
}

/** True when the last word on the job is clear, and says whether it must be there. */
export function lastWord(evidence: Evidence, job: JobId): "there" | "gone" | "unclear" {
  const changes = changesOf(evidence, job);
  const last = changes.at(-1);
  if (last === undefined || changes.some(({ answeredAt }) => answeredAt === undefined)) return "unclear";
  for (const [index, change] of changes.entries()) {
    const next = changes[index + 1];
    if (next !== undefined && next.askedAt < settledAt(evidence, change)) return "unclear";
  }
  if (settledAt(evidence, last) > evidence.to) return "unclear";
  const made = changes.findLast(({ wish }) => wish.kind === "put" || wish.kind === "delete");
  if (made === undefined) return "unclear";
  return made.wish.kind === "put" ? "there" : "gone";
}
