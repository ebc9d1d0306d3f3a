/**
 * I17, notices: people are told how a tick ended.
 *
 * - A notice is about a tick of which a child has failed. One that goes from peer to peer has failed too if a run of it may have
 * been taken for lost, because then the rest is stopped. That holds even if no child began: when its peer's process died, its
 * launcher may have had the run, which then counts as begun. - A tick whose last attempt has failed is told at least once if its
 * runner was well for some minutes afterwards, even if it was cut off; and exactly once if nothing was disturbed.
 *
 * It judges by what the channel has accepted. The channel may refuse a notice before it accepts it.
 */
import { instantOf, type PeerId, type TickId } from "../../schema/ids.ts";
import { noticeKey } from "../../schema/notice.ts";
import type { JobRules } from "../world/requests.ts";
import type { Breach, Evidence, Outage, Run } from "../world/truth.ts";
import { mayCountAsLost } from "./chains.ts";
import { perhapsInForce, surelyInForce } from "./requests.ts";
import { wasWell } from "./surroundings.ts";
import { groupRuns } from "./ticks.ts";

/** How soon after a tick's end its notice is accepted at the latest: the channel refuses it twice at most. Unit: ms. */
const notifiedWithinMs = 120_000;
/** How long a disturbance has effects, ms. */
const lingersMs = 60_000;
/**
 * How long before its tick the runner of a majority job is chosen at most, ms: claims are made 2 s ahead, by a clock that may
 * differ.
 */
const chosenAheadMs = 4_000;

export function checkNotices(evidence: Evidence): Breach[] {
  const { notices = [] } = evidence;
  const byKey = Map.groupBy(notices, ({ key }) => key);
  const breaches: Breach[] = [];
  const failed = new Set<string>();
  const mayBeStopped = (runs: readonly Run[], by: number): boolean =>
    runs.some(
      (run) =>
        perhapsInForce(evidence, run.job).some(({ rules }) => (rules.onAll?.rolling?.stopAfter ?? 0) > 0) &&
        mayCountAsLost(evidence, run, by),
    );
  for (const runs of groupRuns(evidence, (run) => `${run.job}@${run.tick}`).values()) {
    const [first] = runs;
    if (first === undefined) continue;
    const key = noticeKey(first.job, first.tick, "failed");
    // If a run's precheck had passed, its start may have failed.
    const hasFailed = runs.some(({ outcome = "" }) => ["failed", "timeout", "checked"].includes(outcome));
    if (hasFailed || mayBeStopped(runs, Math.max(0, ...(byKey.get(key) ?? []).map(({ at }) => at))))
      failed.add(key);
    const last = lastOf(evidence, runs);
    if (last === undefined) continue;
    const count = byKey.get(key)?.length ?? 0;
    const complain = (what: string) => breaches.push({ rule: "I17", at: last.end, what: `${key} ${what}` });
    if (count === 0 && mustBeNotified(evidence, last)) complain("was never told");
    if (count > 1 && isCalm(evidence, last)) complain(`was told ${count} times`);
  }
  for (const { key, by, at } of notices) {
    if (!failed.has(key) && !mayHaveBegun(evidence, key, at))
      breaches.push({ rule: "I17", at, what: `${key} was told by ${by}, and no child has failed` });
  }
  return breaches;
}

/**
 * Of a tick that goes from peer to peer, a run counted as lost although no child began. Either the records say so: its process
 * died before it was told, or when it had been chosen. Or its peer came back, or was heard again, and reported that it had started
 * nothing, when the rest had been stopped already.
 */
function mayHaveBegun(evidence: Evidence, key: string, noticeAt: number): boolean {
  const { final, operations } = evidence;
  const isRolling = (job: string) =>
    operations.some(
      ({ request }) =>
        request.kind === "put" &&
        request.rules.id === job &&
        (request.rules.onAll?.rolling?.stopAfter ?? 0) > 0,
    );
  return final.some(({ records }) => {
    const ofTick = [...records.values()].filter(
      ({ job, tick }) => noticeKey(job, tick, "failed") === key && isRolling(job),
    );
    const isStopped = ofTick.some(({ state }) => state === "skipped");
    return ofTick.some(
      ({ tick, peer, state }) =>
        (state === "lost" && wasAway(evidence, peer, tick, noticeAt, ["down"])) ||
        (state === "missed" &&
          isStopped &&
          (wasAway(evidence, peer, tick, noticeAt, ["down", "paused"]) ||
            wasCutOff(evidence, peer, tick, noticeAt))),
    );
  });
}

/** The peer was away in one of these ways at some time between its choice for the tick and `until`. */
function wasAway(
  { outages }: Evidence,
  peer: PeerId,
  tick: TickId,
  until: number,
  kinds: readonly Outage["kind"][],
): boolean {
  return outages.some(
    (outage) =>
      outage.peer === peer && kinds.includes(outage.kind) && touchesChoice(outage, instantOf(tick), until),
  );
}

/** Another peer didn't hear it then, and so may have taken it for dead. */
function wasCutOff({ cuts }: Evidence, peer: PeerId, tick: TickId, until: number): boolean {
  return cuts.some((cut) => cut.sender === peer && touchesChoice(cut, instantOf(tick), until));
}

function touchesChoice({ from, to }: { from: number; to: number }, instant: number, until: number): boolean {
  return from <= until && to >= instant - chosenAheadMs;
}

type Ended = Run & { end: number };

/** The only run of the tick's last attempt, if it failed under rules that ask for a notice; undefined = nothing is expected. */
function lastOf(evidence: Evidence, runs: readonly Run[]): Ended | undefined {
  const attempt = Math.max(...runs.map((run) => run.attempt));
  const [last, ...more] = runs.filter((run) => run.attempt === attempt);
  if (last?.end === undefined || last.outcome !== "failed" || more.length > 0) return undefined;
  const { start, end } = last;
  const until = end + notifiedWithinMs;
  const span = surelyInForce(evidence, last.job).find(
    (one) => one.from <= start - lingersMs && one.to >= until,
  );
  if (span === undefined || until > evidence.to || !asksFor(span.rules, attempt)) return undefined;
  return { ...last, end };
}

function asksFor({ notifies, skips, count = 1, onAll, retry }: JobRules, attempt: number): boolean {
  const hasOneRun = count === 1 && onAll === undefined;
  return notifies === true && skips !== true && hasOneRun && attempt > (retry?.attempts ?? 0);
}

function mustBeNotified(evidence: Evidence, { peer, start, end }: Ended): boolean {
  const [from, to] = [start - lingersMs, end + notifiedWithinMs];
  // While clocks disagree, a peer may doubt its own clock, and then it sends no notices.
  const disagree = evidence.faultWindows.some(
    (window) => window.kind === "clock step" && window.from <= to && window.to >= from,
  );
  return !disagree && !isTargeted(evidence, from, to) && wasWell(evidence, peer, from, to);
}

function isCalm(evidence: Evidence, { start, end }: Ended): boolean {
  const [from, to] = [start - lingersMs, end + notifiedWithinMs];
  const disturbances = [...evidence.outages, ...evidence.cuts, ...evidence.faultWindows];
  if (disturbances.some((span) => span.from <= to && span.to >= from)) return false;
  return !isTargeted(evidence, from, to);
}

/** A peer that is drained or forgotten meanwhile may send no notice, and the others drop what a forgotten peer writes. */
function isTargeted({ operations }: Evidence, from: number, to: number): boolean {
  return operations.some(
    ({ request, askedAt }) => "target" in request && askedAt >= from - lingersMs && askedAt <= to,
  );
}
