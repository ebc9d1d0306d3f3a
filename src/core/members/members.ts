/**
 * Which members are alive, suspect, dead or gone, by their links, heartbeats, refused redials and farewells (DESIGN §3). The
 * arithmetic of silence is in suspicion.ts, and what this peer says about itself in heartbeat.ts. clocks.ts says whose clock
 * is right, eligibility.ts which member can run an order. This folder owns `state.members`.
 */
import type { MemberView } from "../../ports/control.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Heartbeat } from "../../schema/heartbeat.ts";
import { openDigest } from "../records/ledger.ts";
import { heartbeatEveryMs } from "../limits.ts";
import { admissionOf } from "./admission.ts";
import { compareClocks, judgeClocks } from "./clocks.ts";
import { assert } from "../../errors.ts";
import { shownName } from "./names.ts";
import { memberHashesOf } from "../job/rank.ts";
import { emit, note, type State } from "../state.ts";
import { createMember, stretch, type Member } from "./members-state.ts";
import { refusalsOfTheDead, silenceBegins, silenceEnds, silenceIsMoot } from "./silences.ts";
import { sameValue } from "../../schema/equal.ts";
import { componentOf, deadAfterMs, lateAckMs, roundTripMs, suspectAfterMs } from "./suspicion.ts";
import { hearOlderLife } from "./duplicate-identity.ts";

/**
 * The most members that are known, dead ones included: peers that come and go under new identities would fill the memory, and
 * ranks have room for 1,024 (rank.ts). Beyond it, the member that has been gone the longest is forgotten.
 */
const membersMax = 1_000;
/** How many heartbeats in a row must differ from what is known about their sender before its records are fetched. */
const openMismatchesMax = 3;
/** The most peers that one heartbeat lists as heard. A mesh is tested to 50. */
export const hearsMax = 256;

export function memberOf(state: State, id: PeerId): Member {
  const known = state.members.byId.get(id);
  if (known !== undefined) return known;
  const member = createMember(id, state.now.mono);
  if (state.members.byId.size >= membersMax) forgetLongestGone(state);
  state.members.byId.set(id, member);
  rehash(state);
  return member;
}

/** Forgets the member that has been gone the longest, but none that is linked, alive or suspect. */
function forgetLongestGone(state: State): void {
  let gone: Member | undefined;
  for (const member of state.members.byId.values()) {
    const isPresent = member.linked || member.state === "alive" || member.state === "suspect";
    if (!isPresent && (gone === undefined || member.stateSinceMono < gone.stateSinceMono)) gone = member;
  }
  if (gone === undefined) return;
  state.members.byId.delete(gone.id);
  silenceIsMoot(state, gone.id);
}

/** Whether everything in a peer's heartbeat that others base decisions on is unchanged. */
function isSameHeartbeat(before: Heartbeat | undefined, now: Heartbeat): boolean {
  return (
    before !== undefined &&
    before.incarnation === now.incarnation &&
    before.name === now.name &&
    before.role === now.role &&
    before.draining === now.draining &&
    before.hostFault === now.hostFault &&
    before.warmingUp === now.warmingUp &&
    before.votesLost === now.votesLost &&
    sameValue(before.capabilities, now.capabilities) &&
    sameValue(before.lacks, now.lacks) &&
    sameValue(before.secrets ?? {}, now.secrets ?? {})
  );
}

/**
 * A peer's own gossip has arrived by way of others. If heard members hear it, it is a member although there has never been a link
 * to it. Its name alone, in the heartbeats of others, doesn't make it a member: a member can name peers that don't exist, which
 * would get ranks, and each name would cost as much as a member. True if it is new.
 */
export function hearGossip(state: State, from: PeerId): boolean {
  return (
    state.members.hearsay.has(from) && !state.members.byId.has(from) && assess(state, memberOf(state, from))
  );
}

