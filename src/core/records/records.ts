/**
 * How records of the same order on the same peer are merged, and what story the records of a tick tell (DESIGN §8).
 *
 * A record only moves up: claimed or withdrawn < running < ended by another peer < lost by its own peer < its own peer's end.
 * A decision that its writer withdraws because its clock had been ahead begins a new round, and a later round outranks all
 * earlier ones. The merge is commutative, associative and idempotent, so peers that have seen the same records in any order
 * agree.
 */
import { backfilledInstant } from "../../schema/backfill.ts";
import { instantOf, isManual, orderKey, type OrderKey } from "../../schema/ids.ts";
import type { OtherRecord } from "../../schema/other-record.ts";
import type { RunRecord } from "../../schema/run.ts";
import { isFinal, type RunState } from "../../schema/run-states.ts";

/** Two records with the same key are versions of one record. */
export function recordKey(record: RunRecord): string {
  return `${record.job}@${record.tick}~${record.attempt}#${record.slot}@${record.peer}`;
}

export function orderKeyOf(record: RunRecord): OrderKey {
  return orderKey(record.job, record.tick, record.attempt, record.slot);
}

const endedByAnother = 2;
/** The level of a run whose own peer has found, after a restart, that it started and that no end is recorded. */
const lostByItself = 3;

function level(record: RunRecord): number {
  // A withdrawn claim may be made again, so both are on one level and the later version counts.
  if (record.state === "claimed" || record.state === "withdrawn") return 0;
  if (record.state === "running") return 1;
  if (isByAnother(record)) return endedByAnother;
  return record.state === "lost" ? lostByItself : 4;
}

/**
 * True for a record that no right clock can have written: it says that a tick after `until` (ms), in the future, was skipped
 * or missed.
 */
export function isDecidedAhead(record: RunRecord, until: number): boolean {
  return isDecision(record) && instantOf(record.tick) > until;
}

/** Whether the record says that a tick was not run. A run can be `skipped` too, by its exit code. */
export function isDecision({
  state,
  startedAt,
}: {
  readonly state: RunState;
  readonly startedAt?: number | undefined;
}): boolean {
  return (state === "skipped" || state === "missed") && startedAt === undefined;
}

/** Whether the record says that a tick of the schedule was started, or may have been; also when that was asked for again. */
export function isRecordOfStart(record: RunRecord): boolean {
  const isOfSchedule = !isManual(record.tick) || backfilledInstant(record.tick) !== undefined;
  return !isDecision(record) && record.state !== "withdrawn" && isOfSchedule;
}

/**
 * Which of two versions of one record counts. On a full tie it is either, because they are equal in everything that matters.
 */
export function mergeRecord(a: RunRecord, b: RunRecord): RunRecord {
  const byRound = (a.round ?? 0) - (b.round ?? 0);
  if (byRound !== 0) return byRound > 0 ? a : b;
  const byLevel = level(a) - level(b);
  if (byLevel !== 0) return byLevel > 0 ? a : b;
  if (a.version !== b.version) return a.version > b.version ? a : b;
  if ((a.by ?? "") !== (b.by ?? "")) return (a.by ?? "") < (b.by ?? "") ? a : b;
  return a.signature >= b.signature ? a : b;
}

/** True until the run's own peer has recorded how it ended; what another peer has written about it doesn't count. */
export function awaitsOwnEnd(record: RunRecord): boolean {
  return !isFinal(record.state) || isByAnother(record);
}

function isByAnother({ by, peer }: RunRecord): boolean {
  return by !== undefined && by !== peer;
}

/** Whether `next` says more than `known`. */
export function movesUp(known: RunRecord | undefined, next: RunRecord): boolean {
  return known === undefined || (mergeRecord(known, next) === next && known.signature !== next.signature);
}

