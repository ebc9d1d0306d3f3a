/**
 * I2, at most once, and I12, one choice. Judges what the voters of majority jobs did, as seen from outside.
 *
 * I2: no tick of a majority job starts twice, on any peer, whatever faults there were; of a job with `retry`, no attempt
 * of it; of a job with several runs a tick, no slot of it. (What was given back never started.)
 *
 * I12: a value is chosen when a majority of the epoch's voters has accepted one ballot for it. All chosen ballots of
 * one decision have the same value, and their epoch is the one in force at the order's tick. Each ballot is used by one
 * process of one peer and has one value. No two different epochs have the same number. No two peers hold records of one
 * order that both say the voters had chosen them.
 *
 * A tick is not judged if around its decision a voter was restored to an old disk while no peer that it could ask
 * remembered its votes (DESIGN §6: a rollback that no living peer remembers), or if a copy of a voter ran beside it
 * and the two had not found out, which takes a third peer that hears both.
 */
import { instantOf, type JobId, type TickId } from "../../schema/ids.ts";
import type { JobRules } from "../world/requests.ts";
import {
  orderName,
  type AcceptanceSeen,
  type Breach,
  type EpochSeen,
  type Evidence,
  type Run,
} from "../world/truth.ts";
import { epochInForce, majorityOf, isForgotten } from "./quorum.ts";
import { groupRuns, repeatedWithinMs } from "./ticks.ts";
import { jobsOf, perhapsInForce } from "./requests.ts";

export function isMajority({ partition }: JobRules): boolean {
  return partition === "majority";
}

/** The jobs that were majority jobs in some revision. */
function majorityJobs(evidence: Evidence): Set<string> {
  return new Set(
    jobsOf(evidence).filter((job) => perhapsInForce(evidence, job).some(({ rules }) => isMajority(rules))),
  );
}

function isNumbered({ slot }: Run): boolean {
  return slot !== undefined && slot !== "0";
}

export function checkAtMostOnce(evidence: Evidence): Breach[] {
  const jobs = majorityJobs(evidence);
  const breaches: Breach[] = [];
  const repeats = new Set(jobsOf(evidence).filter((job) => repeatedWithinMs(evidence, job) > 0));
  const nameOf = (run: Run): string =>
    `${run.job}@${run.tick}${isNumbered(run) ? `#${run.slot}` : ""}${repeats.has(run.job) ? ` attempt ${run.attempt}` : ""}`;
  for (const [tick, runs] of groupRuns(evidence, nameOf)) {
    const [first] = runs;
    if (runs.length < 2 || first === undefined || !jobs.has(first.job)) continue;
    if (isForgotten(evidence, first.job, first.tick)) continue;
    const listed = runs.map(({ peer, attempt }) => `${peer} (attempt ${attempt})`).join(", ");
    breaches.push({ rule: "I2", at: first.start, what: `${tick} of a majority job started on ${listed}` });
  }
  return breaches;
}

export function checkOneChoice(evidence: Evidence): Breach[] {
  return [
    ...checkBallots(evidence),
    ...checkChoices(evidence),
    ...checkEpochs(evidence),
    ...checkClaims(evidence),
  ];
}

const rosterPrefix = "roster/";

/** The tick of an order's decision; undefined for a decision about the roster. */
function tickOf(decision: string): TickId | undefined {
  if (decision.startsWith(rosterPrefix)) return undefined;
  return decision.slice(decision.indexOf("@") + 1, decision.lastIndexOf("~")) as TickId;
}

function jobOfDecision(decision: string): JobId {
  return decision.slice(0, decision.indexOf("@")) as JobId;
}

function instantOfDecision(evidence: Evidence, decision: string): number {
  const tick = tickOf(decision);
  return tick === undefined ? evidence.from : instantOf(tick);
}

function checkBallots(evidence: Evidence): Breach[] {
  const breaches: Breach[] = [];
  const ballots = evidence.votes?.ballots ?? [];
  for (const [name, uses] of Map.groupBy(ballots, ({ decision, ballot }) => `${decision} ballot ${ballot}`)) {
    const senders = new Set(uses.map(({ sender }) => sender));
    const values = new Set(uses.flatMap(({ value }) => value ?? []));
    const at = instantOfDecision(evidence, uses[0]?.decision ?? "");
    if (senders.size > 1) {
      breaches.push({ rule: "I12", at, what: `${name} was used by both ${[...senders].join(" and ")}` });
    }
    if (values.size > 1) {
      breaches.push({ rule: "I12", at, what: `${name} has the values ${[...values].join(" and ")}` });
    }
  }
  return breaches;
}

