/**
 * What core is told, and what it asks for: its only contact with the world (DESIGN §2). Every event carries `now`. An
 * effect asks for something to be done; its outcome, if core needs it, comes as a later event.
 */
import type { ChildOutcome, Now, RunSpec } from "../ports.ts";
import type { Write } from "../ports/disk.ts";
import type { Answer, Command, PeerEvent } from "../ports/control.ts";
import type { Confirmation, Join } from "../schema/admission.ts";
import type { JobId, PeerId, RunId } from "../schema/ids.ts";
import type { Job, TableEdit } from "../schema/job.ts";
import type { Message, MessageOf, Protocol } from "../schema/message.ts";
import type { RequestedOrder, RunRecord, Span, Watermark } from "../schema/run.ts";
import type { Attribution, Forgotten, Readmitted } from "../schema/attribution.ts";
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
  | "ballots"
  | "replies"
  | "chosen"
  | "roster"
>;

/** Keys are not known to core. */
export type CoreCommand = Exclude<Command, { kind: "rotate-key" }>;

/** An event without its time. */
/** What this peer has removed of a job's history. */
export interface PrunedHistory {
  /** records of ticks before this instant (ms) */
  before: number;
  /** spans of ticks that had started */
  starts: readonly Span[];
}

export type EventBody = Event extends infer One ? (One extends Event ? Omit<One, "now"> : never) : never;

export type Event = { now: Now } & (
  | {
      /** Begins this life. Open records of an earlier life come with the set of its runs that had started. */
      kind: "loaded";
      jobs: readonly Job[];
      tableDigest: string;
      records: readonly RunRecord[];
      orders: readonly RequestedOrder[];
      votes: readonly StoredVote[];
      watermarks: readonly Watermark[];
      /** of jobs whose removed history reaches ahead of the clock */
      prunedAhead?: readonly { job: JobId; starts: readonly Span[] }[];
      /** records of ticks from this instant (ms) on are all in `records` */
      loadedSince: number;
      voteCount: number;
      /** no votes on ticks in these spans */
      forgottenVotes: readonly Span[];
      /** an earlier life had found that it no longer remembers all its votes */
      votesLost?: boolean;
      /** in which epoch */
      votesLostIn?: number | undefined;
      /** the roster as it was stored; not yet verified */
      chain: readonly Epoch[];
      started: ReadonlySet<RunId>;
      /** peers that should be there, and the number of named addresses whose peer id isn't known yet */
      expected: readonly PeerId[];
      unresolved: number;
      /** wall clock, ms, when an earlier life was last known to be alive; undefined = there was none */
      lastAlive: number | undefined;
      addresses: readonly string[];
      /** identities that the table says are refused */
      forgotten?: readonly Forgotten[];
      /** identities that it says were refused and are no more */
      readmitted?: readonly Readmitted[];
      joins?: readonly Join[];
      confirmations?: readonly Confirmation[];
      /** as an earlier life stored them */
      selfForgotten?: Attribution | undefined;
      /** of what was the last epoch when this peer was forgotten; undefined = it never was */
      barredThrough?: number | undefined;
      /** an earlier life was told that the key which this one has was replaced */
      superseded?: Attribution | undefined;
      drained?: Attribution | undefined;
    }
  | { kind: "woke" }
  | { kind: "heard"; from: PeerId; message: CoreMessage }
  /** a sync has brought records and orders */
  | { kind: "learned"; records: readonly RunRecord[]; orders: readonly RequestedOrder[] }
  | { kind: "synced"; peer: PeerId }
  /** what the disk holds of the ticks that were to be looked up, and what it held */
  | { kind: "lookedUp"; job: JobId; records: readonly RunRecord[]; pruned?: PrunedHistory | undefined }
  /** another peer's, after all its records have come */
  | { kind: "watermarks"; watermarks: readonly Watermark[] }
  /** neighbours have pruned the job's ticks before the instant (ms): what is open below it is over */
  | { kind: "prunedElsewhere"; job: JobId; before: number }
  | { kind: "tableChanged"; changes: readonly JobChange[]; tableDigest: string }
  /** the table says which identities are refused, and which were and are no more */
  | { kind: "membership"; forgotten: readonly Forgotten[]; readmitted: readonly Readmitted[] }
  /** the table says who joined and how, and whom a person has confirmed */
  | { kind: "admissions"; joins: readonly Join[]; confirmations: readonly Confirmation[] }
  /** a peer has turned this one away because it has been forgotten */
  | { kind: "turnedAway"; by: PeerId }
  /** a peer has proved that this peer's present key was replaced; the key's fingerprint */
  | { kind: "keySuperseded"; by: PeerId; key: string }
  /** this peer has another key now */
  | { kind: "keyChanged" }
  | { kind: "linkUp"; peer: PeerId }
  | { kind: "linkDown"; peer: PeerId; why: "closed" | "reset" }
  | { kind: "redialRefused"; peer: PeerId; times: number }
  | { kind: "childStarted"; run: RunId; at: number }
  | { kind: "childStuck"; run: RunId; reason: string }
  | { kind: "childEnded"; run: RunId; outcome: ChildOutcome; at: number }
  | {
      kind: "command";
      command: CoreCommand;
      token: number;
      random: Uint8Array;
      /** the table holds something under the id that is to be deleted, even if it can't be read as a job */
      inTable?: boolean;
    }
  | { kind: "stored"; token: number; failed?: boolean }
  | { kind: "drain" }
);