/** Whether the record shows that its writer's decision in an earlier round is withdrawn, and says nothing new in its place. */
export function beginsRound(before: RunRecord | undefined, { state, round = 0 }: RunRecord): boolean {
  return (state === "withdrawn" || state === "claimed") && round > (before?.round ?? 0);
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
 * The record that decides a tick's story. For one slot, a run counts before a skip, and a skip before a miss; of several runs,
 * the highest attempt's best end counts. For several slots it is the record of the slot that went worst: the tick succeeds when
 * all of them do, or had nothing to do. It is the same on every peer that holds the same records; undefined if there is none.
 */
export function storyOf(records: readonly RunRecord[]): RunRecord | undefined {
  if (!records.some(({ of }) => of !== undefined)) return bestOf(records);
  const isOnAll = records.some(({ set }) => set !== undefined);
  let worst: RunRecord | undefined;
  for (const { record } of slotStories(records))
    if (worst === undefined || isWorse(record, worst, isOnAll)) worst = record;
  return worst;
}

/**
 * The record that decides the tick's story, as its final word. If it is of an attempt that was to be repeated and was not, it
 * gives the reason for that. A tick that was stopped on its way from peer to peer has failed, even if all its runs turn out to
 * have succeeded.
 */
export function finalWordOf(records: readonly RunRecord[]): RunRecord | undefined {
  const story = storyOf(records);
  if (story === undefined) return undefined;
  const word = wordWithReason(records, story);
  const hasFailed = isFinal(story.state) && stoppedSlots(records) > 0;
  return hasFailed ? { ...word, state: "failed", reason: word.reason ?? "stopped" } : word;
}

function wordWithReason(records: readonly RunRecord[], story: RunRecord): RunRecord {
  if (story.retryAt === undefined) return story;
  const ending = records.find((one) => endsRetries(one) && one.slot === story.slot);
  return ending?.reason === undefined ? story : { ...story, reason: ending.reason };
}

/** Whether the record says that the attempts of its tick end with the one before, because it was never started. */
export function endsRetries({ state, attempt, startedAt }: RunRecord): boolean {
  return attempt > 1 && startedAt === undefined && unmade.has(state);
}
const unmade: ReadonlySet<RunState> = new Set(["skipped", "missed", "cancelled"]);

/** How many slots the records of a tick say that it has. */
export function slotCountIn(records: readonly RunRecord[]): number {
  const slots = new Set(records.flatMap(({ set = [] }) => set));
  return Math.max(1, slots.size, ...records.map(({ of = 1 }) => of));
}

/** How many of the tick's slots were not run, because others had failed (`target.rolling`). */
export function stoppedSlots(records: readonly RunRecord[]): number {
  if (!records.some(isStopped)) return 0;
  return slotStories(records).filter(({ record }) => isStopped(record)).length;
}

function isStopped(record: RunRecord): boolean {
  return isDecision(record) && record.set !== undefined && record.reason === "stopped";
}

/** For each slot of which there are records, the one that decides its story. */
export function slotStories(records: readonly RunRecord[]): { slot: string; record: RunRecord }[] {
  return [...Map.groupBy(records, ({ slot }) => slot)].flatMap(([slot, some]) => {
    const record = bestOf(some);
    return record === undefined ? [] : [{ slot, record }];
  });
}

function bestOf(records: readonly RunRecord[]): RunRecord | undefined {
  let best: RunRecord | undefined;
  for (const record of records) if (best === undefined || comesFirst(record, best)) best = record;
  return best;
}

/** While a slot is undecided, so is the tick. Then come the states in which something went wrong. */
const worstFirst: readonly RunState[] = [
  "running",
  "claimed",
  "failed",
  "timeout",
  "lost",
  "missed",
  "cancelled",
  "skipped",
  "succeeded",
  "withdrawn",
];

function isWorse(a: RunRecord, b: RunRecord, isOnAll: boolean): boolean {
  const byState = badness(a, isOnAll) - badness(b, isOnAll);
  if (byState !== 0) return byState < 0;
  return isOnAll ? a.slot < b.slot : Number(a.slot) < Number(b.slot);
}

/**
 * A slot in which there was nothing to do lets the tick succeed if another one did. If the tick runs on all peers, only those
 * that ran it count: it succeeds although a peer was away.
 */
function badness(record: RunRecord, isOnAll: boolean): number {
  const isLeftOut = record.state === "skipped" && (isOnAll || hadNothingToDo(record));
  return isLeftOut ? worstFirst.indexOf("succeeded") + 0.5 : worstFirst.indexOf(record.state);
}

/** Whether there was nothing to do, by the run's precheck or by its exit code. */
function hadNothingToDo({ reason }: RunRecord): boolean {
  return reason === "precheck" || reason === "exit-code";
}

function comesFirst(a: RunRecord, b: RunRecord): boolean {
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
  // By order first: a tick of 100 peers has 100 orders, and a page of runs up to 1,000 ticks.
  const ofOrder = Map.groupBy(started, orderKeyOf);
  return started.filter((record) =>
    ofOrder.get(orderKeyOf(record))?.some(({ peer }) => peer !== record.peer),
  );
}

/** Two records of an unknown kind with the same key are versions of one record. */
export function otherRecordKey({ kind, job, tick, name, peer }: OtherRecord): string {
  return JSON.stringify([kind, job, tick, name, peer]);
}

/** Which of two versions of such a record counts, in whatever order they come. */
export function mergeOtherRecord(a: OtherRecord, b: OtherRecord): OtherRecord {
  if (a.version !== b.version) return a.version > b.version ? a : b;
  return a.signature >= b.signature ? a : b;
}
