/**
 * What the disk answers about ticks that are not sure to be over: those from before this life's memory, and those that this
 * peer or another one decided by a clock that was ahead (DESIGN §7, §11).
 */
import { instantOf, isManual, type JobId } from "../../schema/ids.ts";
import type { PrunedHistory } from "../events.ts";
import { roundsMax, type RunRecord } from "../../schema/run.ts";
import { isOwnGivenBack } from "../claims/claims.ts";
import { learnChains, reviewAll } from "../claims/chain-ticks.ts";
import { commit } from "../claims/record-moved.ts";
import { admitRetry } from "../claims/order-book.ts";
import { touchJob } from "../claims/touched.ts";
import { mark as reach } from "../probes/marks.ts";
import { clockRefusedMs } from "../members/suspicion.ts";
import {
  endUnsure,
  unsureUntilOf,
  watermarkOf,
  withdrawAhead,
  settleRange,
  reopen,
  reopenFrom,
} from "../records/history.ts";
import { latestOf, settleIn, settles, takeRecord } from "../records/ledger.ts";
import { isDecidedAhead, movesUp } from "../records/records.ts";
import { emit, type State } from "../state.ts";
import { scanJob, settleStarts } from "./scan.ts";
import { isPlanning } from "./planning.ts";
import { planStore } from "./watermarks.ts";

/**
 * After this peer's clock was ahead: ticks after now no longer count as over, until the disk has told which of them
 * really started. The ticks that were undecided when the clock leapt ahead are looked up as well. Returns how many jobs are
 * concerned.
 */
export function lookUpAhead(state: State): number {
  const { history } = state.ledger;
  const { upkeep, now } = state;
  upkeep.gaps.clear();
  const ahead = new Set(withdrawAhead(history, now.wall));
  for (const job of ahead) planStore(state, job);
  const jobs = ahead.union(upkeep.undecidedAtLeap);
  for (const job of jobs) {
    const { from = Infinity, to = -Infinity } = upkeep.undecidedAtLeap.get(job) ?? {};
    const until = ahead.has(job) ? unsureUntilOf(history, job) : to;
    upkeep.lookups.add(job);
    emit(state, { kind: "lookUp", job, from: Math.min(from, now.wall + 1), to: until + 1 });
  }
  upkeep.undecidedAtLeap.clear();
  return jobs.size;
}

/** Takes in the disk's answer about the job's unsure ticks, pruned history included, and then scans again. */
export function lookedUp(
  state: State,
  job: JobId,
  records: readonly RunRecord[],
  pruned?: PrunedHistory,
): void {
  state.upkeep.lookups.delete(job);
  const until = state.now.wall + clockRefusedMs;
  let reopened = Infinity;
  const [own, ofParents] = [true, false].map((is) => records.filter((record) => (record.job === job) === is));
  for (const record of own ?? []) {
    if (isDecidedAhead(record, until)) {
      const isWithdrawn = record.peer === state.settings.self && withdrawDecision(state, record);
      if (!isWithdrawn) noteDecidedAhead(state, record);
      reopened = Math.min(reopened, record.range?.from ?? Infinity);
    } else if (isMissedTooEarly(state, record, until) && withdrawDecision(state, record))
      reopen(state.ledger.history, record, state.now.wall);
    else if (settles(record)) settleIn(state.ledger.history, record);
    else if (isOwnGivenBack(state, record) || record.retryAt !== undefined)
      takeRecord(state.ledger, record, state.now.mono, true);
  }
  if (pruned !== undefined) settlePruned(state, job, pruned);
  endUnsure(state.ledger.history, job);
  learnChains(state, job, ofParents ?? []);
  for (const record of own ?? []) admitRetry(state, record);
  if (reopened <= state.now.wall) reopenFrom(state.ledger.history, job, reopened, state.now.wall);
  touchJob(state, job);
  const plan = state.jobs.plans.get(job);
  if (plan !== undefined && isPlanning(state)) scanJob(state, plan);
  // Their ticks may wait for this answer.
  for (const child of state.jobs.children.get(job) ?? []) reviewAll(state, child);
}

/** Whether this peer took the tick for too late by a clock that was ahead. */
function isMissedTooEarly({ settings }: State, record: RunRecord, until: number): boolean {
  const { peer, state, tick, finishedAt = -Infinity } = record;
  return peer === settings.self && state === "missed" && !isManual(tick) && finishedAt > until;
}

/**
 * Pruned ticks are over. But a clock that was ahead may have pruned ticks that it took for missed, so of the ticks after now
 * only those that had started count.
 */
function settlePruned(state: State, job: JobId, { before, starts }: PrunedHistory): void {
  const from = (watermarkOf(state.ledger.history, job)?.at ?? Infinity) + 1;
  if (from < before && before <= state.now.wall) settleRange(state.ledger.history, job, from, before - 1);
  settleStarts(state, job, starts, from);
}

/**
 * A decision about a tick that is ahead doesn't count yet. Unless its writer withdraws it, it counts once the tick has come. A
 * sync won't bring it again then, because the disk has it.
 */
function noteDecidedAhead({ upkeep }: State, { job, tick }: RunRecord): void {
  const at = instantOf(tick);
  const { from = at, to = at } = upkeep.decidedAhead.get(job) ?? {};
  upkeep.decidedAhead.set(job, { from: Math.min(from, at), to: Math.max(to, at) });
}

/** Asks the disk about the decisions whose time has come. */
export function lookUpDecidedAhead(state: State): void {
  const { upkeep, now } = state;
  const until = now.wall + clockRefusedMs;
  for (const [job, { from, to }] of upkeep.decidedAhead) {
    if (from > until || upkeep.lookups.has(job)) continue;
    reach(state, "decision-ahead-counts");
    if (to > until) upkeep.decidedAhead.set(job, { from: until + 1, to });
    else upkeep.decidedAhead.delete(job);
    upkeep.lookups.add(job);
    // The scan that follows the disk's answer finds what is left of the gap.
    if ((upkeep.gaps.get(job)?.ranges.at(-1)?.to ?? -Infinity) >= from) upkeep.gaps.delete(job);
    emit(state, { kind: "lookUp", job, from, to: Math.min(to, until) + 1 });
  }
}

/**
 * Withdraws this peer's own decision; other peers withdraw theirs. Returns whether it is withdrawn: after the last round it
 * stands, and its tick does not run. Two questions to the disk may be under way, and both answers tell of a decision that was
 * withdrawn after the first.
 */
function withdrawDecision(state: State, record: RunRecord): boolean {
  const round = (record.round ?? 0) + 1;
  if (round > roundsMax) return false;
  const latest = latestOf(state.ledger, record);
  if (latest !== undefined && movesUp(record, latest)) return true;
  reach(state, "decision-withdrawn");
  emit(state, { kind: "count", name: "decisions_withdrawn" });
  const { epoch: _, ...rest } = record;
  const version = record.version + 1;
  commit(state, { ...rest, state: "withdrawn", reason: "clock", round, version, finishedAt: state.now.wall });
  return true;
}
