/**
 * Two processes with one identity: someone copied a data folder and started both. They have the same peer id, so neither knows
 * what the other promises (DESIGN §3, §6).
 *
 * The others notice it when they hear an older incarnation beside a newer one for seconds, longer than messages of an ended
 * life can be on their way. They say so to both processes, with proof (lives.ts). A process that gets the proof reports the
 * problem and no longer votes, not even after a restart.
 *
 * The others count only on the newer life. The older one stands back while the newer one is heard: it starts, votes, reports
 * and writes nothing. When the newer one has been silent for the dead time, the older life takes a higher incarnation, so that
 * the others count on it again (SWIM's refutation). It does so at most once in ten minutes; otherwise a person has to decide.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Heartbeat, Life } from "../../schema/heartbeat.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { storedKeys } from "../events.ts";
import { emit, note, type State } from "../state.ts";
import { provesDuplicate } from "./lives.ts";
import { stretch, type Member } from "./members-state.ts";
import { deadAfterMs } from "./suspicion.ts";

/** How many times in a row one peer must report a newer life: a single report may be a mistake. */
const believedTimes = 2;
/** An older life that is heard for this long beside a newer one is a duplicate. */
const provenMs = 3_000;
/** A duplicate that has been silent for this long no longer counts. */
const silentMs = 5_000;
/** When no peer has reported the other process for this long, it is gone. */
const forgottenMs = 10_000;
/**
 * Two lives may outlive a third at the same instant. Their incarnations must differ, or both would carry on for good. So each
 * has its own place in this span (ms), by when it began. It is shorter than the dead time, so that an incarnation lies between
 * the beginning of the outlived life and now.
 */
const outlivingSpanMs = 5_000;
/** How often a life may outlive another one. Two processes could take turns for ever; a person has to end one of them. */
const outlivesEveryMs = 600_000;

/** An older life of a member was heard after a newer one. */
export function hearOlderLife(state: State, member: Member, { life }: Heartbeat): void {
  const { mono } = state.now;
  const { olderLife } = member;
  const isNews = olderLife === undefined || mono - olderLife.lastMono > silentMs;
  member.olderLife = { sinceMono: isNews ? mono : olderLife.sinceMono, lastMono: mono, life };
}

/** The signed statements about the lives of that member, while an older one is heard: each of the processes is shown both. */
export function livesOf(state: State, { olderLife, heartbeat }: Member): Life[] {
  if (olderLife === undefined || state.now.mono - olderLife.lastMono > silentMs) return [];
  return [olderLife.life, heartbeat?.life].filter((life) => life !== undefined);
}

/** Whether two lives of that member are heard. */
export function hasDuplicateIdentity(state: State, { olderLife }: Member): boolean {
  if (olderLife === undefined || state.now.mono - olderLife.lastMono > silentMs) return false;
  if (olderLife.lastMono - olderLife.sinceMono < provenMs) return false;
  mark(state, "duplicate-heard");
  return true;
}

/**
 * Takes in what a heartbeat says about this peer's own identity: the sender hears two lives of it, or one newer than this.
 * Returns true when that is proved for the first time: then this peer must not vote any more, because the other process may
 * have voted. Without the proof, a member that lies could take this peer's vote for good.
 */
export function hearDuplicateReport(state: State, from: PeerId, heartbeat: Heartbeat): boolean {
  const { members } = state;
  const { echo } = heartbeat;
  const member = members.byId.get(from);
  if (member === undefined) return false;
  const isProved = provesDuplicate(state, heartbeat);
  // A life that has not signed anything can be invented, by most members too.
  const isNewer = echo !== undefined && echo.incarnation > members.incarnation;
  member.reportsOfNewerLife = isNewer ? member.reportsOfNewerLife + 1 : 0;
  // When an earlier copy was last heard says nothing about this one.
  if (!isNewer) member.newerLifeHeardMono = -Infinity;
  if (isNewer && echo.incarnation <= (members.besideLife ?? 0)) {
    // Both instants are by the sender's clock: their difference says how long the newer life has been silent.
    const silentForMs = Math.max(0, heartbeat.sentAt - echo.heardAt);
    member.newerLifeHeardMono = Math.max(member.newerLifeHeardMono, state.now.mono - silentForMs);
    noteNewerLife(state, echo.incarnation);
  }
  if (!isProved) return false;
  state.members.duplicateReportedMono = state.now.mono;
  if (state.members.duplicateIdentity) return false;
  mark(state, "duplicate-reported");
  state.members.duplicateIdentity = true;
  note(state, "warn", "another process uses this peer's identity: its data folder was copied", {
    saidBy: from,
  });
  return true;
}

/**
 * Once a newer life has proved itself, it is there while most living members hear it: one member that is wrong, or lies, can't
 * keep this peer from taking ticks by saying so.
 */
function noteNewerLife({ members, settings }: State, incarnation: number): void {
  const living = [...members.byId.values()].filter((member) => member.state === "alive");
  // A member's first reports may have come before that life had proved itself: they don't say when it was heard.
  const saying = living.filter(
    (member) => member.reportsOfNewerLife >= believedTimes && member.newerLifeHeardMono > -Infinity,
  );
  if (2 * saying.length <= living.length) return;
  const heard = saying.map(({ newerLifeHeardMono }) => newerLifeHeardMono).toSorted((a, b) => b - a);
  const heardMono = heard[Math.floor(living.length / 2)] ?? -Infinity;
  if (members.newerLife === undefined) mark({ settings }, "newer-life-heard");
  members.newerLife = {
    incarnation: Math.max(incarnation, members.newerLife?.incarnation ?? 0),
    heardMono: Math.max(heardMono, members.newerLife?.heardMono ?? -Infinity),
  };
}

/** Whether another process with this identity is heard, or was a moment ago. */
export function isBesideAnother(state: State): boolean {
  return standsBack(state) || state.members.duplicateIdentity;
}

/** Whether the others count on a newer life of this identity, and not on this one. */
export function standsBack(state: State): boolean {
  return state.members.newerLife !== undefined && !isPlanted(state, "duplicate-carries-on");
}

/**
 * Notices that the other process is gone, and outlives it if it was the newer one. Returns whether this life has taken a
 * higher incarnation. It still may not vote: what the other process has voted is unknown.
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
  const place = state.settings.incarnation % outlivingSpanMs;
  const least = Math.max(newerLife.incarnation + 1, Math.floor(now.wall) - outlivingSpanMs);
  members.incarnation = least + place;
  members.newerLife = undefined;
  members.outlivedAt = now.wall;
  emit(state, {
    kind: "store",
    writes: [{ kind: "meta", key: storedKeys.incarnation, value: String(members.incarnation) }],
  });
  note(state, "warn", "the other process with this peer's identity is gone: this process takes ticks again");
  return true;
}