/** Takes in a heartbeat. Returns whether eligibility may have changed, so that the caller has to reconcile orders. */
export function hearHeartbeat(state: State, from: PeerId, heartbeat: Heartbeat): boolean {
  const member = memberOf(state, from);
  if (member.heartbeat !== undefined && heartbeat.incarnation < member.heartbeat.incarnation) {
    hearOlderLife(state, member, heartbeat);
    return false;
  }
  const before = member.heartbeat;
  member.heartbeat = heartbeat;
  member.heardMono = state.now.mono;
  member.heardWall = state.now.wall;
  member.refusals = 0;
  member.reset = false;
  member.outsideMono = undefined;
  if (member.leftIncarnation !== undefined && heartbeat.incarnation > member.leftIncarnation) {
    member.leftIncarnation = undefined;
  }
  silenceEnds(state, member);
  compareClocks(state, member, heartbeat, before);
  const haveClocksChanged = judgeClocks(state);
  return assess(state, member) || haveClocksChanged || !isSameHeartbeat(before, heartbeat);
}

/** A wake-up came this late (ms), which measures how slow this peer is. The measure fades once the peer is well again. */
export function noteLag(state: State, lateMs: number): void {
  state.members.lagMs = Math.max(lateMs, state.members.lagMs / 2);
}

/**
 * Counts the late acknowledgements of this peer's heartbeats, the latest one of each member that is heard. Timely ones count
 * against them, because a single slow member says nothing about this peer. Called about once a second.
 */
export function noteAcks(state: State): void {
  let late = 0;
  for (const { heardMono, clockSamples } of state.members.byId.values()) {
    const exchange = clockSamples.at(-1);
    if (exchange === undefined || heardMono === undefined) continue;
    if (state.now.mono - heardMono > suspectAfterMs(1)) continue;
    late += roundTripMs(exchange) > lateAckMs ? 1 : -1;
  }
  state.members.lateAcks = Math.max(0, late);
}

function componentNow(state: State): Set<PeerId> {
  const freshMs = suspectAfterMs(stretch(state));
  const hears = new Map<PeerId, readonly PeerId[]>([[state.settings.self, heard(state)]]);
  for (const member of state.members.byId.values()) {
    if (member.heartbeat === undefined || member.heardMono === undefined) continue;
    if (state.now.mono - member.heardMono > freshMs) continue;
    const { hears: heardByIt, hearsIndirectly } = member.heartbeat;
    hears.set(member.id, hearsIndirectly === undefined ? heardByIt : [...heardByIt, ...hearsIndirectly]);
  }
  return componentOf(state.settings.self, hears);
}

/** The peers heard within the suspect time, as this peer's heartbeat lists them. */
export function heard(state: State): PeerId[] {
  const freshMs = suspectAfterMs(stretch(state));
  const ids: PeerId[] = [];
  for (const member of state.members.byId.values()) {
    const fresh = member.heardMono !== undefined && state.now.mono - member.heardMono <= freshMs;
    const gone = member.reset || member.leftIncarnation !== undefined;
    if (fresh && !gone && ids.length < hearsMax) ids.push(member.id);
  }
  return ids;
}

function stateOf(state: State, member: Member): Member["state"] {
  const { now } = state;
  if (member.leftIncarnation !== undefined) return "left";
  // Never heard in this life, but others hear it: only the link between it and this peer is cut.
  if (member.heardMono === undefined) return member.outsideMono === undefined ? "suspect" : "dead";
  if (member.refusals >= refusalsOfTheDead) return "dead";
  const outside = member.outsideMono === undefined ? 0 : now.mono - member.outsideMono;
  // The silence before it left the component counts too: the limit runs from its last heartbeat.
  const silent = now.mono - member.heardMono;
  if (member.outsideMono !== undefined) {
    const limit = deadAfterMs(countPresent(state) + 1, stretch(state));
    if (Math.max(outside, silent) >= limit) return "dead";
  }
  return member.reset || silent > suspectAfterMs(stretch(state)) ? "suspect" : "alive";
}

/** How many other members are alive or suspect. */
function countPresent(state: State): number {
  let count = 0;
  for (const { state: how } of state.members.byId.values()) if (how === "alive" || how === "suspect") count++;
  return count;
}

/** Recomputes one member's state. Returns whether it has changed. */
function assess(state: State, member: Member): boolean {
  assert(state.members.byId.get(member.id) === member, "only a known member has a state");
  const before = member.state;
  member.state = stateOf(state, member);
  if (member.state === before) return false;
  member.stateSinceMono = state.now.mono;
  if (before === "dead" || before === "left") member.returnedMono = state.now.mono;
  if (member.state === "dead") silenceBegins(state, member);
  else if (member.state === "left") silenceIsMoot(state, member.id);
  judgeClocks(state);
  emit(state, { kind: "notify", event: { kind: "member", member: viewOfMember(state, member) } });
  noteChange(state, member);
  return true;
}

