/** I4: a job that names a secret runs only on peers to which a value of it may have been sealed, as far as any peer may know. */
import type { JobId } from "../../schema/ids.ts";
import type { Breach, Evidence, Run } from "../world/truth.ts";
import { convergedAt, perhapsInForce } from "./requests.ts";

export function checkSecrets(evidence: Evidence): Breach[] {
  const needs = new Map<JobId, boolean>();
  const needsSecret = (job: JobId): boolean => {
    const known = needs.get(job);
    if (known !== undefined) return known;
    const spans = perhapsInForce(evidence, job);
    const is = spans.length > 0 && spans.every(({ rules }) => rules.secret === true);
    needs.set(job, is);
    return is;
  };
  return evidence.runs
    .filter((run) => needsSecret(run.job) && !mayHaveSecret(evidence, run))
    .map(({ job, tick, peer, start }) => ({
      rule: "I4",
      at: start,
      what: `${job}@${tick} on ${peer}: the secret that it names is not sealed to that peer`,
    }));
}

function mayHaveSecret(evidence: Evidence, { peer, start }: Run): boolean {
  const changes = evidence.operations.filter(
    ({ request, accepted, answeredAt, askedAt }) =>
      request.kind === "secret" && (accepted || answeredAt === undefined) && askedAt <= start,
  );
  const lastKnown = changes.findLastIndex((change) => convergedAt(evidence, change) <= start);
  return changes
    .slice(Math.max(0, lastKnown))
    .some(({ request }) => request.kind === "secret" && request.peers.includes(peer));
}
