/**
 * Asking first (DESIGN §5): before it claims an order late or out of turn, this peer asks all living members what they know
 * about the order, and waits at most 1 s for their answers. Of two peers that ask, the lower rank goes first.
 *
 * All orders of one step, such as those of a peer that died, share one question.
 */
import { reconcileAt, touch } from "./touched.ts";
import { orderKey, type JobId, type OrderKey, type PeerId, type TickId } from "../../schema/ids.ts";
import { requestBefore } from "./backfills.ts";
import { inParts, type MessageOf } from "../../schema/message.ts";
import type { RunRecord } from "../../schema/run.ts";
import { mark } from "../probes/marks.ts";
import { isOver, settle, unsureUntilOf } from "../records/history.ts";
import { claimedAt, openOf, recordsOf } from "../records/ledger.ts";
import { jobsOfPool } from "../job/pools.ts";
import { askLimitMs } from "../limits.ts";
import { isDoubted } from "../members/clocks.ts";
import { livingMembers } from "../members/members.ts";
import { emit, nextToken, type State } from "../state.ts";
import { precedes, noStage, transition, type Order, type Ask, type ForeignInquiry } from "./order.ts";

/** Orders in one question: with the longest job ids, it still fits into a message. */
const ordersPerAsk = 512;
/** How many open questions of other peers are remembered, about 1 KiB each. Beyond it the oldest are forgotten. */
const foreignInquiriesMax = 65_536;
/** Open records of one job in an answer. More takes longer to send; less only matters to a job with more runs at once. */
const openRecordsMax = 1_000;
/** How long an order is left to another peer that asks, before it is reconciled again. */
const yieldMs = 1_500;
/** Added for each rank, so that two peers that were both told to wait try again one after the other. */
const yieldPerRankMs = 300;

export function enqueueAsk(state: State, order: Order, failover: { rank: number }): void {
  state.book.toAsk.push({ order, rank: failover.rank });
}

/** Asks about the orders that the step has collected. If there is no other member, they are reconciled again at once. */
export function flushAsks(state: State): void {
  const others = livingMembers(state).filter((peer) => peer !== state.settings.self);
  const toAsk = state.book.toAsk.splice(0).filter(({ order }) => isOpenQuestion(state, order));
  for (let i = 0; i < toAsk.length; i += ordersPerAsk) {
    const orders = toAsk.slice(i, i + ordersPerAsk);
    const ask: Ask = {
      id: nextToken(state),
      untilMono: state.now.mono + askLimitMs,
      orders,
      waiting: new Set(others),
    };
    if (others.length > 0) mark(state, "asked-first");
    state.book.asks.set(ask.id, ask);
    for (const { order } of orders) {
      transition(state.book, order, { stage: "asking", ask });
      touch(state, order);
    }
    const questions = orders.map(({ order, rank }) => ({
      key: order.key,
      job: order.job,
      rank,
      due: order.due,
    }));
    for (const to of others) {
      emit(state, {
        kind: "send",
        to,
        protocol: "ask",
        message: { kind: "ask", id: ask.id, orders: questions },
      });
    }
  }
}

/** Later in the same step, the order may have been claimed (to wait for a place), closed, or put to the vote. */
function isOpenQuestion({ book }: State, order: Order): boolean {
  const { stage } = order.local;
  return book.orders.get(order.key) === order && (stage === "none" || stage === "asking");
}

