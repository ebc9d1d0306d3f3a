/**
 * What one peer's core remembers, and nothing else: everything that `step` reads or changes is in here.
 */
import type { Answer, Now } from "../ports.ts";
import type { JobId, OrderKey, PeerId, RunId, TickId } from "../schema/ids.ts";
import type { RequestedOrder, RunRecord, Trigger } from "../schema/run.ts";
import type { BallotItem, Epoch, ReplyItem, StoredVote } from "../schema/vote.ts";
import type { Mark } from "./probes/marks.ts";
import type { PlantedBug } from "./probes/planted.ts";
import type { Proposal } from "./voting/paxos.ts";
import type { Effect } from "./events.ts";
import { Heap } from "./job/heap.ts";
import { Ledger } from "./records/ledger.ts";
import type { Plan } from "./job/plan.ts";
import { createMembers, type MembersState } from "./members/members-state.ts";
import type { MemberHashes } from "./members/rank.ts";
import { createOperator, type OperatorState } from "./operator/operator-state.ts";
import type { Runner } from "./voting/runner.ts";
import { Timetable } from "./job/timetable.ts";

/** What is fixed for one life of a peer. */
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
  /** what a job's process may see of the host (INTERFACE, Run) */
  host: Readonly<Record<string, string>>;
  /** the peer that made the cluster key, if that is known: the first voter */
  founder: PeerId | undefined;
  /** in the simulator only */
  planted?: PlantedBug;
  marks?: Set<Mark>;
  /** fills `signature`; a pure function, as are the next two (base64url) */
  sign(record: RunRecord): RunRecord;
  signText(bytes: Uint8Array): string;
  verifyText(peer: PeerId, bytes: Uint8Array, signature: string): boolean;
}

/** What this peer itself has to do with an order in play. */
export type LocalStage =
  | { stage: "none" }
  | { stage: "asking"; ask: Ask }
  /** the voters of a majority job are being asked to choose it */
  | { stage: "electing" }
  /** the claim is on its way to the disk; `waitMs` runs from when it is there */
  | { stage: "claiming"; claim: RunRecord; waitMs: number }
  | { stage: "claimed"; claim: RunRecord; mayStartAt: number };

/** One question to all living members about a batch of orders (DESIGN §5.5). */
export interface Ask {
  readonly id: number;
  readonly untilMono: number;
  readonly orders: { order: Order; rank: number }[];
  /** who has not answered yet */
  readonly waiting: Set<PeerId>;
}

/** Another peer is asking for an order: it may be about to start it. */
export interface ForeignInquiry {
  readonly peer: PeerId;
  /** the id of its question */
  readonly ask: number;
  readonly job: JobId;
  readonly rank: number;
  readonly due: number;
  readonly untilMono: number;
}

/** Something that is to be run once, from when it comes into sight until somebody has started or decided it. */
export interface Order {
  readonly key: OrderKey;
  readonly job: JobId;
  readonly tick: TickId;
  /** of the tick; ms */
  readonly instant: number;
  readonly attempt: number;
  readonly slot: string;
  readonly due: number;
  trigger: Trigger;
  readonly requested: RequestedOrder | undefined;
  /** peers that said they are at capacity */
  readonly declined: Set<PeerId>;
  /** every member in order of rank, and the roll that it was made from */
  ranks: readonly PeerId[];
  memberHashes: MemberHashes | undefined;
  local: LocalStage;
  /** of a majority job: the runner that its voters have chosen, as far as known */
  chosen: Runner | undefined;
  /** how often this peer has stood for it */
  tries: number;
  /** wall clock, ms: when it is to be looked at again; of the entries in the reconcileQueue only this one counts */
  nextReconcileAt: number;
}

/** A run that this peer started, until its end is recorded. */
export interface OwnRun {
  record: RunRecord;
  plan: Plan;
  order: Order;
  cancelled: { by: string; reason: string } | undefined;
}

/** What waits for a `stored`. */
export type Pending =
  | { kind: "claim"; order: Order }
  | { kind: "votes"; to: PeerId; replies: ReplyItem[]; count: number }
  /** whatever else: the answer is given when it is durable */
  | { kind: "answer"; command: number; answer: Answer }
  | { kind: "drain"; to: PeerId; id: number }
  | { kind: "order"; command: number; order: RequestedOrder }
  | { kind: "edit"; command: number; id: JobId; created: boolean; deleted: boolean };

/** What this peer knows and has said as a voter (voting.ts, epochs.ts). */
export interface Roster {
  chain: readonly Epoch[];
  /** by decision; durable before they are told */
  readonly votes: Map<string, StoredVote>;
  /** no votes on ticks before this instant, ms: they may have been forgotten */
  floor: number;
  /** the latest tick that this voter has voted on, ms */
  highestInstant: number;
  /** an epoch that this voter has accepted and that is not in the chain yet */
  successor: { epoch: Omit<Epoch, "signatures">; value: string; sinceMono: number } | undefined;
  /** votes ever stored */
  voteCount: number;
  memory: "unsure" | "sure" | "lost";
  /** of these, as many as are surely on the disk: only so many are told */
  votesStored: number;
  /** who has confirmed `voteCount` in this life */
  readonly confirmedBy: Set<PeerId>;
  /** the highest count heard of each voter */
  readonly seenVotes: Map<PeerId, number>;
  /** the beginning of the last epoch's hash, for heartbeats; empty without an epoch */
  digest: string;
  /** peers whose chain contradicts this one's, so that it is said of each but once */
  readonly contradictedBy: Set<PeerId>;
}

