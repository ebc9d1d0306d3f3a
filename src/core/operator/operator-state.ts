/**
 * What people have asked of this peer and of the mesh, as far as it lasts or is still to be answered. Only the files of
 * this folder change it.
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

/** Who waits for the answer to a drain: a person here, or the peer that passed the request on. */
export type DrainAsker = { kind: "command"; command: number } | { kind: "peer"; peer: PeerId; id: number };

export interface OperatorState {
  /** being stopped */
  draining: boolean;
  /** takes no ticks, because a person said so (drain.ts) */
  drained: Attribution | undefined;
  /** drains passed on to other peers that have not confirmed yet; by the id of the message */
  readonly drainsAsked: Map<number, { readonly command: number; readonly untilMono: number }>;
  /** cancels passed on to other peers: the messages that are not confirmed yet, each with the name of its peer */
  readonly cancelsAsked: {
    readonly command: number;
    readonly waiting: Map<number, string>;
    readonly untilMono: number;
  }[];
  /** identities that the mesh refuses (forgotten.ts) */
  readonly forgotten: Map<PeerId, Forgotten>;
  /** this peer's own identity is one of them, according to the table or to a peer that turned it away */
  selfForgotten: Attribution | undefined;
  /** when the table says that this peer was taken in again after it had been forgotten, wall ms */
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
