/**
 * I17, chains: a job that runs after others runs once per fulfilled condition, and never on the wrong branch. (That it runs at
 * most once in a component is I3's.)
 *
 * - Each start that no client asked for has, for some rules of its job that may have been in force, an end of every parent that
 * fulfils them: a run of the same tick that had ended as the rules ask before the start, by true time. A parent's run counts as
 * failed too if it may have been taken for lost: from its start on something may have kept its end from the others. - What it is
 * told about a parent's run and its outputs is what that run wrote. - It doesn't start before the last attempt of a parent that
 * is repeated, if nothing was disturbed meanwhile. - If all parents have run and fulfil the rules, it starts within a minute
 * after the last end, if from the first parent's start to then no peer was disturbed, cut off or away, and nobody asked for a
 * change. The peer that ran the last parent may go away once the others have heard of the end: another peer carries on. - If
 * nothing was disturbed, the tick has a record at the end of the world, however the parents ended. It may still be pending if no
 * peer can run it, and its window has not passed.
 */
import { hadQuorum } from "./quorum.ts";
import { backfilledInstant } from "../../schema/backfill.ts";
import { instantOf, tickAt, type JobId } from "../../schema/ids.ts";
import { jobOf, peersFor, type JobRules } from "../world/requests.ts";
import type { Breach, Evidence, Run } from "../world/truth.ts";
import { perhapsInForce, surelyInForce, jobsOf, type InForce } from "./requests.ts";
import { retainedTicks } from "./retained.ts";
import { retriesOf } from "./retries.ts";
import { together, workers } from "./surroundings.ts";
import { slotTakenWithinMs, waitedForSlot } from "./pools.ts";
import { clockErrorMs, firstAttempts, groupRuns, repeatedBy, wasBusy } from "./ticks.ts";

type After = NonNullable<JobRules["after"]>;

const startsWithinMs = 60_000;
/** How long a disturbance has effects, ms. */
const lingersMs = 60_000;
/** The others have the record of an end after this time, ms; after the longer one if some gossip is lost all the time. */
const heardWithinMs = 2_000;
const madeUpMs = 10_000;
/** A tick whose parents ended this short before the world's end may not be recorded everywhere, ms. */
const quietMs = 120_000;

export function checkChains(evidence: Evidence): Breach[] {
  const byTick = groupRuns(evidence, ({ job, tick }) => `${job}@${tick}`);
  const byPast = groupRuns(evidence, ({ job, tick }) => `${job}@${backfilledInstant(tick)}`);
  const children = jobsOf(evidence).filter((job) =>
    perhapsInForce(evidence, job).some(({ rules }) => rules.after !== undefined),
  );
  const ofTick: OfTick = (job, tick) => byTick.get(`${job}@${tick}`) ?? [];
  const ofPast: OfTick = (job, tick) => {
    const past = backfilledInstant(tick);
    if (past === undefined) return ofTick(job, tick);
    return [...ofTick(job, tickAt(past)), ...(byPast.get(`${job}@${past}`) ?? [])];
  };
  const isRetained = retainedTicks(evidence);
  return children.flatMap((job) => [
    ...wrongStarts(evidence, job, ofTick, ofPast),
    ...missingTicks(evidence, job, ofTick, ofPast, isRetained),
  ]);
}

type OfTick = (job: JobId, tick: Run["tick"]) => readonly Run[];

function wrongStarts(evidence: Evidence, job: JobId, ofTick: OfTick, ofPast: OfTick): Breach[] {
  const spans = perhapsInForce(evidence, job);
  return firstAttempts(evidence.runs.filter((run) => run.job === job)).flatMap((run) => {
    if (wasAsked(evidence, run)) return [];
    const wrong = wrongWith(evidence, run, spans, ofTick, ofPast);
    const what = `${job}@${run.tick} on ${run.peer} ${wrong ?? ""}`;
    return wrong === undefined ? [] : [{ rule: "I17" as const, at: run.start, what }];
  });
}

function wasAsked({ operations }: Evidence, { job, tick }: Run): boolean {
  return operations.some(
    ({ request, answeredAt, accepted, tick: ordered }) =>
      request.kind === "run" &&
      request.id === job &&
      (answeredAt === undefined || (accepted && ordered === tick)),
  );
}

