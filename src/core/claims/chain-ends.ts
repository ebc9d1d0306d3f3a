/** How a tick of a parent has ended (chain-ticks.ts): from records in memory and from those that the disk gives. */
import { orderKey, type JobId, type TickId } from "../../schema/ids.ts";
import { retryAttemptsMax } from "../../schema/job.ts";
import type { RunRecord } from "../../schema/run.ts";
import { isFinal } from "../../schema/run-states.ts";
import { isEndOfRun } from "../job/chain.ts";
import { overSlotsOf } from "../records/history.ts";
import { latestOf, recordsOf, settles } from "../records/ledger.ts";
import { finalWordOf, movesUp, recordKey, slotCountIn, slotStories } from "../records/records.ts";
import type { State } from "../state.ts";
import type { TickEnd } from "./book-state.ts";
import { isTickOver, slotNames } from "./slots.ts";

/** Whether the record says how a tick's slot ended, after its last attempt. */
function isEnd(record: RunRecord): boolean {
  return isFinal(record.state) && settles(record) && record.range === undefined;
}

export function isEndOrRepeated(record: RunRecord): boolean {
  return isEnd(record) || record.retryAt !== undefined;
}

/**
 * The tick's final word, at the time when it was said: the run that decides it may have ended long before the last one of its
 * tick, or before it was known that no other attempt follows. Undefined if these records don't tell of the end of all its slots.
 */
export function wholeEndOf(records: readonly RunRecord[]): TickEnd | undefined {
  const ended = new Set(records.filter(isEnd).map(({ slot }) => slot));
  const word = ended.size > 0 && ended.size >= slotCountIn(records) ? finalWordOf(records) : undefined;
  if (word === undefined) return undefined;
  const last = Math.max(...records.map(({ finishedAt = -Infinity }) => finishedAt));
  const isRun = isEndOfRun(word.state);
  return {
    ...word,
    ...(last > (word.finishedAt ?? word.due) ? { finishedAt: last } : {}),
    ...(!isRun && slotStories(records).some(({ record }) => isEndOfRun(record.state))
      ? { hasRun: true }
      : {}),
  };
}

/** What memory knows of the ends of the tick's runs, when this record is the last; undefined while others are undecided. */
export function endsOfTick(state: State, end: RunRecord): RunRecord[] | undefined {
  const { job, tick, of = 1 } = end;
  if (of > 1 && !isTickOver(state, job, tick)) return undefined;
  const ended: RunRecord[] = isEndOrRepeated(end) ? [end] : [];
  for (const slot of of === 1 ? [end.slot] : slotNames(state, { job, tick, of })) {
    for (let attempt = 1; attempt <= retryAttemptsMax + 1; attempt++) {
      const records = [...recordsOf(state.ledger, orderKey(job, tick, attempt, slot))];
      if (records.length === 0 && attempt >= end.attempt) break;
      for (const record of records)
        if (isEndOrRepeated(record) && recordKey(record) !== recordKey(end)) ended.push(record);
    }
  }
  return ended;
}

/** The record, or what memory says of it if that is later: the disk may have been read before it had taken that in. */
export function latestKnown({ ledger }: State, record: RunRecord): RunRecord {
  const known = latestOf(ledger, record);
  return known !== undefined && movesUp(record, known) ? known : record;
}

/** The records of the tick's ended slots that are in memory: at most one attempt more than the disk has. */
export function endsInMemory(
  { ledger }: State,
  job: JobId,
  tick: TickId,
  onDisk: readonly RunRecord[],
): RunRecord[] {
  const ended = [...(overSlotsOf(ledger.history, job, tick)?.slots.keys() ?? [])];
  const attempts = 1 + Math.max(0, ...onDisk.map((record) => (record.job === job ? record.attempt : 0)));
  const found: RunRecord[] = [];
  for (const slot of ended.length === 0 ? ["0"] : ended)
    for (let attempt = 1; attempt <= attempts; attempt++)
      found.push(...recordsOf(ledger, orderKey(job, tick, attempt, slot)));
  return found;
}
