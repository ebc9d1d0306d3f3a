/** What stands in a job's way as things are, so that no peer, or fewer peers than it asks for, can run it. */
import type { JobHindrance } from "../../ports/control.ts";
import type { RequestedOrder } from "../../schema/run.ts";
import type { Plan } from "../job/plan.ts";
import { slotsOfPool } from "../job/pools.ts";
import { whyBlocked, whyFewPeers, whyNotHere, whyNotRepeated } from "../members/blocked.ts";
import { hasLostVotes } from "../members/members.ts";
import { shownName } from "../members/names.ts";
import type { State } from "../state.ts";
import { majorityOf } from "../voting/paxos.ts";
import { votersHeard } from "../voting/proposer.ts";
import { epochAt } from "../voting/roster.ts";
import { calendarMissing } from "./calendar-status.ts";

/** Why no living peer can run the job now, or a run that a person has asked for; none = one can. */
export function hindrancesOf(
  state: State,
  plan: Plan,
  requested?: Pick<RequestedOrder, "peers">,
): JobHindrance[] {
  const why = whyBlocked(state, plan, requested);
  if (why !== undefined) {
    return [{ code: "NO_PEER", ...why }];
  }
  if (plan.pool !== undefined && slotsOfPool(state.jobs, plan.pool) === 0) {
    const message = `its pool "${plan.pool}" has 0 slots, which stops it`;
    return [{ code: "POOL_STOPPED", pointer: "/pool", message }];
  }
  const lacking = requested === undefined ? calendarMissing(state, plan) : undefined;
  if (lacking !== undefined) return [lacking];
  const unheard = plan.partition === "majority" ? votersMissing(state) : undefined;
  return unheard === undefined ? [] : [{ code: "NO_QUORUM", pointer: "/partition", message: unheard }];
}

/** Says, in words, that too few voters of majority jobs are in reach and can vote; undefined while enough do. */
export function votersMissing(state: State): string | undefined {
  const epoch = epochAt(state.voting.roster.chain, state.now.wall);
  if (epoch === undefined) return "the voters of majority jobs are not known here yet";
  const needed = majorityOf(epoch.voters.length);
  const heard = votersHeard(state, epoch);
  const lost = heard.filter((voter) => hasLostVotes(state, voter));
  if (heard.length - lost.length >= needed) return undefined;
  const found = `${heard.length} of ${epoch.voters.length} voters are in reach`;
  const names = lost.map((voter) => shownName(state, voter)).join(" and ");
  const but = lost.length === 0 ? "" : `, but ${names} can't vote (votes-lost)`;
  return `${found}${but}, and majority jobs need ${needed}`;
}

/** The job runs, but on fewer peers than it asks for. */
export function fewPeers(state: State, plan: Plan): JobHindrance[] {
  const why = whyFewPeers(state, plan);
  return why === undefined ? [] : [{ code: "FEW_PEERS", ...why }];
}

/** Ticks in progress whose next attempt no living peer may run. */
export function retriesNowhere(state: State, plan: Plan): JobHindrance[] {
  for (const order of state.book.retries.get(plan.id) ?? []) {
    const why = whyNotRepeated(state, plan, order);
    if (why !== undefined)
      return [
        {
          code: "NO_PEER",
          ...why,
          message: `attempt ${order.attempt} of its tick ${order.tick} ${why.message}`,
        },
      ];
  }
  return [];
}

/** What this peer doesn't know about the job, so that it leaves the job's runs to others. */
export function unknownHere(state: State, plan: Plan): JobHindrance[] {
  const why = whyNotHere(state, plan);
  return why === undefined ? [] : [{ code: "NEEDS_NEWER", ...why }];
}