function wrongWith(
  evidence: Evidence,
  run: Run,
  spans: readonly InForce[],
  ofTick: OfTick,
  ofPast: OfTick,
): string | undefined {
  const held = spans.filter(({ rules, from, to }) => {
    return rules.after !== undefined && from <= run.start && run.start <= to;
  });
  if (held.length === 0) return "started when no peer held rules with parents";
  const admitted = held.filter(({ rules: { peers } }) => peers === undefined || peers.includes(run.peer));
  if (admitted.length === 0) return "is on a peer that the job's target doesn't admit";
  const fulfilled = admitted.filter(({ rules: { after } }) =>
    after?.jobs.every(
      (parent) =>
        runsOfParents(
          after,
          ofTick,
          ofPast,
        )(parent, run.tick).some((one) => fulfils(evidence, after, one, run.start)) ||
        wasDecidedWithoutRun(evidence, after, parent, run),
    ),
  );
  if (fulfilled.length === 0) return "started although no end of its parents asks for it";
  const early = fulfilled.every(({ rules: { after } }) =>
    after?.jobs.some((parent) => isBeforeLastAttempt(evidence, run, ofTick(parent, run.tick))),
  );
  return early ? "started before the last attempt of its parent" : wrongParentResult(run, ofPast);
}

/** Of a past tick that was asked for again, several parents run it under different names. */
function runsOfParents({ jobs }: After, ofTick: OfTick, ofPast: OfTick): OfTick {
  return jobs.length > 1 ? ofPast : ofTick;
}

/** Each run but an HTTP request writes its own name. What a child is told of a parent's run must be what that run wrote. */
function wrongParentResult({ parentsJson = "{}", tick }: Run, ofPast: OfTick): string | undefined {
  const results = JSON.parse(parentsJson) as Record<JobId, ParentResult>;
  const wrong = (Object.entries(results) as [JobId, ParentResult][]).find(
    ([parent, { run, state, outputs }]) => {
      const ofRun = ofPast(parent, tick);
      const isOfParent = [tick, ...ofRun.map((one) => one.tick)].some((one) =>
        run.startsWith(`${parent}@${one}~`),
      );
      const hasWritten = state === "succeeded" && !ofRun.some(({ asks }) => asks === true);
      return !isOfParent || (outputs["RUN"] ?? (hasWritten ? undefined : run)) !== run;
    },
  );
  return wrong === undefined ? undefined : `was told ${JSON.stringify(wrong[1])} of its parent ${wrong[0]}`;
}

interface ParentResult {
  run: string;
  state: string;
  outputs: Record<string, string>;
}

function fulfils(evidence: Evidence, { on }: After, parent: Run, before: number): boolean {
  const hasEnded = parent.end !== undefined && parent.end <= before;
  if (parent.start > before) return false;
  if (on === "success") return hasEnded && parent.outcome === "succeeded";
  if (mayCountAsLost(evidence, parent, before)) return true;
  if (on === "always") return hasEnded && !alwaysSkips(evidence, parent);
  return (
    hasEnded &&
    (parent.outcome === "failed" || parent.outcome === "timeout" || parent.outcome === "killed") &&
    !alwaysSkips(evidence, parent)
  );
}

/** True if, by all rules that may have been in force, the exit code of a failing child means that there was nothing to do. */
function alwaysSkips(evidence: Evidence, { job, outcome }: Run): boolean {
  return outcome === "failed" && perhapsInForce(evidence, job).every(({ rules }) => rules.skips === true);
}

/** Something may have kept the others from hearing of the run, or its own peer from recording its end. */
export function mayCountAsLost(evidence: Evidence, run: Run, before: number): boolean {
  const touches = (span: { from: number; to: number }) =>
    span.from <= before && span.to >= run.start - lingersMs;
  return (
    evidence.outages.some((outage) => outage.peer === run.peer && touches(outage)) ||
    evidence.cuts.some(touches) ||
    evidence.faultWindows.some(touches) ||
    evidence.operations.some(({ request, askedAt }) => request.kind === "forget" && askedAt <= before) ||
    (evidence.rollbacks ?? []).some(({ startedAt }) => startedAt >= run.start && startedAt <= before)
  );
}

