/** Final words of ticks that wait for the peer that tells people about them. Only the files of this folder change it. */
import type { JobId, TickId } from "../../schema/ids.ts";

export interface Word {
  readonly job: JobId;
  readonly tick: TickId;
  readonly sinceMono: number;
  /** this peer wrote it, so nobody knew it before */
  readonly isOwn: boolean;
}

export interface WordsState {
  /** by `JOB@TICK`: words that this peer has not looked at since the members last changed */
  fresh: Map<string, Word>;
  /** words that another peer is to take up, in case it dies before it has */
  left: Map<string, Word>;
  /** jobs whose last word in this life was a success: another one is no news */
  readonly healthy: Set<JobId>;
}

export function createWords(): WordsState {
  return { fresh: new Map(), left: new Map(), healthy: new Set() };
}
