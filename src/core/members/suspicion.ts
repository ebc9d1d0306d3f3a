/**
 * When silence means death: the arithmetic alone, without clock, state or timer.
 *
 * Imagine people in fog. If I have not heard somebody for a while, I suspect him. I take him for dead only when, for
 * longer still, nobody that I hear has heard him either: a wall between the two of us excludes nobody as long as a
 * third person hears us both. And one who is half asleep accuses nobody: the slower this peer finds itself, the longer
 * it waits.
 *
 * Not promised: that two peers have the same view at the same moment. Ranks, claims and leases are made so that
 * differing views cost a delay or, in a split, a duplicate, and never a silent loss.
 *
 * Sources of ideas: own slowness as a multiplier of own limits is from Dadgar, Phillips and Currey, "Lifeguard: Local
 * Health Awareness for More Accurate Failure Detection" (2018), whose form in the field is hashicorp/memberlist's
 * awareness.go; the clock offset from four timestamps, with the quickest exchange the most trusted, is NTP's (RFC 5905,
 * section 8 and the clock filter of section 10).
 */
import type { PeerId } from "../../schema/ids.ts";

/**
 * Silence after which a member is suspect: five heartbeats of 1 s. More makes a dead peer's ticks wait longer until
 * another steps in; less turns every hiccup of a loaded host into suspicion.
 */
const suspectBaseMs = 5_000;

/**
 * Time outside my component after which a member is dead, by size of the mesh. A large mesh has more heartbeats to
 * carry and more peers that may be slow at once, so it waits longer. More delays `lost`; less doubles runs.
 */
const deadBaseMs = [
  { upToMembers: 10, ms: 10_000 },
  { upToMembers: 50, ms: 15_000 },
  { upToMembers: Infinity, ms: 20_000 },
] as const;

/** The most by which own slowness may stretch own limits (Lifeguard's S). */
export const stretchMax = 8;

/**
 * A heartbeat whose way there and back takes longer was acknowledged late: two heartbeats. More takes a peer that is slow
 * for one that is well; less takes a slow network for a slow peer.
 */
export const lateAckMs = 2_000;

/** Event-loop lag that counts as one step of slowness: the period of the watchdog that measures it. */
const lagStepMs = 250;

/** The quickest of so many exchanges of heartbeats is believed (as many as in NTP's clock filter). */
export const clockSamplesKept = 8;

/** A clock offset of more than this is worth a warning. */
export const clockWarnMs = 500;

/** Clocks that differ by more than this don't agree: short of the 2 s by which claims run ahead. */
export const clockRefusedMs = 1_600;

export function suspectAfterMs(stretch: number): number {
  return suspectBaseMs * stretch;
}

/** `members` counts all that are known and not dead or left, oneself included. */
export function deadAfterMs(members: number, stretch: number): number {
  const step = deadBaseMs.find((row) => members <= row.upToMembers) ?? deadBaseMs[2];
  return step.ms * stretch;
}

/**
 * How many times longer than usual this peer should wait before it accuses another: 1 when it is well, up to 8.
 * Each 250 ms of lag of its own event loop adds one, and so does each recent acknowledgement that came late.
 */
export function stretchOf(health: { lagMs: number; lateAcks: number }): number {
  const slowness = Math.floor(Math.max(0, health.lagMs) / lagStepMs) + Math.max(0, health.lateAcks);
  return Math.min(stretchMax, 1 + slowness);
}

/**
 * The peers that are connected with `self`, itself included: those that a chain of hearing joins to it.
 *
 * `hears` has one entry for each peer whose last heartbeat is younger than the suspect time, and one for `self`: the
 * peers that it says it hears. Older heartbeats don't count: the last one of a dead peer would otherwise keep alive the
 * peers that it once heard, and itself.
 *
 * Two peers are joined when *either* says that it hears the other. If both had to, a one-way cut (B no longer hears A,
 * A still hears B) would be a split that both sides believe in, and both would run everything. As it is, only B, which
 * no longer hears A, takes A for dead: B's own ticks run once, A's at most twice, and none is lost. As soon as a third
 * peer hears both, even that is over: all three are one component on every side.
 *
 * What peers hear is passed on once (a heartbeat's `hearsIndirectly`), so the chain from `self` has three steps. In a mesh in
 * which everybody dials everybody this covers every cut that leaves two peers between the sides that hear each other.
 * Passed on further it would keep a dead peer alive for longer.
 */
export function componentOf(self: PeerId, hears: ReadonlyMap<PeerId, Iterable<PeerId>>): Set<PeerId> {
  const heardBy = new Map<PeerId, PeerId[]>();
  for (const [listener, heard] of hears) {
    for (const speaker of heard) {
      const listeners = heardBy.get(speaker);
      if (listeners === undefined) heardBy.set(speaker, [listener]);
      else listeners.push(listener);
    }
  }
  const component = new Set([self]);
  // The loop also visits what is added to the set on the way.
  for (const peer of component) {
    for (const other of hears.get(peer) ?? []) component.add(other);
    for (const other of heardBy.get(peer) ?? []) component.add(other);
  }
  return component;
}

/** One exchange of heartbeats with another peer. Wall clock, ms; each instant is read where it happens. */
export interface ClockSample {
  /** own clock: this peer's heartbeat left */
  sentAt: number;
  /** the other's clock: it came in */
  theirHeardAt: number;
  /** the other's clock: its own heartbeat, which carries these two, left */
  theirSentAt: number;
  /** own clock: that one came in */
  heardAt: number;
}

export function roundTripMs(sample: ClockSample): number {
  return sample.heardAt - sample.sentAt - (sample.theirSentAt - sample.theirHeardAt);
}

function offsetMs(sample: ClockSample): number {
  return (sample.theirHeardAt - sample.sentAt + (sample.theirSentAt - sample.heardAt)) / 2;
}

/**
 * How far the other's clock is ahead of this one's (ms; negative = behind), from the quickest of the last 8 samples,
 * which is wrong by at most half its round trip. Undefined when no sample can be believed: a negative round trip means
 * that a clock was set during the exchange.
 */
export function clockOffset(samples: readonly ClockSample[]): number | undefined {
  let best: ClockSample | undefined;
  for (const sample of samples.slice(-clockSamplesKept)) {
    const trip = roundTripMs(sample);
    if (trip < 0) continue;
    // Of two equally quick samples take the later one: clocks drift.
    if (best === undefined || trip <= roundTripMs(best)) best = sample;
  }
  return best === undefined ? undefined : offsetMs(best);
}