/** One decision that this peer stands for. */
export interface Election {
  readonly decision: string;
  readonly epoch: Epoch;
  /** of the order's tick, ms; of an epoch, 0 */
  readonly instant: number;
  readonly order: Order | undefined;
  readonly proposal: Proposal<string>;
  readonly untilMono: number;
  /** by voter, over the epoch that is being chosen */
  readonly signatures: Record<string, string>;
}

export interface WarmUp {
  sinceMono: number;
  awaiting: Set<PeerId>;
  unresolved: number;
}

export interface State {
  readonly settings: Settings;
  now: Now;
  /** of the step under way */
  effects: Effect[];
  /** nothing happens before `loaded` */
  alive: boolean;
  warmUp: WarmUp | undefined;
  /** when this peer last settled; wall clock */
  warmedUpAt: number;
  /** peers that came back, and since when their records are awaited before anything is caught up (monotonic) */
  awaitingSync: Map<PeerId, number>;
  readonly operator: OperatorState;
  lastStepMono: number;
  plannedWakeMono: number;
  sweepAtMono: number;
  forgetAtMono: number;
  /** ticks before this instant were looked for at the last scan; ms */
  scanFrom: number;
  tableDigest: string;
  addresses: readonly string[];
  readonly members: MembersState;
  readonly jobs: Map<JobId, Plan>;
  readonly timetable: Timetable;
  readonly orders: Map<OrderKey, Order>;
  readonly ordersOf: Map<JobId, Set<Order>>;
  /** how many of the orders somebody asked for */
  requestedCount: number;
  readonly reconcileQueue: Heap<{ at: number; order: Order }>;
  /** orders whose circumstances have changed in this step */
  readonly touched: Set<Order>;
  /** orders that take a place: own claims that are not held back */
  readonly claims: Set<Order>;
  /** own claims that wait for a place */
  readonly capacityQueue: Set<Order>;
  /** what this step will ask the others about */
  readonly toAsk: { order: Order; rank: number }[];
  readonly asks: Map<number, Ask>;
  readonly foreignInquiries: Map<OrderKey, ForeignInquiry>;
  bornMono: number;
  readonly roster: Roster;
  /** what this peer stands for, by decision */
  readonly elections: Map<string, Election>;
  /** of the highest ballot that this life has used or been outbid by */
  round: number;
  /** ballots of this step, by voter */
  readonly ballots: Map<PeerId, BallotItem[]>;
  /** the own voter's answers, taken by the own candidate in the same step */
  readonly ownReplies: ReplyItem[];
  readonly chosenEpochs: { last: Epoch; value: string; signatures: Record<string, string> }[];
  readonly ledger: Ledger;
  /** about how many records of jobs that are not in the table the ledger holds */
  recordsOfNoJob: number;
  readonly runs: Map<RunId, OwnRun>;
  readonly pending: Map<number, Pending>;
  nextToken: number;
  /** consecutive failures of the disk; ticks are not kept while there are any */
  diskFailures: number;
}

export function createState(settings: Settings): State {
  return {
    settings,
    now: { wall: 0, mono: 0 },
    effects: [],
    alive: false,
    warmUp: undefined,
    warmedUpAt: -Infinity,
    awaitingSync: new Map(),
    operator: createOperator(),
    lastStepMono: 0,
    plannedWakeMono: 0,
    sweepAtMono: 0,
    forgetAtMono: 0,
    scanFrom: 0,
    tableDigest: "",
    addresses: [],
    members: createMembers(settings.self),
    jobs: new Map(),
    timetable: new Timetable(),
    orders: new Map(),
    ordersOf: new Map(),
    requestedCount: 0,
    reconcileQueue: new Heap((a, b) => a.at < b.at || (a.at === b.at && a.order.key < b.order.key)),
    touched: new Set(),
    claims: new Set(),
    capacityQueue: new Set(),
    toAsk: [],
    asks: new Map(),
    foreignInquiries: new Map(),
    bornMono: 0,
    roster: {
      chain: [],
      votes: new Map(),
      floor: 0,
      highestInstant: 0,
      successor: undefined,
      voteCount: 0,
      votesStored: 0,
      memory: "unsure",
      confirmedBy: new Set(),
      seenVotes: new Map(),
      digest: "",
      contradictedBy: new Set(),
    },
    elections: new Map(),
    round: 0,
    ballots: new Map(),
    ownReplies: [],
    chosenEpochs: [],
    ledger: new Ledger(),
    recordsOfNoJob: 0,
    runs: new Map(),
    pending: new Map(),
    nextToken: 1,
    diskFailures: 0,
  };
}

/** Looks at an order again at the instant (wall clock, ms); of several such instants the last one given counts. */
export function reconcileAt(state: State, order: Order, at: number): void {
  if (order.nextReconcileAt === at) return;
  order.nextReconcileAt = at;
  if (at !== Infinity) state.reconcileQueue.push({ at, order });
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
