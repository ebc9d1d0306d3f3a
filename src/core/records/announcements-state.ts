/** Ticks that are over and that wait for the peer that notifies people of them. Only the files of this folder change it. */
import type { JobId, TickId } from "../../schema/ids.ts";

export interface Announcement {
  readonly job: JobId;
  readonly tick: TickId;
  readonly sinceMono: number;
  /** this peer wrote it, so nobody knew it before */
  readonly isOwn: boolean;
}

export interface AnnouncementsState {
  /** by `JOB@TICK`: those that this peer has not looked at since the members last changed */
  queued: Map<string, Announcement>;
  /** those that another peer is to make, kept in case it dies before it has done so */
  deferred: Map<string, Announcement>;
  /** jobs whose last tick in this life succeeded: another success is no news */
  readonly healthy: Set<JobId>;
}

export function createAnnouncements(): AnnouncementsState {
  return { queued: new Map(), deferred: new Map(), healthy: new Set() };
}
