/**
 * Pauses a job when as many of its ticks have failed in a row as its `pauseAfterFailures` says. A person resumes it.
 *
 * The peer that reports the tick reads the job's last ends from its disk, counts, and writes the pause into the table. If that
 * peer doesn't do it, the next one in rank does. The pause of a tick has the same key, whichever peer writes it, so two peers that
 * write it make one pause.
 */
import { reportEveryMs } from "../limits.ts";
import { hash } from "node:crypto";
import { instantOf, ulid, type JobId, type TickId } from "../../schema/ids.ts";
import type { TableEdit } from "../../schema/job.ts";
import type { RunRecord } from "../../schema/run.ts";
import { takeFailed } from "../claims/record-moved.ts";
import { isTickOver, slotsPerTick } from "../claims/slots.ts";
import { failedInARow } from "../job/failures.ts";
import type { Plan } from "../job/plan.ts";
import { tooFarAheadToWrite } from "../members/clocks.ts";
import { mark } from "../probes/marks.ts";
import { isWholeOver } from "../records/history.ts";
import { settles } from "../records/ledger.ts";
import { finalWordOf } from "../records/records.ts";
import { emit, nextToken, note, type State } from "../state.ts";
import { reporterPlace } from "./reporter.ts";

/** Looks at the jobs of which a tick has just failed, or with `all` at those too that are left to another peer. */
export function reviewFailures(state: State, which: "new" | "all"): void {
  const { failedTicks } = state.upkeep;
  const failed = takeFailed(state);
  for (const { job, tick } of failed) failedTicks.set(job, { tick, sinceMono: state.now.mono });
  const jobs = which === "all" ? [...failedTicks.keys()] : new Set(failed.map(({ job }) => job));
  for (const job of jobs) review(state, job);
}

function review(state: State, job: JobId): void {
  const { failedTicks, warmUp } = state.upkeep;
  const known = failedTicks.get(job);
  const plan = state.jobs.plans.get(job);
  const place =
    known === undefined || warmUp !== undefined ? undefined : reporterPlace(state, job, known.tick);
  if (known === undefined || plan === undefined || place === undefined || isPausedByFailures(plan)) {
    failedTicks.delete(job);
    return;
  }
  if (state.now.mono - known.sinceMono < place * reportEveryMs) return;
  failedTicks.delete(job);
  // No more records than this, unless a split has doubled some.
  const limit = plan.pauseAfterFailures * (1 + plan.retry.attempts) * slotsPerTick(state, plan);
  emit(state, { kind: "readEnds", job, limit, rolling: plan.target.rolling !== undefined });
}

function isPausedByFailures({ pauses }: Plan): boolean {
  return pauses.some(({ failedTick }) => failedTick !== undefined);
}

/** Takes in the job's last runs that have succeeded or failed, from the disk. */
export function readEnds(state: State, job: JobId, records: readonly RunRecord[]): void {
  const plan = state.jobs.plans.get(job);
  if (plan === undefined || plan.pauseAfterFailures === 0 || isPausedByFailures(plan)) return;
  if (tooFarAheadToWrite(state) !== undefined) return;
  const failed = failedInARow(endedTicks(state, records, plan.job.failuresFrom));
  const [last] = failed;
  if (last === undefined || failed.length < plan.pauseAfterFailures) return;
  mark(state, "paused-by-failures");
  note(state, "warn", "a job is paused, because its ticks fail", {
    job,
    tick: last.tick,
    ticks: failed.length,
  });
  emit(state, { kind: "edit", edits: [pauseAfter(state, plan, last)], token: nextToken(state) });
}

interface EndedTick {
  tick: TickId;
  instant: number;
  state: RunRecord["state"];
}

/** The ticks after that instant (ms) that are over. */
function endedTicks(state: State, records: readonly RunRecord[], after: number): EndedTick[] {
  return [...Map.groupBy(records, ({ tick }) => tick)].flatMap(([tick, ofTick]) => {
    const story = finalWordOf(ofTick);
    if (story === undefined) return [];
    const isWhole = story.of === undefined || isTickOver(state, story.job, tick);
    // The records don't include one that says that a further attempt is not made.
    const isSettled = ofTick.some(settles) || isWholeOver(state.ledger.history, story.job, tick);
    const isOver = isSettled && isWhole && instantOf(tick) > after;
    return isOver ? [{ tick, instant: instantOf(tick), state: story.state }] : [];
  });
}

function pauseAfter({ now }: State, plan: Plan, { tick, instant }: EndedTick): TableEdit {
  const count = plan.pauseAfterFailures;
  const ticks =
    count === 1 ? `its tick ${tick} has failed` : `${count} ticks in a row have failed, the last ${tick}`;
  const key = ulid(Math.min(instant, now.wall), hash("sha256", `${plan.id}@${tick}`, "buffer"));
  const pause = { by: "cicada", at: now.wall, note: ticks, failedTick: instant };
  return { kind: "pause", id: plan.id, ulid: key, pause };
}
