/**
 * When people are notified of a problem of the mesh and of its end: a pure function of what this peer sees and of the notices that
 * were sent before.
 *
 * A problem is reported when it has lasted for some seconds. Its end is reported only if its beginning was, and only after a calm
 * time: a minute for the first problem within a day, twice as long for each further one, up to an hour. Until then it counts as
 * the same problem. So a problem that comes and goes all day is reported about thirty times, with its ends.
 */
import type { NoticeChannels } from "../../schema/notice.ts";

/** How long a problem must be over before its end is reported, the first time; ms. */
const calmFirstMs = 60_000;
const calmMostMs = 3_600_000;
/** Problems of the same kind and subject within this time lengthen the wait, ms. */
const dayMs = 86_400_000;
/** A problem is named after the one before it only if that one is no older than this, ms. */
const weekMs = 7 * dayMs;

/** What this peer sees of one problem of one subject. */
export interface Sighting {
  hasProblem: boolean;
  /** for how long it has been so without a break, ms */
  lastedMs: number;
  /** how long the problem must last before people are notified, ms */
  reportAfterMs: number;
}

/** A problem of which people were, or are being, notified. */
export interface Incident {
  episode: string;
  /** wall clock, ms */
  at: number;
  channels: NoticeChannels;
  /** people were, or are being, notified of its end */
  isEnded: boolean;
}

export type News =
  | { kind: "begins"; episode: string }
  /** `channels`: those that were notified of the beginning */
  | { kind: "ends"; episode: string; channels: readonly string[] };

/** What to report now. `incidents`: the known ones of the same problem and subject, in any order. */
export function newsOf(sighting: Sighting, incidents: readonly Incident[], wall: number): News | undefined {
  const { hasProblem, lastedMs, reportAfterMs } = sighting;
  const last = incidents.reduce<Incident | undefined>(
    (latest, one) => (latest === undefined || one.at > latest.at ? one : latest),
    undefined,
  );
  const isOn = last !== undefined && !last.isEnded;
  if (hasProblem && !isOn && lastedMs >= reportAfterMs)
    return { kind: "begins", episode: episodeAfter(last, wall) };
  // A peer on the other side of a split may never have seen the problem: then the calm is counted from the notice.
  const calmSoFarMs = Math.min(lastedMs, wall - (last?.at ?? wall));
  if (hasProblem || !isOn || calmSoFarMs < calmMs(incidents, wall)) return undefined;
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
 * The name of a problem comes from the one before it, which all peers know: so two peers that notify people of the same
 * problem, because one of them died or the mesh is split, use one key.
 */
function episodeAfter(last: Incident | undefined, wall: number): string {
  if (last === undefined || last.at <= wall - weekMs) return `week-${Math.floor(wall / weekMs)}`;
  return `after-${Math.floor(last.at / 1_000)}`;
}
