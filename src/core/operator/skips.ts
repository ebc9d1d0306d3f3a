/**
 * Skipping single ticks of a job, and taking that back. A job that runs after others has the ticks of its parents. What is to be
 * skipped is in the table, so every peer knows it, also after a restart; when the tick comes, its reporter records it as
 * `skipped(asked)`.
 *
 * A tick that another peer has claimed may start before the table reaches that peer. So the peer that is asked tells the
 * claim's holder directly, and every living peer if the tick is due soon. It answers when they have confirmed that they
 * will not start the tick. Requests whose ticks are over are removed from the table after a while.
 */
import type { Answer, Command } from "../../ports/command.ts";
import { tickAt, type JobId, type PeerId, type TickId } from "../../schema/ids.ts";
import { skipsMax, type Skip } from "../../schema/job.ts";
import type { MessageOf } from "../../schema/message.ts";
import { touchTick } from "../claims/touched.ts";
import { nextPlannedTickOf, nextTickOf, type Plan } from "../job/plan.ts";
import { confirmLimitMs, heardKey } from "../claims/skipped.ts";
import { claimAheadMs } from "../limits.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { isWholeOver, overSlotsOf } from "../records/history.ts";
import { openOfTick } from "../records/ledger.ts";
import { lastTickBefore, nextTickOfParents } from "../orders/chain-status.ts";
import { comingAfter } from "../orders/coming-ticks.ts";
import { emit, expectStored, nextToken, type Pending, type State } from "../state.ts";
import { refuse } from "./refuse.ts";

/** Every living peer is told of a tick that is due within this time: until then the table reaches all of them. Unit: ms. */
const soonMs = claimAheadMs + 30_000;
/** How long a holder remembers what it was told, until the table says it. */
const heardKeptMs = 60_000;
/** The most skips that it remembers from one peer, far more than are claimed or due soon, and from all. Each takes up to 1 KiB. */
const heardOfOneMax = skipsMax;
const heardMax = 10 * skipsMax;

/** Undefined when the answer follows, once the request is durable and confirmed. */
export function skipTicks(
  state: State,
  plan: Plan,
  command: Extract<Command, { kind: "skip-ticks" }>,
  token: number,
): Answer | undefined {
  const ticks =
    "tick" in command.which ? [command.which.tick] : nextTicks(state, plan, command.which.next, false);
  const wrong = refuseTicks(state, plan, ticks);
  if (wrong !== undefined) return wrong;
  const { by, note } = command;
  const { wall } = state.now;
  const added = ticks.filter((tick) => !plan.skips.has(tick));
  const known = [...plan.skips.keys()].filter((tick) => tick > wall);
  if (known.length + added.length > skipsMax) {
    return refuse("UNPROCESSABLE", `at most ${skipsMax} coming ticks of a job can be marked to be skipped`);
  }
  const skips = ticks.map((tick) => ({ tick, by, at: wall, ...(note === undefined ? {} : { note }) }));
  const edits = [{ kind: "skip", id: plan.id, skips } as const];
  const stored = expectStored(state, { kind: "skip", command: token, id: plan.id, skips });
  emit(state, { kind: "edit", edits, token: stored, command: token });
  return undefined;
}

export function unskipTicks(
  state: State,
  plan: Plan,
  command: Extract<Command, { kind: "unskip-ticks" }>,
  token: number,
): Answer | undefined {
  const ticks =
    "tick" in command.which ? [command.which.tick] : nextTicks(state, plan, command.which.next, true);
  const wrong = refuseTicks(state, plan, ticks);
  if (wrong !== undefined) return wrong;
  const answer: Answer = { kind: "skips", job: plan.id, ticks: ticks.map(tickAt) };
  if (ticks.every((tick) => !plan.skips.has(tick))) return answer;
  const stored = expectStored(state, { kind: "answer", command: token, answer });
  const edits = [{ kind: "unskip", id: plan.id, ticks }] as const;
  emit(state, { kind: "edit", edits, token: stored, command: token });
  return undefined;
}

/** The job's next ticks (ms): those that are to be skipped, or those that are not. */
function nextTicks(state: State, plan: Plan, count: number, skipped: boolean): number[] {
  const ticks: number[] = [];
  for (let after = comingAfter(state, plan); ticks.length < count;) {
    const tick = tickAfter(state, plan, after);
    if (tick === undefined || (skipped && tick > (lastSkip(plan) ?? -Infinity))) break;
    if (plan.skips.has(tick) === skipped) ticks.push(tick);
    after = tick;
  }
  return ticks;
}

