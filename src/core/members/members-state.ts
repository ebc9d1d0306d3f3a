/**
 * What this peer remembers about the other members, and about its own place among them. Only the files of this folder change
 * it.
 */
import type { Confirmation, Join } from "../../schema/admission.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Heartbeat, Life } from "../../schema/heartbeat.ts";
import { memberHashesOf, type MemberHashes } from "../job/rank.ts";
import { stretchOf, type ClockSample } from "./suspicion.ts";

export interface Member {
  readonly id: PeerId;
  heartbeat: Heartbeat | undefined;
  /** when its last heartbeat came; monotonic, ms; undefined = never heard in this life */
  heardMono: number | undefined;
  /** the same by the wall clock, ms */
  heardWall: number | undefined;
  linked: boolean;
  /** the link broke off and has not come back */
  reset: boolean;
  /** how many redials in a row its host has refused */
  refusals: number;
  /** when the last redial was refused; monotonic, ms */
  refusedMono: number;
  /** since when it has been outside this peer's component; monotonic, ms */
  outsideMono: number | undefined;
  /** the incarnation that said goodbye */
  leftIncarnation: number | undefined;
  state: "alive" | "suspect" | "dead" | "left";
  stateSinceMono: number;
  /** when it was last heard again after it was dead or had left; monotonic, ms */
  returnedMono: number;
  /** an older life of it was heard beside a newer one; monotonic, ms */
  olderLife: { sinceMono: number; lastMono: number; life: Life | undefined } | undefined;
  clockSamples: ClockSample[];
  /** how far its clock is ahead of this peer's, ms; undefined until it has been measured since either clock was set */
  clockOffsetMs: number | undefined;
  /** the count of this peer's clock when the last heartbeat was heard */
  heardCount: number;
  /** `clockSetMs` when the two clocks last agreed, or when the first heartbeat was heard; undefined before */
  agreedSetMs: number | undefined;
  /** when a record by it of a tick too far ahead was last refused; monotonic, ms */
  wroteAheadMono: number | undefined;
  /** how many of its heartbeats in a row had a digest of open records that differs from what this peer knows */
  openMismatches: number;
  /** how many in a row named a newer life of this peer than this one */
  reportsOfNewerLife: number;
  /** when it last heard such a life, once that had proved itself; monotonic, ms */
  newerLifeHeardMono: number;
}

/** A member that has not been heard. */
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
    returnedMono: -Infinity,
    olderLife: undefined,
    clockSamples: [],
    clockOffsetMs: undefined,
    heardCount: 0,
    agreedSetMs: undefined,
    wroteAheadMono: undefined,
    openMismatches: 0,
    reportsOfNewerLife: 0,
    newerLifeHeardMono: -Infinity,
  };
}

/** A member was taken for dead (silences.ts). */
export interface MemberSilence {
  readonly peer: PeerId;
  /** of its last heartbeat before */
  readonly incarnation: number;
  /** when that came; wall clock, ms */
  readonly from: number;
  /** when it was heard again; wall clock, ms; undefined = it has not been */
  to: number | undefined;
  /** it came back with a later incarnation */
  restarted: boolean;
}

/** Why this peer's host could not start a run, and how long the peer pauses (host-fault.ts). */
export interface HostFault {
  /** what the host could not do */
  readonly what: string;
  readonly reason: string;
  readonly pauseMs: number;
  /** no ticks are taken before this instant; monotonic, ms */
  readonly untilMono: number;
  /** the pause is over, and no start has shown yet whether the fault is */
  readonly isOnTrial: boolean;
}

/** A peer has proved that this peer's cluster key was replaced (superseded-key.ts). */
export interface SupersededKey {
  readonly by: string;
  /** wall clock, ms */
  readonly at: number;
  /** when it was last proved, or this peer was last accepted by no member; monotonic, ms */
  standsMono: number;
}

