/** Words about membership that this peer signs: what a person has said here, and what was in force here without a signature. */
import { membershipBytes, type MembershipWord } from "../../schema/membership.ts";
import type { State } from "../state.ts";

type Said = Pick<MembershipWord, "peer" | "forgotten" | "by" | "name">;

/** A person's word at this peer, dated after what was said before, so that it decides. */
export function signedWord(state: State, said: Said): MembershipWord {
  const before = state.operator.membership.kept.get(said.peer)?.at ?? -Infinity;
  return signWord(state, { ...said, at: Math.max(state.now.wall, before + 1) });
}

export function signWord({ settings }: State, said: Said & Pick<MembershipWord, "at">): MembershipWord {
  const word = { ...said, signer: settings.self };
  return { ...word, signature: settings.signText(membershipBytes(word) ?? new Uint8Array()) };
}
