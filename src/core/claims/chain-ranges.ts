/**
 * Ranges of a parent's ticks that were not run: the same ticks of the jobs that run after it are skipped, in ranges too, which
 * wait here until a peer reports them (orders/chain-scan.ts).
 */
import { instantOf, type JobId } from "../../schema/ids.ts";
import type { RunRecord, Span } from "../../schema/run.ts";
import { parentReason } from "../job/chain.ts";
import { intervalsBetween } from "../job/gap.ts";
import { nextTickOf, ticksOf, type Plan } from "../job/plan.ts";
import { isOver } from "../records/history.ts";
import type { State } from "../state.ts";
import type { PendingRange } from "./book-state.ts";
import { countTicks } from "../time/count.ts";

/** A parent's ticks in this range were not run, so the child's are skipped. `inProgress`: the child's own ticks (ms). */
export function passOnRange(
  state: State,
  child: JobId,
  record: RunRecord,
  inProgress: readonly number[],
): void {
  const { job, tick, range, state: how } = record;
  const plan = state.jobs.plans.get(child);
  if (range === undefined || (how !== "skipped" && how !== "missed")) return;
  if (plan?.after?.jobs.includes(job) !== true || !plan.enabled) return;
  if (isOver(state.ledger.history, child, tick, "0")) return;
  const whole = { from: range.from, to: instantOf(tick), count: range.count };
  const pending = state.book.chainRanges.get(child) ?? [];
  const found = spansWithin(state, plan, job, whole, inProgress).filter(
    (span) => !pending.some((known) => known.from <= span.from && span.to <= known.to),
  );
  if (found.length === 0) return;
  const reason = `${parentReason}${job} was ${how}`;
  const sinceMono = state.now.mono;
  const added = found.map((span) => ({ ...span, parent: job, reason, sinceMono }));
  state.book.chainRanges.set(child, [...pending, ...added]);
}

/** The parts of the range in which the child has its parent's ticks and none of its own in progress. */
function spansWithin(
  state: State,
  plan: Plan,
  parent: JobId,
  whole: Span & { count: number },
  inProgress: readonly number[],
): (Span & { count: number })[] {
  const least = Math.max(plan.earliest + 1, plan.lifetime.startsAt);
  const known = inProgress.filter((tick) => whole.from <= tick && tick <= whole.to);
  if (whole.from >= least && whole.to <= plan.lifetime.endsAt && known.length === 0) return [whole];
  const ofParent = state.jobs.plans.get(parent);
  const schedule = ofParent?.schedule;
  // Ranges of a parent that has no schedule are reported as they are, or not at all.
  if (ofParent === undefined || schedule === undefined) return [];
  const stretches = known.map((tick) => ({ from: tick, to: tick }));
  const end = Math.min(whole.to, plan.lifetime.endsAt) + 1;
  return intervalsBetween(stretches, Math.max(whole.from, least), end).flatMap(({ from, to }) => {
    const first = nextTickOf(ofParent, from - 1);
    const last = ticksOf(ofParent, from, to, 1)[0];
    if (first === undefined || last === undefined) return [];
    return [{ from: first, to: last, count: countTicks(schedule, first, last + 1) }];
  });
}

/** The parent's range is withdrawn, so what was passed on of it to the child is not reported. */
export function takeBackRange({ book }: State, child: JobId, record: RunRecord): void {
  drop(book, child, record, ({ parent }) => parent === record.job);
}

/** Forgets the job's ranges: this peer or another one has reported them. */
export function forgetRanges({ book }: State, record: RunRecord): void {
  drop(book, record.job, record, () => true);
}

/** Drops those of the job's ranges that lie within the record's and that are meant. */
function drop(
  { chainRanges }: State["book"],
  job: JobId,
  { tick, range }: RunRecord,
  isMeant: (one: PendingRange) => boolean,
): void {
  const pending = chainRanges.get(job);
  if (pending === undefined || range === undefined) return;
  const to = instantOf(tick);
  const left = pending.filter((one) => one.from < range.from || one.to > to || !isMeant(one));
  if (left.length === 0) chainRanges.delete(job);
  else chainRanges.set(job, left);
}
