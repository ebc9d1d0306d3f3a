/**
 * Which members a person has confirmed, and which joined only recently. Every peer with the cluster key is a member, an
 * intruder too. So before something is done for all members, such as giving them a new key, a person is asked about those that
 * this file doubts.
 *
 * Any peer with the key can write a confirmation into the table. It counts here only if it is signed by a peer that this one
 * trusts: this peer itself, the founder that its key file names, and every member that a trusted peer has confirmed. A
 * confirmation from before its peer was last taken in again doesn't count.
 */
import type { MemberView } from "../../ports/control.ts";
import type { Admissions } from "../events.ts";
import type { Confirmation } from "../../schema/admission.ts";
import type { Readmitted } from "../../schema/attribution.ts";
import { canonicalText } from "../../schema/canonical.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { State } from "../state.ts";

/** A member that joined less than this long ago is doubted, even if it was confirmed. */
export const recentJoinMs = 24 * 3_600_000;
/** Signatures checked in one step, about 0.1 ms each. More would let a member that floods the table block the loop. */
const checksPerStep = 100;

/** The bytes that the signer of a confirmation signs. */
export function confirmationBytes({ peer, signer, at, by }: Omit<Confirmation, "signature">): Uint8Array {
  return Buffer.from(canonicalText({ what: "confirmation", peer, signer, at, by }) ?? "");
}

/** Takes in the joins and confirmations that are in the table now. */
export function holdAdmissions(
  state: State,
  { joins, unreadableJoins = [], confirmations }: Admissions,
): void {
  const { admissions } = state.members;
  admissions.joins = new Map(joins.map((join) => [join.peer, join]));
  admissions.unreadableJoins = new Set(unreadableJoins);
  admissions.confirmations = confirmations;
  admissions.isUnreviewed = true;
  reviewConfirmations(state);
}

/** Takes in the peers that the table names as forgotten and taken in again. */
export function holdReadmissions(state: State, readmitted: readonly Readmitted[]): void {
  const { admissions } = state.members;
  admissions.readmittedAt = new Map(readmitted.map(({ peer, at }) => [peer, at]));
  admissions.isUnreviewed = true;
}

/** If something has changed, follows the signatures from the peers that are always trusted to find the confirmed ones. */
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
  const { checked } = admissions;
  const present = new Set<string>();
  let checksLeft = checksPerStep;
  // The loop also visits the peers that are added on the way.
  for (const signer of trusted) {
    for (const one of bySigner.get(signer) ?? []) {
      if (!byId.has(one.peer) || confirmed.has(one.peer)) continue;
      if (one.at <= (admissions.readmittedAt.get(one.peer) ?? -Infinity)) continue;
      const text = JSON.stringify(one);
      present.add(text);
      if (!checked.has(text)) {
        if (checksLeft === 0) {
          admissions.isUnreviewed = true;
          continue;
        }
        checksLeft--;
        checked.set(text, settings.verifyText(signer, confirmationBytes(one), one.signature));
      }
      if (checked.get(text) !== true) continue;
      confirmed.set(one.peer, one);
      trusted.add(one.peer);
    }
  }
  admissions.confirmed = confirmed;
  if (!admissions.isUnreviewed)
    for (const text of checked.keys()) if (!present.has(text)) checked.delete(text);
}

/** When and how a peer joined, if that was recorded, and whether a person has confirmed it. */
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

/** Why a person should check the member before it is given anything, in words; undefined = there is no reason. */
export function doubtAbout(state: State, peer: PeerId): string | undefined {
  const { joinedAt, confirmed } = admissionOf(state, peer);
  if (!confirmed) return "no person has confirmed it";
  if (joinedAt === undefined || state.now.wall - joinedAt >= recentJoinMs) return undefined;
  return `it joined less than ${recentJoinMs / 3_600_000} h ago`;
}