/** Its next tick; of a job that runs after others, also one that only a parent's failure would let it run. */
function tickAfter(state: State, plan: Plan, after: number): number | undefined {
  return plan.after === undefined ? nextTickOf(plan, after) : nextTickOfParents(state, plan, after);
}

function lastSkip({ skips }: Plan): number | undefined {
  return [...skips.keys()].at(-1);
}

/** Why these ticks can be neither skipped nor unskipped. */
function refuseTicks(state: State, plan: Plan, ticks: readonly number[]): Answer | undefined {
  if (ticks.length === 0) return refuse("TICK_NOT_FOUND", `"${plan.id}" has no such coming tick`);
  const stageOf = stages(state, plan);
  for (const tick of ticks) {
    const how = stageOf(tick);
    if (how !== undefined) return refuse("TICK_BEGUN", `the tick ${tickAt(tick)} of "${plan.id}" ${how}`);
    if (tickAfter(state, plan, tick - 1) !== tick) {
      const detail = `"${plan.id}" has no tick at ${tickAt(tick)}${neighbours(state, plan, tick)}`;
      return refuse("TICK_NOT_FOUND", detail);
    }
  }
  return undefined;
}

/**
 * Tells what has become of a tick (ms) of the job; undefined if nothing has begun. What all ticks have in common is looked up once,
 * so that the cost of a tick doesn't grow with what else of the job is open.
 */
function stages(state: State, { id }: Plan): (tick: number) => "is over" | "has begun" | undefined {
  const { ledger, book } = state;
  const begun = new Set<TickId>();
  for (const { tick } of book.retries.get(id) ?? []) begun.add(tick);
  for (const { order } of book.runs.values()) if (order.job === id) begun.add(order.tick);
  return (tick) => {
    const name = tickAt(tick);
    if (isWholeOver(ledger.history, id, name)) return "is over";
    if (begun.has(name)) return "has begun";
    // A mere decision about one of its slots, such as that its peer was away, doesn't begin the tick.
    const runners = overSlotsOf(ledger.history, id, name)?.slots.values() ?? [];
    const isRunning =
      [...runners].some((runner) => runner !== undefined) ||
      [...openOfTick(ledger, id, name)].some(
        (record) => record.state === "running" || record.retriesLeft !== undefined,
      );
    return isRunning ? "has begun" : undefined;
  };
}

function neighbours(state: State, plan: Plan, tick: number): string {
  const before = lastTickBefore(state, plan, tick);
  const after = tickAfter(state, plan, tick);
  const near = [before, after].flatMap((one) => (one === undefined ? [] : [tickAt(one)]));
  const isLeftOut = nextPlannedTickOf(plan, tick - 1) === tick;
  const why = isLeftOut ? ": its `except` leaves it out" : "";
  return near.length === 0
    ? why
    : `${why}; the nearest ${near.length === 1 ? "is" : "are"} ${near.join(" and ")}`;
}

/** The request is durable here. Holders of claims are told, and if there are none it is done. */
export function skipStored(state: State, pending: Extract<Pending, { kind: "skip" }>): void {
  const { command, id, skips } = pending;
  const ticks = new Map(skips.map((skip) => [tickAt(skip.tick), skip]));
  const holders = new Map<PeerId, Set<Skip>>();
  const addHolder = (peer: PeerId, skip: Skip): void => {
    if (peer === state.settings.self || isPlanted(state, "skip-unconfirmed")) return;
    holders.set(peer, (holders.get(peer) ?? new Set()).add(skip));
  };
  for (const [tick, skip] of ticks)
    for (const { peer, state: how } of openOfTick(state.ledger, id, tick))
      if (how === "claimed") addHolder(peer, skip);
  // If a tick is due soon, a peer may hold a claim on it that this peer has not heard of.
  for (const skip of skips.filter(({ tick }) => tick - state.now.wall < soonMs)) {
    for (const { id: peer, state: how } of state.members.byId.values()) {
      if (how === "alive" || how === "suspect") addHolder(peer, skip);
    }
  }
  const open = {
    command,
    id,
    skips,
    waiting: new Map<number, string>(),
    begun: new Set<number>(),
    untilMono: state.now.mono + confirmLimitMs,
  };
  for (const [peer, some] of holders) {
    const message = nextToken(state);
    open.waiting.set(message, state.members.byId.get(peer)?.heartbeat?.name ?? peer);
    mark(state, "skip-told");
    emit(state, {
      kind: "send",
      to: peer,
      protocol: "ask",
      message: { kind: "skip", id: message, job: id, skips: [...some] },
    });
  }
  if (open.waiting.size === 0) return answerSkip(state, open);
  state.operator.openSkips.push(open);
}

