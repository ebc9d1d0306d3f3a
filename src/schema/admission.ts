/**
 * How a peer came into the mesh: its join, as a member recorded it, the invitation that it named, and the persons'
 * confirmations that it belongs there.
 */
import type { PeerId } from "./ids.ts";

/** What a join string says of itself. It proves nothing: anyone who has the key can make up both. */
export interface Invitation {
  /** told to the person who asked for it, so that they recognise who came by it */
  readonly id: string;
  /** the peer at which a person asked for it */
  readonly by: PeerId;
}

/** A peer's first appearance, as the member that recorded it saw it. */
export interface Join {
  readonly peer: PeerId;
  /** wall clock, ms */
  readonly at: number;
  /** the member that recorded it */
  readonly by: PeerId;
  /** the joining peer's name then */
  readonly name: string;
  /** the id of the invitation that the joining peer named */
  readonly invitation?: string;
}

/** A person's word that a peer belongs to the mesh, signed by the peer at which it was given. */
export interface Confirmation {
  readonly peer: PeerId;
  readonly signer: PeerId;
  /** wall clock, ms */
  readonly at: number;
  /** the person */
  readonly by: string;
  readonly signature: string;
}

const invitationForm = /^[0-9a-z]{1,32}$/;

export function isInvitationId(text: string): boolean {
  return invitationForm.test(text);
}
