/**
 * What a job is doing now (paused, running, blocked, waiting …), and what keeps its next tick from running, as far as this peer
 * knows.
 *
 * Whether a job is failing depends on its last tick, which is on disk: peer/control.ts adds that.
 */
import type { JobHindrance } from "../../ports/control.ts";
import { isManual, tickAt } from "../../schema/ids.ts";
import type { JobState } from "../../schema/job-vocabulary.ts";
import type { Skip } from "../../schema/job.ts";
import { windowAt } from "../job/maintenance.ts";
import { isTickOf, nextPlannedTickOf, nextTickOf, type Plan } from "../job/plan.ts";
import { pauseAt } from "../job/stops.ts";
import { instantText } from "../members/blocked.ts";
import { openOf } from "../records/ledger.ts";
import type { State } from "../state.ts";
import { endingCalendars } from "./calendar-status.ts";
import {
  describeAfter,
  hasEnded,
  missingParents,
  nextChainTick,
  nextTickOfParents,
  parentsWithoutTicks,
  ticksAwaitingParents,
} from "./chain-status.ts";
import { allSkipped, comingAfter, nextRun, nextUnpaused } from "./coming-ticks.ts";
import { fewPeers, hindrancesOf, retriesNowhere, unknownHere } from "./hindrances.ts";
import { firstPending, pendingTicks } from "./pending-ticks.ts";

/** The states that are known without the job's history. With it, `failing` can replace `scheduled` and `manual`. */
export type StateNow = Exclude<JobState, "invalid" | "failing">;

export interface StatusNow {
  state: StateNow;
  hindrances: JobHindrance[];
}

/** What the job is doing now. If several states apply, the first one in the order of `stateNow` counts. */
export function statusNow(state: State, plan: Plan): StatusNow {
  const hindrances = hindrancesOf(state, plan);
  const how = stateNow(state, plan, hindrances.length > 0);
  const lesser = hindrances.length === 0 ? [...fewPeers(state, plan), ...retriesNowhere(state, plan)] : [];
  const others = [
    ...unknownHere(state, plan),
    ...missingParents(state, plan),
    ...endingCalendars(state, plan),
  ];
  return { state: how, hindrances: [...hindrances, ...lesser, ...others] };
}

function stateNow(state: State, plan: Plan, isBlocked: boolean): StateNow {
  if (!plan.enabled) return "disabled";
  if (pauseAt(plan, state.now.wall) !== undefined) return "paused";
  const from = comingAfter(state, plan);
  if (hasEnded(state, plan, from)) return "ended";
  for (const record of openOf(state.ledger, plan.id)) if (record.state === "running") return "running";
  if (state.book.retries.has(plan.id)) return "running";
  if (isBlocked) return "blocked";
  if (firstPending(state, plan) !== undefined || ticksAwaitingParents(state, plan).length > 0)
    return "waiting";
  const hasTicks = plan.schedule !== undefined || nextTickOfParents(state, plan, from) !== undefined;
  return hasTicks || !plan.knowsTicks ? "scheduled" : "manual";
}

