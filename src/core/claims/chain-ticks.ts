/**
 * The ticks of jobs that run after others (`after`, DESIGN §9). Every peer derives them from the records of the parents: the
 * record that says how a parent's tick ended makes the child's tick known, and the last one that it needs makes its order. So
 * whichever peer lives on carries the child on.
 *
 * What is over stays over: a tick that is older than what is in memory is looked up on the disk first. The disk also tells how
 * those parents ended whose records are no longer in memory.
 */
import { instantOf, isManual, orderKey, runId, type JobId, type TickId } from "../../schema/ids.ts";
import { retryAttemptsMax } from "../../schema/job.ts";
import { isFinal, type RunRecord, type Span } from "../../schema/run.ts";
import { chainVerdict, parentReason, type ParentTick } from "../job/chain.ts";
import { dueOf } from "../job/jitter.ts";
import { intervalsBetween } from "../job/gap.ts";
import { isTickOf, nextTickOf, startWindowMs, ticksOf, type Plan } from "../job/plan.ts";
import { requestedKeptMs } from "../limits.ts";
import { acceptedUntil } from "../members/clocks.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { historyBegan, isOver, isWholeOver, settle, unsureUntilOf } from "../records/history.ts";
import { isOpen, openOfTick, outputBytesOf, recordsOf, settleIn, settles } from "../records/ledger.ts";
import { finalWordOf, mergeRecord, recordKey, slotCountIn, storyOf } from "../records/records.ts";
import { emit, type State } from "../state.ts";
import { countTicks } from "../time/count.ts";
import type { ChainTick } from "./book-state.ts";
import { isTickOver, slotNames } from "./slots.ts";
import { admitChained, dropOrders, isBegunOrDecided, isRequested } from "./order-book.ts";
import { touchOver } from "./touched.ts";

/** Ticks of chains that are remembered: far above what honest jobs have. Each holds a record of each parent. */
const chainTicksMax = 10_000;
/** … and the outputs of these records together, bytes. Beyond either limit, ticks are left to other peers, or to a restart. */
const chainOutputBytesMax = 67_108_864;

/** What follows from a record for the jobs that run after its job, and for what is known of its own tick. */
export function followChains(state: State, record: RunRecord): void {
  const children = state.jobs.children.get(record.job);
  if (record.range !== undefined) {
    forgetRanges(state, record);
    for (const child of children ?? []) passOnRange(state, child, record);
    return;
  }
  if (settles(record)) {
    if (isWholeOver(state.ledger.history, record.job, record.tick))
      forgetChainTick(state, record.job, record.tick);
  } else if (record.retryAt !== undefined) awaitParents(state, record);
  const isRepeated = record.retryAt !== undefined;
  if (children === undefined || isRepeated || !isEndOrRepeated(record)) return;
  if (record.peer !== state.settings.self && isPlanted(state, "chain-dropped")) return;
  const ends = endsOfTick(state, record);
  if (ends === undefined) return;
  // If records of some slots have left memory, the disk is asked how they ended.
  const story = isWholeEnd(ends) ? finalWordOf(ends) : undefined;
  // First all children learn of the end: one of them may be a parent of another.
  for (const child of children) noteEnd(state, child, record, story);
  for (const child of children) review(state, child, record.tick);
}

/** Takes in what the disk holds about ticks of a job and of its parents. */
export function learnChains(state: State, child: JobId, records: readonly RunRecord[]): void {
  const ticks = Map.groupBy(records.filter(isEndOrRepeated), ({ job, tick }) => `${job}@${tick}`);
  for (const ofTick of ticks.values()) {
    const story = isWholeEnd(ofTick) ? finalWordOf(ofTick) : undefined;
    if (story !== undefined) noteEnd(state, child, story, story);
  }
  for (const record of records) if (record.range !== undefined) passOnRange(state, child, record);
  reviewAll(state, child);
}

/** Decides again about ticks that wait for parents: one of them may no longer have the tick. */
export function reviewAll(state: State, child: JobId): void {
  for (const tick of state.book.chains.get(child)?.keys() ?? []) review(state, child, tick);
}

export function reviewChains(state: State): void {
  for (const child of state.book.chains.keys()) reviewAll(state, child);
}

/** The next attempt gets the parents' outputs, too. */
function awaitParents(state: State, repeated: RunRecord): void {
  const { job, tick } = repeated;
  if (state.jobs.plans.get(job)?.after === undefined || isRequested(state, repeated)) return;
  if (chainTickOf(state, job, tick) !== undefined || isWholeOver(state.ledger.history, job, tick)) return;
  begin(state, job, tick).disk = "unasked";
  review(state, job, tick);
}

