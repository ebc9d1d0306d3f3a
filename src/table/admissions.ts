/**
 * Reads who joined, and whom a person has confirmed, from the roots `joins` and `confirmations`. Whether a confirmation's
 * signature holds, and whether its signer counts, is decided in core/members/admission.ts.
 */
import type { Confirmation, Join } from "../schema/admission.ts";
import type { PeerId } from "../schema/ids.ts";
import type { RootValues } from "./values.ts";
import { isConfirmationEntry, isJoinEntry, splitConfirmation } from "./roots.ts";

export interface Admissions {
  readonly joins: readonly Join[];
  /** peers with a join that can't be read, and can't be written again either: the first value under an id stays */
  readonly unreadableJoins: readonly PeerId[];
  /** several of one signer about one peer, if others have written into its place */
  readonly confirmations: readonly Confirmation[];
}

type Entries = ReturnType<RootValues["entries"]>;

export function readAdmissions(joins: Entries, confirmations: Entries): Admissions {
  return {
    joins: joins.flatMap(({ id, value: entry }) => (isJoinEntry(entry) ? joinOf(id, entry) : [])),
    unreadableJoins: joins.flatMap(({ id, value }) => (isJoinEntry(value) ? [] : [id as PeerId])),
    confirmations: confirmations.flatMap(({ id, value: entry }) => {
      const who = splitConfirmation(id);
      if (who === undefined || !isConfirmationEntry(entry)) return [];
      const { at, by, signature } = entry;
      return { ...who, at, by, signature };
    }),
  };
}

function joinOf(id: string, { at, by, name, invitation }: Omit<Join, "peer">): Join {
  const join = { peer: id as PeerId, at, by, name };
  return invitation === undefined ? join : { ...join, invitation };
}
