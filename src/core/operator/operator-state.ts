/**
 * What people have asked of this peer and of the mesh: lasting changes, and requests that are not answered yet. Only the files
 * of this folder change it.
 */
import type { Attribution, Forgotten } from "../../schema/attribution.ts";
import type { JobId, PeerId } from "../../schema/ids.ts";
import type { Skip } from "../../schema/job.ts";
import type { MembershipStatement } from "../../schema/membership.ts";
import type { RefusedStatement } from "./membership-rule.ts";

/** A change of the roster that a person asked for, until it is answered (roster-requests.ts). */
export interface RosterRequest {
  readonly kind: "promote" | "forget";
  readonly peer: PeerId;
  readonly command: number;
  readonly force: boolean;
  readonly by: string;
  readonly untilMono: number;
}

/** Where the answer to a drain goes: to a person's command here, or to the peer that forwarded the request. */
export type DrainAsker = { kind: "command"; command: number } | { kind: "peer"; peer: PeerId; id: number };

/** What was said about the membership of peers (membership.ts). */
export interface MembershipState {
  /** by peer: the statement that decides; kept on disk */
  kept: ReadonlyMap<PeerId, MembershipStatement>;
  /** what is in the table */
  statements: readonly MembershipStatement[];
  /** the signatures of `statements` */
  inTable: ReadonlySet<string>;
  /** whether the signatures of the statements hold; undefined = not checked yet. In the order in which they came */
  readonly checked: Map<MembershipStatement, boolean | undefined>;
  refused: readonly RefusedStatement[];
  /** the statements must be judged again */
  isUnreviewed: boolean;
  /** when they were last judged; monotonic, ms */
  reviewedMono: number;
  /** the forget by which this peer itself was forgotten, if its statement is known */
  selfForgottenBy: MembershipStatement | undefined;
  /** the last member that turned this peer away without a proof, and when (monotonic, ms) */
  bareRefusal: { readonly by: PeerId; readonly mono: number } | undefined;
  /** the signatures of statements that this life has written into the table again */
  readonly repeated: Set<string>;
  /** peers about which a refused statement was logged */
  readonly described: Set<PeerId>;
}

export interface OperatorState {
  /** being stopped */
  draining: boolean;
  /** takes no ticks, because a person said so (drain.ts) */
  drained: Attribution | undefined;
  /** drains forwarded to peers that have not confirmed yet; by the id of the message */
  readonly openDrains: Map<number, { readonly command: number; readonly untilMono: number }>;
  /** forwarded cancels, with the messages that are not confirmed yet and the names of their peers */
  readonly openCancels: {
    readonly command: number;
    readonly waiting: Map<number, string>;
    readonly untilMono: number;
  }[];
  /** skips of which holders of claims have been told, and which of these have not confirmed yet (skips.ts) */
  readonly openSkips: {
    readonly command: number;
    readonly id: JobId;
    readonly skips: readonly Skip[];
    readonly waiting: Map<number, string>;
    /** ticks that had begun before their holder was told */
    readonly begun: Set<number>;
    readonly untilMono: number;
  }[];
  /** skips that this peer was told of, perhaps before the table says them (claims/skipped.ts); the oldest first */
  readonly skipsHeard: Map<string, HeardSkip>;
  /** identities that the mesh refuses (forgotten.ts) */
  readonly forgotten: Map<PeerId, Forgotten>;
  /** this peer has been forgotten, according to the table or to a peer that turned it away */
  selfForgotten: Attribution | undefined;
  /** when this peer was taken in again after it had been forgotten, according to the table; wall clock, ms */
  readmittedAt: number | undefined;
  readonly rosterRequests: RosterRequest[];
  readonly membership: MembershipState;
  /** entries of the table that this peer tried to write by itself, and when it may try again (admissions.ts) */
  readonly tries: Map<string, { readonly untilMono: number; readonly pauseMs: number }>;
}

/** A skip that another peer has told this one of. */
export interface HeardSkip extends Skip {
  readonly from: PeerId;
  readonly untilMono: number;
}

export function createOperator(): OperatorState {
  return {
    draining: false,
    drained: undefined,
    openDrains: new Map(),
    openCancels: [],
    openSkips: [],
    skipsHeard: new Map(),
    forgotten: new Map(),
    selfForgotten: undefined,
    readmittedAt: undefined,
    rosterRequests: [],
    tries: new Map(),
    membership: {
      kept: new Map(),
      statements: [],
      inTable: new Set(),
      checked: new Map(),
      refused: [],
      isUnreviewed: false,
      reviewedMono: -Infinity,
      selfForgottenBy: undefined,
      bareRefusal: undefined,
      repeated: new Set(),
      described: new Set(),
    },
  };
}
