/**
 * I13, bounded: what a peer holds does not grow with the time that it has been on.
 *
 * What belongs to a moment (questions, ballots, writes under way) stays below a small number at every measurement, and is
 * nearly zero at the last one, after minutes of quiet. The exception is elections for which too few voters may vote: they
 * last as long as their orders. Orders in the book and entries of the heaps stay below what all jobs can have due within
 * their windows. The document grows with what clients asked for and with nothing else.
 */
import type { Breach, Evidence, SizesSeen } from "../world/truth.ts";
import { ticksOf } from "../client/schedules.ts";
import { hasLostItsVoters } from "./quorum.ts";
import { jobsOf, perhapsInForce } from "./requests.ts";

/** Bytes of the job table on disk that one request of a client may cost. */
const bytesPerRequest = 8_192;
const smallNumber = 64;

type Limits = Readonly<Record<string, number>>;

export function checkBounded(evidence: Evidence): Breach[] {
  const sizes = evidence.sizes ?? [];
  const throughout = limitsOf(evidence);
  const last = Math.max(0, ...sizes.map(({ at }) => at));
  return sizes.flatMap((seen) => [
    ...beyond(seen, throughout),
    ...(seen.at === last ? beyond(seen, atRest(evidence)) : []),
  ]);
}

function beyond({ peer, at, sizes }: SizesSeen, limits: Limits): Breach[] {
  return Object.entries(limits)
    .filter(([name, limit]) => (sizes[name] ?? 0) > limit)
    .map(([name, limit]) => {
      const what = `${peer} holds ${sizes[name]} ${name}, and ${limit} should be the most`;
      return { rule: "I13" as const, at, what };
    });
}

/** Ticks that may be in the order book at once: all that lie within a job's window, and those that a client asked for. */
function ticksInBook(evidence: Evidence): number {
  const { to, operations } = evidence;
  const scheduled = jobsOf(evidence).map((job) => {
    const spans = perhapsInForce(evidence, job);
    return Math.max(
      0,
      ...spans.map(({ rules: { schedule, catchUp } }) => {
        const windowMs = Math.max(60_000, catchUp.windowMs);
        return ticksOf(schedule, to - windowMs, to).length + 2;
      }),
    );
  });
  return scheduled.reduce((sum, count) => sum + count, 0) + operations.length;
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

/** After minutes of quiet only what is due now is under way. */
function atRest(evidence: Evidence): Limits {
  const jobs = jobsOf(evidence).length;
  const now = 3 * jobs + smallNumber;
  const elections = hasLostItsVoters(evidence) ? ticksInBook(evidence) + 1 : now;
  return { asks: now, foreignInquiries: now, elections, pending: now };
}
