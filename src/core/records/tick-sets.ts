/**
 * The slots of ticks that run on all peers (`target.count: "all"`): one for each peer that the job admits when the tick comes.
 *
 * Each record of such a tick names the slots, so the first records fix them for every peer. Two sets that were made at the
 * same time, or on two sides of a split, are merged. Until there is a record, each peer has the set that it would write.
 */
import type { JobId, TickId } from "../../schema/ids.ts";
import { countMax } from "../../schema/job.ts";
import type { RunRecord } from "../../schema/run.ts";
import { isFinal } from "../../schema/run-states.ts";
import { isPastWatermark } from "./history.ts";
import { entryOf, keyOf } from "./history-entry.ts";
import type { HistoryState, TickSet } from "./ledger-state.ts";
import { slotsInOrder } from "../job/slots.ts";
import { isDecision } from "./records.ts";

/** Undefined for ticks with numbered slots, and for those about which nothing is known. */
export function tickSetOf(history: HistoryState, job: JobId, tick: TickId): TickSet | undefined {
  return history.jobs.get(job)?.sets?.get(keyOf(tick));
}

function setsOf(history: HistoryState, job: JobId): Map<number | TickId, TickSet> {
  return (entryOf(history, job).sets ??= new Map());
}

/** The slots that this peer proposes. The first record of the tick replaces them. */
export function proposeSet(
  history: HistoryState,
  job: JobId,
  tick: TickId,
  slots: readonly string[],
): readonly string[] {
  const sets = setsOf(history, job);
  const known = sets.get(keyOf(tick));
  if (known !== undefined) return known.slots;
  sets.set(keyOf(tick), { slots, isRecorded: false, ends: new Map() });
  return slots;
}

/** Drops the proposed slots, because the job was edited before there was a record. */
export function dropProposedSet(history: HistoryState, job: JobId, tick: TickId): void {
  const sets = history.jobs.get(job)?.sets;
  if (sets?.get(keyOf(tick))?.isRecorded === false) sets.delete(keyOf(tick));
}

/** Takes in what a record says about the slots of its tick. `endsSlot`: no other attempt follows this one. */
export function noteInSet(history: HistoryState, record: RunRecord, endsSlot: boolean): void {
  const { job, tick, slot, set, attempt } = record;
  if (set === undefined || !isPastWatermark(history, job, tick)) return;
  const sets = setsOf(history, job);
  const known = sets.get(keyOf(tick));
  const slots = united(record, known?.isRecorded === true ? known.slots : [], [...set, slot]);
  const ends = known?.ends ?? new Map();
  const ran = !isDecision(record);
  const endsOrder = record.state !== "claimed" && record.state !== "withdrawn";
  const before = ends.get(slot);
  // A peer that was taken for dead may have run it: its own record wins.
  if (endsSlot && isFinal(record.state)) {
    if (ran || before?.ran !== true)
      ends.set(slot, { attempt, state: record.state, ran, at: record.finishedAt ?? record.due });
  } else if (before !== undefined && endsOrder && attempt >= before.attempt) ends.delete(slot);
  sets.set(keyOf(tick), { slots, isRecorded: true, ends });
}

/** The first in rank of those that either set names, so that all peers keep the same ones, in whatever order they hear of them. */
function united(
  { job, tick }: RunRecord,
  known: readonly string[],
  others: readonly string[],
): readonly string[] {
  const isNews = others.some((slot) => !known.includes(slot));
  return isNews ? slotsInOrder(job, tick, [...known, ...others]).slice(0, countMax) : known;
}
