/**
 * When silence means death: the arithmetic alone, without clock, state or timer.
 *
 * The picture is a table of people in fog. Somebody whom I have not heard for a while is suspect to me. He is dead
 * to me only when, for longer still, nobody whom I hear has heard him either; a wall between the two of us takes
 * nobody out of the company as long as a third hears both. And somebody who is himself half asleep accuses nobody:
 * the slower this peer finds itself, the longer it waits.
 *
 * Not promised: that two peers hold the same view at the same moment. Ranks, claims and holdsLease are made so that
 * differing views cost a delay or, in a split, a duplicate, and never a silent loss.
 *
 * Sources of ideas: own slowness as a multiplier of own limits is from Dadgar, Phillips and Currey, "Lifeguard:
 * Local Health Awareness for More Accurate Failure Detection" (2018), whose form in the field is hashicorp/memberlist's
 * awareness.go; the clock offset from four timestamps, with the quickest exchange the most trusted, is NTP's
 * (RFC 5905, section 8 and the clock filter of section 10).
 */
import type { PeerId } from "../../schema/ids.ts";

/**
 * Silence after which a member is suspect: five heartbeats of 1 s. More lets a dead peer's ticks wait longer for
 * their step-in; less turns every hiccup of a loaded host into suspicion.
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

/** Event-loop lag that counts as one step of slowness: the period of the watchdog that measures it. */
const lagStepMs = 250;

/** Exchanges of heartbeats out of which the quickest is believed (NTP's clock filter holds as many). */
export const clockSamplesKept = 8;

/** From here on a peer's clock offset is worth a warning. */
export const clockWarnMs = 500;

/** Farther than this off the median a peer is passed over in rank: short of the 2 s by which claims run ahead. */
export const clockRefusedMs = 1_600;

/** A median of fewer members says nothing about which of them is wrong. */
const medianMembersMin = 3;

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
 * Each 250 ms of lag of the own event loop, and each acknowledgement that came late of late, adds one.
 */
export function stretchOf(health: { lagMs: number; lateAcks: number }): number {
  const slowness = Math.floor(Math.max(0, health.lagMs) / lagStepMs) + Math.max(0, health.lateAcks);
  return Math.min(stretchMax, 1 + slowness);
}

/**
 * Who is connected with `self`, itself included: everybody whom a chain of hearing joins to it.
 *
 * `hears` holds one entry for each peer whose word is fresh (`self` always; others when their last heartbeat is
 * younger than the suspect time), and in it the peers that it says it hears. An old word is no witness: a dead
 * peer's last heartbeat would otherwise keep alive whomever it once heard, and itself.
 *
 * Two peers are joined when *either* says that it hears the other. To ask for both would make a one-way cut
 * (B no longer hears A, A still hears B) a split that both sides believe in, and both would run everything. With
 * either, only B, to whom A has gone silent, takes A for dead: B's own ticks run once, A's at most twice, and none is
 * lost. As soon as a third peer hears both, even that is gone: all three are one component on every side.
 *
 * Words are passed on once (a heartbeat's `beyond`), so the chain from `self` is three steps long: those it hears, those
 * they hear, and those whom these hear. In a mesh that dials everybody this covers every cut that leaves two peers who
 * hear each other between the sides. Passed on further they would keep a dead peer alive for longer.
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
  // A set grows while it is walked, and the walk takes in what was added.
  for (const peer of component) {
    for (const other of hears.get(peer) ?? []) component.add(other);
    for (const other of heardBy.get(peer) ?? []) component.add(other);
  }
  return component;
}

/** One exchange of heartbeats with another peer. Wall clock, ms; each instant is read where it happens. */
export interface ClockSample {
  /** own clock: my heartbeat left */
  sentAt: number;
  /** the other's clock: it came in */
  theirHeardAt: number;
  /** the other's clock: its own heartbeat, which tells both, left */
  theirSentAt: number;
  /** own clock: that one came in */
  heardAt: number;
}

function roundTripMs(sample: ClockSample): number {
  return sample.heardAt - sample.sentAt - (sample.theirSentAt - sample.theirHeardAt);
}

function offsetMs(sample: ClockSample): number {
  return (sample.theirHeardAt - sample.sentAt + (sample.theirSentAt - sample.heardAt)) / 2;
}

/**
 * How far the other's clock is ahead of mine (ms; negative = behind), from the quickest of the last 8 samples, for
 * it can be wrong by half its round trip at most. Undefined while there is none to believe: a negative round trip
 * means that a clock was set during the exchange.
 */
export function clockOffset(samples: readonly ClockSample[]): number | undefined {
  let best: ClockSample | undefined;
  for (const sample of samples.slice(-clockSamplesKept)) {
    const trip = roundTripMs(sample);
    if (trip < 0) continue;
    // Of two equally quick ones the later: clocks drift, so it is nearer the truth of now.
    if (best === undefined || trip <= roundTripMs(best)) best = sample;
  }
  return best === undefined ? undefined : offsetMs(best);
}

/**
 * The middle of the members' offsets, oneself among them with 0 (ms). Undefined for fewer than three: of two clocks
 * nobody can say which is wrong.
 */
export function medianOffset(offsets: readonly number[]): number | undefined {
  if (offsets.length < medianMembersMin) return undefined;
  const sorted = offsets.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  return upper === undefined || lower === undefined ? undefined : (upper + lower) / 2;
}
