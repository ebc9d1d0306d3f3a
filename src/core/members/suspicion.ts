/**
 * When silence means death: the arithmetic alone, without clock, state or timer.
 *
 * A member that this peer has not heard for a while is suspect. It is dead only when, for longer still, none of the members
 * that this peer hears has heard it either: a cut link between two peers excludes neither as long as a third one hears both.
 * And the slower a peer finds itself, the longer it waits before it suspects another.
 *
 * Not promised: that two peers have the same view at the same moment. Ranks, claims and leases are made so that differing
 * views cost a delay or, in a split, a duplicate, but never a silent loss.
 *
 * Sources: multiplying its own limits by its own slowness is from Dadgar, Phillips and Currey, "Lifeguard: Local Health
 * Awareness for More Accurate Failure Detection" (2018), known in practice from hashicorp/memberlist's awareness.go. The clock
 * offset from four timestamps, with most trust in the quickest exchange, is NTP's (RFC 5905, section 8 and the clock filter of
 * section 10).
 */
import type { PeerId } from "../../schema/ids.ts";

/**
 * The silence after which a member is suspect: five heartbeats of 1 s. More makes a dead peer's ticks wait longer until
 * another peer steps in; less turns every delay of a loaded host into suspicion.
 */
const suspectBaseMs = 5_000;

/**
 * How long a member must be outside this peer's component to be dead, by size of the mesh. A large mesh has more heartbeats to
 * carry and more peers that may be slow at the same time, so it waits longer. More delays `lost`; less doubles runs.
 */
const deadBaseMs = [
  { upToMembers: 10, ms: 10_000 },
  { upToMembers: 50, ms: 15_000 },
  { upToMembers: Infinity, ms: 20_000 },
] as const;

/** The most by which a peer's own slowness may stretch its limits (Lifeguard's S). */
export const stretchMax = 8;

/**
 * A heartbeat with a longer round trip than this was acknowledged late: two heartbeats. More takes a slow peer for a healthy
 * one; less takes a slow network for a slow peer.
 */
export const lateAckMs = 2_000;

/** Event-loop lag that counts as one step of slowness: the period of the watchdog that measures it. */
const lagStepMs = 250;

/** The quickest of this many exchanges of heartbeats is believed (as many as in NTP's clock filter). */
export const clockSamplesKept = 8;

/** A clock offset above this is worth a warning. */
export const clockWarnMs = 500;

/** Clocks that differ by more than this don't agree. It is less than the 2 s by which claims run ahead. */
export const clockRefusedMs = 1_600;

export function suspectAfterMs(stretch: number): number {
  return suspectBaseMs * stretch;
}

/** `members` counts the members that are alive or suspect, this peer included. */
export function deadAfterMs(members: number, stretch: number): number {
  const step = deadBaseMs.find((row) => members <= row.upToMembers) ?? deadBaseMs[2];
  return step.ms * stretch;
}

/**
 * How many times longer than usual this peer should wait before it suspects another: 1 when it is well, up to 8. Each 250 ms
 * of lag of its own event loop adds one, and so does each late acknowledgement.
 */
export function stretchOf(health: { lagMs: number; lateAcks: number }): number {
  const slowness = Math.floor(Math.max(0, health.lagMs) / lagStepMs) + Math.max(0, health.lateAcks);
  return Math.min(stretchMax, 1 + slowness);
}

/**
 * The component of `self`: the peers to which chains of peers that hear each other connect it, itself included.
 *
 * `hears` has an entry for each peer whose last heartbeat is younger than the suspect time, and one for `self`: the peers that
 * it says it hears. Older heartbeats don't count: otherwise the last one of a dead peer would keep itself alive, and the peers
 * that it once heard.
 *
 * Two peers are connected if *either* says that it hears the other. If both had to, a one-way cut (B no longer hears A, A
 * still hears B) would look like a split to both sides, and both would run everything. With this rule only B takes A for dead:
 * B's own ticks run once, A's at most twice, and none is lost. As soon as a third peer hears both, all three are one component
 * on every side.
 *
 * What peers hear is forwarded once (a heartbeat's `hearsIndirectly`), so a chain from `self` has at most three steps. In a
 * full mesh this covers every cut that leaves two peers between the sides that hear each other. Forwarded further, it would
 * keep a dead peer alive for longer.
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
  // The loop also visits the peers that are added on the way.
  for (const peer of component) {
    for (const other of hears.get(peer) ?? []) component.add(other);
    for (const other of heardBy.get(peer) ?? []) component.add(other);
  }
  return component;
}

/** One exchange of heartbeats with another peer. Wall clock, ms; each instant is read where it happens. */
export interface ClockSample {
  /** when this peer's heartbeat was sent; by its own clock */
  sentAt: number;
  /** when the other heard it; by the other's clock */
  theirHeardAt: number;
  /** when the other sent its heartbeat, which carries these two; by the other's clock */
  theirSentAt: number;
  /** when this peer heard that one; by its own clock */
  heardAt: number;
}

export function roundTripMs(sample: ClockSample): number {
  return sample.heardAt - sample.sentAt - (sample.theirSentAt - sample.theirHeardAt);
}

function offsetMs(sample: ClockSample): number {
  return (sample.theirHeardAt - sample.sentAt + (sample.theirSentAt - sample.heardAt)) / 2;
}

/**
 * How far the other's clock is ahead of this peer's (ms; negative = behind), from the quickest of the last 8 samples. The
 * error is at most half of that sample's round trip. Undefined when no sample is credible: a negative round trip means that a
 * clock was set during the exchange.
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
