/** Removes history from the simulated storage by the rules of ports/disk.ts (PruneRule), as real/disk/pruning.ts does. */
import { originalTick } from "../../schema/backfill.ts";
import { isRecordOfStart } from "../../core/records/records.ts";
import { addToSpans, startsKept } from "../../core/time/spans.ts";
import type { Pruned, PruneRule } from "../../ports/disk.ts";
import { instantOf, runId } from "../../schema/ids.ts";
import type { StableStorage } from "./storage.ts";

export function pruneJob(storage: StableStorage, rule: PruneRule, pruned: Pruned): void {
  const { job, keep } = rule;
  const noted = storage.horizons.get(job);
  // A horizon in the future was noted by a clock that was wrong.
  const known = noted === undefined || noted.before > rule.countedBefore ? 0 : noted.before;
  const ticks = Array.from(
    Map.groupBy(storage.records(job), ({ tick }) => tick),
    ([tick, records]) => ({ tick, instant: instantOf(tick), records }),
  ).toSorted((a, b) => a.instant - b.instant || (a.tick < b.tick ? -1 : 1));
  const counted = ticks.filter(({ instant }) => instant < rule.countedBefore);
  const oldest = counted[counted.length - Math.max(1, keep.runs)]?.instant ?? 0;
  const byNumber = keep.runs > 0 || oldest === 0 ? oldest : oldest + 1;
  const before = Math.min(rule.before, Math.max(rule.olderThan, byNumber, known));
  const success = ticks.findLast(({ records }) => records.some(({ state }) => state === "succeeded"));
  const stays = rule.keepsLast ? [ticks.at(-1), success] : [];
  const started: number[] = [];
  for (const tick of ticks) {
    if (tick.instant >= before || stays.includes(tick)) continue;
    if (tick.records.some(isRecordOfStart)) started.push(instantOf(originalTick(tick.tick)));
    for (const record of tick.records) {
      storage.remove(record);
      storage.removeOrder(record);
      storage.outputs.delete(runId(record));
      pruned.runs.push(runId(record));
    }
  }
  for (const record of storage.others.values()) {
    const isKept = stays.some((tick) => tick?.tick === record.tick);
    if (record.job === job && instantOf(record.tick) < before && !isKept) storage.removeOther(record);
  }
  const ticksLeft = new Set(storage.records(job).map(({ tick }) => tick));
  for (const order of storage.orders.values()) {
    const hasRecord = ticksLeft.has(order.tick);
    if (order.job === job && instantOf(order.tick) < rule.before && !hasRecord) storage.removeOrder(order);
  }
  const starts = addToSpans(noted?.starts ?? [], started, startsKept);
  const horizon = { job, before: Math.max(known, before), keep, starts };
  if (JSON.stringify(horizon) === JSON.stringify(noted)) return;
  storage.horizons.set(job, horizon);
  pruned.horizons.push(horizon);
}
