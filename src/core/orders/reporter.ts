/** Which peer reports a tick that no peer will run: the first in rank of those that can. */
import type { JobId, PeerId, TickId } from "../../schema/ids.ts";
import { rank } from "../job/rank.ts";
import { lacking } from "../members/capabilities.ts";
import { timekeepers } from "../members/clocks.ts";
import { standsBack } from "../members/duplicate-identity.ts";
import { livingMembers } from "../members/members.ts";
import { hasSupersededKey } from "../members/superseded-key.ts";
import type { State } from "../state.ts";

/** Whether this peer reports a tick that no peer will run: it is the first in rank of the peers that could report it. */
export function isReporter(state: State, job: JobId, tick: TickId): boolean {
  return reporterPlace(state, job, tick) === 0;
}

/** This peer's place among the peers that could report a tick that no peer will run; undefined = it can't. */
export function reporterPlace(state: State, job: JobId, tick: TickId): number | undefined {
  if (isExcluded(state)) return undefined;
  const able = ableToReport(state, job);
  const place = rank(job, tick, state.members.hashes)
    .filter((peer) => able.has(peer))
    .indexOf(state.settings.self);
  return place < 0 ? undefined : place;
}

/** The others don't count on this peer, and it knows so. */
function isExcluded(state: State): boolean {
  return state.operator.selfForgotten !== undefined || hasSupersededKey(state) || standsBack(state);
}

/**
 * Living members whose clock is right and that understand the job. If no member understands it, all with a right clock:
 * otherwise its ticks would never be over, and would stay in every order book for ever.
 */
function ableToReport(state: State, job: JobId): ReadonlySet<PeerId> {
  const plan = state.jobs.plans.get(job);
  const timely = livingMembers(state).filter(timekeepers(state));
  const understanding =
    plan === undefined ? timely : timely.filter((peer) => lacking(state, plan, peer).length === 0);
  return new Set(understanding.length > 0 ? understanding : timely);
}
