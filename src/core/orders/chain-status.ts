/**
 * What a job that runs after others shows: the parents that are missing, its next ticks as far as those of its parents are known,
 * and the ticks that wait for parents. In words for people, like job-status.ts.
 */
import { windowAt } from "../job/maintenance.ts";
import { pauseAt } from "../job/stops.ts";
import type { JobHindrance, PendingTick } from "../../ports/control.ts";
import { instantOf, type JobId } from "../../schema/ids.ts";
import { pointerTo } from "../../schema/pointer.ts";
import { isPastInProgress, pastOf } from "../claims/chain-backfills.ts";
import { missingParent, type After } from "../job/chain.ts";
import { nextTickOf, ticksOf, type Plan } from "../job/plan.ts";
import { instantText } from "../members/blocked.ts";
import type { State } from "../state.ts";

const conditions: Readonly<Record<After["on"], string>> = {
  success: "after the success of",
  failure: "after the failure of",
  always: "after the end of",
};

/** `after the success of load and clean` */
export function describeAfter({ jobs, on }: After): string {
  const last = jobs.at(-1) ?? "";
  const names = jobs.length === 1 ? last : `${jobs.slice(0, -1).join(", ")} and ${last}`;
  return `${conditions[on]} ${names}`;
}

/** Parents that don't exist (any more), or that are quarantined: the job never runs after them. */
export function missingParents({ jobs }: State, { after }: Plan): JobHindrance[] {
  return (after?.jobs ?? []).flatMap((parent, index) => {
    if (jobs.plans.has(parent)) return [];
    const message = jobs.cyclic.has(parent)
      ? `it runs after "${parent}", which runs after itself`
      : missingParent(parent);
    return [{ code: "NO_PARENT" as const, pointer: pointerTo("after", "jobs", String(index)), message }];
  });
}

/** How often parents' ticks are compared before a search for a common one is given up. */
const comparedMax = 1_000;

/** Which ticks are looked for: those that come, or only those that will run if all goes well. */
type Wanted = "any" | "expected";

/**
 * The next tick after the instant (ms) that all its parents have, and that will run if they succeed; undefined = none is known. A
 * job that runs after a failure is not expected to run.
 */
export function nextChainTick(state: State, plan: Plan, after: number): number | undefined {
  return nextShared(state, plan, after, "expected");
}

/** The next tick after the instant (ms) that all its parents have, whatever becomes of it; undefined = none is known. */
export function nextTickOfParents(state: State, plan: Plan, after: number): number | undefined {
  return nextShared(state, plan, after, "any");
}

/** The last tick before the instant (ms) that the job has by its schedule, or that all its parents have. */
export function lastTickBefore(state: State, plan: Plan, before: number): number | undefined {
  if (plan.after === undefined) return ticksOf(plan, -Infinity, before, 1)[0];
  const parents = plan.after.jobs.flatMap((id) => state.jobs.plans.get(id) ?? []);
  let end = before;
  for (let count = 0; count < comparedMax && parents.length > 0; count++) {
    const ticks = parents.map((parent) => lastTickBefore(state, parent, end) ?? -Infinity);
    const earliest = Math.min(...ticks);
    if (earliest < Math.max(plan.lifetime.startsAt, 0)) return undefined;
    if (ticks.every((tick) => tick === earliest)) return earliest;
    end = earliest + 1;
  }
  return undefined;
}

/** Whether no tick can come after the instant (ms), unless the job or a parent is edited. */
export function hasEnded(state: State, plan: Plan, after: number): boolean {
  if (plan.after === undefined) return plan.schedule !== undefined && nextTickOf(plan, after) === undefined;
  const parents = plan.after.jobs.flatMap((id) => state.jobs.plans.get(id) ?? []);
  return plan.lifetime.endsAt <= after || parents.some((parent) => hasEnded(state, parent, after));
}

function nextShared(state: State, plan: Plan, after: number, wanted: Wanted): number | undefined {
  if (plan.after === undefined || !plan.enabled) return undefined;
  if (wanted === "expected" && plan.after.on === "failure") return undefined;
  const parents = plan.after.jobs.map((id) => state.jobs.plans.get(id));
  const earliest = Math.max(after, plan.lifetime.startsAt - 1);
  let at = earliest + 1;
  for (let count = 0; count < comparedMax; count++) {
    let latest = at;
    for (const parent of parents) {
      const next = parent === undefined ? undefined : nextOf(state, parent, latest - 1, wanted);
      if (next === undefined) return undefined;
      latest = Math.max(latest, next);
    }
    if (latest > plan.lifetime.endsAt) return undefined;
    if (latest === at && count > 0) return at;
    at = latest;
  }
  return undefined;
}

/** The parent's next tick after the instant (ms), as far as it is known; a paused one doesn't count. */
function nextOf(state: State, plan: Plan, after: number, wanted: Wanted): number | undefined {
  let from = after;
  for (let count = 0; count < comparedMax; count++) {
    const at = plan.after === undefined ? nextTickOf(plan, from) : nextShared(state, plan, from, wanted);
    const until = at === undefined ? undefined : skippedUntil(plan, at, wanted);
    if (until === undefined) return at;
    if (until === Infinity) return undefined;
    from = until - 1;
  }
  return undefined;
}

/** The instant (ms) from which a tick of the parent may run, if this one (ms) is skipped; undefined = it isn't skipped. */
function skippedUntil(plan: Plan, at: number, wanted: Wanted): number | undefined {
  const pause = pauseAt(plan, at);
  if (pause !== undefined) return pause.until ?? Infinity;
  if (wanted === "any") return undefined;
  return plan.skips.has(at) ? at + 1 : windowAt(plan.maintenance, at)?.to;
}

/** The parents that keep the job from having a next tick, in sentences. */
export function parentsWithoutTicks(state: State, { after }: Plan): string[] {
  return (after?.jobs ?? []).flatMap((id) => {
    const parent = state.jobs.plans.get(id);
    if (parent === undefined) return [];
    if (!parent.enabled) return [`Its parent ${id} is disabled.`];
    const pause = pauseAt(parent, state.now.wall);
    if (pause !== undefined && pause.until === undefined)
      return [`Its parent ${id} is paused until it is resumed.`];
    return hasEnded(state, parent, state.now.wall) ? [`Its parent ${id} has no further tick.`] : [];
  });
}

/** Ticks of which some parents have ended and others haven't. */
export function ticksAwaitingParents(state: State, { id, after }: Plan): PendingTick[] {
  return [...(state.book.chains.get(id) ?? [])].flatMap(([tick, { ends, verdict }]) => {
    if (verdict !== undefined || after === undefined) return [];
    const past = pastOf(after, tick);
    const awaited = after.jobs.filter(
      (parent) => !ends.has(parent) || (past !== undefined && isPastInProgress(state, parent, past)),
    );
    const why =
      awaited.length === 0 ? "what is known of it is being read from the disk" : whyAwaited(state, awaited);
    return [{ tick, due: instantOf(tick), waitsFor: "parent" as const, why }];
  });
}

function whyAwaited(state: State, awaited: readonly JobId[]): string {
  const since = awaited.flatMap((parent) => {
    const started = [...(state.ledger.openByJob.get(parent)?.values() ?? [])].flatMap(
      ({ startedAt }) => startedAt ?? [],
    );
    return started.length === 0
      ? []
      : [`${parent} has been running since ${instantText(state, Math.min(...started))}`];
  });
  const [first] = since;
  return first ?? `${awaited.join(" and ")} ${awaited.length === 1 ? "has" : "have"} not finished that tick`;
}
