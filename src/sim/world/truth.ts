/**
 * What really happened, as an observer outside of cicada would see it: what the jobs' own processes wrote, which
 * answers clients got, and what was done to the hosts. The checkers judge by this alone.
 *
 * All instants are true time, ms since the epoch, which no peer knows.
 */
import type { JobId, PeerId, TickId } from "../../schema/ids.ts";
import type { Operation } from "./requests.ts";

/** The lives of copies are numbered from here on: those of the world's n-th copy from n times this number. */
export const livesOfCopies = 1_000_000;

/** A child process ran. */
export interface Run {
  job: JobId;
  tick: TickId;
  attempt: number;
  /** which of its tick's runs it is; absent = the only one */
  slot?: string;
  peer: PeerId;
  /** which life (process) of the peer started it */
  life: number;
  start: number;
  /** undefined: still running when the world ended */
  end: number | undefined;
  /** it is an HTTP request, which has no outputs */
  asks?: true;
  /** of a run after others: the text of its $CICADA_PARENTS */
  parentsJson?: string;
  /** false: the process that started it had received no heartbeat for a while */
  heardOthers?: boolean;
  /**
   * how the child itself ended. `killed`: by the launcher, because the peer's process was gone. `skipped`: by its precheck.
   * `checked`: its precheck let it start, and it was not started
   */
  outcome?: "skipped" | "checked" | "succeeded" | "failed" | "timeout" | "cancelled" | "killed";
}

/** The name of an order, whichever peer runs it. */
export function orderName(of: Pick<Run | RecordSeen, "job" | "tick" | "attempt" | "slot">): string {
  return `${of.job}@${of.tick}~${of.attempt}#${of.slot ?? "0"}`;
}

/** A span in which a peer's process was down or paused. */
export interface Outage {
  peer: PeerId;
  kind: "down" | "paused";
  from: number;
  /** Infinity while it lasts */
  to: number;
}

/** A span in which nothing from `sender` could reach `receiver`. */
export interface Cut {
  sender: PeerId;
  receiver: PeerId;
  from: number;
  to: number;
  /** the receiver refuses the sender, and can prove to it that its cluster key was replaced */
  isProved?: true;
}

/**
 * A span in which another fault may delay ticks: slow or lossy wires, slow or full disks, hosts without room, stepped
 * clocks, a copy beside the peer, a cluster key that was replaced while the peer was away.
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

/**
 * A span in which a forgotten peer has a cluster key so old that no member can prove to it that the key was replaced. It
 * can't know that the mesh doesn't count on it (DESIGN §3).
 */
export interface Stranding {
  peer: PeerId;
  from: number;
  /** Infinity while it lasts */
  to: number;
}

/** What one peer knew at one instant, for checkers that compare peers. */
export interface Knowledge {
  peer: PeerId;
  /** effective jobs: id → revision */
  jobs: ReadonlyMap<JobId, string>;
  /** in a mixed world: their needs for parts of a later version (client/later-jobs.ts) */
  needs?: ReadonlyMap<JobId, string>;
  /** by the record's key */
  records: ReadonlyMap<string, RecordSeen>;
  /** what the peer itself finds wrong with its knowledge; undefined = nothing */
  complaint: string | undefined;
}

export interface RecordSeen {
  job: JobId;
  tick: TickId;
  attempt: number;
  /** as in `Run` */
  slot?: string;
  peer: PeerId;
  state: string;
  /** differs between any two versions of one record */
  writing: string;
  /** when it was written, by its writer's clock, ms */
  writtenAt?: number;
  /** when this peer first stored a version of it */
  arrivedAt?: number;
  /** the record covers every tick from this instant (ms) up to `tick` that has no record of its own */
  rangeFrom?: number;
  /** of a majority job: the epoch whose voters chose this runner */
  epoch?: number;
  /** … and how many runners that they chose had given the order back before */
  giveBacks?: number;
}

/**
 * A peer's folder was restored to an older state, or the older copy was started beside it, as a second process with its
 * identity.
 */
export interface Rollback {
  peer: PeerId;
  copiedAt: number;
  startedAt: number;
  kind: "old disk" | "duplicate identity";
}

