/**
 * Two processes with one identity: somebody copied a data folder and started both. They have the same peer id, so
 * neither knows what the other promises (DESIGN §3, §6).
 *
 * The others notice it when they hear an older incarnation beside a newer one for seconds, which is longer than
 * messages of an ended life can stay on the way. They tell that identity, which shows it and votes no more, in later
 * lives either.
 *
 * The others count on the newer life alone. The older one stands back while that one is heard: it starts, votes, reports and
 * writes nothing. When the newer one has been silent for the dead time, the older life takes a higher incarnation, by which
 * the others take it back (SWIM's refutation). It does so once in ten minutes; after that a person has to decide.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Heartbeat } from "../../schema/message.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { storedKeys } from "../events.ts";
import { emit, note, type State } from "../state.ts";
import { stretch, type Member } from "./members-state.ts";
import { deadAfterMs } from "./suspicion.ts";

/**
 * One peer must say it this often in a row: a single report may be a slip, and believing it silences a voter for good.
 */
const believedTimes = 2;
/** An older life that is heard for this long beside a newer one is a duplicate … */
const provenMs = 3_000;
/** … until it has been silent for this long. */
const silentMs = 5_000;
/** Nobody has spoken of the other process for this long: it is gone. */
const forgottenMs = 10_000;
/** Two processes that take turns in outliving each other would go on for ever: then a person has to end one. */
const outlivesEveryMs = 600_000;

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
  const newer = (heartbeat.echo?.incarnation ?? 0) > state.members.incarnation;
  const member = state.members.byId.get(from);
  if (member === undefined) return false;
  member.reportsOfNewerLife = newer ? member.reportsOfNewerLife + 1 : 0;
  if (heartbeat.echo !== undefined && newer && isNewerLifeBelieved(state)) {
    hearOfNewerLife(state, heartbeat.sentAt, heartbeat.echo);
  }
  member.reportsOfDuplicate =
    newer || heartbeat.duplicateIdentity === true ? member.reportsOfDuplicate + 1 : 0;
  if (member.reportsOfDuplicate < believedTimes) return false;
  state.members.duplicateReportedMono = state.now.mono;
  if (state.members.duplicateIdentity) return false;
  mark(state, "duplicate-reported");
  state.members.duplicateIdentity = true;
  note(state, "warn", "another process uses this peer's identity: its data folder was copied", {
    saidBy: from,
  });
  return true;
}

/** Most of those who are there say so: one member that is wrong, or lies, can't make this peer stand back. */
function isNewerLifeBelieved(state: State): boolean {
  const living = [...state.members.byId.values()].filter((member) => member.state === "alive");
  const saying = living.filter((member) => member.reportsOfNewerLife >= believedTimes);
  return 2 * saying.length > living.length;
}

/** `sentAt` and `heardAt` are of one clock, the sender's: their difference says how long that life has been silent. */
function hearOfNewerLife(
  state: State,
  sentAt: number,
  { incarnation, heardAt }: { readonly incarnation: number; readonly heardAt: number },
): void {
  const { members, now } = state;
  const heardMono = now.mono - Math.max(0, sentAt - heardAt);
  const known = members.newerLife;
  if (known === undefined) mark(state, "newer-life-heard");
  members.newerLife = {
    incarnation: Math.max(incarnation, known?.incarnation ?? 0),
    heardMono: Math.max(heardMono, known?.heardMono ?? -Infinity),
  };
}

/** True while the others count on a newer life of this identity, and not on this one. */
export function standsBack(state: State): boolean {
  return state.members.newerLife !== undefined && !isPlanted(state, "duplicate-carries-on");
}

/**
 * Notices that the other process is gone, and outlives it if it was the newer one. Returns true when this life has taken a
 * higher incarnation. Its vote does not come back by that: nobody can say what the other has voted.
 */
export function outlive(state: State): boolean {
  const { members, now } = state;
  const { newerLife } = members;
  if (now.mono - members.duplicateReportedMono > forgottenMs) members.duplicateIdentity = false;
  if (newerLife === undefined) return false;
  const limitMs = deadAfterMs(members.byId.size + 1, stretch(state));
  if (now.mono - newerLife.heardMono < limitMs || now.wall - members.outlivedAt < outlivesEveryMs)
    return false;
  mark(state, "newer-life-outlived");
  members.incarnation = Math.max(newerLife.incarnation + 1, Math.floor(now.wall));
  members.newerLife = undefined;
  members.outlivedAt = now.wall;
  emit(state, {
    kind: "store",
    writes: [{ kind: "meta", key: storedKeys.incarnation, value: String(members.incarnation) }],
  });
  note(state, "warn", "the other process with this peer's identity is gone: this one takes ticks again");
  return true;
}
