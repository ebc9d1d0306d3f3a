/**
 * The ticks of jobs that run after others (`after`, DESIGN §9). Every peer derives them from the records of the parents: the
 * record that says how a parent's tick ended makes the child's tick known, and the last one that it needs makes its order. So
 * whichever peer lives on carries the child on.
 *
 * What is over stays over: a tick that is older than what is in memory is looked up on the disk first. If a parent's record is no
 * longer in memory, the disk also tells how that parent ended.
 */
import { backfilledInstant } from "../../schema/backfill.ts";
import { instantOf, isManual, runId, type JobId, type TickId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { chainVerdict } from "../job/chain.ts";
import { endThatCounts, tickThatFollows, type PastEnd } from "../job/chain-past.ts";
import { dueOf } from "../job/jitter.ts";
import { startWindowMs, type Plan } from "../job/plan.ts";
import { requestedKeptMs } from "../limits.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { historyBegan, isWholeOver, settle, unsureUntilOf } from "../records/history.ts";
import { givesBackOneOfSeveral, outputBytesOf, settleIn, settles } from "../records/ledger.ts";
import { mergeRecord, recordKey, storyOf } from "../records/records.ts";
import { emit, type State } from "../state.ts";
import type { ChainTick, TickEnd } from "./book-state.ts";
import { noteBackfill } from "./backfill-index.ts";
import { instantFor, pastOf, pastTicksOf, wasNotRun } from "./chain-backfills.ts";
import { endsInMemory, endsOfTick, isEndOrRepeated, latestKnown, wholeEndOf } from "./chain-ends.ts";
import { readDisk, parentTickOf, parentPastTickOf } from "./chain-parents.ts";
import { forgetRanges, passOnRange, takeBackRange } from "./chain-ranges.ts";
import { admitChained, dropOrders, isBegunOrDecided, isRequested } from "./order-book.ts";
import { touchOver } from "./touched.ts";

/** Ticks of chains that are remembered: far above what honest jobs have. Each holds a record of each parent. */
const chainTicksMax = 10_000;
/** … and the outputs of these records together, bytes. Beyond either limit, ticks are left to other peers, or to a restart. */
const chainOutputBytesMax = 67_108_864;

/** What follows from a record for the jobs that run after its job, and for what is known of its own tick. */
export function followChains(state: State, record: RunRecord): void {
  const children = state.jobs.children.get(record.job);
  if (record.range !== undefined) return followRange(state, record);
  if (settles(record)) {
    if (isWholeOver(state.ledger.history, record.job, record.tick))
      forgetChainTick(state, record.job, record.tick);
  } else if (record.retryAt !== undefined) awaitParents(state, record);
  const isRepeated = record.retryAt !== undefined;
  if (children === undefined || isRepeated) return;
  if (!isEndOrRepeated(record) && !givesBackOneOfSeveral(record)) return;
  if (record.peer !== state.settings.self && isPlanted(state, "chain-dropped")) return;
  const ends = endsOfTick(state, record);
  if (ends === undefined || ends.length === 0) return;
  // If records of some slots have left memory, the disk tells how they ended.
  const story = wholeEndOf(ends);
  // First all children learn of the end: one of them may be a parent of another.
  for (const child of children) noteEnd(state, child, record, story);
  for (const child of children) {
    review(state, child, record.tick);
    reviewPast(state, child, record.tick);
  }
}

function followRange(state: State, record: RunRecord): void {
  const children = state.jobs.children.get(record.job) ?? [];
  if (record.state === "withdrawn") {
    for (const child of children) takeBackRange(state, child, record);
    return;
  }
  forgetRanges(state, record);
  for (const child of children) passOnRange(state, child, record, chainTicksInProgress(state, child));
}

/** Takes in what the disk holds about ticks of a job and of its parents. `lookedUp`: that tick was looked up there. */
export function learnChains(
  state: State,
  child: JobId,
  records: readonly RunRecord[],
  lookedUp?: TickId,
): void {
  const after = state.jobs.plans.get(child)?.after;
  const past = lookedUp === undefined ? undefined : pastOf(after, lookedUp);
  const known = records.map((record) => latestKnown(state, record));
  if (lookedUp !== undefined && past === undefined)
    for (const parent of after?.jobs ?? []) known.push(...endsInMemory(state, parent, lookedUp, records));
  const ticks = Map.groupBy(known.filter(isEndOrRepeated), ({ job, tick }) => `${job}@${tick}`);
  for (const ofTick of ticks.values()) {
    const story = wholeEndOf(ofTick);
    if (story === undefined) continue;
    if (past === undefined) noteEnd(state, child, story, story);
    else notePastEnd(state, child, past, story);
  }
  for (const record of records)
    if (record.range !== undefined) passOnRange(state, child, record, chainTicksInProgress(state, child));
  reviewAll(state, child);
}

/** Decides again about ticks that wait for parents: one of them may no longer have the tick. */
export function reviewAll(state: State, child: JobId): void {
  for (const tick of state.book.chains.get(child)?.keys() ?? []) review(state, child, tick);
}

/** The end of one parent decides about ticks that follow other requests for the same past tick, too. */
function reviewPast(state: State, child: JobId, end: TickId): void {
  const past = instantFor(end);
  if (past === undefined || (state.jobs.plans.get(child)?.after?.jobs.length ?? 0) < 2) return;
  for (const [tick] of pastTicksOf(state, child, past)) if (tick !== end) review(state, child, tick);
}

export function reviewChains(state: State): void {
  for (const child of state.book.chains.keys()) reviewAll(state, child);
}

/** The next attempt gets the parents' outputs, too. */
function awaitParents(state: State, repeated: RunRecord): void {
  const { job, tick } = repeated;
  if (state.jobs.plans.get(job)?.after === undefined || isRequested(state, repeated)) return;
  if (chainTickOf(state, job, tick) !== undefined || isWholeOver(state.ledger.history, job, tick)) return;
  begin(state, job, tick).disk = "unread";
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
  entry.disk = "read";
  const own = records.filter((record) => record.job === child && record.tick === tick);
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
    tick,
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

function begin(state: State, child: JobId, tick: TickId): ChainTick {
  const entry: ChainTick = { ends: new Map(), disk: "unneeded", verdict: undefined };
  const ticks = state.book.chains.get(child);
  state.book.chainTicks++;
  if (ticks === undefined) state.book.chains.set(child, new Map([[tick, entry]]));
  else ticks.set(tick, entry);
  if (isManual(tick)) noteBackfill(state, child, tick);
  return entry;
}

/**
 * A parent's tick has ended with the record. `story`: the record that tells the story of the whole tick; undefined = it must
 * still be read.
 */
function noteEnd(state: State, child: JobId, end: RunRecord, story: TickEnd | undefined): void {
  const plan = state.jobs.plans.get(child);
  if (plan?.after?.jobs.includes(end.job) !== true || !plan.enabled) return;
  const entry = openTick(state, plan, end.tick);
  if (story === undefined) {
    if (entry !== undefined && pastOf(plan.after, end.tick) !== undefined) entry.disk = "unread";
    return;
  }
  if (entry !== undefined) takeEnd(state, entry, story);
  const instant = plan.after.jobs.length > 1 ? instantFor(end.tick) : undefined;
  if (instant !== undefined) notePastEnd(state, child, instant, story);
}

/** The same for the child's ticks that follow requests for the past tick (ms), under whatever name the parent has run it. */
function notePastEnd(state: State, child: JobId, past: number, end: TickEnd): void {
  for (const [, entry] of pastTicksOf(state, child, past)) takeEnd(state, entry, end);
}

/**
 * What is known of the child's tick, from the first end of a parent on; undefined = it is over, outside the job's lifetime, or
 * one too many for the memory.
 */
function openTick(state: State, plan: Plan, tick: TickId): ChainTick | undefined {
  const { book } = state;
  if (isWholeOver(state.ledger.history, plan.id, tick)) return undefined;
  const instant = backfilledInstant(tick) ?? instantOf(tick);
  if (instant < plan.lifetime.startsAt || instant > plan.lifetime.endsAt) return undefined;
  const known = book.chains.get(plan.id)?.get(tick);
  if (known !== undefined) return known;
  if (book.chainTicks >= chainTicksMax || book.chainOutputBytes >= chainOutputBytesMax) {
    emit(state, { kind: "count", name: "chain_ticks_refused" });
    return undefined;
  }
  const entry = begin(state, plan.id, tick);
  const past = pastOf(plan.after, tick);
  // The parents may have run the past tick long ago, which only the disk may know.
  if (past !== undefined || isUnsure(state, plan, tick)) entry.disk = "unread";
  if (past !== undefined)
    for (const [, other] of pastTicksOf(state, plan.id, past))
      for (const end of other.ends.values()) takeEnd(state, entry, end);
  return entry;
}

function takeEnd(state: State, entry: ChainTick, end: TickEnd): void {
  const before = entry.ends.get(end.job);
  if (before === undefined) return setEnd(state, entry, end);
  if (before.tick !== end.tick) return setEnd(state, entry, latestEnd(before, end));
  setEnd(state, entry, end.of === undefined ? endOfBoth(before, end) : end);
}

function setEnd({ book }: State, entry: ChainTick, end: TickEnd): void {
  book.chainOutputBytes += outputBytesOf(end) - outputBytesOf(entry.ends.get(end.job));
  entry.ends.set(end.job, end);
}

function latestEnd(a: TickEnd, b: TickEnd): TickEnd {
  const [one, two] = [a, b].map((record) => ({ ...endOf(record), record }));
  return one === undefined || two === undefined ? b : endThatCounts(one, two).record;
}

function endOf({ tick, state, finishedAt, due }: RunRecord): PastEnd {
  return { tick, state, at: Math.max(finishedAt ?? due, due) };
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
  const past = pastOf(plan.after, tick);
  if (entry.disk === "unread" && !isRepeated && past === undefined && !isUnsure(state, plan, tick))
    entry.disk = "unneeded";
  if (entry.disk === "unread") readDisk(state, plan, tick, entry);
  if (entry.disk === "unread" || entry.disk === "reading") return;
  const { jobs } = plan.after;
  const found = chainVerdict(plan.after, (parent) =>
    past === undefined
      ? parentTickOf(state, plan, tick, entry, parent)
      : parentPastTickOf(state, tick, past, entry, parent),
  );
  if (found === undefined) return;
  const name = past === undefined || isRepeated ? tick : nameOf(state, child, tick, entry);
  if (name !== tick) return giveTo(state, plan, tick, name);
  const endedAt = isManual(tick) ? found.due : Math.max(found.due, instantOf(tick));
  const due = isManual(tick) ? endedAt : Math.max(endedAt, dueOf(plan, instantOf(tick)));
  const verdict = { ...found, endedAt, due };
  const isByHand =
    isManual(tick) &&
    past === undefined &&
    verdict.kind === "skip" &&
    !jobs.every((parent) => entry.ends.has(parent));
  // The child is younger than the end, or a parent of several was run by hand.
  if (!isRepeated && (verdict.due <= plan.earliest || isByHand)) {
    dropOrders(state, child, tick);
    return forgetChainTick(state, child, tick);
  }
  entry.verdict = isPlanted(state, "chain-on-any-end") ? { ...verdict, kind: "run" } : verdict;
  admitChained(state, plan, tick, entry.verdict.due);
}

/** The name under which the child runs the past tick: that of the latest request, unless that one was decided without a run. */
function nameOf(state: State, child: JobId, tick: TickId, { ends }: ChainTick): TickId {
  if (isPlanted(state, "backfill-joins-twice")) return tick;
  const name = tickThatFollows([...ends.values()].map((end) => end.tick)) ?? tick;
  return wasNotRun(state, child, name) ? tick : name;
}

/** The tick runs, or is skipped, under another name. If this peer was restarted, only its disk knew of that request. */
function giveTo(state: State, plan: Plan, tick: TickId, name: TickId): void {
  const isNews = chainTickOf(state, plan.id, name) === undefined;
  if (isNews) openTick(state, plan, name);
  dropOrders(state, plan.id, tick);
  forgetChainTick(state, plan.id, tick);
  if (isNews) review(state, plan.id, name);
}
