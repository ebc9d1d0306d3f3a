/**
 * What people have asked of this peer and of the mesh: lasting changes, and requests that are not answered yet. Only the files
 * of this folder change it.
 */
import type { Attribution, Forgotten } from "../../schema/attribution.ts";
import type { PeerId } from "../../schema/ids.ts";

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

export interface OperatorState {
  /** being stopped */
  draining: boolean;
  /** takes no ticks, because a person said so (drain.ts) */
  drained: Attribution | undefined;
  /** drains forwarded to peers that have not confirmed yet; by the id of the message */
  readonly drainsAsked: Map<number, { readonly command: number; readonly untilMono: number }>;
  /** forwarded cancels, with the messages that are not confirmed yet and the names of their peers */
  readonly cancelsAsked: {
    readonly command: number;
    readonly waiting: Map<number, string>;
    readonly untilMono: number;
  }[];
  /** identities that the mesh refuses (forgotten.ts) */
  readonly forgotten: Map<PeerId, Forgotten>;
  /** this peer has been forgotten, according to the table or to a peer that turned it away */
  selfForgotten: Attribution | undefined;
  /** when this peer was taken in again after it had been forgotten, according to the table; wall clock, ms */
  readmittedAt: number | undefined;
  readonly rosterRequests: RosterRequest[];
}

export function createOperator(): OperatorState {
  return {
    draining: false,
    drained: undefined,
    drainsAsked: new Map(),
    cancelsAsked: [],
    forgotten: new Map(),
    selfForgotten: undefined,
    readmittedAt: undefined,
    rosterRequests: [],
  };
}
