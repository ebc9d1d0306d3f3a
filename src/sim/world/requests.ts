/** What the simulator's clients ask for: jobs as far as the checkers judge them, other requests, and how they were answered. */
import type { JobId, PeerId, TickId } from "../../schema/ids.ts";
import type { SimpleSchedule } from "../client/schedules.ts";

/** What the simulator's client asks of a job, as far as the checkers judge it. */
export interface JobRules {
  id: JobId;
  schedule: SimpleSchedule;
  overlap: "queue" | "queue-all" | "skip" | "allow" | "replace";
  catchUp: { policy: "none" | "latest" | "all"; windowMs: number };
  /** only these peers may run it; undefined = all */
  peers: readonly PeerId[] | undefined;
  /** `peers` are those on this side, and the job names them by their tag (client/job-fields.ts) */
  taggedSide?: string;
  /** it prefers the peers on this side */
  preferredSide?: string;
  /** how many runs each tick has; absent = 1 */
  count?: number;
  /** each tick has one run on each peer that may run it; how long peers that are away are awaited */
  onAll?: {
    offlineMs: number;
    /** the most at once: a number, or a share of the peers */
    rolling?: { max: number | `${number}%`; pauseMs: number; stopAfter: number };
  };
  /** how much of a peer's capacity a run takes; absent = 1 */
  weight?: number;
  /** it sends a request instead of starting a process */
  requests?: true;
  /** it runs a script */
  script?: true;
  /** it names the secret of the world (sim/secrets.ts) */
  secret?: true;
  /** … and these peers always have it */
  sealedTo?: readonly PeerId[];
  /** its group says what it catches up, and what happens when runs overlap (client/shared.ts) */
  group?: true;
  /** each attempt begins with a precheck */
  prechecks?: true;
  /** what its children print must match a pattern */
  patterns?: true;
  /** the exit code of a child that fails counts as `skipped` */
  skips?: true;
  /** each tick is due less than this after it; an edit never changes it; absent = 0 */
  jitterMs?: number;
  /** absent = `available` */
  partition?: "majority";
  /** how often a failed run is repeated, and the first pause; absent = never */
  retry?: { attempts: number; backoffMs: number };
  /** a pool, and how many slots it has */
  pool?: { name: string; slots: number };
  /** after this many failed ticks in a row it is paused; absent = never */
  pauseAfterFailures?: number;
  /** the jobs whose ticks are its ticks, instead of `schedule`, and after which of their ends it runs */
  after?: { jobs: readonly JobId[]; on: "success" | "failure" | "always" };
  /** a channel is notified of its ticks that fail */
  notifies?: true;
  /** false: it has no ticks */
  enabled?: boolean;
  /** how many ticks' records are kept, and for how long; absent = all of them, for ever */
  keep?: { runs: number; ageMs: number };
  /** of a job that not every version can run: the peers that always run a version that can */
  knownTo?: readonly PeerId[];
  /** it has a field that only the later version of a mixed world knows */
  isLater?: boolean;
}

/** The peers that may always run the job; undefined = all. */
export function peersFor({ peers, knownTo, sealedTo }: JobRules): readonly PeerId[] | undefined {
  const [first, ...more] = [peers, knownTo, sealedTo].filter((some) => some !== undefined);
  return first?.filter((peer) => more.every((some) => some.includes(peer)));
}

/** The slots of each of the job's ticks, unless it runs on all peers (checkers/all-peers.ts). */
export function slotsOf({ count = 1 }: JobRules): string[] {
  return Array.from({ length: count }, (_, slot) => String(slot));
}

export type ClientRequest =
  | { kind: "put"; rules: JobRules }
  | { kind: "delete"; id: JobId }
  /** `forMs`: how long after it was asked for it ends by itself */
  | { kind: "pause"; id: JobId; forMs?: number }
  | { kind: "resume"; id: JobId }
  | { kind: "run"; id: JobId }
  /** past ticks (ms) of it */
  | { kind: "backfill"; id: JobId; ticks: readonly number[] }
  /** a tick (ms) is not to run, or after all */
  | { kind: "skip" | "unskip"; id: JobId; tick: number }
  /** every run of that tick */
  | { kind: "cancel"; id: JobId; tick: TickId }
  /** no job takes ticks from ≤ instant < to */
  | { kind: "maintain"; from: number; to: number }
  /** sets how many slots a pool has */
  | { kind: "pool"; name: string; slots: number }
  /** the world's secret gets a value that only these peers can read */
  | { kind: "secret"; peers: readonly PeerId[] }
  /** what the group of jobs gives them */
  | { kind: "group"; overlap: JobRules["overlap"]; catchUp: JobRules["catchUp"] }
  /** the times that the calendar has */
  | { kind: "calendar"; spans: readonly { from: number; to: number }[] }
  | { kind: "drain"; target: PeerId; on: boolean }
  | { kind: "promote"; target: PeerId }
  | { kind: "forget"; target: PeerId; force?: boolean }
  | { kind: "unforget"; target: PeerId }
  /** makes the channel that jobs notify; `more`: further fields of it */
  | { kind: "channel"; more?: object }
  /** replaces the cluster key; the old one is accepted for `graceMs` */
  | { kind: "rotate"; graceMs: number };

/** The job that a request is about; undefined = it is not about a job. */
export function jobOf(request: ClientRequest): JobId | undefined {
  if ("rules" in request) return request.rules.id;
  return "id" in request ? request.id : undefined;
}

/** A request of a client to one peer, and its outcome. */
export interface Operation {
  request: ClientRequest;
  peer: PeerId;
  askedAt: number;
  /** undefined: never answered, so it may or may not have been done */
  answeredAt: number | undefined;
  /** false: answered with a refusal, so it was not done */
  accepted: boolean;
  /**
   * when every peer was seen to know it; undefined = not observed, so it is computed from the quiet time that followed
   */
  knownAt?: number;
  /** the code of the refusal */
  refusal?: string;
  /** the tick that was ordered by `run` */
  tick: TickId | undefined;
}
