/**
 * What really happened, as an observer outside of cicada would have seen it: what the jobs' own processes wrote, what
 * clients were answered, and what was done to the hosts. The checkers judge by this alone.
 *
 * All instants are true time, ms since the epoch, which no peer knows.
 */
import type { JobId, PeerId, TickId } from "../../schema/ids.ts";
import type { SimpleSchedule } from "../client/schedules.ts";

/** A child process ran. */
export interface Run {
  job: JobId;
  tick: TickId;
  attempt: number;
  peer: PeerId;
  /** which life of the peer's process had it started */
  life: number;
  start: number;
  /** undefined: still on when the world ended */
  end: number | undefined;
  /** false: the process that started it had received no heartbeat for a while */
  heardOthers?: boolean;
  /** how the child itself ended; `killed` = by the launcher, because the peer's process was gone */
  outcome?: "succeeded" | "failed" | "timeout" | "cancelled" | "killed";
}

/** What the simulator's client wants of a job, as far as the checkers judge it. */
export interface JobRules {
  id: JobId;
  schedule: SimpleSchedule;
  overlap: "queue" | "queue-all" | "skip" | "allow" | "replace";
  catchUp: { policy: "none" | "latest" | "all"; windowMs: number };
  /** only these peers may run it; undefined = all */
  peers: readonly PeerId[] | undefined;
  /** absent = `available` */
  partition?: "majority";
  /** false: it has no ticks */
  enabled?: boolean;
  /** how many ticks' records are kept, and for how long; absent = all of them, for ever */
  keep?: { runs: number; ageMs: number };
  /** of a job that not every version knows: the peers of which every life knows it */
  knownTo?: readonly PeerId[];
  /** it has a field that only the later version of a mixed world knows */
  isLater?: boolean;
}

/** The peers that always may run the job; undefined = all. */
export function peersFor({ peers, knownTo }: JobRules): readonly PeerId[] | undefined {
  if (peers === undefined || knownTo === undefined) return peers ?? knownTo;
  return peers.filter((peer) => knownTo.includes(peer));
}

export type ClientRequest =
  | { kind: "put"; rules: JobRules }
  | { kind: "delete"; id: JobId }
  | { kind: "pause"; id: JobId }
  | { kind: "resume"; id: JobId }
  | { kind: "run"; id: JobId }
  /** every run of that tick */
  | { kind: "cancel"; id: JobId; tick: TickId }
  | { kind: "drain"; target: PeerId; on: boolean }
  | { kind: "promote"; target: PeerId }
  | { kind: "forget"; target: PeerId }
  /** a new cluster key; the old one is accepted for so long */
  | { kind: "rotate"; graceMs: number };

/** The job that a request is about; undefined = it is about a peer. */
export function jobOf(request: ClientRequest): JobId | undefined {
  if ("rules" in request) return request.rules.id;
  return "id" in request ? request.id : undefined;
}

/** Something that a client asked of one peer. */
export interface Operation {
  request: ClientRequest;
  peer: PeerId;
  askedAt: number;
  /** undefined: never answered, so it may have been done or not */
  answeredAt: number | undefined;
  /** false: answered with a refusal, so it was not done */
  accepted: boolean;
  /** when it had been seen on every peer; undefined = not observed, so it is computed from the quiet time that followed */
  knownAt?: number;
  /** the tick that was ordered by `run` */
  tick: TickId | undefined;
}

/** A peer's process was not there, or did not move. */
export interface Outage {
  peer: PeerId;
  kind: "down" | "paused";
  from: number;
  /** Infinity while it lasts */
  to: number;
}

/** Nothing that `sender` sent could reach `receiver`. */
export interface Cut {
  sender: PeerId;
  receiver: PeerId;
  from: number;
  to: number;
}

/**
 * The time in which something else may hold ticks up: slow or lossy wires, slow or full disks, hosts without room, stepped clocks, a copy of the
 * peer beside it, a cluster key that was replaced while it was away.
 */
export interface FaultWindow {
  kind:
    | "slow network"
    | "lossy network"
    | "slow disk"
    | "full disk"
    | "unreadable disk"
    | "starved host"
    | "clock step"
    | "duplicate identity"
    | "missed rotation";
  /** undefined = all */
  peer: PeerId | undefined;
  from: number;
  to: number;
  /** of a clock step: by how much the clock is set wrong, ms */
  steppedMs?: number;
}

