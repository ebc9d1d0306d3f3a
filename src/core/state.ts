/**
 * What one peer's core remembers: everything that `step` reads or changes.
 */
import type { Now } from "../ports.ts";
import type { Answer } from "../ports/command.ts";
import type { JobId, PeerId } from "../schema/ids.ts";
import type { MembershipStatement } from "../schema/membership.ts";
import type { Attribution } from "../schema/attribution.ts";
import type { Skip, TableEdit } from "../schema/job.ts";
import type { RequestedOrder, RunRecord } from "../schema/run.ts";
import type { ReplyItem } from "../schema/vote.ts";
import type { Mark } from "./probes/marks.ts";
import type { PlantedBug } from "./probes/planted.ts";
import { createBook, type BookState } from "./claims/book-state.ts";
import type { Order } from "./claims/order.ts";
import type { Effect } from "./events.ts";
import { createLedger, type LedgerState } from "./records/ledger-state.ts";
import { createJobs, type JobsState } from "./job/jobs-state.ts";
import { createMembers, type MembersState } from "./members/members-state.ts";
import { createUpkeep, type UpkeepState } from "./orders/upkeep-state.ts";
import type { Invitation } from "../schema/admission.ts";
import { createOperator, type DrainAsker, type OperatorState } from "./operator/operator-state.ts";
import { createVoting, type VotingState } from "./voting/voting-state.ts";

/** What doesn't change during one life of a peer. */
export interface Settings {
  self: PeerId;
  name: string;
  version: string;
  tags: Readonly<Record<string, string>>;
  capacity: number;
  role: "worker" | "witness";
  tzdata: string;
  /** grows with every start */
  incarnation: number;
  /** the variables of the host's environment that a job's process gets */
  host: Readonly<Record<string, string>>;
  /** the peer that made the cluster key, if it is known: the first voter */
  founder: PeerId | undefined;
  /** the invitation by which this peer joined, if it was given one in this life */
  invitation?: Invitation | undefined;
  /** in the simulator only, as are the next two */
  planted?: PlantedBug;
  marks?: Set<Mark>;
  /** the whole order book is checked after each step (`assertBook`) */
  checksBook?: boolean;
  /** the capabilities of this program */
  capabilities: readonly string[];
  /** what this peer's host or its settings don't allow (members/equipment.ts) */
  lacks: readonly string[];
  /** fills `signature`; a pure function, as are the next two (base64url) */
  sign(record: RunRecord): RunRecord;
  signText(bytes: Uint8Array): string;
  verifyText(peer: PeerId, bytes: Uint8Array, signature: string): boolean;
}

/** What waits for a `stored` event. */
export type Pending =
  | { kind: "claim"; order: Order }
  | { kind: "votes"; to: PeerId; replies: ReplyItem[]; count: number }
  /** any other write that a person waits for: the answer is given once it is durable */
  | {
      kind: "answer";
      command: number;
      answer: Answer;
      /** a person's statement about membership, which is in force here once it is durable */
      statement?: MembershipStatement;
    }
  | { kind: "skip"; command: number; id: JobId; skips: readonly Skip[] }
  | { kind: "drain"; drained: Attribution | undefined; by: string; asker: DrainAsker }
  | { kind: "order"; command: number; order: RequestedOrder }
  | { kind: "orders"; command: number; orders: readonly RequestedOrder[]; answer: Answer }
  /** `created`: the job did not exist before; `warnings`: what the person should know about it */
  | {
      kind: "edit";
      command: number;
      edits: readonly TableEdit[];
      created: boolean;
      warnings: readonly string[];
    };

export interface State {
  readonly settings: Settings;
  now: Now;
  /** the effects of the current step */
  effects: Effect[];
  /** the job that the current step is working on, if any; undefined between steps */
  workingOn: JobId | undefined;
  /** false until `loaded`; nothing happens before */
  alive: boolean;
  plannedWakeMono: number;
  sweepAtMono: number;
  tableDigest: string;
  addresses: readonly string[];
  readonly members: MembersState;
  readonly jobs: JobsState;
  readonly book: BookState;
  readonly voting: VotingState;
  readonly upkeep: UpkeepState;
  readonly operator: OperatorState;
  readonly ledger: LedgerState;
  readonly pending: Map<number, Pending>;
  nextToken: number;
  /** failed writes in a row; the peer is not ready while there are any */
  diskFailures: number;
}

export function createState(settings: Settings): State {
  return {
    settings,
    now: { wall: 0, mono: 0 },
    effects: [],
    workingOn: undefined,
    alive: false,
    plannedWakeMono: 0,
    sweepAtMono: 0,
    tableDigest: "",
    addresses: [],
    members: createMembers(settings.self, settings.incarnation),
    jobs: createJobs(),
    book: createBook(),
    voting: createVoting(),
    upkeep: createUpkeep(),
    operator: createOperator(),
    ledger: createLedger(),
    pending: new Map(),
    nextToken: 1,
    diskFailures: 0,
  };
}

/** A new number for a request to the world or to other peers, by which its answer is recognised. */
export function nextToken(state: State): number {
  return state.nextToken++;
}

/** Remembers what is to be done once a write is durable. The returned token goes with the write. */
export function expectStored(state: State, pending: Pending): number {
  const token = nextToken(state);
  state.pending.set(token, pending);
  return token;
}

/** Does `work` for a job. If `work` throws, `workingOn` still names the job, so that the failure is attributed to it. */
export function workOn(state: State, job: JobId | undefined, work: () => void): void {
  const before = state.workingOn;
  state.workingOn = job;
  work();
  state.workingOn = before;
}

export function emit(state: State, effect: Effect): void {
  state.effects.push(effect);
}

export function note(
  state: State,
  level: "debug" | "info" | "warn",
  message: string,
  fields: Readonly<Record<string, string | number>> = {},
): void {
  state.effects.push({ kind: "note", level, message, fields });
}
