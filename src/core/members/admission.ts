/**
 * Which members a person has confirmed, and which came in only lately. Whoever has the cluster key is a member, an
 * intruder as well. So what is done for all members at a person's wish, such as handing them a new key, first asks for
 * those that this file doubts.
 *
 * Anybody with the key can write a confirmation into the table. It counts here only if it is signed by a peer that this
 * one trusts: this peer itself, the founder that its key file names, and every member that a trusted peer has confirmed.
 * A confirmation from before its peer was last forgotten doesn't count.
 */
import type { MemberView } from "../../ports/control.ts";
import type { Confirmation, Join } from "../../schema/admission.ts";
import type { Readmitted } from "../../schema/attribution.ts";
import { canonicalText } from "../../schema/canonical.ts";
import { sameValue } from "../../schema/equal.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { State } from "../state.ts";

/** A member that joined less than this long ago came in lately, even if it was confirmed. */
export const recentJoinMs = 24 * 3_600_000;
/** Signatures checked in one step. More would let a member that floods the table hold the loop (about 0.1 ms each). */
const checksPerStep = 100;

/** What is signed. */
export function confirmationBytes({ peer, signer, at, by }: Omit<Confirmation, "signature">): Uint8Array {
  return Buffer.from(canonicalText({ what: "confirmation", peer, signer, at, by }) ?? "");
}

/** What the table says now. */
export function holdAdmissions(
  state: State,
  joins: readonly Join[],
  confirmations: readonly Confirmation[],
): void {
  const { admissions } = state.members;
  admissions.joins = new Map(joins.map((join) => [join.peer, join]));
  admissions.confirmations = confirmations;
  admissions.isUnreviewed = true;
  reviewConfirmations(state);
}

/** What the table says now of the peers that were forgotten and are members again. */
export function holdReadmissions(state: State, readmitted: readonly Readmitted[]): void {
  const { admissions } = state.members;
  admissions.readmittedAt = new Map(readmitted.map(({ peer, at }) => [peer, at]));
  admissions.isUnreviewed = true;
}

/** Follows the signatures from the peers that are trusted anyway, if something has changed. */
export function reviewConfirmations(state: State): void {
  const { settings, members } = state;
  const { admissions, byId } = members;
  if (!admissions.isUnreviewed && admissions.reviewedMembers === byId.size) return;
  admissions.isUnreviewed = false;
  admissions.reviewedMembers = byId.size;
  const bySigner = Map.groupBy(admissions.confirmations, ({ signer }) => signer);
  const trusted = new Set(
    settings.founder === undefined ? [settings.self] : [settings.self, settings.founder],
  );
  const confirmed = new Map<PeerId, Confirmation>();
  let checksLeft = checksPerStep;
  // Going through a set also visits what is added meanwhile.
  for (const signer of trusted) {
    for (const one of bySigner.get(signer) ?? []) {
      if (!byId.has(one.peer) || confirmed.has(one.peer)) continue;
      if (one.at <= (admissions.readmittedAt.get(one.peer) ?? -Infinity)) continue;
      if (!sameValue(admissions.confirmed.get(one.peer), one)) {
        if (checksLeft === 0) {
          admissions.isUnreviewed = true;
          continue;
        }
        checksLeft--;
        if (!settings.verifyText(signer, confirmationBytes(one), one.signature)) continue;
      }
      confirmed.set(one.peer, one);
      trusted.add(one.peer);
    }
  }
  admissions.confirmed = confirmed;
}

/** When and how a peer joined, as far as that was recorded, and whether a person has confirmed it. */
export function admissionOf(
  { members: { admissions }, settings }: State,
  peer: PeerId,
): Pick<MemberView, "joinedAt" | "invitation" | "confirmed"> {
  const join = admissions.joins.get(peer);
  const isTrusted = peer === settings.self || peer === settings.founder;
  return {
    joinedAt: join?.at,
    invitation: join?.invitation,
    confirmed: isTrusted || admissions.confirmed.has(peer),
  };
}

/** Why a person should look at the member before it is given anything, in words; undefined = there is no reason. */
export function doubtAbout(state: State, peer: PeerId): string | undefined {
  const { joinedAt, confirmed } = admissionOf(state, peer);
  if (!confirmed) return "no person has confirmed it";
  if (joinedAt === undefined || state.now.wall - joinedAt >= recentJoinMs) return undefined;
  return `it joined less than ${recentJoinMs / 3_600_000} h ago`;
}