/** How the members joined, and which of them people have confirmed (admission.ts). */
export interface AdmissionsState {
  /** the joins that are recorded in the table */
  joins: ReadonlyMap<PeerId, Join>;
  /** peers with a join in the table that can't be read: none can be written for them */
  unreadableJoins: ReadonlySet<PeerId>;
  /** the confirmations in the table, unchecked: any peer with the key may have written them */
  confirmations: readonly Confirmation[];
  /** when each forgotten peer was taken in again; wall clock, ms */
  readmittedAt: ReadonlyMap<PeerId, number>;
  /** by text: whether the signature of a confirmation holds */
  readonly checked: Map<string, boolean>;
  /** the confirmed members, each with the confirmation that counts */
  confirmed: ReadonlyMap<PeerId, Confirmation>;
  /** something has changed since the confirmations were last checked, or not all of them were */
  isUnreviewed: boolean;
  /** how many members were known at the last check */
  reviewedMembers: number;
}

export interface OwnSecrets {
  readonly own: Readonly<Record<string, number>>;
  readonly unopened: readonly string[];
}

export interface MembersState {
  /** the other known members, including those that are dead or have left */
  readonly byId: Map<PeerId, Member>;
  /** peers that heard members hear, and that are no members: nothing of their own has arrived here */
  hearsay: ReadonlySet<PeerId>;
  /** oldest first */
  silences: MemberSilence[];
  /** of all known members, this peer included */
  hashes: MemberHashes;
  /** how late this peer's own wake-ups have recently been, ms: a measure of its slowness */
  lagMs: number;
  /** how many more members acknowledged this peer's last heartbeats late than in time: a sign that this peer is slow */
  lateAcks: number;
  /** when a heartbeat was last sent to all members; monotonic, ms; -Infinity = the next one is due at once */
  heartbeatAtMono: number;
  /** why this peer's host could not start runs, until a run has started again (host-fault.ts) */
  hostFault: HostFault | undefined;
  /** what this peer's host lacks or doesn't allow (equipment.ts); undefined = what the settings say */
  lacks: readonly string[] | undefined;
  /** values of secrets that this peer has of its own, with their versions, and those sealed to it that it can't open */
  secrets: OwnSecrets;
  supersededKey: SupersededKey | undefined;
  /** this peer's incarnation: it grows with every start, and when this peer outlives a process with its identity */
  incarnation: number;
  /** this peer's signed statement about its life, as its heartbeats carry it (lives.ts) */
  ownLife: Life | undefined;
  /** a later life of this identity that has proved itself */
  besideLife: number | undefined;
  /** another process uses this peer's identity */
  duplicateIdentity: boolean;
  /** when a peer last reported it; monotonic, ms */
  duplicateReportedMono: number;
  /** how often this peer's wall clock has been set in this life */
  clockCount: number;
  /** how far the clock has been set in total, ms: 0 again when it was set there and back */
  clockSetMs: number;
  /** the clock was set back between an earlier life and this one, and has agreed with no other clock since */
  wasSetBefore: boolean;
  /** the peers whose clocks are right (clocks.ts) */
  rightClocks: ReadonlySet<PeerId>;
  /** a newer life of this identity that others hear or have heard, and when they last did (monotonic, ms) */
  newerLife: { readonly incarnation: number; readonly heardMono: number } | undefined;
  /** when this life last took an incarnation above a newer life's; wall clock, ms */
  outlivedAt: number;
  readonly admissions: AdmissionsState;
}

/** How many times longer than usual this peer waits before it suspects another, by its own slowness. */
export function stretch({ members }: { readonly members: MembersState }): number {
  return stretchOf(members);
}

export function createMembers(self: PeerId, incarnation: number): MembersState {
  return {
    byId: new Map(),
    hearsay: new Set(),
    silences: [],
    hashes: memberHashesOf([self]),
    lagMs: 0,
    lateAcks: 0,
    heartbeatAtMono: 0,
    hostFault: undefined,
    lacks: undefined,
    secrets: { own: {}, unopened: [] },
    supersededKey: undefined,
    incarnation,
    ownLife: undefined,
    besideLife: undefined,
    duplicateIdentity: false,
    clockCount: 0,
    clockSetMs: 0,
    wasSetBefore: false,
    rightClocks: new Set([self]),
    duplicateReportedMono: -Infinity,
    newerLife: undefined,
    outlivedAt: -Infinity,
    admissions: {
      joins: new Map(),
      unreadableJoins: new Set(),
      confirmations: [],
      readmittedAt: new Map(),
      checked: new Map(),
      confirmed: new Map(),
      isUnreviewed: false,
      reviewedMembers: 0,
    },
  };
}