/** A proposer's ballot, as seen on the wires. */
export interface BallotSeen {
  decision: string;
  /** round, peer and life, as written */
  ballot: string;
  epoch: number;
  /** which life of which peer sent it */
  sender: string;
  /** undefined: a prepare, which has no value yet */
  value: string | undefined;
}

/** A voter accepted a value: it said so, or the vote is on its disk. */
export interface AcceptanceSeen {
  decision: string;
  ballot: string;
  voter: PeerId;
  value: string;
}

/** An epoch of the roster, as some peer sent or stored it. */
export interface EpochSeen {
  number: number;
  voters: readonly PeerId[];
  from: number;
  /** ticks that stay with the epoch before; both ends belong to it */
  except?: readonly { from: number; to: number }[];
  /** all but the signatures */
  text: string;
}

/** The votes as seen from outside. Each is listed once. */
export interface VotesSeen {
  ballots: readonly BallotSeen[];
  acceptances: readonly AcceptanceSeen[];
  epochs: readonly EpochSeen[];
}

/** A peer has stored that a run of its own is lost or was never started. */
export interface DisownedSeen {
  job: JobId;
  tick: TickId;
  attempt: number;
  slot?: string;
  peer: PeerId;
  at: number;
  state: string;
  /** false: the process that stored it had received no heartbeat for a while */
  heardOthers: boolean;
}

/** How many things one peer held, by kind. */
export interface SizesSeen {
  peer: PeerId;
  at: number;
  sizes: Readonly<Record<string, number>>;
}

/** A channel has taken a notice. */
export interface NoticeSeen {
  key: string;
  by: PeerId;
  at: number;
}

/** Forged bytes were handed to a peer. */
export interface GarbageSeen {
  peer: PeerId;
  at: number;
  what: string;
  /** everything that only authorised changes may alter, just before and just after */
  before: string;
  after: string;
}

export interface Evidence {
  peers: readonly PeerId[];
  /** the first instant and the last */
  from: number;
  to: number;
  /** when all faults had ended for good and the liveness phase began */
  healedAt: number;
  runs: readonly Run[];
  operations: readonly Operation[];
  outages: readonly Outage[];
  cuts: readonly Cut[];
  faultWindows: readonly FaultWindow[];
  stranded?: readonly Stranding[];
  /** by peer: the largest error of its host's clock by skew and drift, ms; clock steps are fault windows */
  clockErrorMs: ReadonlyMap<PeerId, number>;
  /**
   * what each peer knew 30 s after `healedAt`, and later; a difference that is seen both times was not just on its way
   */
  convergedViews: readonly (readonly Knowledge[])[];
  /** … and at the end */
  final: readonly Knowledge[];
  /** peers that vote but never run anything */
  witnesses?: readonly PeerId[];
  rollbacks?: readonly Rollback[];
  /** when two peers had learned of each other, by `pairOf`; absent = all had from the beginning */
  introduced?: ReadonlyMap<string, number>;
  votes?: VotesSeen;
  notices?: readonly NoticeSeen[];
  sizes?: readonly SizesSeen[];
  disowned?: readonly DisownedSeen[];
  garbage?: readonly GarbageSeen[];
  /** of a mixed world: the lives of peers (`PEER#LIFE`) that were of the earlier version */
  earlierLives?: ReadonlySet<string>;
  /** forged records on any disk */
  forged?: readonly string[];
  /** records of others that a peer has stored of ticks that it had pruned */
  takenAgain?: readonly { peer: PeerId; record: string }[];
  /** some gossip is lost all the time */
  gossipIsLost?: boolean;
  /** the peers have so little capacity that ticks wait for a place */
  crowded?: boolean;
}

/** The name of two peers, the same for both orders of the two: `a b` with a < b. */
export function pairOf(a: PeerId, b: PeerId): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}

/** A broken rule. `at` is the instant around which to look. */
export interface Breach {
  /** `crash`: the code under test threw, which would have ended a real process */
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
    | "I17"
    | "I18"
    | "crash";
  at: number;
  what: string;
}