type OpenSkip = State["operator"]["openSkips"][number];

function answerSkip(
  state: State,
  { command, id, skips, begun }: Omit<OpenSkip, "waiting" | "untilMono">,
): void {
  const ticks = skips.map(({ tick }) => tick);
  // A skip that came too late leaves no trace.
  if (begun.size > 0)
    emit(state, {
      kind: "edit",
      edits: [{ kind: "unskip", id, ticks: [...begun] }],
      token: nextToken(state),
    });
  const tooLate = [...begun].map((tick) => tickAt(tick)).join(", ");
  const answer: Answer =
    begun.size === 0
      ? { kind: "skips", job: id, ticks: ticks.map(tickAt) }
      : refuse("TICK_BEGUN", `${tooLate} of "${id}" had begun before its peer was told`);
  emit(state, { kind: "answer", token: command, answer });
}

/**
 * Another peer tells this one, which holds claims of these ticks, that they are to be skipped. What can't be remembered is not
 * confirmed: then the person is told that the ticks may start.
 */
export function hearSkip(state: State, from: PeerId, { id, job, skips }: MessageOf<"skip">): void {
  const plan = state.jobs.plans.get(job);
  const stageOf = plan === undefined ? undefined : stages(state, plan);
  const begun = skips.filter(({ tick }) => stageOf?.(tick) === "has begun");
  const { skipsHeard } = state.operator;
  for (const { tick } of begun) skipsHeard.delete(heardKey(job, tick));
  const late = new Set(begun);
  const kept = skips.filter((skip) => !late.has(skip) && plan?.skips.has(skip.tick) !== true);
  if (!hasRoomFor(state, from, kept.length)) return emit(state, { kind: "count", name: "skips_refused" });
  for (const skip of kept) {
    const key = heardKey(job, skip.tick);
    skipsHeard.delete(key);
    skipsHeard.set(key, { ...skip, from, untilMono: state.now.mono + heardKeptMs });
    touchTick(state, job, tickAt(skip.tick));
  }
  emit(state, {
    kind: "send",
    to: from,
    protocol: "ask",
    message: { kind: "skip-heard", id, begun: begun.map(({ tick }) => tick) },
  });
}

function hasRoomFor({ operator: { skipsHeard } }: State, from: PeerId, more: number): boolean {
  if (skipsHeard.size + more > heardMax) return false;
  let ofOne = more;
  for (const heard of skipsHeard.values()) if (heard.from === from) ofOne++;
  return ofOne <= heardOfOneMax;
}

export function hearSkipConfirmed(state: State, { id, begun }: MessageOf<"skip-heard">): void {
  const { openSkips } = state.operator;
  const open = openSkips.find(({ waiting }) => waiting.delete(id));
  if (open === undefined) return;
  const wanted = new Set(open.skips.map(({ tick }) => tick));
  for (const tick of begun) if (wanted.has(tick)) open.begun.add(tick);
  if (open.waiting.size > 0) return;
  openSkips.splice(openSkips.indexOf(open), 1);
  answerSkip(state, open);
}

/** Forgets what was heard about ticks that the table now says are to be skipped: from then on the table decides. */
export function forgetHeardSkips({ operator: { skipsHeard }, jobs: { plans } }: State, job: JobId): void {
  if (skipsHeard.size === 0) return;
  for (const tick of plans.get(job)?.skips.keys() ?? []) skipsHeard.delete(heardKey(job, tick));
}

/** Called in every step: answers for the skips that were not confirmed in time, and forgets what was heard long ago. */
export function giveUpSkips(state: State): void {
  const { openSkips, skipsHeard } = state.operator;
  for (const open of openSkips.filter(({ untilMono }) => untilMono <= state.now.mono)) {
    openSkips.splice(openSkips.indexOf(open), 1);
    const peers = [...new Set(open.waiting.values())].join(", ");
    const detail = `no confirmation from ${peers} within ${confirmLimitMs / 1_000} s: a claimed tick may still start`;
    emit(state, { kind: "answer", token: open.command, answer: refuse("SKIP_UNCONFIRMED", detail) });
  }
  for (const [key, { untilMono }] of skipsHeard) {
    if (untilMono > state.now.mono) break;
    skipsHeard.delete(key);
  }
}
