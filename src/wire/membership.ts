/**
 * Statements about membership as text: one that a member shows at its door (bytes of a stranger), and those that this
 * peer keeps on its disk. Whether their signatures hold is decided in core.
 */
import { statementOf, type MembershipStatement } from "../schema/membership.ts";
import type { PeerId } from "../schema/ids.ts";

/** Undefined if the text is no statement about a peer. */
export function readStatement(text: string | undefined): MembershipStatement | undefined {
  const value = parse(text);
  if (typeof value !== "object" || value === null) return undefined;
  if (!("peer" in value) || typeof value.peer !== "string") return undefined;
  return statementOf(value.peer as PeerId, value);
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
}