/** No child of the parent ran, and yet its tick counts as lost (a chosen runner was gone) or as cancelled. */
function wasDecidedWithoutRun(evidence: Evidence, { on }: After, parent: JobId, run: Run): boolean {
  if (on === "success") return false;
  const isMajority = perhapsInForce(evidence, parent).some(({ rules }) => rules.partition === "majority");
  const touches = (span: { from: number; to: number }) =>
    span.from <= run.start && span.to >= instantOf(run.tick) - lingersMs;
  if (isMajority && [...evidence.outages, ...evidence.cuts, ...evidence.faultWindows].some(touches))
    return true;
  return (
    on === "always" &&
    evidence.operations.some(
      ({ request }) => request.kind === "cancel" && request.id === parent && request.tick === run.tick,
    )
  );
}

/** An attempt of the parent follows, on a peer that knew of the one before, as did the child's. */
function isBeforeLastAttempt(evidence: Evidence, run: Run, ofParent: readonly Run[]): boolean {
  const first = Math.min(...ofParent.map(({ start }) => start));
  return ofParent.some(
    (later) =>
      later.start > run.start &&
      ofParent.some(({ attempt }) => attempt < later.attempt) &&
      isQuiet(evidence, first - lingersMs, later.start) &&
      together(evidence, run.peer, later.peer, first - lingersMs, later.start),
  );
}

function missingTicks(
  evidence: Evidence,
  job: JobId,
  ofTick: OfTick,
  ofPast: OfTick,
  isRetained: (job: JobId, tick: Run["tick"]) => boolean,
): Breach[] {
  const spans = surelyInForce(evidence, job);
  const [first] = new Set(spans.flatMap(({ rules }) => rules.after?.jobs ?? []));
  if (first === undefined) return [];
  const parents = new Set(spans.flatMap(({ rules }) => rules.after?.jobs ?? []));
  const ticks = new Set(evidence.runs.filter((run) => parents.has(run.job)).map(({ tick }) => tick));
  return [...ticks].flatMap((tick) =>
    spans.flatMap(({ rules, from, to }) => {
      if (rules.after === undefined) return [];
      const ofEach = runsOfParents(rules.after, ofTick, ofPast);
      const ends = rules.after.jobs.map((parent) => lastRun(evidence, parent, ofEach(parent, tick)));
      if (!ends.every((end) => end !== undefined)) return [];
      const [begun, ended] = [
        Math.min(...ends.map(({ start }) => start)) - lingersMs,
        Math.max(...ends.map(({ end = Infinity }) => end)),
      ];
      if (from > begun || to < ended + startsWithinMs || ended > evidence.to - quietMs) return [];
      const isOfRequest = backfilledInstant(tick) !== undefined && rules.after.jobs.length > 1;
      // The tick runs under the name of the latest request.
      if (isOfRequest && ends.some((end) => end.tick > tick)) return [];
      if (
        hasAnyoneAsked(
          evidence,
          [job, ...rules.after.jobs],
          begun - lingersMs,
          ended + startsWithinMs,
          isOfRequest,
        )
      )
        return [];
      const of = { job, tick, rules, begun, ended, ends };
      return [
        ...(mustStart(evidence, of) && !hasStarted(evidence, of, ofTick(job, tick))
          ? [missing(of, "never started")]
          : []),
        ...(isQuiet(evidence, begun, ended + startsWithinMs) &&
        isRetained(job, tick) &&
        !mayBePending(evidence, of) &&
        !hasRecord(evidence, of)
          ? [missing(of, "has no record")]
          : []),
      ];
    }),
  );
}

interface Due {
  job: JobId;
  tick: Run["tick"];
  rules: JobRules;
  begun: number;
  ended: number;
  ends: readonly Run[];
}

function missing({ job, tick, rules, ended }: Due, what: string): Breach {
  const parents = rules.after?.jobs.join(", ");
  return { rule: "I17", at: ended, what: `${job}@${tick} ${what}, although ${parents} had ended` };
}

/** The run that ends the parent's tick, if that is sure: one run of each attempt, and no further attempt may follow. */
function lastRun(evidence: Evidence, parent: JobId, runs: readonly Run[]): Run | undefined {
  const last = runs.toSorted((a, b) => a.attempt - b.attempt).at(-1);
  // Other peers of the tick may still have their turn.
  if (perhapsInForce(evidence, parent).some(({ rules }) => rules.onAll !== undefined)) return undefined;
  if (last === undefined || new Set(runs.map(({ attempt }) => attempt)).size < runs.length) return undefined;
  const isOver =
    last.outcome === "succeeded" ||
    retriesOf(evidence, parent).every(({ attempts }) => attempts < last.attempt);
  const isPlain = last.outcome === "succeeded" || last.outcome === "failed";
  return isOver && isPlain && last.end !== undefined ? last : undefined;
}

