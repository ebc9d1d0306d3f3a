/** What a job is expected to do in one of the hours to come, as things are now. */
import type { PeerId } from "../schema/ids.ts";

export interface ExpectedHour {
  /** which hour: 0 = the first */
  hour: number;
  /** without those that are left out, paused, in a maintenance, or to be skipped */
  ticks: number;
  /** when they are due (ms), oldest first: all of them, or none if there are more than were asked for */
  starts: readonly number[];
  /** how many of the runs each peer would have; where there are many, on average, so it may be a fraction */
  runs: readonly { peer: PeerId; name: string; count: number }[];
}
