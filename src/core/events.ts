/**
 * Core's input and output, its only contact with the world (DESIGN §2): events and effects. Every event carries `now`. An
 * effect asks for something to be done; its outcome, if core needs it, comes as a later event.
 */
import type { ChildOutcome, Now, Refusal, RunSpec } from "../ports.ts";
import type { Write } from "../ports/disk.ts";
import type { Answer, Command } from "../ports/command.ts";
import type { PeerEvent } from "../ports/control.ts";
import type { Confirmation, Join } from "../schema/admission.ts";
import type { JobId, PeerId, RunId, TickId } from "../schema/ids.ts";
import type { Job, TableEdit } from "../schema/job.ts";
import type { Message, MessageOf, Protocol } from "../schema/message.ts";
import type { RequestedOrder, RunRecord, Span, Watermark } from "../schema/run.ts";
import type { Attribution } from "../schema/attribution.ts";
import type { MembershipStatement } from "../schema/membership.ts";
import type { SettingKind, SettingValues } from "../schema/setting.ts";
import type { OwnSecrets } from "./members/members-state.ts";
import type { Epoch, StoredVote } from "../schema/vote.ts";

export interface JobChange {
  id: JobId;
  /** undefined = deleted, or quarantined */
  job: Job | undefined;
}

/** The messages that core handles; the peer's parts handle the others (tables, buckets, logs). */
export type CoreMessage = MessageOf<
  | "heartbeat"
  | "runs"
  | "leave"
  | "ask"
  | "answer"
  | "drain"
  | "drained"
  | "cancel"
  | "cancel-heard"
  | "skip"
  | "skip-heard"
  | "ballots"
  | "replies"
  | "chosen"
  | "roster"
>;

/** The commands that core handles. Core knows no keys. */
export type CoreCommand = Exclude<Command, { kind: "rotate-key" }>;

/** The part of a job's history that this peer has pruned. */
export interface PrunedHistory {
  /** records of ticks before this instant (ms) were pruned */
  before: number;
  /** spans of pruned ticks that had started */
  starts: readonly Span[];
}

/** What is in the table about how peers came in. */
export interface Admissions {
  joins: readonly Join[];
  /** peers with a join that can't be read */
  unreadableJoins?: readonly PeerId[];
  confirmations: readonly Confirmation[];
}

/** An event without its time. */
export type EventBody = Event extends infer One ? (One extends Event ? Omit<One, "now"> : never) : never;

