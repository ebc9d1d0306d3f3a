/**
 * Control, through which the API asks the peer: it carries commands (command.ts) to the peer, and shows the peer itself, its jobs
 * and its ticks. It is the one door that speaks in promises, because it is never simulated.
 */
import type { Cancel, LogPiece } from "../ports.ts";
import type { Join } from "../schema/admission.ts";
import type { AuditEntry, AuditFound, AuditQuery } from "../schema/audit.ts";
import type { Forgotten } from "../schema/attribution.ts";
import type { JobId, PeerId, RunId, TickId } from "../schema/ids.ts";
import type { JobState } from "../schema/job-vocabulary.ts";
import type { Job, Quarantined } from "../schema/job.ts";
import type { Heartbeat } from "../schema/heartbeat.ts";
import type { JobRevision } from "../schema/revision.ts";
import type { RunRecord } from "../schema/run.ts";
import type { RunState } from "../schema/run-states.ts";
import type { NoticeChannel } from "../schema/channel.ts";
import type { HeldSecrets, SecretChange } from "../schema/secret.ts";
import type { ReportedKind, SettingKind, SettingValues } from "../schema/setting.ts";
import type { ExpectedHour } from "./expected.ts";
import type { Answer, Command } from "./command.ts";
import type { JobSince, RunPage, RunQuery, WrongJobs, WrongQuery } from "./disk.ts";
import type { Delivered } from "./notifier.ts";

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
  /** it is a voter, and doesn't vote because its disk lacks votes that it has given */
  votesLost: boolean;
  draining: boolean;
  /** draining because a person asked for it, until a person asks for its end */
  drained: boolean;
  /** it has just started or woken up, and takes no ticks yet */
  warmingUp: boolean;
  clockOffsetMs: number | undefined;
  /** wall ms when last heard; own = now */
  heardAt: number | undefined;
  heartbeat: Heartbeat | undefined;
  /** wall ms: when a member first recorded it; undefined for the founder, and until it is recorded */
  joinedAt: number | undefined;
  /** the id of the invitation that it named when it joined */
  invitation: string | undefined;
  /** a person has confirmed that it belongs to the mesh, at this peer or at one that this peer trusts */
  confirmed: boolean;
}

/** This peer took a member for dead. Instants are wall clock, ms. */
export interface Silence {
  peer: PeerId;
  /** when it was last heard before */
  from: number;
  /** when it was heard again; undefined = it has not been */
  to: number | undefined;
  /** it was restarted meanwhile; if it came back without that, it had been running all the time */
  restarted: boolean;
  /** it is not heard, and its host refuses connections to it: its process has ended */
  refused: boolean;
}

/** One future tick: when, and who would run it, the runner first, then its fall-backs. */
export interface NextTick {
  tick: TickId;
  startsAt: number;
  /** why it will not run: the job leaves it out, a person has asked for it to be skipped, or it comes in a maintenance */
  skipped?: "except" | "asked" | "maintenance";
  /** of one that a person has asked to skip: who did, and what they said about it */
  skippedBy?: string;
  note?: string;
  peers: { id: PeerId; name: string; rank: number }[];
  /** the jobs that must have ended before; undefined = it has a schedule of its own */
  after?: readonly JobId[];
}

/** Why no living peer can run a job, or why this one can't (`NEEDS_NEWER`), in words: shown among the job's problems. */
export interface JobHindrance {
  code:
    | "POOL_STOPPED"
    | "NO_PEER"
    | "NO_QUORUM"
    | "FEW_PEERS"
    | "NEEDS_NEWER"
    | "NO_PARENT"
    | "NO_CALENDAR"
    | "CALENDAR_ENDS"
    | "ALL_SKIPPED";
  /** JSON pointer to the job's field that it is about, `""` for the whole */
  pointer: string;
  message: string;
}

/**
 * What a tick waits for that is undecided: it is due, or has failed and is to be repeated (`retry`), perhaps when a pause of its
 * job has ended.
 */
export const waits = [
  "peer",
  "capacity",
  "overlap",
  "voters",
  "answer",
  "start",
  "retry",
  "parent",
  "pause",
  "maintenance",
  "pool",
  "calendar",
  "turn",
] as const;
export type WaitsFor = (typeof waits)[number];

