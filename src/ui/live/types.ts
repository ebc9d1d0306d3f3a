/** What the API answers, by the names that the page uses. The types are those of the API's own schemas. */
import type { ShownJob } from "../../api/show/show-job.ts";
import type { Peer } from "../../api/show/show-peer.ts";
import type { ShownRevision } from "../../api/show/show-revision.ts";
import type { Run, Tick } from "../../api/show/show-run.ts";
import type { ShownForecast } from "../../api/show/show-forecast.ts";
import type { ShownSplit, ShownSplitStory } from "../../api/show/show-split.ts";
import type {
  Chain,
  Coming,
  Dependents,
  Recent,
  Running,
  Summary,
  WrongJob,
} from "../../api/show/show-overview.ts";

export type { Chain, Coming, Dependents, Peer, Run, Running, Summary, Tick, WrongJob };
export type Job = ShownJob & { recent?: Recent };
export type Forecast = ShownForecast;
export type Split = ShownSplit;
export type SplitStory = ShownSplitStory;
export type Revision = ShownRevision;
export type RecentTick = Recent["ticks"][number];
export type JobState = Job["state"];
export type RunState = Run["state"];

export interface List<Item> {
  items: Item[];
  nextCursor: string | null;
}

/** The jobs that went wrong in the last day. `total`: how many, also those that are not listed. */
export interface WrongList {
  items: WrongJob[];
  total: number;
}

/** The next ticks of all jobs. */
export interface ComingList {
  items: Coming[];
  more: boolean;
  completeUntil: string;
  often: string[];
}

export interface NextTick {
  tick: string;
  startsAt: string;
  skipped?: "except" | "asked" | "maintenance";
  skippedBy?: string;
  note?: string;
  peers: { id: string; name: string; rank: number }[];
  after?: string[];
}