export type Event = { now: Now } & (
  | {
      /** Begins this life. Open records of an earlier life come with `started`, its runs that had started. */
      kind: "loaded";
      jobs: readonly Job[];
      tableDigest: string;
      /** as in `tableChanged` */
      cyclic?: ReadonlyMap<JobId, readonly JobId[]>;
      records: readonly RunRecord[];
      orders: readonly RequestedOrder[];
      votes: readonly StoredVote[];
      watermarks: readonly Watermark[];
      /** spans of starts, for jobs whose pruned history reaches into the future by this peer's clock */
      prunedAhead?: readonly { job: JobId; starts: readonly Span[] }[];
      /** records of ticks from this instant (ms) on are all in `records` */
      loadedSince: number;
      voteCount: number;
      /** no votes on ticks in these spans */
      forgottenVotes: readonly Span[];
      /** an earlier life has found that it no longer remembers all its votes */
      votesLost?: boolean;
      /** the last epoch that it knew then */
      votesLostIn?: number | undefined;
      /** the stored roster, not yet verified */
      chain: readonly Epoch[];
      started: ReadonlySet<RunId>;
      /** peers that are expected, and the number of given addresses whose peer id isn't known yet */
      expected: readonly PeerId[];
      unresolved: number;
      /** when an earlier life was last known to be alive; wall clock, ms; undefined = there was none */
      lastAlive: number | undefined;
      /** when an earlier life last pruned its history; wall clock, ms; undefined = none did */
      prunedAt?: number | undefined;
      /** what the clock still had to prove then (time/clock-proof.ts), ms; undefined = nothing */
      proofLeftMs?: number | undefined;
      addresses: readonly string[];
      /** what is in the table about the membership of peers */
      membership?: readonly MembershipStatement[];
      /** the statements that counted in an earlier life; undefined = no earlier life had a version that keeps them */
      keptMembership?: readonly MembershipStatement[] | undefined;
      joins?: readonly Join[];
      unreadableJoins?: readonly PeerId[];
      confirmations?: readonly Confirmation[];
      settings?: Partial<Readonly<Record<SettingKind, SettingValues>>>;
      /** stored by an earlier life: this peer has been forgotten */
      selfForgotten?: Attribution | undefined;
      /** the last epoch that this peer knew when it was forgotten; undefined = it never was */
      barredThrough?: number | undefined;
      /** stored by an earlier life: this peer's current key was proved to be replaced */
      superseded?: Attribution | undefined;
      /** stored by an earlier life: this peer is drained */
      drained?: Attribution | undefined;
    }
  | { kind: "woke" }
  | { kind: "heard"; from: PeerId; message: CoreMessage }
  /** a sync has brought records and orders */
  | { kind: "learned"; records: readonly RunRecord[]; orders: readonly RequestedOrder[] }
  | { kind: "synced"; peer: PeerId }
  /** the disk's records of the ticks that were to be looked up, and what has been pruned */
  | { kind: "lookedUp"; job: JobId; records: readonly RunRecord[]; pruned?: PrunedHistory | undefined }
  /** the job's last runs that have succeeded or failed */
  | { kind: "endsRead"; job: JobId; records: readonly RunRecord[] }
  | {
      kind: "tickLookedUp";
      job: JobId;
      tick: TickId;
      records: readonly RunRecord[];
      pruned?: PrunedHistory | undefined;
    }
  /** another peer's watermarks, after all its records have come */
  | { kind: "watermarks"; peer: PeerId; watermarks: readonly Watermark[] }
  /** neighbours have pruned the job's ticks before the instant (ms), so open records from before it are over */
  | { kind: "prunedElsewhere"; job: JobId; before: number }
  | {
      kind: "tableChanged";
      changes: readonly JobChange[];
      tableDigest: string;
      /** the jobs that are quarantined because they run after each other, with their parents; absent = none */
      cyclic?: ReadonlyMap<JobId, readonly JobId[]>;
      /** of the changed jobs those that are there and can't be read; absent = none */
      unreadable?: ReadonlySet<JobId>;
    }
  /** what is in the table about the membership of peers has changed */
  | { kind: "membership"; statements: readonly MembershipStatement[] }
  /** settings of a kind have changed: all of them, by name */
  | { kind: "settingsChanged"; setting: SettingKind; values: SettingValues }
  /** the table's joins or confirmations have changed */
  | ({ kind: "admissions" } & Admissions)
  /**
   * a peer has turned this one away as forgotten, and has shown a person's statement, unless it showed none that can be
   * read
   */
  | { kind: "turnedAway"; by: PeerId; statement?: MembershipStatement | undefined }
  /** a peer has proved that this peer's current key was replaced; `key` is the key's fingerprint */
  | { kind: "keySuperseded"; by: PeerId; key: string }
  /** this peer has a new key */
  | { kind: "keyChanged" }
  | { kind: "linkUp"; peer: PeerId }
  | { kind: "linkDown"; peer: PeerId; why: "closed" | "reset" }
  | { kind: "redialRefused"; peer: PeerId; times: number }
  /**
   * what jobs need and this peer's host lacks, beyond what its settings don't allow (members/equipment.ts); `has`: what was
   * looked up and is there, which is needed when the host lacks too much for a list
   */
  | { kind: "equipment"; lacks: readonly string[]; has?: readonly string[] }
  /** of which secrets this peer has a value of its own, and which of those sealed to it it can't open */
  | { kind: "secrets"; held: OwnSecrets }
  | { kind: "childStarted"; run: RunId; at: number }
  | { kind: "childStuck"; run: RunId; reason: string }
  | { kind: "childEnded"; run: RunId; outcome: ChildOutcome; at: number }
  | {
      kind: "command";
      command: CoreCommand;
      token: number;
      random: Uint8Array;
      /** for a deletion: the table holds an entry with the id, even if it can't be read as a job */
      inTable?: boolean;
    }
  | { kind: "stored"; token: number; failed?: boolean }
  /** The edit was not made, because the table has no room for it. */
  | { kind: "tableFull"; token: number; detail: string }
  | { kind: "drain" }
);

