/**
 * The problems and events of the mesh that this peer sees and people may want to know of (records/mesh-news.ts), and which peer's
 * turn it is to report them: the first in rank of the living members that can. Each side of a split has such a peer.
 */
import type { Now } from "../../ports.ts";
import type { JobId, PeerId } from "../../schema/ids.ts";
import { problemEnds, type MeshFact, type ReportedEvent, type MeshProblem } from "../../schema/mesh-event.ts";
import { votersSubject } from "../../schema/mesh-notice.ts";
import type { Capability } from "../../schema/protocol.ts";
import { isDoubted, ownClockOffset, timekeepers } from "../members/clocks.ts";
import { isAble } from "../members/capabilities.ts";
import { standsBack } from "../members/duplicate-identity.ts";
import { livingMembers } from "../members/members.ts";
import type { Member } from "../members/members-state.ts";
import { shownAuthor, shownName } from "../members/names.ts";
import { memberHashesOf, rankKey } from "../job/rank.ts";
import { hasSupersededKey } from "../members/superseded-key.ts";
import { votersMissing } from "../orders/hindrances.ts";
import type { State } from "../state.ts";

/** A peer that is started again within this time was not away for people, ms. */
const lastingMs = 15_000;
/** The same for a peer that this peer has not heard since it started: the whole mesh may be starting. */
const unheardMs = 120_000;
/** Notices of a disk that refuses writes go out sooner, because the peer claims nothing meanwhile. */
const diskMs = 5_000;
/** A peer that joined longer ago than this is no news, ms. */
const joinedMs = 3_600_000;

export interface Seen {
  problem: MeshProblem;
  subject: string;
  hasProblem: boolean;
  reportAfterMs: number;
  /** one sentence that says so */
  text: string;
}

/** What happened once, and is reported once. */
export interface SeenFact {
  fact: MeshFact;
  subject: string;
  at: number;
  text: string;
}

export interface MeshSight {
  seen: readonly Seen[];
  facts: readonly SeenFact[];
  /** the peer whose turn it is to report the event */
  reporterOf: (event: ReportedEvent, subject: string) => PeerId | undefined;
  /** jobs with a tick that was due before the instant (ms) and that has neither begun nor been decided */
  undecided: (before: number) => JobId[];
}

/** Undefined while this peer can't judge: it is starting, or the mesh doesn't count on it. */
export function meshSight(stateThen: Readonly<State>, now: Now): MeshSight | undefined {
  const state: State = { ...stateThen, now };
  const { operator, upkeep } = state;
  if (!state.alive || upkeep.warmUp !== undefined || operator.draining) return undefined;
  if (operator.selfForgotten !== undefined || hasSupersededKey(state) || standsBack(state)) return undefined;
  return {
    seen: [...seenOfPeers(state), ...seenOfClocks(state), seenOfVoters(state), seenOfDisk(state)],
    facts: joinsOf(state),
    reporterOf: reporters(state),
    undecided: (before) => undecidedJobs(state, before),
  };
}

/** A peer that left cleanly, or has only just fallen silent, is neither dead nor back. */
function seenOfPeers(state: State): Seen[] {
  return [...state.members.byId.values()].flatMap((member): Seen[] => {
    const { id, state: how, heardMono, heardWall } = member;
    if (how !== "alive" && how !== "dead") return [];
    const name = shownName(state, id);
    const hasProblem = how === "dead";
    const reportAfterMs = heardMono === undefined ? unheardMs : lastingMs;
    const since = heardWall === undefined ? "since this peer started" : `since ${instantText(heardWall)}`;
    const text = hasProblem
      ? `${name} is dead: ${selfName(state)} has not heard from it ${since}, and it did not sign off`
      : `${name} is back`;
    return [{ problem: "peer-dead", subject: id, hasProblem, reportAfterMs, text }];
  });
}

function seenOfClocks(state: State): Seen[] {
  const keepsTime = timekeepers(state);
  const others = [...state.members.byId.values()].flatMap((member) => seenOfClock(state, member, keepsTime));
  const own = ownClockOffset(state);
  if (own === undefined) return others;
  return [...others, clockOf(selfName(state), state.settings.self, isDoubted(state), own)];
}

