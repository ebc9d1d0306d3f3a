/**
 * What the checkers know of voters: who they were at a tick, by the rosters that were seen, and whether enough of them
 * were up, undisturbed and connected, so that a majority job had to run.
 */
import { instantOf, type JobId, type PeerId, type TickId } from "../../schema/ids.ts";
import type { EpochSeen, Evidence } from "../world/truth.ts";
import { components, knewEachOther, wasWell } from "./surroundings.ts";

export function majorityOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** The epoch to which an order due at that instant belongs. */
export function epochInForce(evidence: Evidence, instant: number): EpochSeen | undefined {
  const begun = (evidence.votes?.epochs ?? [])
    .filter(({ from }) => from <= instant)
    .toSorted((a, b) => a.number - b.number);
  const except = begun.find(({ except: spans = [] }) =>
    spans.some(({ from, to }) => from <= instant && instant <= to),
  );
  return begun.findLast(({ number }) => number < (except?.number ?? Infinity));
}

/** Voters that were restored to an older state, or copied, before that instant: they may have to stop voting. */
function silenced(evidence: Evidence, until: number): Set<PeerId> {
  return new Set(
    (evidence.rollbacks ?? []).filter(({ startedAt }) => startedAt <= until).map(({ peer }) => peer),
  );
}

/** True if so many voters of the last epoch had to stop voting that nothing can be decided any more. */
export function hasLostItsVoters(evidence: Evidence): boolean {
  const epoch = epochInForce(evidence, evidence.to);
  if (epoch === undefined) return false;
  const silent = silenced(evidence, evidence.to);
  const voters = epoch.voters.filter((voter) => !silent.has(voter));
  return voters.length < majorityOf(epoch.voters.length);
}

/** How long after a rollback it may still affect a decision, ms: the longest catch-up window. */
const windowMs = 3_600_000;
/** How long it takes until others know a voter's count, ms: it is in the voter's next heartbeat. */
const countKnownMs = 2_500;
/** How long after its start a voter has heard from all others that it can hear, ms. */
const confirmedMs = 5_000;

/**
 * True if a voter of the tick's epoch was restored to an older disk around the decision and may have trusted it (DESIGN §6: a
 * rollback that no living peer remembers). That is so if no peer that had heard its vote count could tell it at once, or if a
 * peer that had not heard it could confirm the old count. Also true if a voter may have voted beside its copy. A clock that was
 * set wrong makes a peer decide a tick at another time than the tick's own, so the times around its starts count too.
 */
export function isForgotten(evidence: Evidence, job: JobId, tick: TickId): boolean {
  const epoch = epochInForce(evidence, instantOf(tick));
  if (epoch === undefined) return false;
  const runs = evidence.runs.filter((run) => run.job === job && run.tick === tick);
  const instants = [instantOf(tick), ...runs.map(({ start }) => start)];
  return instants.some((instant) => mayForget(evidence, epoch, instant));
}

/** Like `isForgotten`, for a decision of that epoch around that instant. */
function mayForget(evidence: Evidence, epoch: EpochSeen, instant: number): boolean {
  if (votedTwice(evidence, epoch.voters, instant)) return true;
  const restored = (evidence.rollbacks ?? []).filter(
    ({ kind, peer, copiedAt, startedAt }) =>
      kind === "old disk" &&
      epoch.voters.includes(peer) &&
      copiedAt <= instant + windowMs &&
      startedAt >= instant - 10_000,
  );
  const silentOnes = new Set(restored.map(({ peer }) => peer));
  if (epoch.voters.length - silentOnes.size < majorityOf(epoch.voters.length)) return true;
  return restored.some(({ peer, startedAt }) => {
    const others = epoch.voters.filter((voter) => voter !== peer);
    const knows = (other: PeerId) =>
      wereInTouch(evidence, peer, other, startedAt - countKnownMs, startedAt - 1);
    const [from, to] = [startedAt + 1, startedAt + confirmedMs];
    const isConfirmed = others.some((other) => knows(other) && wereInTouch(evidence, peer, other, from, to));
    return (
      !isConfirmed || others.some((other) => !knows(other) && !wereApart(evidence, peer, other, from, to))
    );
  });
}