/** These peers are no longer members, unless they are heard again. */
export function forgetMembers(state: State, peers: Iterable<PeerId>): void {
  for (const peer of peers) {
    state.members.byId.delete(peer);
    silenceIsMoot(state, peer);
  }
  judgeClocks(state);
  rehash(state);
}

function rehash(state: State): void {
  state.members.hashes = memberHashesOf([state.settings.self, ...state.members.byId.keys()]);
}

const changes = {
  alive: "is up",
  suspect: "has fallen silent",
  dead: "is dead",
  left: "has left",
} as const;

/**
 * A peer that hasn't been heard in this life can't have fallen silent, so its change is no cause for a warning.
 */
function noteChange(state: State, member: Member): void {
  const { id, state: now, heardMono } = member;
  const isBad = now === "suspect" || now === "dead";
  const level = !isBad ? "info" : heardMono === undefined ? "debug" : "warn";
  note(state, level, `${shownName(state, id)} ${changes[now]}`, { peer: id });
}

/** Recomputes every member's state. Returns whether any has changed. */
export function assessAll(state: State): boolean {
  const component = componentNow(state);
  let changed = false;
  const { byId } = state.members;
  const { forgotten } = state.operator;
  const isHearsay = (id: PeerId) => id !== state.settings.self && !byId.has(id) && !forgotten.has(id);
  state.members.hearsay = new Set([...component].filter(isHearsay));
  for (const [id, member] of state.members.byId) {
    assert(id === member.id, "a member is known under its own id");
    if (component.has(member.id)) {
      member.outsideMono = undefined;
      if (isBack(state, member)) member.leftIncarnation = undefined;
      if (isHeardAgain(state, member)) member.refusals = 0;
    } else member.outsideMono ??= state.now.mono;
    if (assess(state, member)) changed = true;
  }
  return changed;
}

/**
 * Whether a member whose host has refused this peer is heard by others long after that: it was started again, and only this
 * peer can't reach it. Twice the suspect time is enough: once for the others to stop listing what they heard before, and once
 * for their heartbeats to arrive.
 */
function isHeardAgain(state: State, member: Member): boolean {
  return member.refusals > 0 && state.now.mono - member.refusedMono > 2 * suspectAfterMs(stretch(state));
}

/** Whether a member that had left is heard by others so much later that they must have heard it since. */
function isBack(state: State, member: Member): boolean {
  const leftMs = state.now.mono - member.stateSinceMono;
  return member.state === "left" && leftMs > 2 * suspectAfterMs(stretch(state));
}

export function linkUp(state: State, peer: PeerId): boolean {
  const member = memberOf(state, peer);
  member.linked = true;
  member.reset = false;
  member.refusals = 0;
  return assess(state, member);
}

export function linkDown(state: State, peer: PeerId, why: "closed" | "reset"): boolean {
  const member = memberOf(state, peer);
  member.linked = false;
  member.reset = why === "reset" || member.leftIncarnation === undefined;
  return assess(state, member);
}

export function redialRefused(state: State, peer: PeerId, times: number): boolean {
  const member = memberOf(state, peer);
  if (member.linked) return false;
  member.refusals = times;
  member.refusedMono = state.now.mono;
  return assess(state, member);
}

/** Takes in a farewell. One from an unknown peer is ignored: gossip can name any author that ever had a key. */
export function hearLeave(state: State, from: PeerId, incarnation: number): boolean {
  const member = state.members.byId.get(from);
  if (member === undefined) return false;
  if (member.heartbeat !== undefined && incarnation < member.heartbeat.incarnation) return false;
  member.leftIncarnation = incarnation;
  return assess(state, member);
}

/**
 * The state of a peer, member or not. One that has never been heard is dead only if no heard member hears it either, and
 * after as long as a member would have been silent for: a peer that has just started may hear the oldest records before it
 * hears their peers. Until its first warm-up has ended, it counts as having listened for long enough.
 */
export function stateOfPeer(state: State, peer: PeerId): Member["state"] {
  const member = state.members.byId.get(peer);
  if (member !== undefined) return member.state;
  const listenedMs = state.now.wall - state.upkeep.warmedUpAt;
  const limitMs = deadAfterMs(countPresent(state) + 1, stretch(state));
  return state.members.hearsay.has(peer) || listenedMs < limitMs ? "suspect" : "dead";
}

