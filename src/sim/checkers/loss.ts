/**
 * I1, no loss, and I9, resumption.
 *
 * I1: a tick is required if its job was surely in force around it and a peer that may run it was well from 20 s before to 60 s
 * after it. Well means up, not paused, disk and clock undisturbed, wires not slow. A peer that is cut off is a component of its
 * own and must run the tick too. The tick must start within these 60 s: a peer needs up to 15 s to see that others are dead, 5 s
 * for each that only seems alive, and 1 s to ask. Each tick is looked for twice: by its id and, as in Jepsen's checker for
 * Chronos, by matching ticks to starts without their ids. Excepted from the matching are starts by a clock that was set wrong, if
 * their tick was due by that clock. A tick of a majority job is required only if nothing in the world changed around it and a
 * majority of its voters could talk, one of them able to run it. The reason: if a runner dies after it was chosen, the tick dies
 * with it. A tick of a job in a pool is required if a slot of the pool was free for half a minute around it, by what really ran:
 * a tick that waits for it has got it by then. If the job doesn't allow overlap and another run of it was going on around the
 * tick, the tick is left out; I10 judges it. Also left out is every tick around which more clocks were set wrong than were right,
 * because the majority decides which clock counts. If half of the clocks are slow, and their peers have been restarted since or
 * clocks of the other half were set too, the slow half counts as right. If half of the clocks are wrong, and only peers with a
 * right one know that it was set since the two halves agreed or met, the wrong half counts. Then three further kinds of tick are
 * left out: those that only the other half may run; those that the counting clocks leap over when they are set right, too late
 * for the job to catch them up; and those that only peers may run whose cluster key was replaced, with proof, while no peer that
 * accepts it was up.
 *
 * I9: every required tick that is due at least 15 s after the heal starts once, at most 1 s late. (All limits are
 * widened by the errors of the hosts' clocks.) Starts of a stranded peer (truth.ts) don't count: it is alone for good.
 */
import { tickAt, type PeerId } from "../../schema/ids.ts";
import { peersFor } from "../world/requests.ts";
import type { Breach, Evidence, FaultWindow, Run } from "../world/truth.ts";
import { hadQuorum } from "./quorum.ts";
import { slotTakenWithinMs, waitedForSlot } from "./pools.ts";
import { perhapsInForce } from "./requests.ts";
import { wasRefusedByAll, wasStranded, wasWell, withoutRestores, workers } from "./surroundings.ts";
import {
  aheadMs,
  clockErrorMs,
  firstAttempts,
  groupRuns,
  repeatedBy,
  requiredTicks,
  sameClockMs,
  seenToBeSetMs,
  wasBusy,
  wasRestarted,
  wasSetAlone,
  type RequiredTick,
} from "./ticks.ts";
import { isMajority } from "./votes.ts";

const wellBeforeMs = 20_000;
const startsWithinMs = 60_000;
const resumesAfterMs = 15_000;
const onTimeMs = 1_000;
/** A tick that is overdue by more is left to catch-up, ms. */
const overdueMs = 30_000;
/** Clocks that differ by less count as equal, even with their skew and drift, ms. */
const neverDoubtedMs = 1_000;

export function checkLoss(evidence: Evidence): Breach[] {
  if (evidence.crowded === true) return [];
  const bySlot = groupRuns(evidence, slotName);
  const byJob = groupRuns(evidence, (run) => run.job);
  const required = requiredTicks(
    evidence,
    evidence.from,
    evidence.to - startsWithinMs,
    startsWithinMs,
  ).filter(
    (tick) =>
      !isRolling(tick) &&
      hasWellWorker(evidence, tick) &&
      !heldUp(evidence, tick, byJob.get(tick.job) ?? [], slotTakenWithinMs),
  );
  const breaches: Breach[] = [];
  for (const tick of required) {
    const starts = bySlot.get(slotName(tick)) ?? [];
    const errorMs = errorAround(evidence, tick);
    if (starts.some((run) => run.start <= tick.instant + startsWithinMs + errorMs)) continue;
    const what = starts.length === 0 ? "never started" : "started too late";
    breaches.push({ rule: "I1", at: tick.instant, what: `${slotName(tick)} ${what}` });
  }
  return [...breaches, ...checkMatching(evidence, required, byJob)];
}

/** Whether the tick's runs take turns: when they have to start follows from those before. */
function isRolling({ rules }: RequiredTick): boolean {
  return rules.onAll?.rolling !== undefined;
}

/** The name of one run that is required: each run of a tick with several slots is. */
function slotName({ job, tick, slot = "0" }: Run | RequiredTick): string {
  return `${job}@${tick}#${slot}`;
}

function errorAround(evidence: Evidence, { instant }: RequiredTick): number {
  return clockErrorMs(evidence, instant - wellBeforeMs, instant + startsWithinMs);
}

