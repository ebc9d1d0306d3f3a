/**
 * Whose clock is right, as this peer sees it: how far each member's clock is ahead of its own, and which of them, its own
 * included, are doubted by the rule of clock-judge.ts. No clock is ever set, and nobody acts by an offset: a doubted peer has
 * no time to act by.
 *
 * A clock that was set is another clock. Each peer counts how often its own has been set and says so in its heartbeats;
 * what was measured against a clock of another count is dropped on both sides.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Heartbeat } from "../../schema/message.ts";
import { claimAheadMs } from "../limits.ts";
import { isPlanted } from "../probes/planted.ts";
import { note, type State } from "../state.ts";
import { rightClocks, type ClockReading } from "./clock-judge.ts";
import type { Member } from "./members-state.ts";
import { clockOffset, clockRefusedMs, clockSamplesKept, clockWarnMs } from "./suspicion.ts";

/**
 * How far (ms) a peer's clock may be ahead of the right ones before it refuses to write the table, where its stamps would
 * draw everybody's along. Less refuses honest hosts, more misdates jobs.
 */
export const writerAheadMaxMs = 60_000;
/**
 * How far (ms) it may be behind before the peer refuses to order a run, which would be old when it is asked for: missed by its
 * job's window, or from a time of which others have removed the history. Less refuses honest hosts, more loses such runs.
 */
const ordererBehindMaxMs = 60_000;

/**
 * Takes in what a heartbeat says of its sender's clock: one more exchange, if it answers one of this peer's heartbeats.
 * `before` is the sender's previous heartbeat.
 */
export function compareClocks(
  state: State,
  member: Member,
  heartbeat: Heartbeat,
  before: Heartbeat | undefined,
): void {
  const { echo, sentAt, name } = heartbeat;
  const { clockCount, clockSetMs } = state.members;
  member.agreedSetMs ??= clockSetMs;
  if (isNewClock(heartbeat, before)) forgetSamples(member);
  member.heardCount = clockCount;
  if (echo === undefined || echo.incarnation !== state.members.incarnation || echo.count !== clockCount)
    return;
  member.clockSamples.push({
    sentAt: echo.sentAt,
    theirHeardAt: echo.heardAt,
    theirSentAt: sentAt,
    heardAt: state.now.wall,
  });
  if (member.clockSamples.length > clockSamplesKept) member.clockSamples.shift();
  const offset = clockOffset(member.clockSamples);
  const wasNear = Math.abs(member.clockOffsetMs ?? 0) <= clockWarnMs;
  if (offset !== undefined && Math.abs(offset) > clockWarnMs && wasNear) {
    note(state, "warn", "a peer's clock differs from this one's", {
      peer: name,
      offsetMs: Math.round(offset),
    });
  }
  member.clockOffsetMs = offset;
  if (offset !== undefined && Math.abs(offset) <= clockRefusedMs) {
    member.agreedSetMs = clockSetMs;
    state.members.wasSetBefore = false;
  }
}

/** True of the first heartbeat of a life, and of the first one after its sender's clock was set. */
export function isNewClock(heartbeat: Heartbeat, before: Heartbeat | undefined): boolean {
  if (before === undefined || heartbeat.incarnation > before.incarnation) return true;
  return heartbeat.incarnation === before.incarnation && heartbeat.clock.count !== before.clock.count;
}

function forgetSamples(member: Member): void {
  member.clockSamples = [];
  member.clockOffsetMs = undefined;
}

/** This peer's own clock has been set by so much: nothing that was measured against it counts any more. */
export function beginNewClock(state: State, byMs: number): void {
  state.members.clockCount++;
  state.members.clockSetMs += byMs;
  for (const member of state.members.byId.values()) forgetSamples(member);
}

/** What an earlier life did last lies ahead of this peer's clock: it was set back in between. */
export function noteSetBefore(state: State): void {
  state.members.wasSetBefore = true;
}

/**
 * True when this peer's clock was set, and not back again, since it last agreed with the member's. Each side says so of its
 * own clock in its heartbeats, so that both judge by the same. What was set before the two met is no evidence against
 * either: a life that has just begun can't know of it.
 */
export function hasJumped({ members }: State, { agreedSetMs = members.clockSetMs }: Member): boolean {
  return members.wasSetBefore || Math.abs(members.clockSetMs - agreedSetMs) > clockRefusedMs;
}

/** True while the offset to a living member that is linked has not been measured. */
export function awaitsOffsets(state: State): boolean {
  for (const { linked, state: how, clockOffsetMs } of state.members.byId.values()) {
    if (linked && how === "alive" && clockOffsetMs === undefined) return true;
  }
  return false;
}

