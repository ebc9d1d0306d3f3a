/**
 * How far the watermarks move up (DESIGN §7): past everything except undecided orders. They are stored a minute later, after
 * the records that justify them.
 *
 * The ticks of a job that runs after others are undecided as long as its parents' ticks are.
 */
import { instantOf, isManual, tickAt, type JobId } from "../../schema/ids.ts";
import type { Watermark } from "../../schema/run.ts";
import type { Write } from "../../ports/disk.ts";
import { chainTicksInProgress } from "../claims/chain-ticks.ts";
import { ticksInProgress } from "../claims/order-book.ts";
import { startWindowMs, type Plan } from "../job/plan.ts";
import { numberedSlots } from "../job/slots.ts";
import { nextTickAt } from "../job/timetable.ts";
import { isPlanted } from "../probes/planted.ts";
import {
  advanceWatermark,
  beginWatermark,
  overCount,
  settle,
  unsureUntilOf,
  watermarkOf,
} from "../records/history.ts";
import { openTicksMax } from "../records/history-entry.ts";
import { openOf, openOfTick } from "../records/ledger.ts";
import { emit, type State } from "../state.ts";
import { isPlanning } from "./planning.ts";

/** How long a tick may stay undecided until a peer reports it as missed: the reporter may be slow, or die. */
const reportedWithinMs = 60_000;
/** Watermarks in one write. */
const watermarksPerWrite = 2_000;

/** How long a tick may stay undecided (ms): its jitter, its window, the time until it is reported, and until a peer is back. */
export function undecidedMs(plan: Plan): number {
  return plan.jitterMs + startWindowMs(plan, true) + plan.target.offlineMs + reportedWithinMs;
}

/** Begins a job's watermark. Ticks from before this peer could know about the job are left to the peers that knew it then. */
export function beginHistory(state: State, plan: Plan): Watermark {
  const { wall } = state.now;
  const at = Math.min(
    wall,
    Math.max(plan.earliest, Math.min(wall, state.upkeep.scanFrom) - undecidedMs(plan)),
  );
  beginWatermark(state.ledger.history, plan.id, { since: at, at, open: [] }, state.upkeep.loadedSince - 1);
  return { job: plan.id, since: at, at, open: [] };
}

/**
 * Moves the job's watermark up: every tick up to now is over, except those in the book, those on their way through the
 * launcher, those that have not come into the book yet, and those of which parents are undecided.
 */
export function moveUp(state: State, plan: Plan): void {
  const { ledger } = state;
  // There is nothing to move past: no ticks that are over, and no open ones.
  const watermark = watermarkOf(ledger.history, plan.id);
  if (watermark === undefined || (overCount(ledger.history, plan.id) === 0 && watermark.open.length === 0))
    return;
  if (!isPlanning(state) || isPlanted(state, "watermark-stuck")) return;
  const reach = reachOf(state, plan, new Set());
  if (reach === undefined) return;
  const undecided = isPlanted(state, "watermark-leads") ? [] : reach.undecided;
  const open = [...new Set(undecided)].toSorted((a, b) => a - b);
  // With more, the watermark stays below the first that doesn't fit.
  const tooMany = open[openTicksMax];
  const at = tooMany === undefined ? reach.latest : Math.min(reach.latest, tooMany - 1);
  if (!advanceWatermark(ledger.history, plan.id, at, open.slice(0, openTicksMax))) return;
  for (const tick of open)
    if (tick <= watermark.at && !watermark.open.includes(tick)) keepOver(state, plan, tick);
  planStore(state, plan.id);
}

/**
 * A tick that the watermark covered has turned out to be in progress: another peer repeats one of its slots. The others are over,
 * as the watermark said until now.
 */
function keepOver({ book, ledger }: State, { id }: Plan, instant: number): void {
  const tick = tickAt(instant);
  const orders = [...(book.byJob.get(id) ?? [])].filter((one) => one.tick === tick);
  const open = [...openOfTick(ledger, id, tick), ...orders];
  const of = Math.max(1, ...open.map((one) => one.of ?? 1));
  const slots = new Set(open.map(({ slot }) => slot));
  const ofPeers = open.flatMap((one) => ("set" in one ? (one.set ?? []) : []));
  for (const slot of ofPeers.length === 0 ? numberedSlots(of) : new Set(ofPeers))
    if (!slots.has(slot)) settle(ledger.history, { job: id, tick, slot, of });
}

/** Up to `latest` (ms), every tick of the job is known, and over unless it is `undecided`; undefined = that isn't known. */
function reachOf(
  state: State,
  plan: Plan,
  seen: Set<JobId>,
): { latest: number; undecided: number[] } | undefined {
  // This version can't compute the job's ticks. A peer that can will tell which are over.
  if (!plan.knowsTicks) return undefined;
  const { upkeep, book, now, ledger } = state;
  const isIncomplete = upkeep.warmUp !== undefined || upkeep.lookups.has(plan.id) || upkeep.gaps.has(plan.id);
  if (isIncomplete || book.chainRanges.has(plan.id)) return undefined;
  if (unsureUntilOf(ledger.history, plan.id) > -Infinity) return undefined;
  const undecided = [...ticksInProgress(state, plan.id), ...chainTicksInProgress(state, plan.id)];
  for (const { tick, instant } of book.byJob.get(plan.id) ?? []) {
    if (!isManual(tick) && instant <= now.wall) undecided.push(instant);
  }
  for (const { record, order } of book.runs.values()) {
    if (order.job === plan.id && record.state === "claimed" && !isManual(order.tick))
      undecided.push(order.instant);
  }
  // If the process was delayed, some due ticks have not been pulled from the timetable yet.
  const heldBack = upkeep.heldBack.get(plan.id) ?? Infinity;
  let latest = Math.min(now.wall, nextTickAt(state.jobs, plan.id) - 1, heldBack - 1);
  for (const parent of plan.after?.jobs ?? []) {
    if (seen.has(parent)) continue;
    seen.add(parent);
    for (const { tick } of openOf(ledger, parent)) if (!isManual(tick)) undecided.push(instantOf(tick));
    const ofParent = state.jobs.plans.get(parent);
    if (ofParent === undefined) continue;
    const reach = reachOf(state, ofParent, seen);
    if (reach === undefined) return undefined;
    latest = Math.min(latest, reach.latest);
    undecided.push(...reach.undecided);
  }
  return { latest, undecided };
}

/** A write has failed: watermarks that rest on it are not stored before it is. */
export function noteFailedWrite(state: State): void {
  state.upkeep.diskFailed = true;
}

export function planStore(state: State, job: JobId): void {
  const watermark = watermarkOf(state.ledger.history, job);
  if (watermark !== undefined) state.upkeep.toStore.set(job, watermark);
}

export function storeWatermarks(state: State): void {
  const writes = Array.from(state.upkeep.toStore.values(), (watermark): Write => ({
    kind: "watermark",
    watermark,
  }));
  state.upkeep.toStore.clear();
  for (let i = 0; i < writes.length; i += watermarksPerWrite) {
    emit(state, { kind: "store", writes: writes.slice(i, i + watermarksPerWrite) });
  }
}
