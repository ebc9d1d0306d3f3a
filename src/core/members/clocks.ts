/**
 * Whose clock is right: how far each member's clock differs from this one's, and which peers, this one included, are so
 * far off the median that they are passed over. The arithmetic is in suspicion.ts. No clock is ever set.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Heartbeat } from "../../schema/message.ts";
import { note, type State } from "../state.ts";
import type { Member } from "./members-state.ts";
import { clockOffset, clockRefusedMs, clockSamplesKept, clockWarnMs, medianOffset } from "./suspicion.ts";

/**
 * How far (ms) a peer's clock may be ahead of the others' median before it refuses to write the table, where its stamps
 * would draw everybody's along. Less refuses honest hosts, more misdates jobs.
 */
const writerAheadMaxMs = 60_000;

/** Takes in one more exchange of heartbeats, if this one answers one of this peer's. */
export function compareClocks(state: State, member: Member, { echo, sentAt, name }: Heartbeat): void {
  if (echo === undefined) return;
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
}

/** How far this peer's own clock is ahead of the mesh's median (ms); undefined with fewer than three known clocks. */
export function ownClockOffset(state: State): number | undefined {
  const median = medianOfClocks(state);
  return median === undefined ? undefined : -median;
}

/** By how much (ms) this peer's clock is too far ahead for it to write the table; undefined when it may write. */
export function tooFarAheadToWrite(state: State): number | undefined {
  const ahead = ownClockOffset(state);
  return ahead !== undefined && ahead > writerAheadMaxMs ? ahead : undefined;
}

/**
 * Tells whether a peer's clock is near enough to the median. Made once for many peers, because the median is shared.
 */
export function timekeepers(state: State): (peer: PeerId) => boolean {
  const median = medianOfClocks(state);
  return (peer) => {
    const offset = peer === state.settings.self ? 0 : state.members.byId.get(peer)?.clockOffsetMs;
    return median === undefined || offset === undefined || Math.abs(offset - median) <= clockRefusedMs;
  };
}

function medianOfClocks(state: State): number | undefined {
  const offsets = [0];
  for (const member of state.members.byId.values()) {
    if (member.state === "alive" && member.clockOffsetMs !== undefined) offsets.push(member.clockOffsetMs);
  }
  return medianOffset(offsets);
}
