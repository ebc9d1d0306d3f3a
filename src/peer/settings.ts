/** What a peer is started with, and what only the simulator and tests give it and may look at. */
import type { State } from "../core/state.ts";
import type { PeerId } from "../schema/ids.ts";
import type { Job, Problem } from "../schema/job.ts";
import type { JobTable } from "../table/table.ts";

export interface PeerSettings {
  name: string;
  version: string;
  tags: Readonly<Record<string, string>>;
  /** runs at once */
  capacity: number;
  role: "worker" | "witness";
  /** of records and outputs; Infinity = no limit (retention.ts) */
  historyMaxBytes: number;
  /** the peer that made the cluster key, if known: the first voter of the mesh's roster */
  founder: PeerId | undefined;
  /** how long runs may end after `stop`; ms */
  drainMs: number;
  /** version of the time-zone tables */
  tzdata: string;
  /** the host's PATH, HOME, LANG, TZ, USER, SHELL and TMPDIR, as far as set: all that a job sees of it */
  host: Readonly<Record<string, string>>;
  /** why a job must not be run here, whatever the table says */
  refusal?: (job: Job) => Problem | undefined;
  /** what the program is capable of */
  capabilities: readonly string[];
  /** what only simulator and tests give: a bug to have, where to name rare branches, checks that cost much, a look inside */
  testing?: Pick<State["settings"], "planted" | "marks" | "checksBook"> & {
    /** what a later version says more in each record */
    recordFields?: Readonly<Record<string, unknown>>;
    onLive?: (inside: Inside) => void;
  };
}

/** What simulator and tests may look at, and never change but as another peer would. */
export interface Inside {
  readonly state: Readonly<State>;
  readonly table: JobTable;
  /** takes in an update of the table that came from elsewhere */
  readonly takeEdit: (update: Uint8Array) => void;
}
