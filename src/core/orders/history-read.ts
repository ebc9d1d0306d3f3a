/**
 * Questions to the disk about a job's history: the records of its ticks in a span of time. Until the answer is here, the job's past
 * ticks are neither run nor reported (looked-up.ts takes it in).
 */
import type { JobId } from "../../schema/ids.ts";
import type { Watermark } from "../../schema/run.ts";
import { endUnsure, unsureUntilOf, watermarkOf } from "../records/history.ts";
import { emit, type State } from "../state.ts";

/** Asks for the records of the ticks with from ≤ tick < to (ms), and for those of the parents. */
export function readHistory(
  state: State,
  job: JobId,
  from: number,
  to: number,
  parents?: readonly JobId[],
): void {
  const { lookups } = state.upkeep;
  lookups.set(job, [...(lookups.get(job) ?? []), { from, to }]);
  emit(state, { kind: "lookUp", job, from, to, ...(parents === undefined ? {} : { parents }) });
}

/**
 * Called when an answer has been taken in. The job's history is sure now, unless more has become unsure since the question, for
 * example because another peer has withdrawn a decision: then the disk is asked again.
 */
export function historyRead(state: State, job: JobId): void {
  const { lookups } = state.upkeep;
  const { history } = state.ledger;
  const [asked, ...rest] = lookups.get(job) ?? [];
  if (rest.length > 0) lookups.set(job, rest);
  else lookups.delete(job);
  const watermark = watermarkOf(history, job);
  const isSure =
    asked === undefined ||
    watermark === undefined ||
    (asked.from <= lowestOf(watermark) + 1 &&
      Math.min(unsureUntilOf(history, job), state.now.wall) < asked.to);
  if (isSure) endUnsure(history, job);
}

/** The instant (ms) after which the disk may know of ticks that are over: that of the watermark, or just before its first open tick. */
export function lowestOf({ at, open }: Watermark): number {
  return open.length === 0 ? at : Math.min(at, ...open.map((tick) => tick - 1));
}
