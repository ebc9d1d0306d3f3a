/**
 * How far the watermarks move up (DESIGN §7): past everything except undecided orders. They are stored a minute later, after
 * the records that justify them.
 */
import { isManual, type JobId } from "../../schema/ids.ts";
import type { Write } from "../../ports/disk.ts";
import { ticksInProgress } from "../claims/order-book.ts";
import type { Plan } from "../job/plan.ts";
import { nextTickAt } from "../job/timetable.ts";
import { isPlanted } from "../probes/planted.ts";
import { advanceWatermark, overCount, unsureUntilOf, watermarkOf } from "../records/history.ts";
import { emit, type State } from "../state.ts";
import { isPlanning } from "./planning.ts";

/** How many undecided ticks a watermark names. With more, the watermark stays below the first that doesn't fit. */
const openMax = 256;
/** Watermarks in one write. */
const watermarksPerWrite = 2_000;

/**
 * Moves the job's watermark up: every tick up to now is over, except those in the book, those on their way through the
 * launcher, and those that have not come into the book yet.
 */
export function moveUp(state: State, plan: Plan): void {
  // This version can't compute the job's ticks. A peer that can will tell which are over.
  if (!plan.knowsTicks) return;
  const { upkeep, book, now, ledger } = state;
  const isUnsettled = upkeep.warmUp !== undefined || upkeep.lookups.has(plan.id) || upkeep.gaps.has(plan.id);
  if (isUnsettled || unsureUntilOf(ledger.history, plan.id) > -Infinity) return;
  // There is nothing to move past: no ticks that are over, and no open ones.
  const watermark = watermarkOf(ledger.history, plan.id);
  if (watermark === undefined || (overCount(ledger.history, plan.id) === 0 && watermark.open.length === 0))
    return;
  if (!isPlanning(state) || isPlanted(state, "watermark-stuck")) return;
  const undecided = ticksInProgress(state, plan.id);
  for (const { tick, instant } of book.byJob.get(plan.id) ?? []) {
    if (!isManual(tick) && instant <= now.wall) undecided.push(instant);
  }
  for (const { record, order } of book.runs.values()) {
    if (order.job === plan.id && record.state === "claimed" && !isManual(order.tick))
      undecided.push(order.instant);
  }
  if (isPlanted(state, "watermark-leads")) undecided.length = 0;
  const open = [...new Set(undecided)].toSorted((a, b) => a - b);
  const tooMany = open[openMax];
  // If the process was delayed, some due ticks have not been pulled from the timetable yet.
  const latest = Math.min(now.wall, nextTickAt(state.jobs, plan.id) - 1);
  const at = tooMany === undefined ? latest : Math.min(latest, tooMany - 1);
  if (advanceWatermark(ledger.history, plan.id, at, open.slice(0, openMax))) planStore(state, plan.id);
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
