/** What is known of the ticks of a job's parents: whether they have ended, are still to come, or aren't there. */
import { instantOf, isManual, type JobId, type TickId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import type { ParentTick } from "../job/chain.ts";
import { isTickOf, type Plan } from "../job/plan.ts";
import { acceptedUntil } from "../members/clocks.ts";
import { mark } from "../probes/marks.ts";
import { isWholeOver } from "../records/history.ts";
import { isOpen, openOfTick } from "../records/ledger.ts";
import { emit, type State } from "../state.ts";
import type { ChainTick, TickEnd } from "./book-state.ts";
import { hasPastTick, isPastInProgress, pastOf } from "./chain-backfills.ts";

/** How the parent's tick of that name stands. If only the disk can tell, it is read. */
export function parentTickOf(
  state: State,
  plan: Plan,
  tick: TickId,
  entry: ChainTick,
  parent: JobId,
): ParentTick {
  if (isRunningAt(state, parent, tick)) return "undecided";
  const end = entry.ends.get(parent);
  if (end !== undefined) return endOfParent(state, end);
  if (isUndecided(state, parent, tick)) return "undecided";
  if (isWholeOver(state.ledger.history, parent, tick)) {
    if (entry.disk === "read") return "absent";
    entry.disk = "unread";
    readDisk(state, plan, tick, entry);
    return "undecided";
  }
  return mayComeYet(state, parent, tick) ? "undecided" : "absent";
}

/** What a parent has done about the past tick (ms): under the same name, under that of another request, or by its schedule. */
export function parentPastTickOf(
  state: State,
  tick: TickId,
  past: number,
  entry: ChainTick,
  parent: JobId,
): ParentTick {
  if (isCatchingUp(state, parent) || isPastInProgress(state, parent, past)) return "undecided";
  const end = entry.ends.get(parent);
  if (end !== undefined) return endOfParent(state, end);
  if (!isWholeOver(state.ledger.history, parent, tick) && mayComeYet(state, parent, tick)) return "undecided";
  return hasPastTick(state, parent, past) ? "not-run" : "absent";
}

function endOfParent(state: State, end: TickEnd): ParentTick {
  return { state: end.state, at: endedAt(state, end), ...(end.hasRun === true ? { hasRun: true } : {}) };
}

/** When the parent ended, ms. If a clock that was ahead wrote the record, it is now: otherwise the child would wait for it. */
function endedAt(state: State, { finishedAt, due }: RunRecord): number {
  const at = Math.max(finishedAt ?? due, due);
  return at > acceptedUntil(state) ? state.now.wall : at;
}

/** Another peer may still run the tick, after a split. */
function isRunningAt({ ledger }: State, job: JobId, tick: TickId): boolean {
  for (const record of openOfTick(ledger, job, tick)) if (record.state === "running") return true;
  return false;
}

function isUndecided(state: State, job: JobId, tick: TickId): boolean {
  if (isOpen(state.ledger, job, tick)) return true;
  for (const order of state.book.byJob.get(job) ?? []) if (order.tick === tick) return true;
  return state.book.chains.get(job)?.has(tick) === true;
}

/** Whether a tick of which nothing is known may still come. */
function mayComeYet(state: State, job: JobId, tick: TickId): boolean {
  const { ledger } = state;
  if (isCatchingUp(state, job)) return true;
  const plan = state.jobs.plans.get(job);
  if (plan === undefined || !plan.enabled) return false;
  if (!plan.knowsTicks) return true;
  if (plan.after === undefined) return !isManual(tick) && isTickOf(plan, instantOf(tick));
  return plan.after.jobs.some(
    (parent) =>
      isUndecided(state, parent, tick) ||
      (!isWholeOver(ledger.history, parent, tick) && mayComeYet(state, parent, tick)),
  );
}

/** Whether news of the job's past ticks may be on its way. */
function isCatchingUp({ upkeep }: State, job: JobId): boolean {
  const isWarmingUp = upkeep.warmedUpAt === -Infinity || upkeep.warmUp !== undefined;
  return isWarmingUp || upkeep.awaitingSync.size > 0 || upkeep.lookups.has(job);
}

/** Reads the tick from the disk, for the job and for its parents, unless the whole job is being looked up anyway. */
export function readDisk(state: State, plan: Plan, tick: TickId, entry: ChainTick): void {
  const { upkeep } = state;
  // At the end of the warm-up, and after a look-up of the whole job, its ticks are reviewed.
  if (upkeep.warmedUpAt === -Infinity || upkeep.warmUp !== undefined || upkeep.lookups.has(plan.id)) return;
  mark(state, "chain-tick-looked-up");
  entry.disk = "reading";
  const from = instantOf(tick);
  const past = pastOf(plan.after, tick);
  emit(state, {
    kind: "lookUp",
    job: plan.id,
    tick,
    from,
    to: from + 1,
    parents: plan.after?.jobs ?? [],
    ...(past === undefined ? {} : { past }),
  });
}