/** The disk has told what it knows of one tick of the job and of its parents, which were pruned before an instant (ms). */
export function chainTickLookedUp(
  state: State,
  child: JobId,
  tick: TickId,
  records: readonly RunRecord[],
  prunedBefore: number,
): void {
  const entry = state.book.chains.get(child)?.get(tick);
  if (entry === undefined) return;
  entry.disk = "answered";
  const own = records.filter(({ job }) => job === child);
  for (const record of own) if (settles(record)) settleIn(state.ledger.history, record);
  if (instantOf(tick) < prunedBefore) settle(state.ledger.history, { job: child, tick, slot: "0" });
  touchOver(state, child);
  if (isWholeOver(state.ledger.history, child, tick)) {
    mark(state, "chain-tick-over-on-disk");
    return forgetChainTick(state, child, tick);
  }
  learnChains(
    state,
    child,
    records.filter(({ job }) => job !== child),
  );
  // An attempt of a run by hand is repeated by the peers that have the request.
  if (isManual(tick) && entry.ends.size === 0 && entry.verdict === undefined) {
    dropOrders(state, child, tick);
    forgetChainTick(state, child, tick);
  }
}

/** What is known about a tick of a job that runs after others; undefined = nothing. */
export function chainTickOf(state: State, job: JobId, tick: TickId): ChainTick | undefined {
  return state.book.chains.get(job)?.get(tick);
}

/** What a run after others is told about them: by parent, the run that ended its tick, and that run's outputs. JSON. */
export function parentsText(state: State, job: JobId, tick: TickId): string {
  const ends = [...(chainTickOf(state, job, tick)?.ends ?? [])].map(([parent, record]) => {
    const { state: how, exitCode, outputs = {} } = record;
    return [
      parent,
      { run: runId(record), state: how, ...(exitCode === undefined ? {} : { exitCode }), outputs },
    ];
  });
  return JSON.stringify(Object.fromEntries(ends));
}

/** Ticks of the schedule (ms) that parents have reached, and that are not decided yet. */
export function chainTicksInProgress({ book }: State, job: JobId): number[] {
  const instants = [...(book.chains.get(job)?.keys() ?? [])].filter((tick) => !isManual(tick)).map(instantOf);
  return instants;
}

/** The job was edited or deleted. Ticks in progress go on, and their next attempts get the outputs of the same parents. */
export function forgetChains(state: State, job: JobId): void {
  const { book } = state;
  book.chainRanges.delete(job);
  const plan = state.jobs.plans.get(job);
  for (const tick of book.chains.get(job)?.keys() ?? []) {
    if (plan === undefined || !isBegunOrDecided(state, plan, tick)) forgetChainTick(state, job, tick);
  }
}

/** Forgets ticks that turned out to be over without a record. */
export function forgetOverChains(state: State): void {
  for (const [job, ticks] of state.book.chains)
    for (const tick of ticks.keys())
      if (isWholeOver(state.ledger.history, job, tick)) forgetChainTick(state, job, tick);
}

function forgetChainTick({ book }: State, job: JobId, tick: TickId): void {
  const ticks = book.chains.get(job);
  const entry = ticks?.get(tick);
  if (ticks === undefined || entry === undefined) return;
  for (const record of entry.ends.values()) book.chainOutputBytes -= outputBytesOf(record);
  book.chainTicks--;
  ticks.delete(tick);
  if (ticks.size === 0) book.chains.delete(job);
}

/** Whether the record says how a tick's slot ended, after its last attempt. */
function isEnd(record: RunRecord): boolean {
  return isFinal(record.state) && settles(record) && record.range === undefined;
}

function isEndOrRepeated(record: RunRecord): boolean {
  return isEnd(record) || record.retryAt !== undefined;
}

/** Whether these records of one tick tell of the end of all its slots. */
function isWholeEnd(records: readonly RunRecord[]): boolean {
  const ended = new Set(records.filter(isEnd).map(({ slot }) => slot));
  return ended.size > 0 && ended.size >= slotCountIn(records);
}

/** What memory knows of the ends of the tick's runs, when this one is the last; undefined while others are undecided. */
function endsOfTick(state: State, end: RunRecord): RunRecord[] | undefined {
  const { job, tick, of = 1 } = end;
  if (of > 1 && !isTickOver(state, job, tick)) return undefined;
  const ended: RunRecord[] = [end];
  for (const slot of of === 1 ? [end.slot] : slotNames(state, { job, tick, of })) {
    for (let attempt = 1; attempt <= retryAttemptsMax + 1; attempt++) {
      const records = [...recordsOf(state.ledger, orderKey(job, tick, attempt, slot))];
      if (records.length === 0 && attempt >= end.attempt) break;
      for (const record of records)
        if (isEndOrRepeated(record) && recordKey(record) !== recordKey(end)) ended.push(record);
    }
  }
  return ended;
}

