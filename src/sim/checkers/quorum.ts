/**
 * What the checkers know of voters: who they were at a tick, by the rosters that were seen, and whether so many of them
 * were there, undisturbed and in touch, that a majority job had to run.
 */
import { instantOf, type PeerId, type TickId } from "../../schema/ids.ts";
import type { EpochSeen, Evidence } from "../truth.ts";
import { components } from "./surroundings.ts";

export function majorityOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** The epoch to which an order of that instant belongs. */
export function epochInForce(evidence: Evidence, instant: number): EpochSeen | undefined {
  const begun = (evidence.votes?.epochs ?? []).filter(({ from }) => from <= instant);
  return begun.toSorted((a, b) => a.number - b.number).at(-1);
}

/** Voters that were put back to an older state, or copied, up to that instant: they may have to stay silent. */
function silenced(evidence: Evidence, until: number): Set<PeerId> {
  return new Set(
    (evidence.rollbacks ?? []).filter(({ startedAt }) => startedAt <= until).map(({ peer }) => peer),
  );
}

/** How long after a rollback a decision may still come out of it, ms: the longest catch-up window. */
const windowMs = 3_600_000;

/**
 * True when so many voters of the tick's epoch went back to older disks around its decision that those who stayed are
 * no majority: then nobody may be left who remembers.
 */
export function tooManyForgot(evidence: Evidence, tick: TickId): boolean {
  const instant = instantOf(tick);
  const epoch = epochInForce(evidence, instant);
  if (epoch === undefined) return false;
  const forgot = new Set(
    (evidence.rollbacks ?? [])
      .filter(({ copiedAt, startedAt }) => copiedAt <= instant + windowMs && startedAt >= instant - 10_000)
      .map(({ peer }) => peer),
  );
  const stayed = epoch.voters.filter((voter) => !forgot.has(voter)).length;
  return stayed < majorityOf(epoch.voters.length);
}

/**
 * True when nothing began or ended from `from` to `to`, nobody was slow, and one component held a majority of the
 * voters of `instant`, none of them silenced, and one of the peers that may run the job.
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
    const runs = eligible.some((peer) => component.includes(peer));
    return runs && voters.length >= majorityOf(epoch.voters.length);
  });
}

function stoodStill(evidence: Evidence, from: number, to: number): boolean {
  const touches = (span: { from: number; to: number }) => span.from <= to && span.to >= from;
  if (evidence.spells.some(touches)) return false;
  return [...evidence.outages, ...evidence.cuts].every(
    (span) => !touches(span) || (span.from <= from && span.to >= to),
  );
}