/** Answers with what is known about each order, and with other open records of the same jobs, which overlap rules need. */
export function hearAsk(state: State, from: PeerId, message: MessageOf<"ask">): void {
  const records = new Map<string, RunRecord>();
  const first: OrderKey[] = [];
  const settled: OrderKey[] = [];
  const overtaken: { key: OrderKey; by: ForeignInquiry }[] = [];
  const jobs = new Set<JobId>();
  for (const question of message.orders) {
    const key = question.key as OrderKey;
    jobs.add(question.job);
    let known = false;
    for (const record of recordsOf(state.ledger, key)) {
      records.set(record.signature, record);
      known = true;
    }
    const order = state.book.orders.get(key);
    const other = otherAsker(state, key, from);
    const asker = { rank: question.rank, peer: from };
    if (other !== undefined && (precedes(other, asker) || !hearEachOther(state, from, other.peer))) {
      mark(state, "spoken-for");
      first.push(key);
      continue;
    }
    if (other !== undefined) overtaken.push({ key, by: other });
    const before = requestBefore(state, question.job, tickOf(key));
    if (before !== undefined) {
      // The asker learns of the earlier request, and leaves the tick to it.
      first.push(key);
      const earlier = orderKey(question.job, before, 1, "0");
      for (const record of recordsOf(state.ledger, earlier)) records.set(record.signature, record);
      const request = state.book.orders.get(earlier)?.requested;
      if (request !== undefined) emit(state, { kind: "order", order: request });
      continue;
    }
    if (order === undefined) {
      const isKnownOver = isOver(state.ledger.history, question.job, tickOf(key), slotOf(key));
      if (!known && isKnownOver && isHistorySure(state, question.job)) settled.push(key);
    } else if (hasPrecedence(state, order, { rank: question.rank, peer: from })) {
      first.push(key);
    } else if (order.local.stage === "asking") {
      mark(state, "asked-and-yielded");
      transition(state.book, order, noStage);
      reconcileAt(state, order, state.now.wall + yieldMs);
    }
    if (state.book.foreignInquiries.size >= foreignInquiriesMax) forgetOldestAsk(state);
    state.book.foreignInquiries.set(key, {
      peer: from,
      ask: message.id,
      job: question.job,
      rank: question.rank,
      due: question.due,
      untilMono: state.now.mono + askLimitMs,
    });
  }
  informOvertaken(state, overtaken);
  for (const job of withJobsOfPools(state, jobs)) {
    for (const record of openRecordsFor(state, job)) records.set(record.signature, record);
  }
  const parts = inParts([...records.values()]);
  // Records that might not fit into the answer are sent before it, so that the asker has them all when the answer comes.
  const last = first.length + settled.length === 0 ? (parts.pop() ?? []) : [];
  for (const some of parts) answerAsker(state, from, { id: 0, records: some, goesFirst: [], settled: [] });
  answerAsker(state, from, { id: message.id, records: last, goesFirst: first, settled });
}

/**
 * A peer whose clock is ahead may take ticks for over that nobody has run. So may a peer whose clock was ahead until now, until
 * its disk has told what it decided then.
 */
function isHistorySure(state: State, job: JobId): boolean {
  if (state.upkeep.wentBack || isDoubted(state)) return false;
  return unsureUntilOf(state.ledger.history, job) <= state.now.wall;
}

/**
 * The open records of the job that the asker needs. If the job uses no pool, whose slots are counted, it is enough to know a
 * few that go before the asker's order: the runs in progress, and the earliest claims.
 */
function openRecordsFor(state: State, job: JobId): Iterable<RunRecord> {
  const all = openOf(state.ledger, job);
  if (state.jobs.plans.get(job)?.pool !== undefined) return all;
  const open = [...all];
  if (open.length <= openRecordsMax) return open;
  const claims = open.filter((record) => record.state === "claimed");
  const earliest = claims.toSorted((one, other) => claimedAt(one) - claimedAt(other));
  return [...open.filter((record) => record.state !== "claimed"), ...earliest].slice(0, openRecordsMax);
}

/** The jobs, and all jobs that share a pool with one of them. */
function withJobsOfPools(
  { jobs: { plans }, jobs: known }: State,
  jobs: ReadonlySet<JobId>,
): ReadonlySet<JobId> {
  const pools = new Set([...jobs].flatMap((job) => plans.get(job)?.pool ?? []));
  return pools.size === 0
    ? jobs
    : new Set([...jobs, ...[...pools].flatMap((pool) => [...jobsOfPool(known, pool)])]);
}

function answerAsker(state: State, to: PeerId, answer: Omit<MessageOf<"answer">, "kind">): void {
  emit(state, { kind: "send", to, protocol: "ask", message: { kind: "answer", ...answer } });
}

function forgetOldestAsk(state: State): void {
  for (const key of state.book.foreignInquiries.keys()) {
    state.book.foreignInquiries.delete(key);
    return;
  }
}

