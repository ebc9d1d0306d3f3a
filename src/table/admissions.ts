/**
 * Reads who joined, and whom a person has confirmed, from the roots `joins` and `confirmations`. Whether a confirmation's
 * signature holds, and whether its signer counts, is decided in core/members/admission.ts.
 */
import type { Confirmation, Join } from "../schema/admission.ts";
import type { PeerId } from "../schema/ids.ts";
import { isConfirmationEntry, isJoinEntry, splitConfirmation } from "./roots.ts";

export interface Admissions {
  readonly joins: readonly Join[];
  readonly confirmations: readonly Confirmation[];
}

export function readAdmissions(
  joins: ReadonlyMap<string, unknown>,
  confirmations: ReadonlyMap<string, unknown>,
): Admissions {
  return {
    joins: [...joins].flatMap(([id, entry]) => (isJoinEntry(entry) ? joinOf(id, entry) : [])),
    confirmations: [...confirmations].flatMap(([id, entry]) => {
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
