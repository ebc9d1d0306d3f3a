/**
 * What this peer remembers of the others, and of how it stands among them. Only the files of this folder change it.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Heartbeat } from "../../schema/message.ts";
import { memberHashesOf, type MemberHashes } from "./rank.ts";
import { stretchOf, type ClockSample } from "./suspicion.ts";

export interface Member {
  readonly id: PeerId;
  heartbeat: Heartbeat | undefined;
  /** monotonic, ms, of the last heartbeat; undefined = never heard in this life */
  heardMono: number | undefined;
  heardWall: number | undefined;
  linked: boolean;
  /** the link broke off and has not come back */
  reset: boolean;
  refusals: number;
  /** monotonic, ms, of the last refusal */
  refusedMono: number;
  /** monotonic, ms, since when it has been outside my component */
  outsideMono: number | undefined;
  /** the incarnation that said goodbye */
  leftIncarnation: number | undefined;
  state: "alive" | "suspect" | "dead" | "left";
  stateSinceMono: number;
  /** an older life of it was heard beside a newer one; monotonic, ms */
  olderLife: { sinceMono: number; lastMono: number } | undefined;
  clockSamples: ClockSample[];
  /** how far its clock is ahead of this peer's, ms; undefined until that was measured between the clocks as they stand */
  clockOffsetMs: number | undefined;
  /** the count of this peer's clock when the last heartbeat was heard */
  heardCount: number;
  /** `clockSetMs` when the two clocks last agreed, or when the first heartbeat was heard; undefined before */
  agreedSetMs: number | undefined;
  /** monotonic, ms, when a record of a tick that is still to come was last refused from it */
  wroteAheadMono: number | undefined;
  /** heartbeats in a row whose digest of open orders was not what I know */
  openMismatches: number;
  /** heartbeats in a row that told of a second life of this peer */
  reportsOfDuplicate: number;
  /** … that named a newer life of it than this one */
  reportsOfNewerLife: number;
  /** … that told of votes that this peer doesn't remember */
  tellsOfLostVotes: number;
}

/** A member of which nothing has been heard. */
export function createMember(id: PeerId, mono: number): Member {
  return {
    id,
    heartbeat: undefined,
    heardMono: undefined,
    heardWall: undefined,
    linked: false,
    reset: false,
    refusals: 0,
    refusedMono: 0,
    outsideMono: undefined,
    leftIncarnation: undefined,
    state: "dead",
    stateSinceMono: mono,
    olderLife: undefined,
    clockSamples: [],
    clockOffsetMs: undefined,
    heardCount: 0,
    agreedSetMs: undefined,
    wroteAheadMono: undefined,
    openMismatches: 0,
    reportsOfDuplicate: 0,
    reportsOfNewerLife: 0,
    tellsOfLostVotes: 0,
  };
}

/** Why this peer's host could not start a run, and what follows (host-fault.ts). */
export interface HostFault {
  readonly reason: string;
  readonly pauseMs: number;
  /** monotonic, ms: no ticks are taken before */
  readonly untilMono: number;
  /** the pause has passed, and no start has shown so far whether the fault has */
  readonly isOnTrial: boolean;
}

/** A peer has proved that this peer's cluster key was replaced (superseded-key.ts). */
export interface SupersededKey {
  readonly by: string;
  /** wall clock, ms */
  readonly at: number;
  /** monotonic, ms: until then it was proved anew, or nobody accepted this peer */
  standsMono: number;
}

export interface MembersState {
  /** the others that are known, the dead and those that left among them */
  readonly byId: Map<PeerId, Member>;
  /** everybody known, this peer included */
  hashes: MemberHashes;
  /** how late this peer's own wake-ups have recently been (ms): the measure of its slowness */
  lagMs: number;
  /** how many more members acknowledged this peer's heartbeats late than in time, lately: it is slow, not they */
  lateAcks: number;
  /** monotonic, ms, of the last heartbeat sent to everybody; -Infinity = the next one is due at once */
  heartbeatAtMono: number;
  /** why this peer's host could not start runs, until a run has started again (host-fault.ts) */
  hostFault: HostFault | undefined;
  supersededKey: SupersededKey | undefined;
  /** this peer's own; it grows with every start, and when it outlives a process that had copied its identity */
  incarnation: number;
  /** another process uses this peer's identity */
  duplicateIdentity: boolean;
  /** monotonic, ms: when a peer last said so */
  duplicateReportedMono: number;
  /** how often this peer's wall clock has been set in this life */
  clockCount: number;
  /** how far it has been set in all, ms: 0 again when it was set there and back */
  clockSetMs: number;
  /** it was set back between an earlier life and this one, and has agreed with no other since */
  wasSetBefore: boolean;
  /** the peers whose clocks are right (clocks.ts) */
  rightClocks: ReadonlySet<PeerId>;
  /** a later life of this identity that others hear or have heard, and when they last did (monotonic, ms) */
  newerLife: { readonly incarnation: number; readonly heardMono: number } | undefined;
  /** wall clock, ms: when this life last took an incarnation above a newer life's */
  outlivedAt: number;
}

/** How many times longer than usual this peer waits before it accuses another, by its own slowness. */
export function stretch({ members }: { readonly members: MembersState }): number {
  return stretchOf(members);
}

export function createMembers(self: PeerId, incarnation: number): MembersState {
  return {
    byId: new Map(),
    hashes: memberHashesOf([self]),
    lagMs: 0,
    lateAcks: 0,
    heartbeatAtMono: 0,
    hostFault: undefined,
    supersededKey: undefined,
    incarnation,
    duplicateIdentity: false,
    clockCount: 0,
    clockSetMs: 0,
    wasSetBefore: false,
    rightClocks: new Set([self]),
    duplicateReportedMono: -Infinity,
    newerLife: undefined,
    outlivedAt: -Infinity,
  };
}
