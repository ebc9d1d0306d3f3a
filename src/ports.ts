/**
 * The doors of a peer, as types. Behind each stands the world (`real/`) or the simulator (`sim/`), and one
 * contract suite per door runs against both (test/kit/contract/).
 *
 * The rule of every door: a call takes its arguments, returns nothing (or at once), and what comes of it is
 * reported later through a callback, never within the call itself. No promise crosses a door, so the
 * simulator decides the order in which everything happens.
 */
import type { CicadaError } from "./errors.ts";
import type { JobId, PeerId, RunId, TickId } from "./schema/ids.ts";
import type { CheckedSpec, Job, JobState, Quarantined } from "./schema/job.ts";
import type { Channel, Heartbeat, Protocol, Topic } from "./schema/message.ts";
import type { RequestedOrder, RunRecord, RunState, Watermark } from "./schema/run.ts";
import type { Forgotten } from "./schema/attribution.ts";
import type { StoredVote } from "./schema/vote.ts";

export type Cancel = () => void;

/** Wall time says when a tick is due; monotonic time measures how long something has lasted. Both in ms. */
export interface Now {
  wall: number;
  mono: number;
  /** for how long altogether the host was suspended since this clock was opened, which `mono` does not count; ms */
  suspendedMs?: number;
  /** the host says that its wall clock follows a time server */
  synchronised?: boolean;
}

export interface Clock {
  now(): Now;
  /**
   * Rings once, at the monotonic instant or a little later. A ring that comes late (the process was held up)
   * lets what has already arrived on the sockets be read first.
   */
  alarm(atMono: number, ring: () => void): Cancel;
}

export interface Random {
  /** 0 ≤ x < 1 */
  next(): number;
  bytes(length: number): Uint8Array;
}

