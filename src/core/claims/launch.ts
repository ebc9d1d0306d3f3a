/**
 * The start of a run: what the launcher is told, with the job's environment, and the place that the run takes until its child
 * ends.
 */
import { assert } from "../../errors.ts";
import type { RunSpec } from "../../ports.ts";
import { originalTick } from "../../schema/backfill.ts";
import { isPeerSlot, runId, type RunId } from "../../schema/ids.ts";
import type { ParamValues } from "../../schema/run.ts";
import { actionOf } from "../checks/action.ts";
import { paramEnv } from "../checks/params.ts";
import type { Plan } from "../job/plan.ts";
import { launchLimitMs } from "../limits.ts";
import { emit, type State } from "../state.ts";
import { parentsText } from "./chain-ticks.ts";
import { wakeCapacityQueue } from "./claims.ts";
import { removeOrder } from "./order-book.ts";
import { traceparentOf } from "./trace.ts";
import { noStage, transition, type Order, type OwnRun } from "./order.ts";
import { wakePool } from "./touched.ts";

/** Hands the run to the launcher. From then on orders/runs.ts follows it. */
export function launch(state: State, plan: Plan, order: Order): void {
  if (order.local.stage !== "claimed") return;
  // The run includes edits made since the claim, so the record names the current revision.
  const params = order.requested?.params ?? plan.params;
  const record = {
    ...order.local.claim,
    revision: plan.revision,
    ...(Object.keys(params).length === 0 ? {} : { params }),
  };
  const run = runId(record);
  removeOrder(state, order);
  const hasWaited = state.book.capacityQueue.has(order);
  transition(state.book, order, noStage);
  if (record.pool !== undefined) wakePool(state, record.pool);
  const { settings } = state;
  const spec = specOf(state, plan, order, run, params);
  const { precheck } = plan;
  const afterPrecheck = precheck === undefined ? undefined : spec;
  state.book.runs.set(run, { record, plan, cancelled: undefined, afterPrecheck, stuck: undefined, order });
  state.book.runningWeight += order.weight;
  assert(state.book.runningWeight <= settings.capacity, `${run}: more runs than this peer has places for`);
  if (precheck === undefined) emit(state, { kind: "start", spec });
  else {
    const { patterns: _, ...common } = spec;
    emit(state, { kind: "start", spec: { ...common, ...precheck, isPrecheck: true } });
  }
  if (!hasWaited) return;
  state.book.capacityQueue.served(order.job);
  wakeCapacityQueue(state);
}

/** The job may start now, after its precheck. */
export function launchAfterPrecheck(state: State, own: OwnRun, spec: RunSpec): void {
  own.afterPrecheck = undefined;
  emit(state, { kind: "start", spec: { ...spec, notAfter: state.now.wall + launchLimitMs } });
}

function specOf(state: State, plan: Plan, order: Order, run: RunId, params: ParamValues): RunSpec {
  const { settings } = state;
  return {
    run,
    job: order.job,
    tick: order.tick,
    action: actionOf(plan.job.spec),
    hostEnv: settings.host,
    env: {
      ...plan.env,
      ...order.requested?.env,
      ...paramEnv(params),
      CICADA_JOB: order.job,
      CICADA_RUN: run,
      CICADA_TICK: originalTick(order.tick),
      CICADA_ATTEMPT: String(order.attempt),
      CICADA_TRIGGER: order.trigger,
      CICADA_PEER: settings.self,
      CICADA_PEER_NAME: settings.name,
      ...slotEnv(order),
      TRACEPARENT: traceparentOf(order.job, order.tick, run),
    },
    ...(order.isChained ? { parents: parentsText(state, order.job, order.tick) } : {}),
    ...(plan.secrets.length === 0 ? {} : { secrets: plan.secrets }),
    timeoutMs: plan.timeoutMs,
    ...patternsOf(plan),
    logCapBytes: plan.keep.logBytes,
    notAfter: state.now.wall + launchLimitMs,
  };
}

/** The output is judged only if nothing before it has decided the run's state (job/success.ts). */
function patternsOf({ patterns: rules, success }: Plan): Pick<Partial<RunSpec>, "patterns"> {
  if (rules.length === 0) return {};
  const exitCodes = success.exitCodes.filter((code) => !success.skipCodes.includes(code));
  return { patterns: { exitCodes, rules } };
}

/** If a tick has several runs, each is told which one it is and has its own idempotency key, because each has its own effect. */
function slotEnv({ job, tick: named, slot, of }: Order): Readonly<Record<string, string>> {
  const tick = originalTick(named);
  if (of === 1 && !isPeerSlot(slot)) return { CICADA_IDEMPOTENCY_KEY: `${job}@${tick}` };
  return { CICADA_IDEMPOTENCY_KEY: `${job}@${tick}#${slot}`, CICADA_SLOT: slot };
}

/** Removes the run of a child that has ended, which frees its place. */
export function endRun(state: State, run: RunId): OwnRun | undefined {
  const own = state.book.runs.get(run);
  state.book.runs.delete(run);
  if (own !== undefined) state.book.runningWeight -= own.order.weight;
  return own;
}