/** What one peer knew at one instant, for the checkers that compare peers with each other. */
export interface Knowledge {
  peer: PeerId;
  /** effective jobs: id → revision */
  jobs: ReadonlyMap<JobId, string>;
  /** in a mixed world: what parts of a later version they have (client/later-jobs.ts) */
  needs?: ReadonlyMap<JobId, string>;
  /** key of the record → its state and its writing */
  records: ReadonlyMap<string, RecordSeen>;
  /** what the peer itself finds wrong with its knowledge; undefined = nothing */
  complaint: string | undefined;
}

export interface RecordSeen {
  job: JobId;
  tick: TickId;
  attempt: number;
  peer: PeerId;
  state: string;
  /** two writings of one record differ in it */
  writing: string;
  /** when, by its writer's clock, ms */
  writtenAt?: number;
  /** it stands for every tick from this instant (ms) up to `tick` that has no record of its own */
  rangeFrom?: number;
  /** of a majority job: the epoch whose voters chose this runner */
  epoch?: number;
}

/** A peer's folder was put back to what it had been; or that old copy was started beside it, as a second process with its identity. */
export interface Rollback {
  peer: PeerId;
  copiedAt: number;
  startedAt: number;
  kind: "old disk" | "duplicate identity";
}

/** A proposer's ballot, as it went over the wires. */
export interface BallotSeen {
  decision: string;
  /** round, peer and life, as written */
  ballot: string;
  epoch: number;
  /** which life of which peer sent it */
  sender: string;
  /** undefined: it asks for the floor */
  value: string | undefined;
}

/** A voter accepted a value: it said so, or it is on its disk. */
export interface AcceptanceSeen {
  decision: string;
  ballot: string;
  voter: PeerId;
  value: string;
}

/** An epoch of the roster, as some peer said it or stored it. */
export interface EpochSeen {
  number: number;
  voters: readonly PeerId[];
  from: number;
  /** all but the signatures */
  text: string;
}

/** What the votes looked like from outside. Each thing is listed once. */
export interface VotesSeen {
  ballots: readonly BallotSeen[];
  acceptances: readonly AcceptanceSeen[];
  epochs: readonly EpochSeen[];
}

/** How much one peer held, by what. */
export interface SizesSeen {
  peer: PeerId;
  at: number;
  sizes: Readonly<Record<string, number>>;
}

/** Bytes that nobody had the right to send were handed to a peer. */
export interface GarbageSeen {
  peer: PeerId;
  at: number;
  what: string;
  /** what it holds by authority, just before and just after */
  before: string;
  after: string;
}

export interface Evidence {
  peers: readonly PeerId[];
  /** the first instant and the last */
  from: number;
  to: number;
  /** when all that was broken had been mended for good; the liveness phase begins */
  healedAt: number;
  runs: readonly Run[];
  operations: readonly Operation[];
  outages: readonly Outage[];
  cuts: readonly Cut[];
  faultWindows: readonly FaultWindow[];
  /** how far a host's clock has ever been from true time by skew and drift, ms, by peer; clock steps are fault windows */
  clockErrorMs: ReadonlyMap<PeerId, number>;
  /** what each peer knew 30 s after `healedAt`, and later: a difference seen both times was not just on its way */
  convergedViews: readonly (readonly Knowledge[])[];
  /** … and at the end */
  final: readonly Knowledge[];
  /** peers that vote and never run anything */
  witnesses?: readonly PeerId[];
  rollbacks?: readonly Rollback[];
  /** when two peers had learned of each other, by `a b` with a < b; absent = all had from the beginning */
  introduced?: ReadonlyMap<string, number>;
  votes?: VotesSeen;
  sizes?: readonly SizesSeen[];
  garbage?: readonly GarbageSeen[];
  /** of a mixed world: the lives of peers (`PEER#LIFE`) that were of the earlier version */
  earlierLives?: ReadonlySet<string>;
  /** records on any disk that nobody had the right to write */
  forged?: readonly string[];
  /** some gossip is lost all the time */
  gossipIsLost?: boolean;
  /** the peers have so little capacity that ticks wait for a place */
  crowded?: boolean;
}

/** A rule that was broken. `at` is the instant around which to look. */
export interface Breach {
  /** `crash`: the code under test threw, which in the world would have ended the process */
  rule:
    | "I1"
    | "I2"
    | "I3"
    | "I4"
    | "I5"
    | "I6"
    | "I7"
    | "I8"
    | "I9"
    | "I10"
    | "I11"
    | "I12"
    | "I13"
    | "I14"
    | "I16"
    | "I18"
    | "crash";
  at: number;
  what: string;
}
