/**
 * What a person said about a peer's membership: that the mesh forgets it, or that it takes it in again. The peer at which the
 * person said so signs it, with all fields that a later version adds. The table keeps these statements; which of them count is
 * decided in core/operator/membership-rule.ts.
 */
import type { Forgotten } from "./attribution.ts";
import { canonicalText } from "./canonical.ts";
import { isInstant, type PeerId } from "./ids.ts";

export interface MembershipStatement extends Readonly<Forgotten> {
  /** false: the mesh takes the peer in again */
  readonly forgotten: boolean;
  /** the peer at which the person said it; undefined, like the signature, if an earlier version wrote it */
  readonly signer?: PeerId | undefined;
  readonly signature?: string | undefined;
}

/** A statement that its signer stands by; whether the signature holds is another question. */
export type SignedStatement = MembershipStatement & { readonly signer: PeerId; readonly signature: string };

export function isSigned(statement: MembershipStatement): statement is SignedStatement {
  return statement.signer !== undefined && statement.signature !== undefined;
}

/** The bytes that the signer signs; undefined if the statement has no canonical form. */
export function membershipBytes(statement: Omit<MembershipStatement, "signature">): Uint8Array | undefined {
  const signed: Record<string, unknown> = { ...statement, what: "membership" };
  delete signed["signature"];
  const text = canonicalText(signed);
  return text === undefined ? undefined : Buffer.from(text);
}

/** A table's entry about that peer, as a statement; undefined if it can't be read. Entries without `forgotten` forget. */
export function statementOf(peer: PeerId, entry: unknown): MembershipStatement | undefined {
  if (!isAttributed(entry)) return undefined;
  const { forgotten = true, signer, signature } = entry as Readonly<Record<string, unknown>>;
  if (typeof forgotten !== "boolean") return undefined;
  const isWhole = typeof signer === "string" && typeof signature === "string";
  return { ...entry, peer, forgotten, ...(isWhole ? {} : { signer: undefined, signature: undefined }) };
}

/** What the table keeps of a statement, under the id of its peer. */
export function entryOf(statement: MembershipStatement): Omit<MembershipStatement, "peer"> {
  const { peer: _, ...entry } = statement;
  return entry;
}

/** Whether the value says by whom and when something was said about a peer, and what the peer was called. */
export function isAttributed(value: unknown): value is Omit<Forgotten, "peer"> {
  if (typeof value !== "object" || value === null) return false;
  return (
    "at" in value &&
    isInstant(value.at) &&
    "by" in value &&
    typeof value.by === "string" &&
    "name" in value &&
    typeof value.name === "string"
  );
}
