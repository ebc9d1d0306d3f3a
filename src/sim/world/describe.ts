/** Records, votes and requests in the words of a trace. */
import type { JobId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import type { StoredVote } from "../../schema/vote.ts";
import type { ClientRequest } from "./truth.ts";

export function describeRecord(record: RunRecord): string {
  const { job, tick, attempt, peer, state, version, rank, reason, by, epoch, waiting } = record;
  const said = [
    `v${version} rank ${rank}`,
    reason === undefined ? "" : `(${reason})`,
    waiting === undefined ? "" : `waits for ${waiting}`,
    by === undefined ? "" : `by ${by}`,
    epoch === undefined ? "" : `epoch ${epoch}`,
  ];
  return `${job}@${tick}~${attempt} of ${peer}: ${state} ${said.filter((word) => word !== "").join(" ")}`;
}

export function describeVote({ vote: { promised, accepted } }: StoredVote): string {
  const told = accepted === undefined ? "" : `, accepted ${accepted.value} at ${accepted.ballot.round}`;
  return `promised ${promised.round} of ${promised.peer}${told}`;
}

export function jobOfRequest(request: ClientRequest): JobId {
  return request.kind === "put" ? request.rules.id : request.id;
}
