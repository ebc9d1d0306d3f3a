/**
 * What the disk answers about ticks that are not sure to be over: those from before this life's memory, and those that this
 * peer or another one decided by a clock that was ahead (DESIGN §7, §11).
 */
import { instantOf, type JobId } from "../../schema/ids.ts";
import type { PrunedHistory } from "../events.ts";
import { roundsMax, type RunRecord } from "../../schema/run.ts";
import { isOwnGivenBack } from "../claims/claims.ts";
import { ticksOf, type Plan } from "../job/plan.ts";
import { learnChains, reviewAll } from "../claims/chain-ticks.ts";
import { commit } from "../claims/record-moved.ts";
import { admitRetry } from "../claims/order-book.ts";
import { touchJob } from "../claims/touched.ts";
import { mark as reach } from "../probes/marks.ts";
import { clockRefusedMs } from "../members/suspicion.ts";
import { unsureUntilOf, watermarkOf, settleRange } from "../records/history.ts";
import { withdrawAhead, reopen, reopenFrom } from "../records/reopen.ts";
import { latestOf, settleIn, settles, takeRecord } from "../records/ledger.ts";
import { isDecidedAhead, movesUp } from "../records/records.ts";
import { forgetTooLate, isDecidedTooEarly, takeTooLate } from "../records/too-late.ts";
import { emit, type State } from "../state.ts";
import { historyRead, readHistory } from "./history-read.ts";
import { scanJob, settleStarts } from "./scan.ts";
import { isPlanning } from "./planning.ts";
import { beginHistory, planStore, undecidedMs } from "./watermarks.ts";

/**
 * After this peer's clock was ahead: ticks after now no longer count as over, until the disk has told which of them really
 * started. What the peer took for too late may not be, so those ticks are looked up as well. For jobs whose watermark is ahead,
 * the last past tick is looked up too, because an earlier life may have decided about it; if that life took several ticks for too
 * late, they share a record with the last one. Returns how many jobs are concerned.
 */
export function lookUpAhead(state: State): number {
  const { history } = state.ledger;
  const { upkeep, now } = state;
  upkeep.gaps.clear();
  const ahead = new Set(withdrawAhead(history, now.wall));
  for (const job of ahead) planStore(state, job);
  const tooLate = takeTooLate(state.ledger);
  const jobs = ahead.union(tooLate);
  for (const job of jobs) {
    const { from = Infinity, to = -Infinity } = tooLate.get(job) ?? {};
    const until = ahead.has(job) ? unsureUntilOf(history, job) : to;
    const plan = state.jobs.plans.get(job);
    const oldest = now.wall - undecidedOf(plan);
    const { at } =
      watermarkOf(history, job) ?? (plan === undefined ? { at: now.wall } : beginHistory(state, plan));
    const lowest = Math.min(at + 1, Math.max(from, oldest), lastTickOf(plan, oldest, now.wall));
    readHistory(state, job, lowest, until + 1);
  }
  return jobs.size;
}

/** The job's last tick from `oldest` until now, ms; Infinity = there is none. */
function lastTickOf(plan: Plan | undefined, oldest: number, now: number): number {
  return plan === undefined ? Infinity : (ticksOf(plan, oldest, now + 1, 1)[0] ?? Infinity);
}

/** Forgets ticks that were taken for too late so long ago that they really are too late by now, however the clock was set. */
export function forgetTooOld({ ledger, jobs, now }: State): void {
  forgetTooLate(ledger, (job) => now.mono - undecidedOf(jobs.plans.get(job)));
}

/** How long the ticks of a job may stay undecided, ms; 0 if there is no such job any more. */
function undecidedOf(plan: Plan | undefined): number {
  return plan === undefined ? 0 : undecidedMs(plan);
}

/** Takes in the disk's answer about the job's unsure ticks, pruned history included, and then scans again. */
export function lookedUp(
  state: State,
  job: JobId,
  records: readonly RunRecord[],
  pruned?: PrunedHistory,
): void {
  const until = state.now.wall + clockRefusedMs;
  let reopened = Infinity;
  const withdrawn: RunRecord[] = [];
  const [own, ofParents] = [true, false].map((is) => records.filter((record) => (record.job === job) === is));
  for (const record of own ?? []) {
    if (isDecidedAhead(record, until)) {
      const isWithdrawn = record.peer === state.settings.self && withdrawDecision(state, record);
      if (!isWithdrawn) noteDecidedAhead(state, record);
      reopened = Math.min(reopened, record.range?.from ?? Infinity);
    } else if (isDecidedTooEarly(record, until)) {
      // Another peer's decision doesn't count here until that peer withdraws it.
      if (record.peer !== state.settings.self) continue;
      if (withdrawDecision(state, record)) withdrawn.push(record);
      else settleIn(state.ledger.history, record);
    } else if (settles(record)) settleIn(state.ledger.history, record);
    else if (isOwnGivenBack(state, record) || record.retryAt !== undefined)
      takeRecord(state.ledger, record, state.now.mono, true);
  }
  if (pruned !== undefined) settlePruned(state, job, pruned);
  historyRead(state, job);
  learnChains(state, job, ofParents ?? []);
  for (const record of own ?? []) admitRetry(state, record);
  // The disk is read once more, for what else it says about these ticks.
  for (const record of withdrawn) reopen(state.ledger.history, record, state.now.wall);
  if (reopened <= state.now.wall) reopenFrom(state.ledger.history, job, reopened, state.now.wall);
  touchJob(state, job);
  const plan = state.jobs.plans.get(job);
  if (plan !== undefined && isPlanning(state)) scanJob(state, plan);
  // Their ticks may wait for this answer.
  for (const child of state.jobs.children.get(job) ?? []) reviewAll(state, child);
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
    // The scan that follows the disk's answer finds what is left of the gap.
    if ((upkeep.gaps.get(job)?.ranges.at(-1)?.to ?? -Infinity) >= from) upkeep.gaps.delete(job);
    readHistory(state, job, from, Math.min(to, until) + 1);
  }
}

/**
 * Withdraws this peer's own decision; other peers withdraw theirs. Returns whether it is withdrawn: after the last round it
 * stands, and its tick does not run. If the voters had chosen this peer, they may decide again. Two questions to the disk may be
 * under way, and both answers tell of a decision that was withdrawn after the first.
 */
function withdrawDecision(state: State, record: RunRecord): boolean {
  const round = (record.round ?? 0) + 1;
  if (round > roundsMax) return false;
  const latest = latestOf(state.ledger, record);
  if (latest !== undefined && movesUp(record, latest)) return true;
  reach(state, "decision-withdrawn");
  emit(state, { kind: "count", name: "decisions_withdrawn" });
  const version = record.version + 1;
  commit(state, {
    ...record,
    state: "withdrawn",
    reason: "clock",
    round,
    version,
    finishedAt: state.now.wall,
  });
  return true;
}
