/**
 * What one peer's core remembers, and nothing else: everything that `step` reads or changes is in here.
 */
import type { Now } from "../ports.ts";
import type { JobId, OrderKey, PeerId, RunId, TickId } from "../schema/ids.ts";
import type { Heartbeat } from "../schema/message.ts";
import type { AskedOrder, RunRecord, Trigger } from "../schema/run.ts";
import type { Effect } from "./events.ts";
import { Heap } from "./heap.ts";
import { Ledger } from "./ledger.ts";
import type { Plan } from "./plan.ts";
import { rollOf, type Roll } from "./rank.ts";
import type { ClockSample } from "./suspicion.ts";
import { Timetable } from "./timetable.ts";

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
  /** fills `signature`; a pure function */
  sign(record: RunRecord): RunRecord;
}

export interface Member {
  readonly id: PeerId;
  heartbeat: Heartbeat | undefined;
  /** monotonic, ms, of the last heartbeat; undefined = never heard in this life */
  heardMono: number | undefined;
  heardWall: number | undefined;
  linked: boolean;
  /** the link broke off and has not come back */
  reset: boolean;
  refusals: number;
  /** monotonic, ms, since when it has been outside my component */
  outsideMono: number | undefined;
  /** the incarnation that said goodbye */
  leftIncarnation: number | undefined;
  state: "alive" | "suspect" | "dead" | "left";
  clockSamples: ClockSample[];
  clockOffsetMs: number | undefined;
  /** heartbeats in a row whose digest of open orders was not what I know */
  strange: number;
}

/** What this peer itself has to do with an order in play. */
export type Mine =
  | { stage: "none" }
  | { stage: "asking"; ask: Ask }
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
export interface ForeignAsk {
  readonly peer: PeerId;
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
  readonly asked: AskedOrder | undefined;
  /** peers that said they are at capacity */
  readonly declined: Set<PeerId>;
  /** every member in order of rank, and the roll that it was made from */
  ranks: readonly PeerId[];
  roll: Roll | undefined;
  mine: Mine;
  /** wall clock, ms: when it is to be looked at again; of the entries in the agenda only this one counts */
  lookAt: number;
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
  | { kind: "order"; command: number; order: AskedOrder }
  | { kind: "edit"; command: number; id: JobId; created: boolean; deleted: boolean };

export interface Settling {
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
  settling: Settling | undefined;
  /** peers that came back, and since when their records are awaited before anything is caught up (monotonic) */
  healing: Map<PeerId, number>;
  draining: boolean;
  lastStepMono: number;
  plannedWakeMono: number;
  /** how much slower than it should be this peer has found itself of late; ms of lag */
  lagMs: number;
  heartbeatAtMono: number;
  sweepAtMono: number;
  /** ticks before this instant were looked for at the last scan; ms */
  scanFrom: number;
  tableDigest: string;
  addresses: readonly string[];
  readonly members: Map<PeerId, Member>;
  /** everybody known, oneself included */
  roll: Roll;
  readonly jobs: Map<JobId, Plan>;
  readonly timetable: Timetable;
  readonly orders: Map<OrderKey, Order>;
  readonly ordersOf: Map<JobId, Set<Order>>;
  readonly agenda: Heap<{ at: number; order: Order }>;
  /** orders whose circumstances have changed in this step */
  readonly touched: Set<Order>;
  /** orders that take a place: own claims that are not held back */
  readonly claims: Set<Order>;
  /** own claims that wait for a place */
  readonly line: Set<Order>;
  /** what this step will ask the others about */
  readonly toAsk: { order: Order; rank: number }[];
  readonly asks: Map<number, Ask>;
  readonly askedByOthers: Map<OrderKey, ForeignAsk>;
  readonly ledger: Ledger;
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
    settling: undefined,
    healing: new Map(),
    draining: false,
    lastStepMono: 0,
    plannedWakeMono: 0,
    lagMs: 0,
    heartbeatAtMono: 0,
    sweepAtMono: 0,
    scanFrom: 0,
    tableDigest: "",
    addresses: [],
    members: new Map(),
    roll: rollOf([settings.self]),
    jobs: new Map(),
    timetable: new Timetable(),
    orders: new Map(),
    ordersOf: new Map(),
    agenda: new Heap((a, b) => a.at < b.at || (a.at === b.at && a.order.key < b.order.key)),
    touched: new Set(),
    claims: new Set(),
    line: new Set(),
    toAsk: [],
    asks: new Map(),
    askedByOthers: new Map(),
    ledger: new Ledger(),
    runs: new Map(),
    pending: new Map(),
    nextToken: 1,
    diskFailures: 0,
  };
}

/** Looks at an order again at the instant (wall clock, ms); of several such instants the last one given counts. */
export function lookAgain(state: State, order: Order, at: number): void {
  if (order.lookAt === at) return;
  order.lookAt = at;
  if (at !== Infinity) state.agenda.push({ at, order });
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
