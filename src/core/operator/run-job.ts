/**
 * A run by hand: refuses what the job doesn't allow now, and stores and spreads the order. Of a request that is repeated under its
 * `Idempotency-Key`, the first run is the answer.
 */
import { CicadaError } from "../../errors.ts";
import type { Answer, Command } from "../../ports/command.ts";
import { ulid, type TickId } from "../../schema/ids.ts";
import { keyedTick, ofTickKey, type TickKey } from "../../schema/keyed-tick.ts";
import type { RequestedOrder } from "../../schema/run.ts";
import { paramsOfRun } from "../checks/params.ts";
import { whyOfRun } from "../checks/secrets.ts";
import type { Plan } from "../job/plan.ts";
import { stopAt } from "../job/stops.ts";
import { emit, expectStored, type State } from "../state.ts";
import { refuse } from "./refuse.ts";

/** Undefined when the answer follows, once the order is durable. */
export function runJob(
  state: State,
  plan: Plan,
  command: Extract<Command, { kind: "run-job" }>,
  token: number,
  random: Uint8Array,
): Answer | undefined {
  const first = command.key === undefined ? undefined : firstOfKey(state, plan, command.key);
  if (first !== undefined) return first;
  const stopped = !plan.enabled ? "disabled" : stopAt(plan, state.now.wall)?.why;
  if (stopped !== undefined && command.force !== true) {
    return refuse("JOB_PAUSED", `"${plan.id}" is ${stopped === "maintenance" ? "in maintenance" : stopped}`);
  }
  const { env, force, peers } = command;
  const hidden = Object.keys(env ?? {}).find((name) => plan.secrets.includes(name));
  if (hidden !== undefined) {
    return refuse(
      "UNPROCESSABLE",
      `/env/${hidden}: it is a secret of the job, which a run gets from its peer`,
    );
  }
  for (const name of Object.keys(env ?? {})) {
    const taken = whyOfRun(name);
    if (taken !== undefined) return refuse("UNPROCESSABLE", `/env/${name}: ${taken}`);
  }
  const params = paramsOfRun(plan.job.spec.params, command.params);
  if (!params.ok) {
    const detail = params.problems.map(({ pointer, message }) => `${pointer}: ${message}`).join("; ");
    return { kind: "refused", error: new CicadaError("UNPROCESSABLE", detail, params.problems) };
  }
  const order: RequestedOrder = {
    job: plan.id,
    tick: tickOf(state, command.key, random),
    trigger: "manual",
    requestedAt: state.now.wall,
    jobCreatedAt: plan.job.createdAt,
    by: command.by,
    ...(env === undefined ? {} : { env }),
    ...(Object.keys(params.values).length === 0 ? {} : { params: params.values }),
    ...(force === undefined ? {} : { force }),
    ...(peers === undefined ? {} : { peers }),
  };
  const stored = expectStored(state, { kind: "order", command: token, order });
  emit(state, { kind: "store", writes: [{ kind: "order", order }], token: stored, command: token });
  return undefined;
}

function tickOf({ now }: State, key: TickKey | undefined, random: Uint8Array): TickId {
  return key === undefined ? (`manual-${ulid(now.wall, random)}` as TickId) : keyedTick(now.wall, key);
}

/** The run that was asked for under that key, at whichever peer, and isn't over. Runs that are over are in the history. */
function firstOfKey({ book, ledger }: State, { id }: Plan, key: TickKey): Answer | undefined {
  const known = [...(book.byJob.get(id) ?? []), ...(ledger.openByJob.get(id)?.values() ?? [])];
  for (const { tick } of known) {
    const which = ofTickKey(tick, key);
    if (which === "same") return { kind: "ordered", job: id, tick, hindrances: [], repeated: true };
    if (which === "other-request")
      return refuse(
        "KEY_REUSED",
        `${id}@${tick} was asked for under that Idempotency-Key by another request`,
      );
  }
  return undefined;
}