/**
 * In time order, each required tick takes the earliest start of its job that lies within the tick's window and that no
 * earlier tick took. All windows are equally long, so this greedy matching is perfect whenever a perfect one exists.
 */
function checkMatching(
  evidence: Evidence,
  required: readonly RequiredTick[],
  byJob: ReadonlyMap<string, readonly Run[]>,
): Breach[] {
  const breaches: Breach[] = [];
  for (const [job, all] of Map.groupBy(required, (tick) => tick.job)) {
    const runs = byJob.get(job) ?? [];
    const byWrongClock = new Map(
      all.flatMap((tick) =>
        runs.filter((run) => wasDueByWrongClock(evidence, tick, run)).map((run) => [run, tick]),
      ),
    );
    const answered = new Set(byWrongClock.values());
    const ticks = all.filter((tick) => !answered.has(tick));
    const starts = runs
      .filter((run) => !byWrongClock.has(run))
      .map((run) => run.start)
      .toSorted((a, b) => a - b);
    let next = 0;
    for (const tick of ticks.toSorted((a, b) => a.instant - b.instant)) {
      const { instant } = tick;
      const errorMs = errorAround(evidence, tick);
      while ((starts[next] ?? Infinity) < instant - errorMs - 1) next++;
      const start = starts[next] ?? Infinity;
      if (start <= instant + startsWithinMs + errorMs) next++;
      else
        breaches.push({ rule: "I1", at: instant, what: `${job}: no start remains for ${tickAt(instant)}` });
    }
  }
  return breaches;
}

/**
 * True if the run is that tick's, its runner's clock was set wrong at the start, and by that clock the tick was due and
 * within its window, which may have been another one then. By true time it may be far off.
 */
function wasDueByWrongClock(
  evidence: Evidence,
  { job, tick, slot, instant }: RequiredTick,
  run: Run,
): boolean {
  if (run.tick !== tick || (run.slot ?? "0") !== slot) return false;
  const wrongMs = aheadMs(evidence, run.peer, run.start);
  const lateMs = run.start + wrongMs - instant;
  if (wrongMs === 0 || lateMs < -onTimeMs) return false;
  const windows = perhapsInForce(evidence, job)
    .filter(({ from, to }) => from <= run.start && run.start <= to)
    .map(({ rules }) => rules.catchUp.windowMs);
  return lateMs <= Math.max(startsWithinMs, ...windows);
}

export function checkResumption(evidence: Evidence): Breach[] {
  if (evidence.crowded === true) return [];
  const bySlot = groupRuns(evidence, slotName);
  const byJob = groupRuns(evidence, (run) => run.job);
  const breaches: Breach[] = [];
  const from = evidence.healedAt + resumesAfterMs;
  for (const tick of requiredTicks(evidence, from, evidence.to - resumesAfterMs, resumesAfterMs)) {
    if (
      isRolling(tick) ||
      heldUp(evidence, tick, byJob.get(tick.job) ?? [], Infinity) ||
      !mustRun(evidence, tick)
    )
      continue;
    const starts = firstAttempts(bySlot.get(slotName(tick)) ?? []).filter(
      ({ peer, start }) => !wasStranded(evidence, peer, start, start),
    );
    const errorMs = errorAround(evidence, tick);
    const lateMs = (starts[0]?.start ?? Infinity) - tick.instant;
    if (starts.length === 1 && lateMs <= onTimeMs + errorMs) continue;
    const what =
      starts.length === 1 ? `started ${Math.round(lateMs)} ms late` : `started ${starts.length} times`;
    breaches.push({ rule: "I9", at: tick.instant, what: `${slotName(tick)} ${what}` });
  }
  return breaches;
}

function hasWellWorker(evidence: Evidence, tick: RequiredTick): boolean {
  const { instant, rules } = tick;
  const [from, to] = [instant - wellBeforeMs, instant + startsWithinMs];
  const eligible = workers(evidence, peersFor(rules), instant).filter(
    (peer) => !wasRefusedByAll(evidence, peer, from, to),
  );
  if (mostClocksWereSet(evidence, from, to)) return false;
  const doubting = wrongHalfThatCounts(evidence, from, to);
  if (doubting.length > 0) {
    const counting = eligible.filter((peer) => doubting.includes(peer));
    if (counting.every((peer) => leapsOver(evidence, peer, tick))) return false;
  }
  if (isMajority(rules)) return hadQuorum(evidence, instant, eligible, from, to);
  return eligible.some((peer) => wasWell(evidence, peer, from, to));
}

/**
 * Whether the peer's slow clock was set right before it reached the tick, and so late that the job doesn't catch it up, or when
 * it caught up another tick that this one must not overlap.
 */
