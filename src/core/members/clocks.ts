/**
 * Whose clock is right, as this peer sees it: how far each member's clock is ahead of its own, and which clocks, its own
 * included, are doubted by the rule of clock-judge.ts. No clock is ever set, and no peer corrects its time by an offset: a
 * doubted peer doesn't act.
 *
 * A clock that was set counts as another clock. Each peer counts how often its own has been set and sends the count in its
 * heartbeats; samples against a clock with another count are dropped on both sides.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Heartbeat } from "../../schema/heartbeat.ts";
import { claimAheadMs, writerAheadMaxMs } from "../limits.ts";
import { isPlanted } from "../probes/planted.ts";
import { note, type State } from "../state.ts";
import { rightClocks, type ClockReading } from "./clock-judge.ts";
import type { Member } from "./members-state.ts";
import { clockOffset, clockRefusedMs, clockSamplesKept, clockWarnMs } from "./suspicion.ts";

/**
 * How far (ms) it may be behind before the peer refuses what it would misdate. A run would be old when it is requested: missed
 * by its job's window, or from a time of which others have removed the history. A job would seem to be made or resumed in the
 * past, and ticks from that time would be caught up. Less refuses honest hosts; more starts or loses such runs.
 */
const writerBehindMaxMs = 60_000;

/**
 * Takes in what a heartbeat says about its sender's clock: one more sample, if it echoes one of this peer's heartbeats.
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
    note(state, "warn", "a peer's clock differs from this peer's", {
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

/** Whether this is the first heartbeat of a life, or the first one after its sender's clock was set. */
export function isNewClock(heartbeat: Heartbeat, before: Heartbeat | undefined): boolean {
  if (before === undefined || heartbeat.incarnation > before.incarnation) return true;
  return heartbeat.incarnation === before.incarnation && heartbeat.clock.count !== before.clock.count;
}

function forgetSamples(member: Member): void {
  member.clockSamples = [];
  member.clockOffsetMs = undefined;
}

/** This peer's clock was set by this much, so no earlier sample against it counts any more. */
export function beginNewClock(state: State, byMs: number): void {
  state.members.clockCount++;
  state.members.clockSetMs += byMs;
  for (const member of state.members.byId.values()) forgetSamples(member);
}

/** An earlier life was last alive at a time ahead of this peer's clock, so the clock was set back in between. */
export function noteSetBefore(state: State): void {
  state.members.wasSetBefore = true;
}

/**
 * Whether this peer's clock was set, and not set back again, since it last agreed with the member's. Each side says so about
 * its own clock in its heartbeats, so that both judge by the same facts. A clock set before the two met is no evidence against
 * either: a life that has just begun can't know about that.
 */
export function hasJumped({ members }: State, { agreedSetMs = members.clockSetMs }: Member): boolean {
  return members.wasSetBefore || Math.abs(members.clockSetMs - agreedSetMs) > clockRefusedMs;
}

/** Whether the offset to a living, linked member has not been measured yet. */
export function awaitsOffsets(state: State): boolean {
  for (const { linked, state: how, clockOffsetMs } of state.members.byId.values()) {
    if (linked && how === "alive" && clockOffsetMs === undefined) return true;
  }
  return false;
}

/** Decides again whose clocks are right. Returns whether that has changed. */
export function judgeClocks(state: State): boolean {
  const before = state.members.rightClocks;
  const right = rightClocks(readingsOf(state, ({ clockOffsetMs }) => clockOffsetMs));
  if (right.size === before.size && before.isSubsetOf(right)) return false;
  state.members.rightClocks = right;
  return true;
}

/** The clocks of this peer and of members that are alive or suspect. A dead peer's clock doesn't count. */
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

/** Whether this peer's clock is doubted. */
export function isDoubted(state: State): boolean {
  return !state.members.rightClocks.has(state.settings.self);
}

/** Whether each peer's clock counts as right. It does while its offset is not known. */
export function timekeepers(state: State): (peer: PeerId) => boolean {
  const { rightClocks: right, byId } = state.members;
  return (peer) => {
    if (right.has(peer)) return true;
    return peer !== state.settings.self && byId.get(peer)?.clockOffsetMs === undefined;
  };
}

/**
 * How far the right clocks are ahead of this peer's (ms); 0 when its own is one of them. Until the offsets are measured, they
 * are estimated from the others' last heartbeats, with an error of the time that those were on their way.
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
 * The latest instant (ms) of a tick for which records of other peers are accepted: claims run ahead by 2 s, and right clocks
 * may differ by 1.6 s. It is computed by the right clocks, whatever this peer's own shows.
 */
export function acceptedUntil(state: State): number {
  return state.now.wall + correctionMs(state) + claimAheadMs + clockRefusedMs;
}

/** A record by this member was refused, because its tick is too far ahead. */
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

/** How far (ms) this peer's clock is ahead if that is too far to write the table; undefined when it may write. */
export function tooFarAheadToWrite(state: State): number | undefined {
  const ahead = -correctionMs(state);
  return ahead > writerAheadMaxMs ? ahead : undefined;
}

/** How far (ms) this peer's clock is behind if that is too far to make or run a job; undefined when it may. */
export function tooFarBehindToWrite(state: State): number | undefined {
  const behind = correctionMs(state);
  return behind > writerBehindMaxMs ? behind : undefined;
}