export interface PendingTick {
  tick: TickId;
  due: number;
  waitsFor: WaitsFor;
  /** in words */
  why: string;
}

/** Past ticks of a job, in ms. */
export interface BackfillTicks {
  ticks: readonly number[];
  /** those that the job's own schedule runs, or is about to */
  pending: readonly number[];
  /** those that an earlier backfill has taken on */
  backfilled: readonly number[];
}

/** A tick that a backfill leaves out, and why. */
export interface LeftOut {
  tick: TickId;
  why: "has-run" | "pending" | "asked-before";
  /** its last run, if its record is still there */
  run: RunRecord | undefined;
}

/** What a backfill would do. */
export interface BackfillPlan {
  ticks: TickId[];
  leftOut: LeftOut[];
}

/** What is known about a pool now. */
export interface PoolView {
  /** that name it */
  jobs: JobId[];
  /** runs in progress */
  holders: RunRecord[];
  /** claims that are due, first come first */
  waiting: RunRecord[];
}

/** What a job is doing now, as this peer sees it. */
export interface JobStatus {
  state: Exclude<JobState, "invalid">;
  hindrances: readonly JobHindrance[];
  /** the next tick that will run as things are; undefined while the job is paused or disabled, too */
  next: NextTick | undefined;
  /** the record that tells the story of the last tick that is over, missed and skipped ones included */
  lastTick: RunRecord | undefined;
  /** that tick went wrong; a job that is running, blocked or paused meanwhile is not in the state `failing` */
  lastFailed: boolean;
  /** the last run that was started */
  lastRun: RunRecord | undefined;
  /** wall ms: when the last run that succeeded ended */
  lastSuccess: number | undefined;
  /** wall ms: of earlier ticks this peer keeps only the last one and the last success; undefined = it has pruned none of this job's */
  keptFrom: number | undefined;
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
  obstacles: string[];
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

/** A synchronous snapshot of now. `jobs` follows the table; the jobs in it never change. */
export interface View {
  self: MemberView;
  members: MemberView[];
  /** as far as this process remembers, oldest first */
  silences: readonly Silence[];
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
  /** what people should know although it doesn't keep the peer from being ready */
  warnings: readonly string[];
  /** counted since start, for /metrics: name → value */
  counters: Readonly<Record<string, number>>;
}

/** A member that would get a new cluster key. */
export interface Heir {
  id: PeerId;
  name: string;
  state: MemberState;
  joinedAt: number | undefined;
  invitation: string | undefined;
  confirmed: boolean;
  /** why a person should look at it first, in words; undefined = no reason */
  doubt: string | undefined;
}

/** How the last message to a channel of notices went. */
export interface ChannelHealth {
  /** wall ms */
  at: number;
  ok: boolean;
  error: string | undefined;
}

export type PeerEvent =
  | { kind: "run"; record: RunRecord }
  | { kind: "job"; id: JobId; change: "written" | "deleted" }
  | { kind: "setting"; setting: ReportedKind; name: string; change: "written" | "deleted" }
  | { kind: "member"; member: MemberView }
  | { kind: "joined"; join: Join };

/** `isNoted`: the audit has the command already. */
export type NotedAnswer = Answer & { isNoted?: boolean };

export interface Control {
  /**
   * `entries`: what the audit notes of the command if it is done. Where its change is stored here, they are stored with it, and
   * the answer says so; otherwise they are left to the caller.
   */
  ask(command: Command, entries?: readonly AuditEntry[]): Promise<NotedAnswer>;
  view(): View;
  /** who would get a new cluster key */
  heirs(): Heir[];
  /** undefined when there is no such job */
  next(id: JobId, count: number): NextTick[] | undefined;
  /** The instant of the job's next tick that will run as things are, ms; undefined when there is none, or no such job. */
  nextRunAt(id: JobId): number | undefined;
  /** The only peer that can run the job as things are; undefined when there are several, or none, or the job is disabled. */
  soleRunner(id: JobId): PeerId | undefined;
  /**
   * What the job is expected to do in the hours from then on (ms); hours with up to `listed` ticks list them. Undefined: no
   * such job.
   */
  expected(id: JobId, from: number, hours: number, listed: number): ExpectedHour[] | undefined;
  /** undefined when there is no such job */
  status(id: JobId): Promise<JobStatus | undefined>;
  /** Which of the job's ticks with from ≤ tick < to (ms) a backfill would run. Throws a CicadaError if it would be refused. */
  planBackfill(id: JobId, from: number, to: number, force: boolean): Promise<BackfillPlan>;
  /** How far the watermark that lags most is behind, ms: what lies below a watermark is over. */
  watermarkLagMs(): number;
  /** All settings of a kind, by name. */
  settings(kind: SettingKind): SettingValues;
  /** Who holds a pool's slots, and who waits. */
  pool(name: string): PoolView;
  /** Jobs that no living peer can run now, and why. */
  blocked(): { id: JobId; hindrance: JobHindrance }[];
  /** Jobs that a later version has written and this peer therefore doesn't run, and why. */
  unknownHere(): { id: JobId; hindrance: JobHindrance }[];
  /** Resolves when the hosts have said whether they have the job's user and interpreter, or after a moment. */
  hostsChecked(id: JobId): Promise<void>;
  history(query: RunQuery): Promise<RunPage>;
  /** How long the job's last successful runs took, ms, newest first; those of ticks from that instant on. */
  durations(of: JobSince): Promise<number[]>;
  /** The jobs of which ticks went wrong. */
  wentWrong(query: WrongQuery): Promise<WrongJobs>;
  /** The values of a root of the table other than the jobs', by name, as they are written there. */
  values(root: string): ReadonlyMap<string, unknown>;
  /** How the last message to the channel went, as far as this peer knows; undefined = nothing was sent yet. */
  channelHealth(name: string): ChannelHealth | undefined;
  /** Sends a test notice once. */
  testChannel(channel: NoticeChannel, name: string, by: string): Promise<Delivered>;
  /** What the job was, newest first, as far as this peer has seen it and keeps it; a deleted job's, too. */
  revisions(id: JobId): Promise<JobRevision[]>;
  /** What was asked of this peer and of the others that answer, newest first. `cursor`: `next` of the page before. */
  audit(query: Omit<AuditQuery, "after">, cursor: string | undefined): Promise<AuditFound>;
  /** Durable here before it resolves. */
  noteAudit(entries: readonly AuditEntry[]): Promise<void>;
  /** Stories of past ticks, newest first; undefined when nothing is known of the job. */
  ticks(
    id: JobId,
    query: { from?: number; to?: number; limit: number; after?: string },
  ): Promise<{ stories: TickStory[]; next: string | null } | undefined>;
  /** Why a tick went as it did; without one, the last that went wrong. Undefined when nothing is known of the job. */
  why(id: JobId, tick?: TickId): Promise<Explanation | undefined>;
  /**
   * A piece of the run's output, from here, from the runner, or from a peer that keeps a copy; undefined = nobody in reach has
   * it.
   */
  log(run: RunId, offset: number, length: number): Promise<LogPiece | undefined>;
  /**
   * Keeps a script, durably here; `created`: it was not here before, and what the audit notes of it (by its SHA-256) is stored
   * first. Rejects with a CicadaError.
   */
  putScript(
    bytes: Uint8Array,
    entriesOf: (sha256: string) => readonly AuditEntry[],
  ): Promise<{ sha256: string; created: boolean }>;
  /** A script from here or from another peer; undefined = no peer in reach has it. */
  script(sha256: string): Promise<Uint8Array | undefined>;
  /** Which secrets this peer has a value of, apart from those that are sealed to it. */
  heldSecrets(): HeldSecrets;
  /** Durable here before it resolves, with what the audit notes of it. Rejects with a CicadaError. */
  setSecret(change: SecretChange, entries: readonly AuditEntry[]): Promise<void>;
  /** Removes the value that is sealed, and this peer's own. Rejects with a CicadaError. */
  removeSecret(name: string, by: string, entries: readonly AuditEntry[]): Promise<void>;
  subscribe(listener: (event: PeerEvent) => void): Cancel;
}
