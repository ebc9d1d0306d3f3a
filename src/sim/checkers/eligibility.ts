/**
 * I18, eligibility: a peer that is not eligible, for a reason that it can know, starts nothing.
 *
 * - Drained: from the answer to its drain until it is taken back.
 * - Forgotten: from when every peer must know it, while it is connected to one that knows.
 * - Clock ahead: while most clocks of the connected peers show that its clock is ahead, it starts nothing early. A wrong
 *   clock that was connected for a moment counts too. If they are two equal groups, DESIGN §11 doubts the one that was set
 *   since they last agreed or met, even if it is the right one. A copy of a peer doesn't know that its clock was set before.
 * - Missed rotation: from when a peer with an old cluster key, and every other such peer that accepts it, could reach a
 *   member directly for a while, until it gets a new key. (No peer passes a proof on.)
 * - Duplicate identity: of two processes with one identity that were connected to another peer for a while, the older
 *   one starts nothing. A restart makes a peer the newer one. Of three processes any of the two that are left may take the
 *   place of one that has ended (DESIGN §3), but not both.
 */
import type { PeerId } from "../../schema/ids.ts";
import { livesOfCopies, type Breach, type Evidence, type Run } from "../world/truth.ts";
import { hadWire, knownToAll, together, wasWell, withoutRestores } from "./surroundings.ts";
import { aheadMs, clockErrorMs, dueOf, isScheduled, sameClockMs, wasSetAlone } from "./ticks.ts";

/** An order that the launcher had already received may still start within this time, ms. */
const launchMs = 3_500;
/** Two peers that are connected for this long have told each other what they know, ms. */
const inTouchMs = 20_000;

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
  const isBack = evidence.operations.some(
    ({ request, askedAt }) => request.kind === "unforget" && request.target === peer && askedAt <= start,
  );
  if (isBack) return undefined;
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
  const beforeDueMs = dueOf(evidence, run) - run.start;
  if (beforeDueMs <= sameClockMs + wanderMs) return undefined;
  // The tick was due by the peer's own clock, so that clock was ahead. These clocks could have shown it.
  const peers = inTouchWith(evidence, run);
  const known = evidenceOfProcess(evidence, run);
  const right = peers.filter((peer) => Math.abs(aheadMs(evidence, peer, run.start)) <= sameClockMs);
  // Of two equal groups of clocks, the one that was set since they last agreed is doubted, otherwise the faster one.
  if (right.length === 0 || 2 * right.length < peers.length) return undefined;
  const isTie = 2 * right.length === peers.length;
  if (isTie && right.some((peer) => agreedWhileWrong(evidence, run, peer))) return undefined;
  const wrong = peers.filter((peer) => !right.includes(peer));
  if (isTie && wasSetAlone(known, right, wrong, run.start)) return undefined;
  return `started it ${Math.round(beforeDueMs)} ms early, while ${right.length} of ${peers.length} clocks were right`;
}

/**
 * True if that peer's clock was wrong like the runner's, so that the two agreed, and was set right then. If they have
 * agreed again since, the runner's clock is the one that was set.
 */
function agreedWhileWrong(evidence: Evidence, { peer, start }: Run, other: PeerId): boolean {
  const steps = evidence.faultWindows.filter(
    ({ kind, peer: of }) => kind === "clock step" && (of === peer || of === other),
  );
  const changes = steps.flatMap(({ from, to }) => [from, to]).filter((at) => at <= start);
  const agreedUntil = (at: number) =>
    Math.abs(aheadMs(evidence, peer, at - 1) - aheadMs(evidence, other, at - 1)) <= sameClockMs;
  return steps.some(({ peer: of, to }) => {
    if (of !== other || to > start || !agreedUntil(to)) return false;
    const wasWrong = Math.abs(aheadMs(evidence, other, to - 1)) > sameClockMs;
    return wasWrong && !changes.some((at) => at > to && agreedUntil(at));
  });
}

/**
 * The peer itself and all peers with which it could talk for a while. A peer beside its copy counts: the two have one
 * clock. Nobody listens to the right clock of a forgotten peer.
 */
function inTouchWith(evidence: Evidence, { peer, start }: Run): PeerId[] {
  const steady = {
    ...withoutRestores(evidence),
    faultWindows: evidence.faultWindows.filter(
      ({ kind }) => kind !== "clock step" && kind !== "duplicate identity",
    ),
  };
  // A peer with a full disk, or on a starved host, still says what its clock shows.
  const unharmed = { ...steady, faultWindows: [] };
  const { cuts, outages } = steady;
  const since = start - inTouchMs;
  // A peer that was back for a part of the time may or may not have been heard.
  const changes = [...cuts, ...outages].flatMap(({ from, to }) => [from - 1, to + 1]);
  const moments = [since, start, ...changes.filter((at) => since < at && at < start)];
  const isWrong = (other: PeerId) => Math.abs(aheadMs(evidence, other, start)) > sameClockMs;
  return evidence.peers.filter(
    (other) =>
      other === peer ||
      (together(steady, peer, other, since, start) && (isWrong(other) || !isForgotten(evidence, other))) ||
      (isWrong(other) && moments.some((at) => together(unharmed, peer, other, at, at))),
  );
}

