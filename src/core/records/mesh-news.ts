/**
 * When people are told of a trouble of the mesh, and of its end: a pure function of what this peer sees and of what has been
 * told before, which the records on its disk say.
 *
 * A trouble is told when it has lasted for some seconds. Its end is told only if the trouble was, and only when it has stayed
 * away for a while: a minute after the first time within a day, and twice as long after each further time, up to an hour. Until
 * then it counts as the same trouble. So what comes and goes all the time is told at most about thirty times a day, with its ends.
 */
import type { NoticeChannels } from "../../schema/notice.ts";

/** How long a trouble must be over before its end is told, the first time; ms. */
const calmFirstMs = 60_000;
const calmMostMs = 3_600_000;
/** Troubles of the same kind and subject within this time lengthen the wait, ms. */
const dayMs = 86_400_000;
/** A trouble longer ago than this doesn't name the next one any more, ms. */
const weekMs = 7 * dayMs;

/** What this peer sees of one trouble of one subject. */
export interface Sighting {
  isTrouble: boolean;
  /** for how long it has been so without a break, ms */
  lastedMs: number;
  /** how long the trouble must last before it is told, ms */
  toldAfterMs: number;
}

/** A trouble that was told, or is being told. */
export interface Incident {
  episode: string;
  /** wall clock, ms */
  at: number;
  channels: NoticeChannels;
  /** its end was told, or is being told */
  isEnded: boolean;
}

export type News =
  | { kind: "begins"; episode: string }
  /** `channels`: those that were told of the trouble */
  | { kind: "ends"; episode: string; channels: readonly string[] };

/** What is to be told now. `incidents`: those of the same trouble and subject that are known, in any order. */
export function newsOf(sighting: Sighting, incidents: readonly Incident[], wall: number): News | undefined {
  const { isTrouble, lastedMs, toldAfterMs } = sighting;
  const last = incidents.reduce<Incident | undefined>(
    (latest, one) => (latest === undefined || one.at > latest.at ? one : latest),
    undefined,
  );
  const isOn = last !== undefined && !last.isEnded;
  if (isTrouble && !isOn && lastedMs >= toldAfterMs)
    return { kind: "begins", episode: episodeAfter(last, wall) };
  // A peer on the other side of a split may never have seen the trouble: then the wait begins when it was told.
  const calmSoFarMs = Math.min(lastedMs, wall - (last?.at ?? wall));
  if (isTrouble || !isOn || calmSoFarMs < calmMs(incidents, wall)) return undefined;
  const channels = Object.entries(last.channels).flatMap(([name, { state }]) =>
    state === "failed" ? [] : name,
  );
  return { kind: "ends", episode: last.episode, channels };
}

function calmMs(incidents: readonly Incident[], wall: number): number {
  const recent = incidents.filter(({ at }) => at > wall - dayMs).length;
  return Math.min(calmFirstMs * 2 ** Math.max(0, recent - 1), calmMostMs);
}

/**
 * The name of a trouble comes from the one before it, which all peers know: so two peers that tell the same trouble, because one
 * of them died or the mesh is split, give it one key.
 */
function episodeAfter(last: Incident | undefined, wall: number): string {
  if (last === undefined || last.at <= wall - weekMs) return `week-${Math.floor(wall / weekMs)}`;
  return `after-${Math.floor(last.at / 1_000)}`;
}