/** What keeps the job's next tick from running, for the person who asks why. */
export function obstaclesToNext(state: State, plan: Plan): string[] {
  const { job } = plan;
  if (!plan.enabled) {
    return [`The job is disabled; ${job.updatedBy} last edited it at ${instantText(state, job.updatedAt)}.`];
  }
  const pause = pauseAt(plan, state.now.wall);
  const sentences: string[] = [];
  if (pause !== undefined) {
    const until =
      pause.until === undefined ? "until it is resumed" : `until ${instantText(state, pause.until)}`;
    const note = pause.note === undefined ? "" : `: ${pause.note}`;
    sentences.push(
      `The job is paused ${until}; ${pause.by} paused it at ${instantText(state, pause.at)}${note}.`,
    );
  }
  const maintained = describeMaintenance(state, plan);
  if (maintained !== undefined) sentences.push(maintained);
  for (const { message } of hindrancesOf(state, plan)) sentences.push(`No peer can run it: ${message}.`);
  for (const { message } of fewPeers(state, plan)) sentences.push(`Fewer peers: ${message}.`);
  for (const { message } of unknownHere(state, plan)) sentences.push(`Not on this peer: ${message}.`);
  for (const { message } of missingParents(state, plan)) sentences.push(`A parent is missing: ${message}.`);
  sentences.push(...parentsWithoutTicks(state, plan));
  const [oldest] = pendingTicks(state, plan);
  if (oldest !== undefined) {
    const how = oldest.waitsFor === "retry" ? "is repeated" : "is due and waits";
    const what = isManual(oldest.tick) ? "A run that was asked for" : `Its tick ${oldest.tick}`;
    sentences.push(`${what} ${how}: ${oldest.why}.`);
  }
  const from = comingAfter(state, plan);
  const next = plan.after === undefined ? nextTickOf(plan, from) : nextChainTick(state, plan, from);
  const skip = next === undefined ? undefined : plan.skips.get(next);
  if (next !== undefined && skip !== undefined)
    sentences.push(`Its tick ${tickAt(next)} is to be skipped; ${skippedBy(state, skip)}.`);
  if (!plan.knowsTicks) sentences.push("This peer can't tell when its next tick is.");
  else if (plan.after !== undefined)
    sentences.push(`It has no schedule: it runs ${describeAfter(plan.after)}.`);
  else if (plan.schedule === undefined) sentences.push("It has no schedule: it runs only by hand.");
  else if (next === undefined) sentences.push("Its schedule has no further tick.");
  if (plan.knowsTicks && nextRun(state, plan) === undefined) {
    const skipped = allSkipped(state, plan);
    if (skipped !== undefined) sentences.push(`Nothing will run: ${skipped.message}.`);
  }
  return sentences;
}

function skippedBy(state: State, { by, at, note }: Skip): string {
  return `${by} asked for it at ${instantText(state, at)}${note === undefined ? "" : `: ${note}`}`;
}

/** The maintenance that goes on or in which the next tick is due. */
function describeMaintenance(state: State, plan: Plan): string | undefined {
  const next = nextUnpaused(plan, state.now.wall, nextTickOf);
  const going = windowAt(plan.maintenance, state.now.wall);
  const window = going ?? (next === undefined ? undefined : windowAt(plan.maintenance, next));
  if (window === undefined) return undefined;
  const note = plan.maintenance.find(({ name }) => name === window.name)?.spec.note;
  const why = note === undefined ? "" : `: ${note}`;
  const until = `until ${instantText(state, window.to)}`;
  if (going !== undefined)
    return `The maintenance "${window.name}" goes on ${until}${why}. Its ticks are skipped meanwhile.`;
  return `Its next tick will be skipped: the maintenance "${window.name}" begins at ${instantText(state, window.from)} and goes on ${until}${why}.`;
}

/** Why the instant is no tick of the job as it is now; undefined when it is one. */
export function noTickAt(state: State, plan: Plan, instant: number): string | undefined {
  const isTick = isTickOf(plan, instant);
  const skip = isTick || plan.after !== undefined ? plan.skips.get(instant) : undefined;
  if (skip !== undefined) return `it is to be skipped; ${skippedBy(state, skip)}`;
  if (isTick) return undefined;
  const { job } = plan;
  if (!plan.enabled) {
    return `it is disabled (${job.updatedBy} last edited it at ${instantText(state, job.updatedAt)})`;
  }
  if (!plan.knowsTicks) return "its schedule is of a later version, which this peer can't read";
  if (plan.after !== undefined)
    return `it runs ${describeAfter(plan.after)}, and no such tick of theirs has ended`;
  if (plan.schedule === undefined) return "it has no schedule and runs only by hand";
  if (instant <= plan.earliest) {
    const since = instantText(state, plan.earliest);
    return `its ticks count from ${since} on, when it was created or resumed, or its schedule was edited`;
  }
  return nextPlannedTickOf(plan, instant - 1) === instant
    ? "its `except` leaves it out"
    : "its current schedule has no tick then";
}