function checkChoices(evidence: Evidence): Breach[] {
  const breaches: Breach[] = [];
  const acceptances = evidence.votes?.acceptances ?? [];
  for (const [decision, all] of Map.groupBy(acceptances, (acceptance) => acceptance.decision)) {
    const tick = tickOf(decision);
    if (tick !== undefined && isForgotten(evidence, jobOfDecision(decision), tick)) continue;
    const inForce = tick === undefined ? undefined : epochInForce(evidence, instantOf(tick));
    const chosen = new Map<string, string>();
    for (const [ballot, votes] of Map.groupBy(all, (acceptance) => acceptance.ballot)) {
      const voters = votersOf(evidence, decision, ballot);
      for (const [value, some] of Map.groupBy(votes, (vote) => vote.value)) {
        if (voters === undefined || !isChosen(voters, some)) continue;
        chosen.set(value, ballot);
        if (inForce === undefined || inForce.number === voters.number) continue;
        const what = `${decision} was decided by epoch ${voters.number}, and epoch ${inForce.number} was in force`;
        breaches.push({ rule: "I12", at: instantOfDecision(evidence, decision), what });
      }
    }
    if (chosen.size < 2) continue;
    const listed = [...chosen].map(([value, ballot]) => `${value} by ballot ${ballot}`).join(", and ");
    const at = instantOfDecision(evidence, decision);
    breaches.push({ rule: "I12", at, what: `${decision} was decided twice: ${listed}` });
  }
  return breaches;
}

/**
 * The voters that the proposer asked, by the epoch that its ballots name. A lone voter asks only itself, so its epoch
 * is found by time.
 */
function votersOf(evidence: Evidence, decision: string, ballot: string): EpochSeen | undefined {
  const asked = evidence.votes?.ballots.find((one) => one.decision === decision && one.ballot === ballot);
  if (asked !== undefined) return evidence.votes?.epochs.find(({ number }) => number === asked.epoch);
  const tick = tickOf(decision);
  if (tick !== undefined) return epochInForce(evidence, instantOf(tick));
  const before = Number(decision.slice(rosterPrefix.length)) - 1;
  return evidence.votes?.epochs.find(({ number }) => number === before);
}

function isChosen({ voters }: EpochSeen, votes: readonly AcceptanceSeen[]): boolean {
  const accepted = new Set(votes.map(({ voter }) => voter).filter((voter) => voters.includes(voter)));
  return accepted.size >= majorityOf(voters.length);
}

function checkEpochs(evidence: Evidence): Breach[] {
  const breaches: Breach[] = [];
  for (const [number, epochs] of Map.groupBy(evidence.votes?.epochs ?? [], (epoch) => epoch.number)) {
    if (epochs.length < 2) continue;
    const listed = epochs.map(({ text }) => text).join(" and ");
    breaches.push({ rule: "I12", at: evidence.from, what: `there are two epochs ${number}: ${listed}` });
  }
  return breaches;
}

/** Finds two peers whose records both say that the voters had chosen them. */
function checkClaims(evidence: Evidence): Breach[] {
  const breaches: Breach[] = [];
  const records = evidence.final.flatMap((knowledge) => [...knowledge.records.values()]);
  const chosen = records.filter(({ epoch }) => epoch !== undefined);
  const orders = Map.groupBy(chosen, (record) => `${orderName(record)}, round ${record.giveBacks ?? 0}`);
  for (const [order, some] of orders) {
    const peers = new Set(some.map(({ peer }) => peer));
    const [first] = some;
    if (peers.size < 2 || first === undefined || isForgotten(evidence, first.job, first.tick)) continue;
    const what = `${[...peers].join(" and ")} both say that they were chosen for ${order}`;
    breaches.push({ rule: "I12", at: instantOf(first.tick), what });
  }
  return breaches;
}
