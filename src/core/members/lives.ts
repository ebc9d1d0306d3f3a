/**
 * What proves that another process uses this peer's identity: a signature of this identity on a life that this process did
 * not begin. Without it a member proves nothing, because a peer that believes in a second process loses its vote for good.
 *
 * A process signs its life, and sends that with its heartbeats. A member that hears two lives of one identity shows each of
 * them the other's statement. A later life than its own can only be another process's. An earlier one may be this peer's own,
 * before a restart. But once the earlier process has seen the later one's statement, it names that life in its own (`beside`). It
 * can't have done so before the later life began: so it is still there.
 */
import { canonicalText } from "../../schema/canonical.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Heartbeat, Life } from "../../schema/heartbeat.ts";
import type { State } from "../state.ts";

/** What is signed. */
export function lifeBytes(peer: PeerId, { incarnation, beside }: Omit<Life, "signature">): Uint8Array {
  const named = beside === undefined ? {} : { beside };
  return Buffer.from(canonicalText({ what: "life", peer, incarnation, ...named }) ?? "");
}

/** Signs this peer's life, if that has changed. To be called before heartbeats are sent. */
export function signLife(state: State): void {
  const { members, settings } = state;
  const { incarnation, besideLife: beside, ownLife } = members;
  if (ownLife?.incarnation === incarnation && ownLife.beside === beside) return;
  const life = beside === undefined ? { incarnation } : { incarnation, beside };
  members.ownLife = { ...life, signature: settings.signText(lifeBytes(settings.self, life)) };
}

/**
 * True if the heartbeat proves that another process uses this peer's identity, now or a moment ago. Of several later lives the
 * latest is remembered: it is the one that the others count on.
 */
export function provesDuplicate(state: State, { lives = [] }: Heartbeat): boolean {
  const { members, settings } = state;
  const { self } = settings;
  let isProved = false;
  for (const life of lives) {
    const isLater = life.incarnation > members.incarnation;
    const isBeside = life.incarnation < members.incarnation && life.beside === members.incarnation;
    if (!isLater && !isBeside) continue;
    if (!settings.verifyText(self, lifeBytes(self, life), life.signature)) continue;
    if (isLater) members.besideLife = Math.max(life.incarnation, members.besideLife ?? 0);
    isProved = true;
  }
  return isProved;
}
