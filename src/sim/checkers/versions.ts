/**
 * Two further rules of mixed worlds. I4: no peer runs a job that its version doesn't know. I7: what only a later
 * version knows of a job is on every peer at the end, even if peers of the earlier version have edited the job.
 */
import { isWhole } from "../client/later-jobs.ts";
import type { JobRules } from "../world/requests.ts";
import type { Breach, Evidence } from "../world/truth.ts";
import { jobsOf, surelyInForce } from "./requests.ts";

export function checkVersions(evidence: Evidence): Breach[] {
  return [...checkUnderstood(evidence), ...checkKept(evidence)];
}

function rulesOf(evidence: Evidence): Map<string, JobRules> {
  const puts = evidence.operations.flatMap(({ request }) => (request.kind === "put" ? [request.rules] : []));
  return new Map(puts.map((rules) => [rules.id, rules]));
}

function checkUnderstood(evidence: Evidence): Breach[] {
  const rules = rulesOf(evidence);
  return evidence.runs
    .filter(({ peer, life }) => evidence.earlierLives?.has(`${peer}#${life}`) === true)
    .filter(({ job }) => rules.get(job)?.knownTo !== undefined)
    .map(({ job, tick, peer, start }) => ({
      rule: "I4",
      at: start,
      what: `${job}@${tick} on ${peer}: its version doesn't know what the job needs`,
    }));
}

function checkKept(evidence: Evidence): Breach[] {
  const rules = rulesOf(evidence);
  const later = jobsOf(evidence).filter((job) => rules.get(job)?.isLater === true);
  return evidence.final.flatMap(({ peer, jobs, needs }) =>
    later
      .filter((job) => jobs.has(job) && surelyInForce(evidence, job).length > 0 && !isWhole(job, needs))
      .map((job) => ({
        rule: "I7" as const,
        at: evidence.to,
        what: `${job} on ${peer} has lost what the later version had written: ${needs?.get(job) ?? ""}`,
      })),
  );
}