/** How long after a copy of a voter was started both know of each other and have stopped voting, ms. */
const foundOutMs = 15_000;

/**
 * True if the tick may have been decided while a copy of a voter ran beside the voter and neither knew of the other.
 * That lasts until they find out, and longer if anything disturbed them. They find out from a third peer that hears
 * both; without one they never do.
 */
function votedTwice(evidence: Evidence, voters: readonly PeerId[], instant: number): boolean {
  const disturbances = [
    ...evidence.outages,
    ...evidence.cuts,
    ...evidence.faultWindows.filter(({ kind }) => kind !== "duplicate identity"),
  ];
  return evidence.faultWindows.some(({ kind, peer, from, to }) => {
    if (kind !== "duplicate identity" || peer === undefined || !voters.includes(peer)) return false;
    const soon = from + foundOutMs;
    const disturbed = disturbances.some((disturbance) => disturbance.from <= soon && disturbance.to >= from);
    const isHeard = evidence.peers.some(
      (other) => other !== peer && knewEachOther(evidence, peer, other, from),
    );
    return instant >= from - windowMs && instant <= (disturbed || !isHeard ? to + foundOutMs : soon);
  });
}

type Disturbance = { from: number; to: number };

/** Everything that kept the two from talking to each other directly. A restored disk alone doesn't count. */
function disturbancesOf(evidence: Evidence, a: PeerId, b: PeerId): Disturbance[] {
  const ofEither = (peer: PeerId | undefined) => peer === undefined || peer === a || peer === b;
  const isRollback = (disturbance: Disturbance) =>
    (evidence.rollbacks ?? []).some(({ copiedAt }) => copiedAt === disturbance.from);
  return [
    ...evidence.cuts.filter(({ sender, receiver }) => ofEither(sender) && ofEither(receiver)),
    ...evidence.outages.filter((outage) => ofEither(outage.peer) && !isRollback(outage)),
    ...evidence.faultWindows.filter(({ peer }) => ofEither(peer)),
  ];
}

function wereInTouch(evidence: Evidence, a: PeerId, b: PeerId, from: number, to: number): boolean {
  return !disturbancesOf(evidence, a, b).some(
    (disturbance) => disturbance.from <= to && disturbance.to >= from,
  );
}

function wereApart(evidence: Evidence, a: PeerId, b: PeerId, from: number, to: number): boolean {
  return disturbancesOf(evidence, a, b).some(
    (disturbance) => disturbance.from <= from && disturbance.to >= to,
  );
}

/**
 * True if no fault began or ended from `from` to `to`, no peer was slow, and a peer that may run the job could talk to
 * a majority of the voters of `instant`, counting only those that didn't have to stop voting. It must have talked to
 * them directly, because peers don't forward votes.
 */
export function hadQuorum(
  evidence: Evidence,
  instant: number,
  eligible: readonly PeerId[],
  from: number,
  to: number,
): boolean {
  const epoch = epochInForce(evidence, instant);
  if (epoch === undefined || !stoodStill(evidence, from, to)) return false;
  const silent = silenced(evidence, to);
  return components(evidence, from, to).some((component) => {
    const voters = epoch.voters.filter((voter) => component.includes(voter) && !silent.has(voter));
    if (!component.every((peer) => wasWell(evidence, peer, from, to))) return false;
    const runners = eligible.filter((peer) => component.includes(peer));
    return runners.some((candidate) => {
      const heard = voters.filter(
        (voter) => voter === candidate || wereInTouch(evidence, candidate, voter, from, to),
      );
      return heard.length >= majorityOf(epoch.voters.length);
    });
  });
}

function stoodStill(evidence: Evidence, from: number, to: number): boolean {
  const touches = (span: { from: number; to: number }) => span.from <= to && span.to >= from;
  if (evidence.faultWindows.some(touches)) return false;
  return [...evidence.outages, ...evidence.cuts].every(
    (span) => !touches(span) || (span.from <= from && span.to >= to),
  );
}