function leapsOver({ faultWindows, runs }: Evidence, of: PeerId, tick: RequiredTick): boolean {
  const { instant, rules } = tick;
  const { policy, windowMs } = rules.catchUp;
  const caughtUpMs = policy === "none" ? overdueMs : Math.max(overdueMs, windowMs);
  return faultWindows.some(({ peer, to, steppedMs = 0 }) => {
    const isOver = peer === of && steppedMs < 0 && to + steppedMs < instant && instant < to;
    const isInTheWay = (run: Run): boolean =>
      run.job === tick.job && run.tick !== tick.tick && to <= run.start && run.start <= to + startsWithinMs;
    return isOver && (instant < to - caughtUpMs || (rules.overlap !== "allow" && runs.some(isInTheWay)));
  });
}

/** The clocks that were set wrong, of absent peers too, outnumber the right ones of present peers. */
function mostClocksWereSet(evidence: Evidence, from: number, to: number): boolean {
  const wrong = new Set(stepsIn(evidence, from, to).map(({ peer }) => peer));
  const right = presentIn(evidence, from, to).filter((peer) => !wrong.has(peer));
  return wrong.size > right.length;
}

/** The peers with wrong clocks, if they are half of the present ones and their clocks count as right. */
function wrongHalfThatCounts(evidence: Evidence, from: number, to: number): PeerId[] {
  const present = presentIn(evidence, from, to);
  const wrong = present.filter((peer) => Math.abs(aheadMs(evidence, peer, from)) > sameClockMs);
  const right = present.filter((peer) => !wrong.includes(peer));
  const isTie = wrong.length === right.length;
  return isTie && wasSetAlone(evidence, right, wrong, from) ? wrong : slowHalf(evidence, from, to);
}

/**
 * The peers whose clocks were set back, if they are half of the present ones and nothing tells which half was set: each
 * has been restarted since, or a process of the other half has noticed that its own clock was set too, even if that made
 * it right. Then the slower half counts as right (DESIGN §11), and the other half may run nothing.
 */
function slowHalf(evidence: Evidence, from: number, to: number): PeerId[] {
  const steps = stepsIn(evidence, from, to);
  const present = presentIn(evidence, from, to);
  const stepsOf = (peer: PeerId) => steps.filter((step) => step.peer === peer);
  const slow = present.filter(
    (peer) => stepsOf(peer).reduce((sum, { steppedMs = 0 }) => sum + steppedMs, 0) < -neverDoubtedMs,
  );
  const others = present.filter((peer) => !slow.includes(peer));
  const isUnknown = slow.every((peer) => {
    const setAt = Math.max(...stepsOf(peer).map((step) => step.from));
    const wasSetToo = others.some((other) => {
      const since = lastAwake(evidence, [peer, other], setAt);
      return Math.abs(seenToBeSetMs(evidence, other, since, from)) > sameClockMs;
    });
    return wasRestarted(evidence, peer, setAt, from) || wasSetToo;
  });
  return isUnknown && slow.length === others.length ? slow : [];
}

/** The last instant until then at which none of the peers was paused. While one is paused, the two can't compare their clocks. */
function lastAwake({ outages }: Evidence, peers: readonly PeerId[], at: number): number {
  const pauses = outages
    .filter(({ peer, kind }) => kind === "paused" && peers.includes(peer))
    .toSorted((a, b) => b.from - a.from);
  return pauses.reduce((last, { from, to }) => (from <= last && last <= to ? from : last), at);
}

function stepsIn({ faultWindows }: Evidence, from: number, to: number): FaultWindow[] {
  return faultWindows.filter(
    (window) => window.kind === "clock step" && window.from <= to && window.to >= from,
  );
}

/** The peers that were up and running for the whole span. */
function presentIn(evidence: Evidence, from: number, to: number): PeerId[] {
  const { peers, outages } = withoutRestores(evidence);
  const away = new Set(
    outages.filter((outage) => outage.from <= to && outage.to >= from).map(({ peer }) => peer),
  );
  return peers.filter((peer) => !away.has(peer));
}

/** The same as I1 requires, for I9: the tick must run once and on time. */
function mustRun(evidence: Evidence, { instant, rules }: RequiredTick): boolean {
  const eligible = workers(evidence, peersFor(rules), instant);
  if (eligible.length === 0) return false;
  return !isMajority(rules) || hadQuorum(evidence, instant, eligible, instant - onTimeMs, instant + onTimeMs);
}

/** `freeForMs`: how long a slot of its pool may be free before the tick has one. */
function heldUp(
  evidence: Evidence,
  { job, rules, tick, instant }: RequiredTick,
  runsOfJob: readonly Run[],
  freeForMs: number,
): boolean {
  const [begins, ends] = [instant - wellBeforeMs, instant + startsWithinMs];
  if (waitedForSlot(evidence, rules, begins, ends, freeForMs)) return true;
  if (rules.overlap === "allow") return false;
  return wasBusy(runsOfJob, repeatedBy(evidence, job), tick, begins, ends);
}
