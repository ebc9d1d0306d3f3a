/**
 * Words about membership as text: one that a member shows at its door (bytes of a stranger), and those that this peer keeps on
 * its disk. Whether their signatures hold is decided in core.
 */
import { wordOf, type MembershipWord } from "../schema/membership.ts";
import type { PeerId } from "../schema/ids.ts";

/** Undefined if the text is no word about a peer. */
export function readWord(text: string | undefined): MembershipWord | undefined {
  return wordIn(parse(text));
}

/** Undefined if nothing is kept, or nothing that can be read; single words that can't be read are left out. */
export function readWords(text: string | undefined): MembershipWord[] | undefined {
  const value = parse(text);
  if (!Array.isArray(value)) return undefined;
  return value.map((one) => wordIn(one)).filter((word) => word !== undefined);
}

function wordIn(value: unknown): MembershipWord | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (!("peer" in value) || typeof value.peer !== "string") return undefined;
  return wordOf(value.peer as PeerId, value);
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
}