function seenOfClock(state: State, member: Member, keepsTime: (peer: PeerId) => boolean): Seen[] {
  const { id, clockOffsetMs, state: how } = member;
  if (how !== "alive" || clockOffsetMs === undefined) return [];
  const offsetMs = clockOffsetMs + (ownClockOffset(state) ?? 0);
  return [clockOf(shownName(state, id), id, !keepsTime(id), offsetMs)];
}

function clockOf(name: string, subject: string, hasProblem: boolean, offsetMs: number): Seen {
  const seconds = (Math.abs(offsetMs) / 1_000).toFixed(1);
  const side = offsetMs < 0 ? "behind" : "ahead of";
  const text = hasProblem
    ? `the clock of ${name} is ${seconds} s ${side} the clocks that count as right: it takes no ticks until its clock is set`
    : `the clock of ${name} is right again`;
  return { problem: "clock", subject, hasProblem, reportAfterMs: lastingMs, text };
}

function seenOfVoters(state: State): Seen {
  const missing = votersMissing(state);
  const text =
    missing === undefined
      ? `${selfName(state)} reaches a majority of the voters again`
      : `${selfName(state)} reaches no majority of the voters (${missing}), so majority jobs don't run there`;
  const hasProblem = missing !== undefined;
  return { problem: "no-majority", subject: votersSubject, hasProblem, reportAfterMs: lastingMs, text };
}

function seenOfDisk(state: State): Seen {
  const hasProblem = state.diskFailures > 0;
  const text = hasProblem
    ? `${selfName(state)} can't write its data folder: it takes no ticks until it can`
    : `${selfName(state)} can write its data folder again`;
  return { problem: "disk", subject: state.settings.self, hasProblem, reportAfterMs: diskMs, text };
}

function joinsOf(state: State): SeenFact[] {
  const { joins, confirmed } = state.members.admissions;
  return [...joins.values()].flatMap(({ peer, at, by, name, invitation }): SeenFact[] => {
    if (at < state.now.wall - joinedMs || at > state.now.wall + lastingMs) return [];
    const how = invitation === undefined ? "" : ` by the invitation ${invitation}`;
    const isConfirmed = confirmed.has(peer) ? "" : "; no person has confirmed it yet";
    const text = `${name} joined the mesh${how}, as ${shownAuthor(state, by)} reported${isConfirmed}`;
    return [{ fact: "peer-joined", subject: peer, at, text }];
  });
}

/**
 * Only the peer itself knows about its disk. Everything else is preferably reported by a peer whose clock is right and that is
 * not the subject itself: receivers refuse a webhook whose signature seems too old.
 */
function reporters(state: State): MeshSight["reporterOf"] {
  const isStopping = (peer: PeerId) => {
    const heartbeat = state.members.byId.get(peer)?.heartbeat;
    return heartbeat?.draining === true && heartbeat.drained !== true;
  };
  const able = livingMembers(state).filter(
    (peer) => isAble(state, peer, "mesh-notices" satisfies Capability) && !isStopping(peer),
  );
  const keepsTime = timekeepers(state);
  const right = able.filter(keepsTime);
  return (event, subject) => {
    if (event === "disk" || event === problemEnds.disk) return subject as PeerId;
    const preferred = right.filter((peer) => peer !== subject);
    const candidates = [preferred, right, able].find((some) => some.length > 0) ?? [];
    return rankKey(`${event}/${subject}`, memberHashesOf(candidates))[0];
  };
}

function undecidedJobs(state: State, before: number): JobId[] {
  const jobs = new Set<JobId>();
  for (const order of state.book.orders.values()) {
    if (order.due < before) jobs.add(order.job);
  }
  return [...jobs];
}

function selfName(state: State): string {
  return state.settings.name;
}

function instantText(wall: number): string {
  return `${new Date(wall).toISOString().slice(0, 19)}Z`;
}
