/**
 * Two processes with one identity: somebody copied a data folder and started both. They have the same peer id, so
 * neither knows what the other promises (DESIGN §6).
 *
 * The others notice it when they hear an older incarnation beside a newer one for seconds, which is longer than
 * messages of an ended life can stay on the way. They tell that identity, which shows it and votes no more, in later
 * lives either.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Heartbeat } from "../../schema/message.ts";
import { mark } from "../probes/marks.ts";
import { note, type State } from "../state.ts";
import type { Member } from "./members-state.ts";

/**
 * One peer must say it this often in a row: a single report may be a slip, and believing it silences a voter for good.
 */
const believedTimes = 2;
/** An older life that is heard for this long beside a newer one is a duplicate … */
const provenMs = 3_000;
/** … until it has been silent for this long. */
const silentMs = 5_000;

/** An older life of a member was heard after a newer one. */
export function hearOlderLife(state: State, member: Member): void {
  const { mono } = state.now;
  const { olderLife } = member;
  if (olderLife === undefined || mono - olderLife.lastMono > silentMs) {
    member.olderLife = { sinceMono: mono, lastMono: mono };
  } else {
    olderLife.lastMono = mono;
  }
}

/** True while two lives of that member are heard. */
export function hasDuplicateIdentity(state: State, { olderLife }: Member): boolean {
  if (olderLife === undefined || state.now.mono - olderLife.lastMono > silentMs) return false;
  if (olderLife.lastMono - olderLife.sinceMono < provenMs) return false;
  mark(state, "duplicate-heard");
  return true;
}

/**
 * What a heartbeat says about this peer's own identity: the sender hears two lives of it, or one newer than this. True
 * when that is believed for the first time. Nobody can say how the other process has voted meanwhile.
 */
export function hearOfDuplicate(state: State, from: PeerId, heartbeat: Heartbeat): boolean {
  const newer = (heartbeat.echo?.incarnation ?? 0) > state.settings.incarnation;
  const member = state.members.byId.get(from);
  if (member === undefined) return false;
  member.reportsOfDuplicate = newer || heartbeat.twin === true ? member.reportsOfDuplicate + 1 : 0;
  if (state.members.duplicateIdentity || member.reportsOfDuplicate < believedTimes) return false;
  mark(state, "duplicate-reported");
  state.members.duplicateIdentity = true;
  note(state, "warn", "another process uses this peer's identity: its data folder was copied", {
    saidBy: from,
  });
  return true;
}
