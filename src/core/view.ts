/**
 * All that the rest of the program learns of core's state: what a peer shows at this moment, who would run the coming
 * ticks, and the few facts that the peer's own parts need. Nothing here changes the state; `now` is the caller's, because
 * what is shown is of this moment and not of the last event.
 */
import type { NextTick, Now, RosterView, View } from "../ports.ts";
import { tickAt, type JobId, type PeerId } from "../schema/ids.ts";
import type { Job, Quarantined } from "../schema/job.ts";
import type { Epoch } from "../schema/vote.ts";
import { livingMembers, viewOfMember, viewOfSelf } from "./members/members.ts";
import { nextTickOf } from "./job/plan.ts";
import { rank } from "./members/rank.ts";
import { eligibilityOf } from "./members/eligibility.ts";
import type { State } from "./state.ts";
import { runnersInOrder } from "./members/failover.ts";

export function viewOf(
  stateThen: Readonly<State>,
  now: Now,
  jobs: ReadonlyMap<JobId, Job>,
  quarantined: readonly Quarantined[],
  counters: Readonly<Record<string, number>>,
): View {
  const state = seenAt(stateThen, now);
  return {
    self: viewOfSelf(state),
    members: [
      viewOfSelf(state),
      ...[...state.members.byId.values()].map((member) => viewOfMember(state, member)),
    ],
    jobs,
    quarantined,
    open: [...state.ledger.open()],
    roster: rosterOf(state),
    forgotten: [...state.operator.forgotten.values()],
    notReady: notReady(state),
    warnings: warningsOf(state),
    counters,
  };
}

/** The same state, seen at another moment. */
function seenAt(state: Readonly<State>, now: Now): State {
  return { ...state, now };
}

function rosterOf({ voting }: State): RosterView | undefined {
  const { chain } = voting.roster;
  const last = chain.at(-1);
  if (last === undefined) return undefined;
  const { number, voters, from } = last;
  return { epoch: number, voters, from, forced: forcedIn(chain) };
}

function forcedIn(chain: readonly Epoch[]): { epoch: number; by: PeerId }[] {
  return chain.flatMap(({ number, forced }) =>
    forced === undefined ? [] : [{ epoch: number, by: forced.by }],
  );
}

/** What this peer keeps its ticks with all the same, in words. */
function warningsOf(state: State): string[] {
  const nameOf = (peer: PeerId): string => nameIn(state, peer);
  return forcedIn(state.voting.roster.chain).map(
    ({ epoch, by }) =>
      `epoch ${epoch} of the roster was forced at ${nameOf(by)}: if its old voters live on, a tick of a majority ` +
      "job may run twice",
  );
}

/** Reasons for which this peer keeps no ticks, in words. */
export function notReady(state: State): string[] {
  const reasons: string[] = [];
  if (!state.alive) reasons.push("starting: the data folder is being read");
  if (state.upkeep.warmUp !== undefined)
    reasons.push("warming up: waiting for the other peers' jobs and records");
  if (state.operator.draining) reasons.push("draining: the peer is being stopped");
  if (state.operator.drained !== undefined)
    reasons.push(`drained by ${state.operator.drained.by}: it takes no ticks until \`cicada peers undrain\``);
  if (state.operator.selfForgotten !== undefined) {
    reasons.push(
      `the mesh has forgotten this peer (${nameIn(state, state.operator.selfForgotten.by)}): give it a data folder of its own and a ` +
        "fresh invitation",
    );
  }
  if (state.members.duplicateIdentity)
    reasons.push("another process uses this peer's identity: stop one, and give it a folder of its own");
  if (state.voting.voter.memory === "lost") {
    reasons.push(
      "this voter's disk doesn't hold all votes given in its name (it is an old copy, or had a twin): until the mesh has " +
        "forgotten it and it joins anew with a folder of its own, it no longer votes",
    );
  }
  if (state.diskFailures > 0) reasons.push("the data folder can't be written");
  if (state.alive && standsOff(state)) reasons.push("this peer's clock is far off the others' median");
  return reasons;
}

function standsOff(state: State): boolean {
  for (const plan of state.jobs.values()) {
    return (
      eligibilityOf(state, plan, { requested: undefined, declined: new Set() })(state.settings.self) ===
      "clock"
    );
  }
  return false;
}

/** The coming ticks of a job, each with its runner and fall-backs as the members stand now; undefined = no such job. */
export function nextTicks(
  stateThen: Readonly<State>,
  now: Now,
  id: JobId,
  count: number,
): NextTick[] | undefined {
  const state = seenAt(stateThen, now);
  const plan = state.jobs.get(id);
  if (plan === undefined) return undefined;
  const eligibility = eligibilityOf(state, plan, { requested: undefined, declined: new Set() });
  const nameOf = (peer: PeerId): string => nameIn(state, peer);
  const ticks: NextTick[] = [];
  let after = state.now.wall;
  while (ticks.length < count) {
    const at = nextTickOf(plan, after);
    if (at === undefined) return ticks;
    const tick = tickAt(at);
    const line = runnersInOrder(rank(id, tick, state.members.hashes), eligibility);
    ticks.push({
      tick,
      startsAt: at,
      peers: line.map((peer, place) => ({ id: peer, name: nameOf(peer), rank: place })),
    });
    after = at;
  }
  return ticks;
}

/** A member's name, or the end of its id; what is no member's id stays as it is. */
function nameIn(state: State, peer: string): string {
  if (peer === state.settings.self) return state.settings.name;
  for (const member of state.members.byId.values()) {
    if (member.id === peer) return member.heartbeat?.name ?? peer.slice(-8);
  }
  return peer;
}

/** Every other member that is known, whatever its state. */
export function knownMembers(state: Readonly<State>): { id: PeerId; name: string; linked: boolean }[] {
  return [...state.members.byId.values()].map(({ id, linked, heartbeat }) => ({
    id,
    name: heartbeat?.name ?? id.slice(-8),
    linked,
  }));
}

/** Every other member that is alive. */
export function livingOthers(state: Readonly<State>): PeerId[] {
  return livingMembers(state).filter((peer) => peer !== state.settings.self);
}

/** What is kept of a job's history, and for how long catch-up needs its records; undefined = no such job. */
export function retentionOf(
  state: Readonly<State>,
  id: JobId,
): { runs: number; ageMs: number; catchUpMs: number } | undefined {
  const plan = state.jobs.get(id);
  if (plan === undefined) return undefined;
  const { runs, ageMs } = plan.keep;
  return { runs, ageMs, catchUpMs: plan.catchUp.windowMs };
}

/** True while this peer has children of its own to wait for. */
export function isRunning(state: Readonly<State>): boolean {
  return state.book.runs.size > 0;
}