/** The same story, in which a peer whose copy has started the run was restarted with that copy. */
function evidenceOfProcess(evidence: Evidence, { peer, life, start }: Run): Evidence {
  if (life < livesOfCopies) return evidence;
  const copies = evidence.faultWindows.filter(
    (window) => window.kind === "duplicate identity" && window.peer === peer && window.from <= start,
  );
  const from = Math.max(evidence.from, ...copies.map((window) => window.from));
  return { ...evidence, outages: [...evidence.outages, { peer, kind: "down", from, to: from }] };
}

function missedRotation(evidence: Evidence, { peer, start }: Run): string | undefined {
  const since = start - inTouchMs;
  const behind = evidence.faultWindows.filter(({ kind, from, to }) => {
    return kind === "missed rotation" && from < start && start < to;
  });
  const own = behind.find((window) => window.peer === peer);
  if (own === undefined || own.from > since) return undefined;
  const steady = {
    ...evidence,
    faultWindows: evidence.faultWindows.filter(({ kind }) => kind !== "missed rotation"),
  };
  const members = evidence.peers.filter(
    (other) => behind.every((window) => window.peer !== other) && !isForgotten(evidence, other),
  );
  const isWithinReach = (of: PeerId) =>
    members.some(
      (other) =>
        [of, other].every((one) => wasWell(steady, one, since, start)) &&
        hadWire(evidence, of, other, since, start),
    );
  const allKnow = behind.every(
    ({ peer: of = peer }) => isWithinReach(of) || wereApart(evidence, peer, of, start),
  );
  return isWithinReach(peer) && allKnow ? "had an old cluster key" : undefined;
}

/** True if the peer was forgotten, or may have been: no peer accepts its proofs any more, or listens to it. */
function isForgotten({ operations }: Evidence, peer: PeerId): boolean {
  return operations.some(
    ({ request, accepted, answeredAt }) =>
      request.kind === "forget" && request.target === peer && (accepted || answeredAt === undefined),
  );
}

/** True if one of the two was down or paused, or the wires between them were cut, for a while before that instant. */
function wereApart({ outages, cuts }: Evidence, a: PeerId, b: PeerId, at: number): boolean {
  const covers = ({ from, to }: { from: number; to: number }) => from <= at - inTouchMs && to >= at;
  return (
    outages.some((outage) => (outage.peer === a || outage.peer === b) && covers(outage)) ||
    cuts.some((cut) => [cut.sender, cut.receiver].every((peer) => peer === a || peer === b) && covers(cut))
  );
}

/** True if both a peer and a copy of it have started something in the span. */
function haveBothStarted({ runs }: Evidence, peer: PeerId, from: number, to: number): boolean {
  const lives = runs.filter((run) => run.peer === peer && run.start > from && run.start <= to);
  return lives.some(({ life }) => life >= livesOfCopies) && lives.some(({ life }) => life < livesOfCopies);
}

function duplicated(evidence: Evidence, { peer, start, life, heardOthers }: Run): string | undefined {
  // A process that receives no heartbeats can't learn of the other one. With two processes, perhaps only the copy
  // receives them.
  if (life >= livesOfCopies || heardOthers === false) return undefined;
  // A peer that was restarted after its copy had been started is the newer one.
  const startedAt = Math.max(
    evidence.from,
    ...evidence.outages.flatMap(({ peer: of, kind, to }) =>
      of === peer && kind === "down" && to <= start ? [to] : [],
    ),
  );
  const copies = evidence.faultWindows.filter(
    ({ kind, peer: of, from }) => kind === "duplicate identity" && of === peer && startedAt <= from,
  );
  const beside = copies.filter(({ from, to }) => start > from + inTouchMs && start < to);
  if (beside.length === 0) return undefined;
  const outlivedAt = Math.max(...copies.filter(({ to }) => to < start).map(({ to }) => to));
  const mayOutlive = beside.every(({ from }) => from < outlivedAt);
  if (mayOutlive && !haveBothStarted(evidence, peer, outlivedAt + inTouchMs, start)) return undefined;
  const steady = {
    ...evidence,
    faultWindows: evidence.faultWindows.filter(({ kind }) => kind !== "duplicate identity"),
  };
  const isInTouch = evidence.peers.some(
    (other) => other !== peer && together(steady, peer, other, start - inTouchMs, start),
  );
  return isInTouch ? "ran beside a second process with its identity" : undefined;
}
