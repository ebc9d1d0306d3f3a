/**
 * Takes in what is new to core: jobs from the table, orders that people asked for, and ticks that are coming due. Jobs enter
 * the timetable, orders and ticks the order book; what happens to them is decided later.
 */
import type { RequestedOrder } from "../../schema/run.ts";
import { sameValue } from "../../schema/equal.ts";
import { forgetChains } from "../claims/chain-ticks.ts";
import { setWeight } from "../claims/order.ts";
import { admitAwaiting, admitRequested, admitTick } from "../claims/order-book.ts";
import { recountSlots } from "../claims/peer-sets.ts";
import { touchAll, touchJob, wakePool } from "../claims/touched.ts";
import type { JobChange } from "../events.ts";
import type { SettingKind, SettingValues } from "../../schema/setting.ts";
import { enterCalendars } from "../job/calendar-jobs.ts";
import { readMaintenance } from "../job/maintenance.ts";
import { enterPools } from "../job/pools.ts";
import { enterGroups } from "../job/group.ts";
import { enterSealed } from "../job/sealed.ts";
import { planJob, type Plan } from "../job/plan.ts";
import { isDeepInStop } from "../job/stops.ts";
import { enterJob, enterMaintenance, pullTicks, removeJob } from "../job/timetable.ts";
import { claimAheadMs, overdueMs } from "../limits.ts";
import { isPlanted } from "../probes/planted.ts";
import type { Job } from "../../schema/job.ts";
import { emit, note, workOn, type State } from "../state.ts";
import { holdBack, reportHeldBack } from "./held-back.ts";
import { begunByNow } from "./replan.ts";
import { isPlanning } from "./planning.ts";
import { scanJob } from "./scan.ts";
import { dropJob } from "../records/announcements.ts";

export function takeChange(state: State, change: JobChange): void {
  workOn(state, change.id, () => takeJob(state, change));
}

function takeJob(state: State, { id, job }: JobChange): void {
  const plan = job === undefined ? undefined : planJob(asPlanted(state, job), state.jobs.calendars);
  const before = state.jobs.plans.get(id);
  reportHeldBack(state, id);
  if (plan === undefined || Array.isArray(plan)) {
    removeJob(state.jobs, id);
    forgetChains(state, id);
    if (Array.isArray(plan)) note(state, "warn", "a job can't be read here", { job: id });
  } else {
    const begun = begunByNow(state, plan);
    if (!sameValue(before?.after, begun.after) || !begun.enabled) forgetChains(state, id);
    enterJob(state.jobs, begun, state.now.wall);
    for (const order of state.book.byJob.get(id) ?? []) setWeight(state.book, order, begun.weight);
    recountSlots(state, begun);
    admitAwaiting(state, begun);
    if (isPlanning(state)) scanJob(state, begun);
  }
  if ((state.jobs.plans.get(id)?.notify.length ?? 0) === 0) dropJob(state.ledger.announcements, id);
  touchJob(state, id);
}

/** The job as it is taken in: with the planted bug, without what its group gives it. */
function asPlanted(state: State, job: Job): Job {
  const { written } = job;
  return written !== undefined && isPlanted(state, "group-unread") ? { ...job, spec: written } : job;
}

/** Takes in the settings of a kind from the table. Those that can't be read have no effect. */
export function takeSettings(state: State, kind: SettingKind, values: SettingValues): void {
  switch (kind) {
    case "calendars": {
      if (state.jobs.calendars.entries.size > 0 && isPlanted(state, "calendar-kept")) return;
      for (const id of enterCalendars(state.jobs, values, state.now.wall)) {
        const job = state.jobs.plans.get(id)?.job;
        if (job !== undefined) takeChange(state, { id, job });
      }
      return;
    }
    case "groups":
      // The table has filled their defaults into the jobs that follow.
      return enterGroups(state.jobs, values);
    case "maintenance": {
      const all = [...values].flatMap(([name, value]) => readMaintenance(name, value) ?? []);
      for (const job of state.upkeep.heldBack.keys()) reportHeldBack(state, job);
      for (const job of enterMaintenance(state.jobs, all)) touchJob(state, job);
      return;
    }
    case "pools":
      enterPools(state.jobs, values);
      for (const name of state.jobs.jobsByPool.keys()) wakePool(state, name);
      return;
    case "secrets":
      enterSealed(state.jobs, values);
      return touchAll(state);
  }
}

/**
 * Takes in orders that people asked for. Settled orders are stored too: otherwise sync keeps offering them, possibly to a peer
 * that no longer knows how they ended. Orders that can't be taken in are not stored, so sync offers them again.
 */
export function takeOrders(state: State, orders: readonly RequestedOrder[], known = false): void {
  const taken = orders.filter((order) => admitRequested(state, order));
  if (taken.length < orders.length) emit(state, { kind: "count", name: "orders_refused" });
  if (!known && taken.length > 0) {
    emit(state, { kind: "store", writes: taken.map((order) => ({ kind: "order", order })) });
  }
}

/** A tick is skipped in the order book, unless many before it were: then it is reported in a range (held-back.ts). */
function takeTick(state: State, plan: Plan, instant: number): void {
  if (isDeepInStop(plan, instant)) holdBack(state, plan.id, instant);
  else admitTick(state, plan, instant);
}

/** Admits ticks that are coming due. The ticks in a gap are left to a scan: now, or at the end of the warm-up if there is one. */
export function takeTicks(state: State): void {
  const { wall } = state.now;
  const { ticks, gaps } = pullTicks(state.jobs, wall + claimAheadMs, wall - overdueMs, wall);
  for (const { plan, instant } of ticks) workOn(state, plan.id, () => takeTick(state, plan, instant));
  for (const plan of gaps) workOn(state, plan.id, () => scanJob(state, plan));
}