function mustStart(evidence: Evidence, { rules, ends, ended, begun, job, tick }: Due): boolean {
  const { after, overlap, partition } = rules;
  if (after === undefined || overlap === "replace" || evidence.crowded === true) return false;
  if (!ends.every((end) => surelyFulfils(evidence, after, end))) return false;
  const until = ended + startsWithinMs;
  // The ticks of a backfill run one after the other in any case.
  if (overlap !== "allow" || backfilledInstant(tick) !== undefined) {
    const runs = evidence.runs.filter((run) => run.job === job);
    if (wasBusy(runs, repeatedBy(evidence, job), ends[0]?.tick ?? "", begun, until)) return false;
  }
  if (waitedForSlot(evidence, rules, ended, until, slotTakenWithinMs)) return false;
  const able = workers(evidence, peersFor(rules), ended);
  if (able.length === 0) return false;
  const due = instantOf(backfilledInstant(tick) === undefined ? (ends[0]?.tick ?? tick) : tick);
  if (partition === "majority" && !hadQuorum(evidence, due, able, begun, until)) return false;
  if (isQuiet(evidence, begun, until)) return true;
  const last = ends.find(({ end }) => end === ended);
  const heardBy = ended + (evidence.gossipIsLost === true ? madeUpMs : heardWithinMs);
  const isAway = disturbancesIn(evidence, begun, until).every(
    (span) =>
      evidence.outages.some((outage) => outage === span && outage.peer === last?.peer) &&
      span.from >= heardBy,
  );
  const others = workers(evidence, peersFor(rules), ended).filter((peer) => peer !== last?.peer);
  return isAway && partition !== "majority" && others.length > 0;
}

/** No peer that may run it was there, or its voters may have been too few. */
function mayBePending(evidence: Evidence, { rules, ended }: Due): boolean {
  if (ended + rules.catchUp.windowMs + quietMs < evidence.to) return false;
  return rules.partition === "majority" || workers(evidence, peersFor(rules), ended).length === 0;
}

function surelyFulfils(evidence: Evidence, { on }: After, { job, outcome }: Run): boolean {
  if (on === "success") return outcome === "succeeded";
  const maySkip = perhapsInForce(evidence, job).some(({ rules }) => rules.skips === true);
  if (outcome === "failed" && maySkip) return false;
  return on === "always" || outcome === "failed";
}

function hasStarted(evidence: Evidence, { begun, ended }: Due, runs: readonly Run[]): boolean {
  const errorMs = clockErrorMs(evidence, begun, ended + startsWithinMs);
  return runs.some(({ start }) => start <= ended + startsWithinMs + errorMs);
}

function hasRecord({ final }: Evidence, { job, tick }: Due): boolean {
  const [reference] = final;
  if (reference === undefined) return true;
  const isOf = (record: { job: JobId; tick: string; rangeFrom?: number }) =>
    record.job === job &&
    (record.tick === tick ||
      (record.rangeFrom !== undefined && record.rangeFrom <= instantOf(tick) && tick <= record.tick));
  return [...reference.records.values()].some(isOf);
}

type Span = { readonly from: number; readonly to: number };

function disturbancesIn({ outages, cuts, faultWindows }: Evidence, from: number, to: number): Span[] {
  return [...outages, ...cuts, ...faultWindows].filter((span) => span.from <= to && span.to >= from);
}

function isQuiet(evidence: Evidence, from: number, to: number): boolean {
  return disturbancesIn(evidence, from, to).length === 0;
}

/** A client asked for a change of one of the jobs, or a person for anything about peers or runs. */
function hasAnyoneAsked(
  { operations }: Evidence,
  jobs: readonly JobId[],
  from: number,
  to: number,
  mayAskForPast: boolean,
): boolean {
  return operations.some(({ request, askedAt }) => {
    const about = jobOf(request);
    return (
      askedAt >= from &&
      askedAt <= to &&
      (about === undefined || jobs.includes(about)) &&
      request.kind !== "run" &&
      !(mayAskForPast && request.kind === "backfill")
    );
  });
}
