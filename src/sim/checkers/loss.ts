/**
 * I1, no loss, and I9, resumption.
 *
 * I1: a tick is required when its job was surely in force all around it and some peer that may run it was well (up,
 * not paused, disk and clock undisturbed, wires not slow) from 20 s before it to 60 s after it; cut off or not: then
 * that peer is a component of its own and has to run it. It must start within these 60 s. A peer needs up to 15 s to
 * see that others are dead, 5 s for each that only seems alive, and 1 s to ask. Each tick is looked for by its id
 * and, as Jepsen's checker for Chronos does, by matching targets to starts without looking at ids at all (but for
 * starts by a clock that was set wrong and by which their tick was due).
 * A tick of a majority job is required only while the whole world stood still around it and a majority of its voters,
 * one that may run it among them, could talk: a runner that dies after it was chosen takes its tick with it.
 * Ticks of a job one of whose other runs was on around the tick are left out unless it allows overlap: I10 is there
 * for them.
 *
 * I9: every required tick from 15 s after the heal on starts once, no later than 1 s after it is due. (All of it
 * widened by what the hosts' clocks are off.)
 */
import { tickAt } from "../../schema/ids.ts";
import { peersFor, type Breach, type Evidence, type Run } from "../world/truth.ts";
import { hadQuorum } from "./quorum.ts";
import { wasWell, workers } from "./surroundings.ts";
import { aheadMs, clockErrorMs, groupRuns, requiredTicks, wasBusy, type RequiredTick } from "./ticks.ts";
import { isMajority } from "./votes.ts";

const settledBeforeMs = 20_000;
const startsWithinMs = 60_000;
const resumesAfterMs = 15_000;
const onTimeMs = 1_000;

export function checkLoss(evidence: Evidence): Breach[] {
  if (evidence.crowded === true) return [];
  const byTick = groupRuns(evidence, (run) => `${run.job}@${run.tick}`);
  const byJob = groupRuns(evidence, (run) => run.job);
  const required = requiredTicks(
    evidence,
    evidence.from,
    evidence.to - startsWithinMs,
    startsWithinMs,
  ).filter((tick) => somebodyWell(evidence, tick) && !heldUp(tick, byJob.get(tick.job) ?? []));
  const breaches: Breach[] = [];
  for (const tick of required) {
    const starts = byTick.get(`${tick.job}@${tick.tick}`) ?? [];
    const errorMs = errorAround(evidence, tick);
    if (starts.some((run) => run.start <= tick.instant + startsWithinMs + errorMs)) continue;
    const what = starts.length === 0 ? "never started" : "started too late";
    breaches.push({ rule: "I1", at: tick.instant, what: `${tick.job}@${tick.tick} ${what}` });
  }
  return [...breaches, ...checkMatching(evidence, required, byJob)];
}

function errorAround(evidence: Evidence, { instant }: RequiredTick): number {
  return clockErrorMs(evidence, instant - settledBeforeMs, instant + startsWithinMs);
}

/**
 * Each required tick, in time order, takes the earliest start of its job that no earlier one took and that lies
 * within its window. All windows are equally long, so this greedy matching is perfect whenever a perfect one exists.
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
        breaches.push({ rule: "I1", at: instant, what: `${job}: no start is left for ${tickAt(instant)}` });
    }
  }
  return breaches;
}

/**
 * The run is that tick's. Its runner's clock was set wrong at the start, and by that clock the tick was due and within its
 * window, which may be far from true time.
 */
function wasDueByWrongClock(evidence: Evidence, { tick, instant, rules }: RequiredTick, run: Run): boolean {
  if (run.tick !== tick) return false;
  const wrongMs = aheadMs(evidence, run.peer, run.start);
  const lateMs = run.start + wrongMs - instant;
  return wrongMs !== 0 && lateMs >= -onTimeMs && lateMs <= Math.max(startsWithinMs, rules.catchUp.windowMs);
}

export function checkResumption(evidence: Evidence): Breach[] {
  if (evidence.crowded === true) return [];
  const byTick = groupRuns(evidence, (run) => `${run.job}@${run.tick}`);
  const byJob = groupRuns(evidence, (run) => run.job);
  const breaches: Breach[] = [];
  const from = evidence.healedAt + resumesAfterMs;
  for (const tick of requiredTicks(evidence, from, evidence.to - resumesAfterMs, resumesAfterMs)) {
    if (heldUp(tick, byJob.get(tick.job) ?? []) || !mustRun(evidence, tick)) continue;
    const starts = byTick.get(`${tick.job}@${tick.tick}`) ?? [];
    const errorMs = errorAround(evidence, tick);
    const lateMs = (starts[0]?.start ?? Infinity) - tick.instant;
    if (starts.length === 1 && lateMs <= onTimeMs + errorMs) continue;
    const what =
      starts.length === 1 ? `started ${Math.round(lateMs)} ms late` : `started ${starts.length} times`;
    breaches.push({ rule: "I9", at: tick.instant, what: `${tick.job}@${tick.tick} ${what}` });
  }
  return breaches;
}

function somebodyWell(evidence: Evidence, { instant, rules }: RequiredTick): boolean {
  const eligible = workers(evidence, peersFor(rules), instant);
  const [from, to] = [instant - settledBeforeMs, instant + startsWithinMs];
  if (mostClocksWereSet(evidence, from, to)) return false;
  if (isMajority(rules)) return hadQuorum(evidence, instant, eligible, from, to);
  return eligible.some((peer) => wasWell(evidence, peer, from, to));
}

/** The median decides which clocks are wrong; when more of the present clocks are wrong than right, it is wrong itself. */
function mostClocksWereSet({ faultWindows, peers, outages }: Evidence, from: number, to: number): boolean {
  const touches = (span: { from: number; to: number }) => span.from <= to && span.to >= from;
  const steps = faultWindows.filter((window) => window.kind === "clock step" && touches(window));
  const wrong = new Set(steps.map(({ peer }) => peer));
  const away = new Set(outages.filter(touches).map(({ peer }) => peer));
  const right = peers.filter((peer) => !wrong.has(peer) && !away.has(peer));
  return wrong.size > right.length;
}

/** As I1 requires, but for what I9 asks: that it runs on time, once. */
function mustRun(evidence: Evidence, { instant, rules }: RequiredTick): boolean {
  const eligible = workers(evidence, peersFor(rules), instant);
  if (eligible.length === 0) return false;
  return !isMajority(rules) || hadQuorum(evidence, instant, eligible, instant - onTimeMs, instant + onTimeMs);
}

function heldUp({ rules, tick, instant }: RequiredTick, runsOfJob: readonly Run[]): boolean {
  if (rules.overlap === "allow") return false;
  return wasBusy(runsOfJob, tick, instant - settledBeforeMs, instant + startsWithinMs);
}
