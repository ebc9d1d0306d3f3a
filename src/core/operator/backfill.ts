/**
 * Backfill: a person asks for ticks of a job that are past. Each becomes a requested order of its own, which every peer knows
 * once it is gossiped, so they run whichever peer dies. They run one after the other, oldest first, behind the live ticks of the
 * job (orders/facts.ts), and are due after a moment in which another peer that is asked for the same ticks hears of them.
 */
import { CicadaError } from "../../errors.ts";
import type { Answer, Command } from "../../ports/command.ts";
import type { BackfillTicks } from "../../ports/control.ts";
import { backfillMax, backfillTick } from "../../schema/backfill.ts";
import { tickAt, type JobId, type TickId } from "../../schema/ids.ts";
import type { RequestedOrder } from "../../schema/run.ts";
import { isBackfilled } from "../claims/backfill-index.ts";
import { requestedMax, ticksInProgress } from "../claims/order-book.ts";
import { lackingCalendar } from "../job/calendar-jobs.ts";
import { paramsOfRun } from "../checks/params.ts";
import { planJob, ticksOf, type Plan } from "../job/plan.ts";
import { stopAt } from "../job/stops.ts";
import { emit, expectStored, type State } from "../state.ts";
import { countTicks } from "../time/count.ts";
import { isOpen } from "../records/ledger.ts";

/** How long after the request its first tick is due, ms. With less, two peers that are asked at once may both run it. */
const graceMs = 3_000;

/** The job's ticks with from ≤ tick < to (ms) up to now, by its present schedule, whenever that was written. */
export function ticksToBackfill(
  state: State,
  id: JobId,
  from: number,
  to: number,
): BackfillTicks | CicadaError {
  const known = state.jobs.plans.get(id);
  if (known === undefined) return new CicadaError("JOB_NOT_FOUND", `there is no job "${id}"`);
  const { job } = known;
  const enabled = planJob({ ...job, spec: { ...job.spec, enabled: true } }, state.jobs.calendars);
  const plan = Array.isArray(enabled) ? known : { ...enabled, earliest: -Infinity };
  if (plan.after !== undefined) {
    const parents = plan.after.jobs.join(", ");
    const which = plan.after.jobs.length === 1 ? "that" : "all of them";
    return new CicadaError("NO_SCHEDULE", `"${id}" runs after ${parents}: backfill ${which}, and it follows`);
  }
  if (plan.schedule === undefined)
    return new CicadaError("NO_SCHEDULE", `"${id}" has no schedule, or one that this peer can't read`);
  const lacking = lackingCalendar(plan, Math.min(to, state.now.wall));
  if (lacking !== undefined)
    return new CicadaError(
      "NO_SCHEDULE",
      `the calendar "${lacking.name}" of "${id}" is not known for that time`,
    );
  const [begin, end] = [
    Math.max(from, plan.lifetime.startsAt),
    Math.min(to, plan.lifetime.endsAt + 1, state.now.wall),
  ];
  const count = countTicks(plan.schedule, begin, end);
  if (count > backfillMax) {
    const detail = `"${id}" has ${count} ticks from ${tickAt(from)} to ${tickAt(to)}, and the maximum is ${backfillMax}`;
    return new CicadaError("TOO_MANY_TICKS", detail);
  }
  const ticks = ticksOf(plan, begin, end, backfillMax);
  return {
    ticks,
    pending: ticks.filter(pendingOf(state, id)),
    backfilled: ticks.filter((tick) => isBackfilled(state, id, tick)),
  };
}

/**
 * Says of a tick (ms) whether the job's own schedule is about to run it, or runs it. What all ticks have in common is looked up
 * once: a job may have thousands of orders, and a thousand ticks are asked about.
 */
function pendingOf(state: State, id: JobId): (tick: number) => boolean {
  const { book, ledger } = state;
  const names = new Set<TickId>();
  for (const { tick } of book.byJob.get(id) ?? []) names.add(tick);
  for (const { order } of book.runs.values()) if (order.job === id) names.add(order.tick);
  const inProgress = new Set(ticksInProgress(state, id));
  return (tick) => inProgress.has(tick) || names.has(tickAt(tick)) || isOpen(ledger, id, tickAt(tick));
}

/** Undefined when the answer follows, once all of it is durable. The ticks are past, and whole seconds. */
export function backfill(
  state: State,
  plan: Plan,
  { ticks, force = false, by }: Extract<Command, { kind: "backfill-job" }>,
  token: number,
  random: Uint8Array,
): Answer | undefined {
  const { wall } = state.now;
  const stopped = !plan.enabled ? "disabled" : stopAt(plan, wall)?.why;
  if (stopped !== undefined && !force) {
    const how = stopped === "maintenance" ? "in maintenance" : stopped;
    return { kind: "refused", error: new CicadaError("JOB_PAUSED", `"${plan.id}" is ${how}`) };
  }
  const params = paramsOfRun(plan.job.spec.params, undefined);
  if (!params.ok) {
    const detail = params.problems.map(({ pointer, message }) => `${pointer}: ${message}`).join("; ");
    return { kind: "refused", error: new CicadaError("UNPROCESSABLE", detail, params.problems) };
  }
  const isPending = pendingOf(state, plan.id);
  const wanted = ticks.filter(
    (tick) => tick < wall && !isPending(tick) && (force || !isBackfilled(state, plan.id, tick)),
  );
  if (wanted.length > backfillMax || state.book.requestedCount + wanted.length > requestedMax) {
    const detail = `${wanted.length} ticks are too many, on top of ${state.book.requestedCount} runs that people have asked for`;
    return { kind: "refused", error: new CicadaError("TOO_MANY_TICKS", detail) };
  }
  const nonce = force ? 1 + ((((random[0] ?? 0) << 8) | (random[1] ?? 0)) % 32_767) : 0;
  const orders = wanted.map((tick, place): RequestedOrder => ({
    job: plan.id,
    tick: backfillTick(wall, tick, nonce),
    trigger: "backfill",
    // A millisecond apart, so that they go in order.
    requestedAt: wall + graceMs + place,
    jobCreatedAt: plan.job.createdAt,
    by,
    ...(Object.keys(params.values).length === 0 ? {} : { params: params.values }),
    ...(force ? { force } : {}),
  }));
  const answer: Answer = { kind: "backfilled", job: plan.id, ticks: wanted.map(tickAt) };
  if (orders.length === 0) return answer;
  const stored = expectStored(state, { kind: "orders", command: token, orders, answer });
  const writes = orders.map((order) => ({ kind: "order", order }) as const);
  emit(state, { kind: "store", writes, token: stored, command: token });
  return undefined;
}
