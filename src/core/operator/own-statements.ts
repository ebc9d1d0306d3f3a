/**
 * Statements about membership that this peer signs: what a person has said here, and what was in force here without a
 * signature.
 */
import { membershipBytes, type MembershipStatement } from "../../schema/membership.ts";
import type { State } from "../state.ts";

type Said = Pick<MembershipStatement, "peer" | "forgotten" | "by" | "name">;

/** A person's statement at this peer, dated after what was said before, so that it decides. */
export function signedStatement(state: State, said: Said): MembershipStatement {
  const before = state.operator.membership.kept.get(said.peer)?.at ?? -Infinity;
  return signStatement(state, { ...said, at: Math.max(state.now.wall, before + 1) });
}

export function signStatement(
  { settings }: State,
  said: Said & Pick<MembershipStatement, "at">,
): MembershipStatement {
  const statement = { ...said, signer: settings.self };
  return { ...statement, signature: settings.signText(membershipBytes(statement) ?? new Uint8Array()) };
}
