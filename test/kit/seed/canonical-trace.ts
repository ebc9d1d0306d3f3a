/**
 * The canonical trace of a simulated world: what an observer outside of cicada could have seen, by virtual time. It
 * contains no names of the code, so that a change that only moves or renames code keeps its hash.
 */
import { createHash } from "node:crypto";
import type { Evidence, Knowledge } from "../../../src/sim/world/truth.ts";

export function canonicalHash(evidence: Evidence): string {
  const runs = evidence.runs.map(({ job, tick, attempt, peer, life, start, end }) =>
    [job, tick, attempt, peer, life, start, end ?? null].join(" "),
  );
  const operations = evidence.operations.map(({ peer, askedAt, answeredAt, accepted, tick }) =>
    [peer, askedAt, answeredAt ?? null, accepted, tick ?? null].join(" "),
  );
  const known = [...evidence.convergedViews, evidence.final].map((peers) => peers.map(knowledgeOf));
  const text = JSON.stringify([runs.toSorted(), operations, known]);
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

function knowledgeOf({ peer, jobs, records }: Knowledge): unknown {
  const seen = [...records.values()].map(({ job, tick, attempt, peer: runner, state, writtenAt, epoch }) =>
    [job, tick, attempt, runner, state, writtenAt ?? null, epoch ?? null].join(" "),
  );
  return [peer, [...jobs].map(([id, revision]) => `${id} ${revision}`).toSorted(), seen.toSorted()];
}