/** The single facts that core stores (`meta` writes), by the key under which peer/boot.ts finds them for `loaded`. */
export const storedKeys = {
  roster: "roster",
  voteCount: "voteCount",
  forgottenVotes: "forgottenVotes",
  /** not empty = others have reported votes that this voter doesn't remember, or a second process with its identity */
  votesLost: "votesLost",
  /** the last epoch that it knew then */
  votesLostIn: "votesLostIn",
  /** empty = not drained */
  drained: "drained",
  /** empty = not forgotten */
  selfForgotten: "selfForgotten",
  /** not empty = this folder keeps the statements about membership that count, each under `keptStatementKey` */
  membership: "membership",
  /** the last epoch that this peer knew when it was forgotten */
  barredThrough: "barredThrough",
  /** who has proved that the key with that fingerprint was replaced; empty = no peer has */
  supersededKey: "supersededKey",
  /** the last life's incarnation; each life takes a higher one */
  incarnation: "incarnation",
} as const;

const keptStatementPrefix = "membership ";

export function keptStatementKey(peer: PeerId): string {
  return keptStatementPrefix + peer;
}

export function isKeptStatementKey(key: string): boolean {
  return key.startsWith(keptStatementPrefix);
}

export type Effect =
  /** Sets the only wake-up, which replaces the one before. Monotonic, ms. */
  | { kind: "wakeAt"; mono: number }
  /** Puts the record into the next batch on topic `runs`, as do the next three. */
  | { kind: "gossip"; record: RunRecord }
  | { kind: "decline"; key: string }
  | { kind: "order"; order: RequestedOrder }
  | { kind: "cancel"; run: string; by: string; reason: string }
  | { kind: "send"; to: PeerId; protocol: Protocol; message: Message }
  /**
   * Stores all of the writes durably, or none. With a token, `stored` follows. `command`, here and in `edit`: the token of a
   * person's command that is done once this is stored.
   */
  | { kind: "store"; writes: Write[]; token?: number; command?: number }
  /**
   * Makes all edits as one change of the table, which is then stored and gossiped. `tableChanged` comes first, then `stored`;
   * if that says `failed`, the whole change has been undone.
   */
  | { kind: "edit"; edits: readonly TableEdit[]; token: number; command?: number }
  /** From now on the mesh keeps these peers out, and no others. */
  | { kind: "refuse"; peers: readonly Refusal[] }
  | { kind: "start"; spec: RunSpec }
  | { kind: "stop"; run: RunId }
  /** Ends the processes that are left of these runs of an earlier life. */
  | { kind: "sweep"; runs: readonly RunId[] }
  | { kind: "answer"; token: number; answer: Answer }
  /** Syncs the last minutes' records with that peer now; back to the instant `since` (ms) and ahead to `until`, if these are further. */
  | { kind: "syncRecent"; peer: PeerId; since?: number; until?: number }
  /** A run of this peer has ended and its output may be copied. */
  | { kind: "ended"; record: RunRecord }
  | { kind: "notify"; event: PeerEvent }
  /** The tick's final word is in, and it is this peer's turn to notify people of it. */
  | { kind: "announce"; job: JobId; tick: TickId }
  /**
   * Reads the records with from ≤ tick < to (ms) of the job, and of its parents if it has any, from the disk; `lookedUp`
   * follows. With a tick only that tick's, and `tickLookedUp` follows. With `past` (ms) also those of that past tick: of the
   * schedule, and of every request for it (backfill).
   */
  | {
      kind: "lookUp";
      job: JobId;
      from: number;
      to: number;
      parents?: readonly JobId[];
      tick?: TickId;
      past?: number;
    }
  /**
   * Reads the job's newest records of runs that have succeeded or failed, at most `limit`, and as many of what was
   * skipped if it is `rolling`; `endsRead` follows.
   */
  | { kind: "readEnds"; job: JobId; limit: number; rolling: boolean }
  /** Counts up by `by`, or by 1. */
  | { kind: "count"; name: string; by?: number }
  | {
      kind: "note";
      level: "debug" | "info" | "warn";
      message: string;
      fields: Readonly<Record<string, string | number>>;
    };
