/** The jobs that this peer knows, and when each is due next. Only the files of this folder change it. */
import type { JobId } from "../../schema/ids.ts";
import { noCalendars, type Calendars } from "./calendars.ts";
import type { StoredGroup } from "../../schema/group.ts";
import { IndexedHeap } from "./heap.ts";
import type { Maintenance } from "./maintenance.ts";
import type { Plan } from "./plan.ts";

/** To whom a secret's newest sealed value is sealed. */
export interface Sealed {
  readonly version: number;
  readonly peers: ReadonlySet<string>;
}

export interface JobsState {
  readonly plans: Map<JobId, Plan>;
  /** the next tick of every job that has one; wall clock, ms */
  readonly nextTicks: IndexedHeap<JobId>;
  /** by parent: the jobs that run after it */
  readonly children: Map<JobId, Set<JobId>>;
  /** jobs of the table that are quarantined because they run after each other, with their parents */
  cyclic: ReadonlyMap<JobId, readonly JobId[]>;
  /** how many slots each pool has that somebody has set */
  pools: ReadonlyMap<string, number>;
  /** enabled jobs that start only with a majority of the voters */
  readonly majorityJobs: Set<JobId>;
  readonly jobsByPool: Map<string, Set<JobId>>;
  calendars: Calendars;
  /** the defaults of the groups that have some, by name */
  groups: ReadonlyMap<string, StoredGroup>;
  /** the secrets that are sealed to peers, by name */
  sealed: ReadonlyMap<string, Sealed>;
  /** every maintenance of the table; each plan has those that apply to it */
  maintenance: readonly Maintenance[];
}

export function createJobs(): JobsState {
  return {
    plans: new Map(),
    nextTicks: new IndexedHeap((a, b) => a < b),
    children: new Map(),
    cyclic: new Map(),
    calendars: noCalendars,
    maintenance: [],
    pools: new Map(),
    majorityJobs: new Set(),
    jobsByPool: new Map(),
    sealed: new Map(),
    groups: new Map(),
  };
}