function begin(state: State, child: JobId, tick: TickId): ChainTick {
  const entry: ChainTick = { ends: new Map(), disk: "unneeded", verdict: undefined };
  const ticks = state.book.chains.get(child);
  state.book.chainTicks++;
  if (ticks === undefined) state.book.chains.set(child, new Map([[tick, entry]]));
  else ticks.set(tick, entry);
  return entry;
}

/** A parent's tick has ended with the record; undefined = what its story is must still be read. */
function noteEnd(state: State, child: JobId, end: RunRecord, story: RunRecord | undefined): void {
  const plan = state.jobs.plans.get(child);
  const { job: parent, tick } = end;
  if (plan?.after?.jobs.includes(parent) !== true || !plan.enabled) return;
  if (isWholeOver(state.ledger.history, child, tick)) return;
  const instant = instantOf(tick);
  if (instant < plan.startsAt || instant > plan.endsAt) return;
  const { book } = state;
  const known = book.chains.get(child)?.get(tick);
  const isFull = book.chainTicks >= chainTicksMax || book.chainOutputBytes >= chainOutputBytesMax;
  if (known === undefined && isFull) {
    return emit(state, { kind: "count", name: "chain_ticks_refused" });
  }
  const entry = known ?? begin(state, child, tick);
  if (known === undefined && isUnsure(state, plan, tick)) entry.disk = "unasked";
  if (story === undefined) return;
  const before = entry.ends.get(parent);
  const told = before === undefined || story.of !== undefined ? story : endOfBoth(before, story);
  book.chainOutputBytes += outputBytesOf(told) - outputBytesOf(before);
  entry.ends.set(parent, told);
}

/** An earlier version of a record may come back when the later one has left memory. */
function endOfBoth(before: RunRecord, news: RunRecord): RunRecord {
  if (recordKey(before) === recordKey(news)) return mergeRecord(before, news);
  return storyOf([before, news]) ?? news;
}

/** Whether the tick may be over although memory doesn't say so. */
function isUnsure(state: State, plan: Plan, tick: TickId): boolean {
  const { history } = state.ledger;
  const instant = instantOf(tick);
  if (isManual(tick)) {
    const remembered = state.now.wall - startWindowMs(plan, true) - requestedKeptMs;
    return instant < Math.max(state.upkeep.loadedSince, remembered);
  }
  return instant <= Math.max(unsureUntilOf(history, plan.id), historyBegan(history, plan.id));
}

/** Decides about the tick, and makes or corrects its order. */
function review(state: State, child: JobId, tick: TickId): void {
  const plan = state.jobs.plans.get(child);
  const entry = chainTickOf(state, child, tick);
  if (entry === undefined || plan?.after === undefined) return;
  if (isWholeOver(state.ledger.history, child, tick)) return forgetChainTick(state, child, tick);
  const isRepeated = isBegunOrDecided(state, plan, tick);
  if (entry.disk === "unasked" && !isRepeated && !isUnsure(state, plan, tick)) entry.disk = "unneeded";
  if (entry.disk === "unasked") askDisk(state, plan, tick, entry);
  if (entry.disk === "unasked" || entry.disk === "asked") return;
  const { jobs } = plan.after;
  const found = chainVerdict(plan.after, (parent) => parentTickOf(state, plan, tick, entry, parent));
  if (found === undefined) return;
  const verdict = isManual(tick)
    ? found
    : { ...found, due: Math.max(found.due, dueOf(plan, instantOf(tick))) };
  const isByHand =
    isManual(tick) && verdict.kind === "skip" && !jobs.every((parent) => entry.ends.has(parent));
  // The child is younger than the end, or a parent of several was run by hand.
  if (!isRepeated && (verdict.due <= plan.earliest || isByHand)) {
    dropOrders(state, child, tick);
    return forgetChainTick(state, child, tick);
  }
  entry.verdict = isPlanted(state, "chain-on-any-end") ? { kind: "run", due: verdict.due } : verdict;
  admitChained(state, plan, tick, entry.verdict.due);
}

function parentTickOf(state: State, plan: Plan, tick: TickId, entry: ChainTick, parent: JobId): ParentTick {
  if (isRunningAt(state, parent, tick)) return "undecided";
  const end = entry.ends.get(parent);
  if (end !== undefined) return { state: end.state, at: endedAt(state, end) };
  if (isUndecided(state, parent, tick)) return "undecided";
  if (isWholeOver(state.ledger.history, parent, tick)) {
    if (entry.disk === "answered") return "absent";
    entry.disk = "unasked";
    askDisk(state, plan, tick, entry);
    return "undecided";
  }
  return mayComeYet(state, parent, tick) ? "undecided" : "absent";
}

/** When the parent ended, ms. If a clock that was ahead wrote the record, it is now: otherwise the child would wait for it. */
function endedAt(state: State, { finishedAt, due }: RunRecord): number {
  const at = Math.max(finishedAt ?? due, due);
  return at > acceptedUntil(state) ? state.now.wall : at;
}

