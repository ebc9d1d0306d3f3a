/**
 * What no longer counts as over: what a clock that was ahead wrote about ticks to come, and orders whose writer has withdrawn
 * their record. The disk is read before such a tick is admitted (`unsureUntil`), because other records may say that it is over
 * all the same.
 */
import { instantOf, isManual, type JobId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { covers, openTicksMax, ticksOf } from "./history-entry.ts";
import type { Settled } from "./history.ts";
import type { HistoryState, JobHistory } from "./ledger-state.ts";

/**
 * After the clock was ahead: forgets everything about ticks after `now`, including what other peers wrote about them. The disk
 * says which of them really started. Returns the jobs that are concerned.
 */
export function withdrawAhead(history: HistoryState, now: number): JobId[] {
  const withdrawn: JobId[] = [];
  for (const [job, ofJob] of history.jobs) {
    let latest = -Infinity;
    for (const { to } of ofJob.ranges) if (to > now) latest = Math.max(latest, to);
    ofJob.ranges = ofJob.ranges.filter(({ to }) => to <= now);
    for (const tick of ofJob.over?.keys() ?? []) {
      if (typeof tick !== "number" || tick <= now) continue;
      latest = Math.max(latest, tick);
      ofJob.over?.delete(tick);
    }
    if (ofJob.watermark !== undefined && ofJob.watermark.at > now) {
      latest = Math.max(latest, ofJob.watermark.at);
      const { since } = ofJob.watermark;
      const open = [...ofJob.watermark.open].filter((tick) => tick <= now);
      // If that clock began the watermark, nothing is known of the ticks before now, and the watermark is begun anew.
      ofJob.watermark = since > now ? undefined : { since, at: now, open: ticksOf(open) };
    }
    if (latest === -Infinity) continue;
    ofJob.unsureUntil = Math.max(ofJob.unsureUntil, latest);
    withdrawn.push(job);
  }
  return withdrawn;
}

/**
 * A range from this instant (ms) on, reported by a clock that was ahead, no longer counts, and part of it is past. The
 * watermark goes back to before it, and the disk is read to learn which ticks of that part really started.
 */
export function reopenFrom(history: HistoryState, job: JobId, instant: number, now: number): void {
  const ofJob = history.jobs.get(job);
  if (ofJob?.watermark === undefined || ofJob.watermark.at < instant) return;
  const at = instant - 1;
  const open = [...ofJob.watermark.open].filter((tick) => tick <= at);
  ofJob.watermark = { since: Math.min(ofJob.watermark.since, at), at, open: ticksOf(open) };
  ofJob.unsureUntil = Math.max(ofJob.unsureUntil, now);
}

/**
 * A slot of a tick, or a range, no longer counts as over because of its record: the writer has withdrawn that record. The disk is
 * to be read up to that tick, because other records may say that it is over all the same.
 */
export function reopen(history: HistoryState, record: Settled & Pick<RunRecord, "range">, now: number): void {
  const { job, tick, slot, range } = record;
  const ofJob = history.jobs.get(job);
  if (ofJob === undefined || isManual(tick)) return;
  const at = instantOf(tick);
  const { watermark } = ofJob;
  if (range !== undefined) {
    ofJob.ranges = ofJob.ranges.filter(({ from, to }) => from !== range.from || to !== at);
    reopenFrom(history, job, range.from, now);
  } else if (!covers(watermark, at)) dropSlot(ofJob, at, slot);
  else if (watermark !== undefined && watermark.open.size < openTicksMax)
    ofJob.watermark = { ...watermark, open: new Set([...watermark.open, at]) };
  else reopenFrom(history, job, at, now);
  ofJob.unsureUntil = Math.max(ofJob.unsureUntil, Math.min(at, now));
}

function dropSlot({ over }: JobHistory, tick: number, slot: string): void {
  const known = over?.get(tick);
  if (known === undefined || !known.slots.has(slot)) return;
  const slots = new Map(known.slots);
  slots.delete(slot);
  if (slots.size === 0) over?.delete(tick);
  else over?.set(tick, { ...known, slots });
}
