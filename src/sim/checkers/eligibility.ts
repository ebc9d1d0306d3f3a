/**
 * I18, eligibility: a peer that is not eligible, for a reason that it can know, starts nothing.
 *
 * - Drained: from the answer to its drain until it is taken back.
 * - Forgotten: from when every peer must know it, while it is connected to one that knows.
 * - Clock ahead: while most clocks of the connected peers show that its clock is ahead, it starts nothing early.
 * - Missed rotation: from when a peer with an old cluster key has been connected to a member for a while, until it gets
 *   a new key.
 * - Duplicate identity: of two processes with one identity that were connected to another peer for a while, the older
 *   one starts nothing.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Breach, Evidence, Run } from "../world/truth.ts";
import { knownToAll, together } from "./surroundings.ts";
import { aheadMs, clockErrorMs, dueOf, isScheduled } from "./ticks.ts";

/** An order that the launcher had already received may still start within this time, ms. */
const launchMs = 3_500;
/** Two peers that are connected for this long have told each other what they know, ms. */
const inTouchMs = 20_000;
/** Clocks that differ by less count as equal (DESIGN §11), ms. */
const sameClockMs = 1_600;
/** The lives of a copy of a peer are numbered from here on (world/hosts.ts). */
const livesOfCopies = 1_000_000;

export function checkEligibility(evidence: Evidence): Breach[] {
  return evidence.runs.flatMap((run) => {
    const why =
      drained(evidence, run) ??
      forgotten(evidence, run) ??
      early(evidence, run) ??
      missedRotation(evidence, run) ??
      duplicated(evidence, run);
    if (why === undefined) return [];
    const what = `${run.job}@${run.tick} started on ${run.peer}, which ${why}`;
    return [{ rule: "I18" as const, at: run.start, what }];
  });
}

function drained(evidence: Evidence, { peer, start }: Run): string | undefined {
  const { operations, faultWindows, rollbacks = [] } = evidence;
  const requests = operations.filter(
    ({ request, askedAt }) => request.kind === "drain" && request.target === peer && askedAt <= start,
  );
  const last = requests.at(-1);
  if (last?.request.kind !== "drain" || !last.request.on || !last.accepted) return undefined;
  const since = last.answeredAt ?? Infinity;
  const isPutBack = rollbacks.some((rollback) => rollback.peer === peer && rollback.startedAt >= since);
  // If two processes have this identity, only the one that answered was drained.
  const isBeside = faultWindows.some(
    ({ kind, peer: of, from, to }) =>
      kind === "duplicate identity" && of === peer && from <= since && last.askedAt < to,
  );
  return start > since + launchMs && !isPutBack && !isBeside ? "had been drained" : undefined;
}

function forgotten(evidence: Evidence, { peer, start }: Run): string | undefined {
  const forget = evidence.operations.find(
    ({ request, accepted }) => request.kind === "forget" && request.target === peer && accepted,
  );
  if (forget?.answeredAt === undefined) return undefined;
  const known = knownToAll(evidence, forget.answeredAt);
  if (start < known + inTouchMs) return undefined;
  const isInTouch = evidence.peers.some(
    (other) => other !== peer && together(evidence, peer, other, start - inTouchMs, start),
  );
  return isInTouch ? "had been forgotten" : undefined;
}

function early(evidence: Evidence, run: Run): string | undefined {
  if (!isScheduled(run)) return undefined;
  const wanderMs = 2 * clockErrorMs({ ...evidence, faultWindows: [] }, run.start, run.start);
  const beforeDueMs = dueOf(run) - run.start;
  if (beforeDueMs <= sameClockMs + wanderMs) return undefined;
  // The tick was due by the peer's own clock, so that clock was ahead. These clocks could have shown it.
  const clocks = inTouchWith(evidence, run).map((peer) => aheadMs(evidence, peer, run.start));
  const right = clocks.filter((ms) => Math.abs(ms) <= sameClockMs).length;
  // Of two equal groups of clocks, the faster one is doubted.
  if (right === 0 || right < clocks.length - right) return undefined;
  return `started it ${Math.round(beforeDueMs)} ms early, while ${right} of ${clocks.length} clocks were right`;
}

/** The peer itself and all peers with which it could talk for a while. */
function inTouchWith(evidence: Evidence, { peer, start }: Run): PeerId[] {
  const steady = {
    ...evidence,
    faultWindows: evidence.faultWindows.filter(({ kind }) => kind !== "clock step"),
  };
  return evidence.peers.filter(
    (other) => other === peer || together(steady, peer, other, start - inTouchMs, start),
  );
}

function missedRotation(evidence: Evidence, { peer, start }: Run): string | undefined {
  const leftAt = (of: PeerId) =>
    evidence.faultWindows.some(
      (window) =>
        window.kind === "missed rotation" && window.peer === of && window.from < start && start < window.to,
    );
  if (!leftAt(peer)) return undefined;
  const steady = {
    ...evidence,
    faultWindows: evidence.faultWindows.filter(({ kind }) => kind !== "missed rotation"),
  };
  const isWithinReach = evidence.peers.some(
    (other) => !leftAt(other) && together(steady, peer, other, start - inTouchMs, start),
  );
  return isWithinReach ? "had an old cluster key" : undefined;
}

function duplicated(evidence: Evidence, { peer, start, life, heardOthers }: Run): string | undefined {
  // A process that receives no heartbeats can't learn of the other one. With two processes, perhaps only the copy
  // receives them.
  if (life >= livesOfCopies || heardOthers === false) return undefined;
  const isBeside = evidence.faultWindows.some(
    ({ kind, peer: of, from, to }) =>
      kind === "duplicate identity" && of === peer && start > from + inTouchMs && start < to,
  );
  if (!isBeside) return undefined;
  const steady = {
    ...evidence,
    faultWindows: evidence.faultWindows.filter(({ kind }) => kind !== "duplicate identity"),
  };
  const isInTouch = evidence.peers.some(
    (other) => other !== peer && together(steady, peer, other, start - inTouchMs, start),
  );
  return isInTouch ? "ran beside a second process with its identity" : undefined;
}