/** The single facts that core stores (`meta` writes), by the key under which peer/boot.ts finds them for `loaded`. */
export const storedKeys = {
  roster: "roster",
  voteCount: "voteCount",
  forgottenVotes: "forgottenVotes",
  /** on the disk of a voter that was told of votes which it doesn't remember */
  votesLost: "votesLost",
  /** the last epoch that it knew then */
  votesLostIn: "votesLostIn",
  /** empty = not drained */
  drained: "drained",
  /** empty = not forgotten */
  selfForgotten: "selfForgotten",
  /** the last epoch that this peer knew when it was forgotten */
  barredThrough: "barredThrough",
  /** who has proved that the key with that fingerprint was replaced; empty = nobody */
  supersededKey: "supersededKey",
  /** of the last life; each life takes a higher one */
  incarnation: "incarnation",
} as const;

export type Effect =
  /** The one wake-up, which replaces the one before. Monotonic, ms. */
  | { kind: "wakeAt"; mono: number }
  /** Put into the next batch on topic `runs`, as are the next three. */
  | { kind: "gossip"; record: RunRecord }
  | { kind: "decline"; key: string }
  | { kind: "order"; order: RequestedOrder }
  | { kind: "cancel"; run: string; by: string; reason: string }
  | { kind: "send"; to: PeerId; protocol: Protocol; message: Message }
  /** All of it durable, or none; with a token, `stored(token)` follows. */
  | { kind: "store"; writes: Write[]; token?: number }
  /**
   * All of it as one change: applied to the table, stored, then gossiped. `tableChanged` comes first, then
   * `stored(token)`; when that says `failed`, all of it has been taken back.
   */
  | { kind: "edit"; edits: readonly TableEdit[]; token: number }
  | { kind: "start"; spec: RunSpec }
  | { kind: "stop"; run: RunId }
  | { kind: "answer"; token: number; answer: Answer }
  /** Exchanges the last minutes' records with that peer now. */
  | { kind: "syncRecent"; peer: PeerId }
  /** A run of this peer has ended and its output may be copied. */
  | { kind: "ended"; record: RunRecord }
  | { kind: "notify"; event: PeerEvent }
  /** Read the job's records with from ≤ tick < to (ms) from the disk; `lookedUp` follows. */
  | { kind: "lookUp"; job: JobId; from: number; to: number }
  /** by 1 where nothing else is said */
  | { kind: "count"; name: string; by?: number }
  | {
      kind: "note";
      level: "debug" | "info" | "warn";
      message: string;
      fields: Readonly<Record<string, string | number>>;
    };