/** Decides anew whose clocks are right; true when that has changed. */
export function judgeClocks(state: State): boolean {
  const before = state.members.rightClocks;
  const right = rightClocks(readingsOf(state, ({ clockOffsetMs }) => clockOffsetMs));
  if (right.size === before.size && before.isSubsetOf(right)) return false;
  state.members.rightClocks = right;
  return true;
}

/** This peer's clock and those of the members that may be there. A dead peer's clock is no witness. */
function readingsOf(state: State, offsetOf: (member: Member) => number | undefined): ClockReading[] {
  const { byId } = state.members;
  let jumpedHere = false;
  const readings: ClockReading[] = [];
  for (const member of byId.values()) {
    if (member.state !== "alive" && member.state !== "suspect") continue;
    const offsetMs = offsetOf(member);
    if (offsetMs === undefined || member.heartbeat === undefined) continue;
    const { synchronised, jumped = false } = member.heartbeat.clock;
    const differs = Math.abs(offsetMs) > clockRefusedMs;
    if (differs && hasJumped(state, member)) jumpedHere = true;
    readings.push({ peer: member.id, offsetMs, synchronised, jumped });
  }
  if (readings.length < 2 && isPlanted(state, "two-clocks-trusted")) readings.length = 0;
  const synchronised = state.now.synchronised ?? false;
  return [{ peer: state.settings.self, offsetMs: 0, synchronised, jumped: jumpedHere }, ...readings];
}

/** True when another clock than this peer's is right. */
export function isDoubted(state: State): boolean {
  return !state.members.rightClocks.has(state.settings.self);
}

/** Tells whether a peer's clock is taken for right; one whose offset is not known yet is. */
export function timekeepers(state: State): (peer: PeerId) => boolean {
  const { rightClocks: right, byId } = state.members;
  return (peer) => {
    if (right.has(peer)) return true;
    return peer !== state.settings.self && byId.get(peer)?.clockOffsetMs === undefined;
  };
}

/**
 * How far the right clocks are ahead of this peer's (ms); 0 when its own is one of them. Until the offsets are measured,
 * what the others' last heartbeats say is taken for them: it is wrong by the time that these were on their way.
 */
export function correctionMs(state: State): number {
  if (!isDoubted(state) && !awaitsOffsets(state)) return 0;
  const offsetOf = ({ clockOffsetMs, heartbeat, heardWall, heardCount }: Member): number | undefined => {
    if (clockOffsetMs !== undefined) return clockOffsetMs;
    if (heartbeat === undefined || heardWall === undefined) return undefined;
    return heardCount === state.members.clockCount ? heartbeat.sentAt - heardWall : undefined;
  };
  const readings = readingsOf(state, offsetOf);
  const right = rightClocks(readings);
  if (right.has(state.settings.self)) return 0;
  const offsets = readings.filter(({ peer }) => right.has(peer)).map(({ offsetMs }) => offsetMs);
  return offsets.toSorted((a, b) => a - b)[Math.floor(offsets.length / 2)] ?? 0;
}

/**
 * The latest instant (ms) of a tick of which another peer's word is taken: claims run ahead by 2 s, and clocks that are all
 * right may differ by 1.6 s. By the right clocks, whatever this peer's own shows.
 */
export function acceptedUntil(state: State): number {
  return state.now.wall + correctionMs(state) + claimAheadMs + clockRefusedMs;
}

/** A record of this member's was refused, because its tick is still to come. */
export function noteWroteAhead(state: State, member: Member): void {
  member.wroteAheadMono = state.now.mono;
}

/** How far this peer's own clock is ahead of the right ones (ms); undefined while no other is known. */
export function ownClockOffset(state: State): number | undefined {
  const isCompared = [...state.members.byId.values()].some(
    ({ clockOffsetMs }) => clockOffsetMs !== undefined,
  );
  return isCompared ? -correctionMs(state) : undefined;
}

/** By how much (ms) this peer's clock is too far ahead for it to write the table; undefined when it may write. */
export function tooFarAheadToWrite(state: State): number | undefined {
  const ahead = -correctionMs(state);
  return ahead > writerAheadMaxMs ? ahead : undefined;
}

/** By how much (ms) this peer's clock is too far behind for it to order a run; undefined when it may. */
export function tooFarBehindToOrder(state: State): number | undefined {
  const behind = correctionMs(state);
  return behind > ordererBehindMaxMs ? behind : undefined;
}