/** Another peer's open question about the same order. */
function otherAsker(state: State, key: OrderKey, asker: PeerId): ForeignInquiry | undefined {
  const other = state.book.foreignInquiries.get(key);
  if (other === undefined || other.peer === asker || state.now.mono > other.untilMono) return undefined;
  return other;
}

/**
 * Whether the two peers hear each other, by their own heartbeats. Peers that don't hear each other don't wait for each other's
 * answers, so the first one to ask has started by the time the other asks. A peer that hears both lets the first one go first.
 */
function hearEachOther(state: State, a: PeerId, b: PeerId): boolean {
  const hears = (one: PeerId, other: PeerId): boolean =>
    state.members.byId.get(one)?.heartbeat?.hears.includes(other) ?? false;
  return hears(a, b) && hears(b, a);
}

/**
 * Two peers ask about one order, and their questions to each other may be lost on a link that has just failed. A peer that
 * hears both lets the lower rank go first, as they would themselves, and revokes the answer that it gave the other before.
 */
function informOvertaken(state: State, overtaken: readonly { key: OrderKey; by: ForeignInquiry }[]): void {
  for (const group of Map.groupBy(overtaken, ({ by }) => `${by.peer} ${by.ask}`).values()) {
    const [first] = group;
    if (first === undefined) continue;
    emit(state, {
      kind: "send",
      to: first.by.peer,
      protocol: "ask",
      message: {
        kind: "answer",
        id: first.by.ask,
        records: [],
        goesFirst: group.map(({ key }) => key),
        settled: [],
      },
    });
  }
}

/** Whether this peer is claiming the order, or asks about it too and comes before the asker. */
function hasPrecedence(state: State, order: Order, asker: { rank: number; peer: PeerId }): boolean {
  const { local } = order;
  if (local.stage === "claiming") return true;
  if (local.stage !== "asking") return false;
  const own = local.ask.orders.find((entry) => entry.order === order);
  return own !== undefined && precedes({ rank: own.rank, peer: state.settings.self }, asker);
}

function tickOf(key: OrderKey): TickId {
  return key.slice(key.indexOf("@") + 1, key.lastIndexOf("~")) as TickId;
}

function slotOf(key: OrderKey): string {
  const at = key.indexOf("#");
  return at < 0 ? "0" : key.slice(at + 1);
}

/** Takes in an answer. The caller has taken in its records. */
export function hearAnswer(state: State, from: PeerId, message: MessageOf<"answer">): void {
  const ask = state.book.asks.get(message.id);
  if (ask === undefined) return;
  // A peer that has already answered may answer once more, when it learns that another asker goes first.
  if (!ask.waiting.delete(from) && message.goesFirst.length === 0) return;
  const theirs = new Set(message.goesFirst);
  const over = new Set(message.settled);
  for (const { order, rank } of ask.orders) {
    if (order.local.stage !== "asking" || order.local.ask !== ask) continue;
    if (over.has(order.key)) {
      mark(state, "told-it-is-over");
      settle(state.ledger.history, order);
      touch(state, order);
    } else if (theirs.has(order.key)) {
      transition(state.book, order, noStage);
      reconcileAt(state, order, state.now.wall + yieldMs + rank * yieldPerRankMs);
    } else if (ask.waiting.size === 0) {
      touch(state, order);
    }
  }
  if (over.size > 0) emit(state, { kind: "syncRecent", peer: from });
  if (ask.waiting.size === 0) state.book.asks.delete(ask.id);
}

/** Drops all open questions after a pause of this peer, because their answers are out of date. */
export function dropAsks(state: State): void {
  state.book.asks.clear();
}

/** Stops waiting for answers from a peer that was forgotten. */
export function awaitNoAnswer(state: State, peer: PeerId): void {
  for (const ask of state.book.asks.values()) ask.waiting.delete(peer);
}

/** Forgets questions whose time is over, this peer's and other peers'. */
export function forgetAsks(state: State): void {
  for (const [id, ask] of state.book.asks)
    if (state.now.mono > ask.untilMono + askLimitMs) state.book.asks.delete(id);
  for (const [key, ask] of state.book.foreignInquiries)
    if (state.now.mono > ask.untilMono) state.book.foreignInquiries.delete(key);
}