export interface Keys {
  readonly self: PeerId;
  /**
   * 16 hex digits that name the mesh, made of its first cluster key: equal for all who may talk to each other, and the
   * same after the key has been rotated.
   */
  readonly cluster: string;
  sign(bytes: Uint8Array): Uint8Array;
  verify(peer: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean;
}

/** A new cluster key on its way to a member. */
export interface KeyChange {
  key: Uint8Array;
  /** wall ms: of two changes the later one counts */
  madeAt: number;
  /** wall ms: until then the keys before it are accepted */
  oldUntil: number;
  /** whom it may be handed to: the members of that day, so that who holds but the old key does not get the new one */
  heirs: readonly PeerId[];
  /** for each older key that the sender knows, by fingerprint, that it does: base64url */
  proofs: Readonly<Record<string, string>>;
}

/** The cluster key, which may be another one tomorrow. Every change is durable before its `done`. */
export interface Keyring {
  /** of the present key, 16 hex digits */
  fingerprint(): string;
  /** wall ms; 0 = the mesh's first key */
  madeAt(): number;
  /** Makes a new key and takes it for the present one. */
  rotate(change: Pick<KeyChange, "madeAt" | "oldUntil" | "heirs">, done: (error?: CicadaError) => void): void;
  /** Takes over another peer's change. BAD_KEY: whoever made it did not know the present key. */
  adopt(change: KeyChange, done: (error?: CicadaError) => void): void;
  /** What is to be handed on, as long as older keys are accepted. */
  handover(): KeyChange | undefined;
}

export interface MeshEvents {
  /** At least one connection to the peer is usable now. */
  linkUp(peer: PeerId): void;
  /** None is left: `closed` = said goodbye, `reset` = broke off. */
  linkDown(peer: PeerId, why: "closed" | "reset"): void;
  /** After a reset: redialled, and the host answered that nobody listens there. `times` counts from 1. */
  redialRefused(peer: PeerId, times: number): void;
  /** A peer has turned this one away at its door: the mesh has forgotten this peer's identity. */
  turnedAway(by: PeerId): void;
  /**
   * A peer has proved that it holds this peer's present cluster key as one that was rotated away. Comes again at each try,
   * every few seconds, for as long as it is so.
   */
  keySuperseded(by: PeerId): void;
  /** Authenticated as coming from `from`; not yet decoded. */
  received(from: PeerId, channel: Channel, bytes: Uint8Array): void;
}

/**
 * Finds, dials and redials for ever, by itself, every peer that it learns of, and remembers addresses.
 * Delivery is best effort: a message may be lost with its link or, by gossip, while the mesh forms.
 */
export interface Mesh {
  start(events: MeshEvents): void;
  /** To all. May be lost; never delivered to the publisher itself. */
  publish(topic: Topic, bytes: Uint8Array): void;
  /** To one, in order per (peer, protocol). Dropped when there is no link. */
  send(to: PeerId, protocol: Protocol, bytes: Uint8Array): void;
  /**
   * From now on these identities are kept out: their links end, they are neither dialled nor told of, and whoever
   * knocks as one of them is told that it has been forgotten. The list is the whole of them; may be called before
   * `start`.
   */
  refuse(peers: readonly PeerId[]): void;
  /** Peers that were named or remembered and that should be there, linked or not (ids as far as known). */
  known(): readonly PeerId[];
  /** How many addresses were named whose peer id is not known yet. */
  unresolved(): number;
  /** Own addresses, for others to dial. */
  addresses(): readonly string[];
  stop(done: () => void): void;
}

/** One thing to make durable. Writes of one `store` call are kept all together or not at all. */
export type Write =
  /** Merged by core/records/records.ts with what is there: a record never moves down. */
  | { kind: "record"; record: RunRecord }
  | { kind: "order"; order: RequestedOrder }
  /** One Yjs update, appended. */
  | { kind: "update"; update: Uint8Array }
  /** Replaces all updates stored before it. */
  | { kind: "snapshot"; update: Uint8Array }
  | { kind: "meta"; key: string; value: string }
  /** Replaces the job's watermark. */
  | { kind: "watermark"; watermark: Watermark }
  | { kind: "drop-watermark"; job: JobId }
  | { kind: "drop-horizon"; job: JobId }
  /** Replaces the vote stored for the same decision. */
  | { kind: "vote"; vote: StoredVote }
  /** Removes votes on orders whose tick lies before the instant (ms); votes on the roster stay. */
  | { kind: "drop-votes"; before: number };

export interface Loaded {
  updates: readonly Uint8Array[];
  /** Every record whose tick is at or after `since`, and every open one of whatever age. */
  records: readonly RunRecord[];
  orders: readonly RequestedOrder[];
  votes: readonly StoredVote[];
  watermarks: readonly Watermark[];
  horizons: readonly Horizon[];
  meta: ReadonlyMap<string, string>;
}

export interface RunQuery {
  job?: JobId;
  tick?: TickId;
  slot?: string;
  states?: readonly RunState[];
  peer?: PeerId;
  /** instants of ticks, ms: from ≤ tick < to */
  from?: number;
  to?: number;
  /** newest tick first; at most this many */
  limit: number;
  /** what the previous page gave as `next` */
  after?: string;
}

export interface ThingsQuery {
  /** in ascending order */
  buckets: readonly number[];
  /** only what comes after this place, and up to that one */
  after: string | undefined;
  upTo: string | undefined;
  /** records and orders together */
  limit: number;
}

export interface Things {
  records: RunRecord[];
  orders: RequestedOrder[];
  /** the place of the last of them, if there are more */
  next: string | undefined;
}

/** What a job keeps of its history. */
export interface Keep {
  runs: number;
  ageMs: number;
  /** how far catch-up looks back: it must know what has run */
  windowMs: number;
}

/**
 * What of a job's history goes. A tick with all its records counts as one run, so that no story is half told, and an order
 * goes with its tick. Whether a record is open is not looked at: `before` says from where on something is.
 */
export interface PruneRule {
  job: JobId;
  /** noted beside the horizon, for the day on which the table no longer knows the job */
  keep: Keep;
  /** No tick at or after this instant goes (ms). */
  before: number;
  /** Of the ticks before this instant so many stay (`keep.runs`); later ones are not counted. */
  countedBefore: number;
  /** Ticks before this instant go, however few there are. */
  olderThan: number;
  /** The job's last tick and its last success stay in any case. */
  keepsLast: boolean;
}

/** Everything of the job before the instant (ms) has been pruned, but for its last tick and last success. */
export interface Horizon {
  job: JobId;
  before: number;
  keep: Keep;
}

export interface Pruned {
  runs: RunId[];
  /** those that are new or have moved */
  horizons: Horizon[];
  /** More is to go: the rules are to be given again. */
  more: boolean;
}

export interface Disk {
  load(since: number, done: (loaded: Loaded | CicadaError) => void): void;
  /** `done` comes when all writes are durable (fsync), or with the error when none is. Calls end in order. */
  store(writes: readonly Write[], done: (error?: CicadaError) => void): void;
  /** Reads see every write whose `store` was called before. */
  history(
    query: RunQuery,
    done: (page: { records: RunRecord[]; next: string | null; total: number } | CicadaError) => void,
  ): void;
  /** Digests (core/records/buckets.ts) of the 5-minute buckets from ≤ bucket < to that hold at least one record or order. */
  digests(
    from: number,
    to: number,
    done: (digests: [bucket: number, digest: string][] | CicadaError) => void,
  ): void;
  /** A page of what lies in some buckets, in the order of core/records/place.ts. */
  things(page: ThingsQuery, done: (found: Things | CicadaError) => void): void;
  /** At most so many ids of jobs that have records, in their order: those after the given one, which may be "". */
  jobsWithRecords(after: string, limit: number, done: (jobs: JobId[] | CicadaError) => void): void;
  /** Removes what the rules let go, all of it together with the horizons that say so. */
  prune(rules: readonly PruneRule[], done: (pruned: Pruned | CicadaError) => void): void;
  /** How much the database holds, and the instant (ms) before which that share of it lies (0 ≤ share ≤ 1). */
  measure(share: number, done: (measured: { bytes: number; instant: number } | CicadaError) => void): void;
  close(done: () => void): void;
}

/** A program on this host, in a process group of its own. */
export interface ProcessAction {
  kind: "process";
  argv: readonly string[];
  stdin: string;
  /** empty = the data folder's work/, or a folder of its own for a process of another user */
  cwd: string;
  /** empty = the peer's own */
  user: string;
  umask: number;
  /** between TERM and KILL, when the run is stopped or times out */
  killGraceMs: number;
}

/** What a run does. Behind the door stands one executor for each kind. */
export type RunAction = ProcessAction;

/** One run, decided by core in every detail, so that an executor only obeys. */
export interface RunSpec {
  run: RunId;
  job: JobId;
  tick: TickId;
  action: RunAction;
  /** what the peer's host gives every run; for a process of another user, HOME, USER and SHELL become that user's */
  hostEnv: Readonly<Record<string, string>>;
  /** what is asked for: the job's own variables, which win over the host's */
  env: Readonly<Record<string, string>>;
  /** 0 = none */
  timeoutMs: number;
  logCapBytes: number;
  /** wall clock, ms: too late to start after this; the executor checks it once more just before the start */
  notAfter: number;
}

export type ChildOutcome =
  | { kind: "exited"; exitCode: number; logBytes: number; logTruncated: boolean }
  | { kind: "signalled"; signal: string; logBytes: number; logTruncated: boolean }
  | { kind: "timeout"; logBytes: number; logTruncated: boolean }
  | { kind: "cancelled"; logBytes: number; logTruncated: boolean }
  /**
   * Never started. `late`: after notAfter; `error`: the job's fault (no such program, user, folder …); `host`: a fault of
   * this host (no room for a process, a full disk under the peer's own files …), which says nothing about the job.
   */
  | { kind: "not-started"; why: "late" | "error" | "host"; reason: string };

export interface ExecutorEvents {
  childStarted(run: RunId, at: number): void;
  /** It was to be ended and can't be: it stays open until it is gone. */
  childStuck(run: RunId, reason: string): void;
  /** The child and its process group are gone. Instants are wall clock, ms. */
  childEnded(run: RunId, outcome: ChildOutcome, at: number): void;
}

export interface LogPiece {
  bytes: Uint8Array;
  offset: number;
  size: number;
  /** no more will be written */
  complete: boolean;
}

export interface Executor {
  start(events: ExecutorEvents): void;
  launch(spec: RunSpec): void;
  /** TERM to the group, KILL after the run's grace. */
  stop(run: RunId): void;
  /**
   * After a restart: ends whatever still runs of an earlier life of this peer, and reports which runs of that life
   * had been started (their log exists), so that core can tell `lost` from `withdrawn`.
   */
  sweep(runs: readonly RunId[], done: (started: ReadonlySet<RunId>) => void): void;
  /** The output as kept here, own or a copy; undefined = none is kept. */
  readLog(run: RunId, offset: number, length: number, done: (piece: LogPiece | undefined) => void): void;
  /**
   * The whole output, gzipped, for a copy elsewhere. `too-large`: that takes more than the cap. Undefined: there is none.
   */
  packLog(run: RunId, capBytes: number, done: (gzip: Uint8Array | "too-large" | undefined) => void): void;
  /** Keeps a copy of another peer's output. */
  keepLog(run: RunId, gzip: Uint8Array): void;
  dropLogs(runs: readonly RunId[]): void;
  /** How much all kept outputs and copies take. */
  logBytes(done: (bytes: number) => void): void;
  /** Ends every child group (TERM, then KILL after its grace) and then itself. */
  close(done: () => void): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export interface Doors {
  clock: Clock;
  random: Random;
  keys: Keys;
  keyring: Keyring;
  mesh: Mesh;
  disk: Disk;
  executor: Executor;
  log: Log;
}

// ---------------------------------------------------------------------------------------------------------
// Control: by which the API asks the peer. The one door that speaks in promises, for it is never simulated.

export type Command =
  /** creates the job or replaces its whole spec; `create` is refused when there is one */
  | { kind: "put-job"; spec: CheckedSpec; mode: "create" | "replace"; ifMatch?: string; by: string }
  /** `patch` is an RFC 7396 merge patch over the spec */
  | { kind: "patch-job"; id: JobId; patch: Readonly<Record<string, unknown>>; ifMatch?: string; by: string }
  | { kind: "delete-job"; id: JobId; ifMatch?: string; by: string }
  | { kind: "pause-job"; id: JobId; note?: string; until?: number; by: string }
  | { kind: "resume-job"; id: JobId; by: string }
  | {
      kind: "run-job";
      id: JobId;
      env?: Record<string, string>;
      force?: boolean;
      peers?: string[];
      by: string;
    }
  | { kind: "cancel-run"; run: string; reason: string; by: string }
  /** `peer`: a text that names one (schema/find-peer.ts); so in the next ones */
  | { kind: "promote-peer"; peer: string; by: string }
  /** `force`: without a majority of the voters; unsafe while they are alive */
  | { kind: "forget-peer"; peer: string; force?: boolean; by: string }
  /** `on`: takes no ticks, until it is asked with `on: false` */
  | { kind: "drain-peer"; peer: string; on: boolean; by: string }
  /** a new cluster key for every member in reach; the present one is accepted for so long */
  | { kind: "rotate-key"; graceMs: number; by: string };

export type Answer =
  | { kind: "job"; job: Job; created: boolean }
  | { kind: "done" }
  | { kind: "ordered"; job: JobId; tick: TickId }
  /** wall ms; every known peer, and whether it has confirmed that it keeps the new key */
  | {
      kind: "rotated";
      fingerprint: string;
      oldUntil: number;
      peers: { id: PeerId; name: string; has: boolean }[];
    }
  | { kind: "refused"; error: CicadaError };

export type MemberState = "alive" | "suspect" | "dead" | "left";

export interface MemberView {
  id: PeerId;
  name: string;
  state: MemberState;
  self: boolean;
  /** votes on orders of majority jobs now */
  voter: boolean;
  /** wall ms: from when it votes, in the past or in the future; undefined = it is no voter of the last epoch */
  votesFrom: number | undefined;
  draining: boolean;
  /** draining because a person asked for it, until a person asks for its end */
  drained: boolean;
  /** it has just started or woken up, and takes no ticks yet */
  warmingUp: boolean;
  clockOffsetMs: number | undefined;
  /** wall ms when last heard; own = now */
  heardAt: number | undefined;
  heartbeat: Heartbeat | undefined;
}

/** One future tick: when, and who would run it, the runner first, then its fall-backs. */
export interface NextTick {
  tick: TickId;
  startsAt: number;
  peers: { id: PeerId; name: string; rank: number }[];
}

/** Why no living peer can run a job, or why this one can't (`NEEDS_NEWER`), in words: shown among the job's problems. */
export interface JobHindrance {
  code: "NO_PEER" | "NO_QUORUM" | "NEEDS_NEWER";
  /** JSON pointer to the job's field that it is about, `""` for the whole */
  pointer: string;
  message: string;
}

/** What a tick waits for that is due and undecided. */
export type WaitsFor = "peer" | "capacity" | "overlap" | "voters" | "answer" | "start";

export interface PendingTick {
  tick: TickId;
  due: number;
  waitsFor: WaitsFor;
  /** in words */
  why: string;
}

/** What a job is doing now, as this peer sees it. */
export interface JobStatus {
  state: Exclude<JobState, "invalid">;
  hindrances: readonly JobHindrance[];
  /** the next tick that will run as things are; undefined while the job is paused or disabled, too */
  next: NextTick | undefined;
  /** the record that tells the story of the last tick that is over, missed and skipped ones included */
  lastTick: RunRecord | undefined;
  /** the last run that was started */
  lastRun: RunRecord | undefined;
  /** wall ms: when the last run that succeeded ended */
  lastSuccess: number | undefined;
}

/** Why this peer isn't ready: a short code for scripts, and words for people. */
export interface NotReady {
  code:
    | "starting"
    | "warming-up"
    | "draining"
    | "drained"
    | "forgotten"
    | "key-superseded"
    | "duplicate-identity"
    | "votes-lost"
    | "no-quorum"
    | "host"
    | "disk"
    | "sync"
    | "clock"
    | "alone";
  message: string;
}

/** One tick's story: every record of it, the verdict, and the sentences of core/records/why.ts. */
export interface TickStory {
  tick: TickId;
  due: number;
  /** the state of the record that tells the tick's story, or `pending` */
  state: RunState | "pending";
  duplicate: boolean;
  /** of a pending tick */
  waitsFor?: WaitsFor;
  records: RunRecord[];
  why: string[];
}

export interface Explanation {
  /** undefined: the job has no such tick, or none yet that went wrong */
  story: TickStory | undefined;
  /** why there is no such tick, in words */
  noTick?: string;
  /** what keeps the next tick from running, in sentences */
  hinders: string[];
}

/** Who votes, as far as this peer knows. */
export interface RosterView {
  /** of the last epoch */
  epoch: number;
  voters: readonly PeerId[];
  /** wall ms: orders of ticks from then on are this epoch's */
  from: number;
  /** epochs that were not voted for, and at which peer they were forced */
  forced: readonly { epoch: number; by: PeerId }[];
}

/** A synchronous snapshot of now. `jobs` follows the table, the jobs in it never change. */
export interface View {
  self: MemberView;
  members: MemberView[];
  jobs: ReadonlyMap<JobId, Job>;
  quarantined: readonly Quarantined[];
  /** own and others' claimed or running records, as far as known */
  open: readonly RunRecord[];
  /** undefined: this mesh has no voters */
  roster: RosterView | undefined;
  /** identities that the mesh refuses */
  forgotten: readonly Forgotten[];
  /** reasons for which ticks are not being kept; empty = ready */
  notReady: readonly NotReady[];
  /** what is no reason not to be ready, and yet to be known */
  warnings: readonly string[];
  /** counted since start, for /metrics: name → value */
  counters: Readonly<Record<string, number>>;
}

export type PeerEvent =
  | { kind: "run"; record: RunRecord }
  | { kind: "job"; id: JobId; change: "written" | "deleted" }
  | { kind: "member"; member: MemberView };

export interface Control {
  ask(command: Command): Promise<Answer>;
  view(): View;
  /** undefined when there is no such job */
  next(id: JobId, count: number): NextTick[] | undefined;
  /** undefined when there is no such job */
  status(id: JobId): Promise<JobStatus | undefined>;
  /** How far the furthest behind of the jobs' watermarks lags, ms: what lies below a watermark is over. */
  watermarkLagMs(): number;
  /** The jobs that are in that state. */
  inState(state: JobStatus["state"]): Promise<ReadonlySet<JobId>>;
  /** Jobs that no living peer can run now, and why. */
  blocked(): { id: JobId; hindrance: JobHindrance }[];
  /** Jobs that a later version has written and this peer therefore doesn't run, and why. */
  unknownHere(): { id: JobId; hindrance: JobHindrance }[];
  history(query: RunQuery): Promise<{ records: RunRecord[]; next: string | null; total: number }>;
  /** Stories of past ticks, newest first; undefined when nothing is known of the job. */
  ticks(
    id: JobId,
    query: { from?: number; to?: number; limit: number; after?: string },
  ): Promise<{ stories: TickStory[]; next: string | null } | undefined>;
  /** Why a tick went as it did; without one, the last that went wrong. Undefined when nothing is known of the job. */
  why(id: JobId, tick?: TickId): Promise<Explanation | undefined>;
  /** From here, from the runner, or from a peer that keeps a copy; undefined = nobody in reach has it. */
  log(run: RunId, offset: number, length: number): Promise<LogPiece | undefined>;
  subscribe(listener: (event: PeerEvent) => void): Cancel;
}