/** Another peer may still run the tick, after a split. */
function isRunningAt({ ledger }: State, job: JobId, tick: TickId): boolean {
  for (const record of openOfTick(ledger, job, tick)) if (record.state === "running") return true;
  return false;
}

function isUndecided(state: State, job: JobId, tick: TickId): boolean {
  if (isOpen(state.ledger, job, tick)) return true;
  for (const order of state.book.byJob.get(job) ?? []) if (order.tick === tick) return true;
  return state.book.chains.get(job)?.has(tick) === true;
}

/** Whether a tick of which nothing is known may still come. */
function mayComeYet(state: State, job: JobId, tick: TickId): boolean {
  const { upkeep, ledger } = state;
  const isCatchingUp =
    upkeep.warmedUpAt === -Infinity || upkeep.warmUp !== undefined || upkeep.awaitingSync.size > 0;
  if (isCatchingUp || upkeep.lookups.has(job)) return true;
  const plan = state.jobs.plans.get(job);
  if (plan === undefined || !plan.enabled) return false;
  if (!plan.knowsTicks) return true;
  if (plan.after === undefined) return !isManual(tick) && isTickOf(plan, instantOf(tick));
  return plan.after.jobs.some(
    (parent) =>
      isUndecided(state, parent, tick) ||
      (!isWholeOver(ledger.history, parent, tick) && mayComeYet(state, parent, tick)),
  );
}

function askDisk(state: State, plan: Plan, tick: TickId, entry: ChainTick): void {
  const { upkeep } = state;
  // At the end of the warm-up, and after a look-up of the whole job, its ticks are reviewed.
  if (upkeep.warmedUpAt === -Infinity || upkeep.warmUp !== undefined || upkeep.lookups.has(plan.id)) return;
  mark(state, "chain-tick-looked-up");
  entry.disk = "asked";
  const from = instantOf(tick);
  emit(state, { kind: "lookUp", job: plan.id, tick, from, to: from + 1, parents: plan.after?.jobs ?? [] });
}

/** A parent's ticks in this range were not run, so the child's are skipped. */
function passOnRange(state: State, child: JobId, record: RunRecord): void {
  const { job, tick, range, state: how } = record;
  const plan = state.jobs.plans.get(child);
  if (range === undefined || (how !== "skipped" && how !== "missed")) return;
  if (plan?.after?.jobs.includes(job) !== true || !plan.enabled) return;
  if (isOver(state.ledger.history, child, tick, "0")) return;
  const whole = { from: range.from, to: instantOf(tick), count: range.count };
  const pending = state.book.chainRanges.get(child) ?? [];
  const found = spansWithin(state, plan, job, whole).filter(
    (span) => !pending.some((known) => known.from <= span.from && span.to <= known.to),
  );
  if (found.length === 0) return;
  const reason = `${parentReason}${job} was ${how}`;
  const sinceMono = state.now.mono;
  const added = found.map((span) => ({ ...span, reason, sinceMono }));
  state.book.chainRanges.set(child, [...pending, ...added]);
}

/** The parts of the range in which the child has its parent's ticks and none of its own in progress. */
function spansWithin(
  state: State,
  plan: Plan,
  parent: JobId,
  whole: Span & { count: number },
): (Span & { count: number })[] {
  const least = Math.max(plan.earliest + 1, plan.startsAt);
  const known = chainTicksInProgress(state, plan.id).filter((tick) => whole.from <= tick && tick <= whole.to);
  if (whole.from >= least && whole.to <= plan.endsAt && known.length === 0) return [whole];
  const ofParent = state.jobs.plans.get(parent);
  const schedule = ofParent?.schedule;
  // Ranges of a parent that has no schedule are reported as they are, or not at all.
  if (ofParent === undefined || schedule === undefined) return [];
  const stretches = known.map((tick) => ({ from: tick, to: tick }));
  const end = Math.min(whole.to, plan.endsAt) + 1;
  return intervalsBetween(stretches, Math.max(whole.from, least), end).flatMap(({ from, to }) => {
    const first = nextTickOf(ofParent, from - 1);
    const last = ticksOf(ofParent, from, to, 1)[0];
    if (first === undefined || last === undefined) return [];
    return [{ from: first, to: last, count: countTicks(schedule, first, last + 1) }];
  });
}

/** Its ranges have been reported, by this peer or another one. */
function forgetRanges({ book }: State, { job, tick, range }: RunRecord): void {
  const pending = book.chainRanges.get(job);
  if (pending === undefined || range === undefined) return;
  const to = instantOf(tick);
  const left = pending.filter((one) => one.from < range.from || one.to > to);
  if (left.length === 0) book.chainRanges.delete(job);
  else book.chainRanges.set(job, left);
}
