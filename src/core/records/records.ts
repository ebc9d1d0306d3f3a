/**
 * How records of the same order on the same peer are merged, and what story the records of a tick tell (DESIGN §8).
 *
 * A record only moves up: claimed < running < lost (said by another) < lost (said by the writer) < the writer's own end.
 * A decision that its writer withdraws, because its clock had been ahead, begins a new round, and a later round stands above
 * all earlier ones. The merge is
 * commutative, associative and idempotent, so peers that have seen the same records in any order agree.
 */
import { instantOf, isManual, orderKey, type OrderKey } from "../../schema/ids.ts";
import type { OtherRecord } from "../../schema/other-record.ts";
import { isFinal, type RunRecord, type RunState } from "../../schema/run.ts";

/** The key under which two records are the same thing said at different times. */
export function recordKey(record: RunRecord): string {
  return `${record.job}@${record.tick}~${record.attempt}#${record.slot}@${record.peer}`;
}

export function orderKeyOf(record: RunRecord): OrderKey {
  return orderKey(record.job, record.tick, record.attempt, record.slot);
}

const saidByAnother = 2;
/** The writer's own word that a run is lost: it found a record of a start and no end of it. */
const saidLost = 3;

function level(record: RunRecord): number {
  // A claim that was taken back may be made anew, so the two stand on one step and the later writing counts.
  if (record.state === "claimed" || record.state === "withdrawn") return 0;
  if (record.state === "running") return 1;
  if (record.by !== undefined && record.by !== record.peer) return saidByAnother;
  return record.state === "lost" ? saidLost : 4;
}

/**
 * True of a word that no right clock can have written: that a tick which is still to come after `until` (ms) has been skipped
 * or missed.
 */
export function isDecidedAhead({ state, tick }: RunRecord, until: number): boolean {
  return (state === "skipped" || state === "missed") && instantOf(tick) > until;
}

/** True of a record of a tick of the schedule that was started, or may have been. */
export function tellsOfStart({ state, tick }: RunRecord): boolean {
  return state !== "skipped" && state !== "missed" && state !== "withdrawn" && !isManual(tick);
}

/** Which of two records of one key stands; on a full tie, either (they are equal in all that counts). */
export function mergeRecord(a: RunRecord, b: RunRecord): RunRecord {
  const byRound = (a.round ?? 0) - (b.round ?? 0);
  if (byRound !== 0) return byRound > 0 ? a : b;
  const byLevel = level(a) - level(b);
  if (byLevel !== 0) return byLevel > 0 ? a : b;
  if (a.version !== b.version) return a.version > b.version ? a : b;
  if ((a.by ?? "") !== (b.by ?? "")) return (a.by ?? "") < (b.by ?? "") ? a : b;
  return a.signature >= b.signature ? a : b;
}

/** True until the writer itself has said how it ended: another's `lost` is not its own word. */
export function awaitsOwnEnd(record: RunRecord): boolean {
  return !isFinal(record.state) || level(record) === saidByAnother;
}

/** True when `next` says more than `known` does. */
export function movesUp(known: RunRecord | undefined, next: RunRecord): boolean {
  return known === undefined || (mergeRecord(known, next) === next && known.signature !== next.signature);
}

const storyOrder: readonly RunState[] = [
  "succeeded",
  "running",
  "failed",
  "timeout",
  "cancelled",
  "lost",
  "claimed",
  "skipped",
  "missed",
  "withdrawn",
];

/**
 * The record that tells a tick's story: run over skip over missed; of several runs the best end of the highest
 * attempt. The same on every peer that holds the same records; undefined when none is given.
 */
export function storyOf(records: readonly RunRecord[]): RunRecord | undefined {
  let best: RunRecord | undefined;
  for (const record of records) if (best === undefined || tellsMore(record, best)) best = record;
  return best;
}

function tellsMore(a: RunRecord, b: RunRecord): boolean {
  const ran = Number(hasStarted(a)) - Number(hasStarted(b));
  if (ran !== 0) return ran > 0;
  if (hasStarted(a) && a.attempt !== b.attempt) return a.attempt > b.attempt;
  const byState = storyOrder.indexOf(a.state) - storyOrder.indexOf(b.state);
  if (byState !== 0) return byState < 0;
  return a.peer < b.peer;
}

export function hasStarted(record: RunRecord): boolean {
  return record.startedAt !== undefined || (isFinal(record.state) && !startless.has(record.state));
}
const startless: ReadonlySet<RunState> = new Set(["skipped", "missed", "withdrawn", "lost", "cancelled"]);

/** Records whose order was started on more than one peer: the duplicates of a split. */
export function duplicatesIn(records: readonly RunRecord[]): RunRecord[] {
  const started = records.filter(hasStarted);
  return started.filter((record) =>
    started.some((other) => other.peer !== record.peer && orderKeyOf(other) === orderKeyOf(record)),
  );
}

/** The key under which two records of a kind unknown here are the same thing stated at different times. */
export function otherRecordKey({ kind, job, tick, name, peer }: OtherRecord): string {
  return JSON.stringify([kind, job, tick, name, peer]);
}

/** Which of two such records of one key stands, in whatever order they come. */
export function mergeOtherRecord(a: OtherRecord, b: OtherRecord): OtherRecord {
  if (a.version !== b.version) return a.version > b.version ? a : b;
  return a.signature >= b.signature ? a : b;
}