/** Alive, or suspect only here: others still hear it, so its messages arrive through them. */
export function inSight(state: State, peer: PeerId): boolean {
  const member = state.members.byId.get(peer);
  return member?.state === "alive" || (member?.state === "suspect" && member.outsideMono === undefined);
}

/** The living members, this peer included. */
export function livingMembers(state: State): PeerId[] {
  const ids = [state.settings.self];
  for (const member of state.members.byId.values()) if (member.state === "alive") ids.push(member.id);
  return ids;
}

/** What this peer says about itself has changed: its next heartbeat goes to all members at once. */
export function heartbeatAtOnce(state: State): void {
  state.members.heartbeatAtMono = -Infinity;
}

export function nextHeartbeatMono(state: State): number {
  return state.members.heartbeatAtMono + heartbeatEveryMs;
}

/** Whether a heartbeat to all members is due. If so, it counts as sent from then on. */
export function takeHeartbeatDue(state: State): boolean {
  if (state.now.mono < nextHeartbeatMono(state)) return false;
  state.members.heartbeatAtMono = state.now.mono;
  return true;
}

/**
 * Whether a member's heartbeats have differed from what is known about its open records so often that gossip must have been
 * lost. The count then starts again.
 */
export function hasUnheardRecords(state: State, from: PeerId, open: Heartbeat["open"]): boolean {
  const member = memberOf(state, from);
  const known = openDigest(state.ledger, from);
  const same = known.count === open.count && known.digest === open.digest;
  member.openMismatches = same ? 0 : member.openMismatches + 1;
  if (member.openMismatches < openMismatchesMax) return false;
  member.openMismatches = 0;
  return true;
}

export function viewOfMember(state: State, member: Member): MemberView {
  return {
    id: member.id,
    name: shownName(state, member.id),
    state: member.state,
    self: false,
    ...voteOf(state, member.id),
    draining: member.heartbeat?.draining ?? false,
    drained: member.heartbeat?.drained ?? false,
    warmingUp: member.heartbeat?.warmingUp ?? false,
    clockOffsetMs: member.clockOffsetMs,
    heardAt: member.heardWall,
    ...admissionOf(state, member.id),
    heartbeat: member.heartbeat,
  };
}

/** Whether the peer votes now, and since or from when: an epoch is chosen some seconds before it is in force. */
export function voteOf(state: State, peer: PeerId): Pick<MemberView, "voter" | "votesFrom" | "votesLost"> {
  const { chain } = state.voting.roster;
  const present = chain.findLast(({ from }) => from <= state.now.wall);
  const before = chain.findLastIndex(({ voters }) => !voters.includes(peer));
  const hasLost = hasLostVotes(state, peer);
  return {
    voter: present?.voters.includes(peer) === true && !hasLost,
    votesFrom: chain[before + 1]?.from,
    votesLost: hasLost && chain.at(-1)?.voters.includes(peer) === true,
  };
}

/** Whether the peer can't vote, by its own word, because its disk lacks votes that it has given. */
export function hasLostVotes({ settings, voting, members }: State, peer: PeerId): boolean {
  if (peer === settings.self) return voting.voter.memory === "lost";
  return members.byId.get(peer)?.heartbeat?.votesLost === true;
}

/**
 * How long records that a peer wrote before it left may still be on their way, ms: its goodbye takes another path, and may be
 * first. Less takes runs that ended and claims that it gave back for lost; more only delays the report that a run is lost.
 */
const farewellMs = 5_000;

/** Whether the member left a moment ago. It ends its runs and gives its claims back before, so those records may still arrive. */
export function hasJustLeft(state: State, peer: PeerId): boolean {
  const member = state.members.byId.get(peer);
  return member?.state === "left" && state.now.mono - member.stateSinceMono < farewellMs;
}

/**
 * How long it may take until the records of a peer that is back have come, ms. With less, a run that it has made meanwhile is
 * taken for one that is still to come. With more, other ticks may begin before one that the peer really has left to run.
 */
const returnMs = 5_000;

/** Whether the member came back a moment ago, so that what it has run on its side of a split may not be known here yet. */
export function hasJustReturned({ members, now }: State, peer: PeerId): boolean {
  return now.mono - (members.byId.get(peer)?.returnedMono ?? -Infinity) < returnMs;
}
