/**
 * I13, bounded: what a peer holds does not grow with its uptime.
 *
 * Short-lived things (questions, ballots, pending writes) stay below a small number at every measurement, and are
 * nearly zero at the last one, after minutes of quiet. Elections for which too few voters may vote are an exception:
 * they last as long as their orders. Orders in the book and entries of the heaps stay below the number of ticks that
 * all jobs can have within their windows. What is over is remembered one by one only for the last minutes, for what
 * clients asked for, and for ticks of which other runs are still in the book. That isn't judged if a clock was set: what a
 * clock that was ahead has started stays over until its tick is due, perhaps in a year. A peer that was forgotten may keep what
 * it remembers, but no more. The document grows only with clients' requests.
 */
import type { JobId, PeerId } from "../../schema/ids.ts";
import type { JobRules } from "../world/requests.ts";
import type { Breach, Evidence, SizesSeen } from "../world/truth.ts";
import { ticksOf } from "../client/schedules.ts";
import { hasLostItsVoters } from "./quorum.ts";
import { jobsOf, perhapsInForce } from "./requests.ts";

/** How many bytes one client request may add to the job table on disk. */
const bytesPerRequest = 8_192;
const smallNumber = 64;

type Limits = Readonly<Record<string, number>>;

export function checkBounded(evidence: Evidence): Breach[] {
  const sizes = evidence.sizes ?? [];
  const throughout = limitsOf(evidence);
  const last = Math.max(0, ...sizes.map(({ at }) => at));
  return sizes.flatMap((seen) => [
    ...exceeded(seen, throughout),
    ...(seen.at === last ? exceeded(seen, atRest(evidence, seen)) : []),
  ]);
}

function exceeded({ peer, at, sizes }: SizesSeen, limits: Limits): Breach[] {
  return Object.entries(limits)
    .filter(([name, limit]) => (sizes[name] ?? 0) > limit)
    .map(([name, limit]) => {
      const what = `${peer} holds ${sizes[name]} ${name}, but at most ${limit} are allowed`;
      return { rule: "I13" as const, at, what };
    });
}

/**
 * How many ticks may be in the order book at once: all within their job's window, and those that a client asked for.
 */
function ticksInBook(evidence: Evidence): number {
  const { to, operations } = evidence;
  const scheduled = jobsOf(evidence).map((job) => {
    const spans = perhapsInForce(evidence, job);
    return Math.max(
      0,
      ...spans.map(({ from, rules }) => {
        const { catchUp, pool } = rules;
        // The time for which a tick waits for a slot of its pool doesn't count.
        const windowMs = Math.max(60_000, catchUp.windowMs, pool === undefined ? 0 : to - from);
        return ticksWithin(evidence, rules, windowMs) + 2;
      }),
    );
  });
  return scheduled.reduce((sum, count) => sum + count, 0) + operations.length;
}

/** How many ticks the rules give within the window before the world's end; a job that runs after others may have all of theirs. */
function ticksWithin(evidence: Evidence, { schedule, after }: JobRules, windowMs: number): number {
  const { to } = evidence;
  if (after === undefined) return ticksOf(schedule, to - windowMs, to).length;
  const ofParents = after.jobs.map((parent) =>
    Math.max(
      0,
      ...perhapsInForce(evidence, parent).map(({ rules }) => ticksWithin(evidence, rules, windowMs)),
    ),
  );
  return ofParents.reduce((sum, count) => sum + count, 0);
}

function limitsOf(evidence: Evidence): Limits {
  const inBook = ticksInBook(evidence);
  const requests = evidence.operations.length;
  const peers = evidence.peers.length;
  return {
    orders: inBook,
    reconcileQueue: inBook,
    timetable: 2 * requests + smallNumber,
    claims: inBook,
    asks: 4 * peers * inBook,
    foreignInquiries: inBook,
    elections: inBook + 1,
    pending: 2 * inBook + smallNumber,
    members: peers,
    epochs: 1 + Math.max(0, ...(evidence.votes?.epochs ?? []).map(({ number }) => number)),
    documentBytes: bytesPerRequest * (requests + 1),
  };
}

/** The limits after minutes of quiet, when only orders that are due now remain. */
function atRest(evidence: Evidence, { peer, at, sizes }: SizesSeen): Limits {
  const jobs = jobsOf(evidence).length;
  const now = 3 * jobs + smallNumber;
  const elections = hasLostItsVoters(evidence) ? ticksInBook(evidence) + 1 : now;
  // Ticks that are over lie below a watermark; orders by hand are remembered one by one.
  const wasSet = evidence.faultWindows.some(({ kind }) => kind === "clock step");
  // Of a tick with several runs, what is over is remembered until its last run is, and so is which peers it has.
  const partlyOver = 2 * (sizes["orders"] ?? 0);
  const settled = wasSet ? Infinity : now + ticksByHand(evidence) + partlyOver;
  const kept = isOutside(evidence, peer) ? settledBefore(evidence, peer, at) : 0;
  return { asks: now, foreignInquiries: now, elections, pending: now, settled: Math.max(settled, kept) };
}

/** How many ticks clients have asked for at most, with those of the jobs that run after others. */
function ticksByHand(evidence: Evidence): number {
  const isChild = (job: JobId): boolean =>
    perhapsInForce(evidence, job).some(({ rules }) => rules.after !== undefined);
  const each = 1 + jobsOf(evidence).filter(isChild).length;
  return evidence.operations.reduce(
    (sum, { request }) => sum + (request.kind === "backfill" ? request.ticks.length * each : 1),
    0,
  );
}

/** The peer was forgotten and is still: it can't know what has become of its last ticks, so no watermark passes them. */
function isOutside({ operations }: Evidence, of: PeerId): boolean {
  const about = operations.filter(
    ({ request, accepted }) =>
      (request.kind === "forget" || request.kind === "unforget") && request.target === of && accepted,
  );
  return about.at(-1)?.request.kind === "forget";
}

/** What the peer held at the measurement before that instant. */
function settledBefore({ sizes = [] }: Evidence, of: PeerId, before: number): number {
  return sizes.findLast(({ peer, at }) => peer === of && at < before)?.sizes["settled"] ?? 0;
}
