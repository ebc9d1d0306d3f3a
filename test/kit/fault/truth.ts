/**
 * What happened in a lab of real peers, as the jobs themselves wrote it, in the form of the simulator's checkers. A job
 * writes one line when its process begins and one when it ends, appended (O_APPEND) and durable (fsync), with the
 * host's own clock, which no fault here moves.
 *
 * The peers are asked only for the jobs and records that they hold, which the checkers compare (I6 to I8).
 */
import { readFileSync } from "node:fs";
import type { JobId, PeerId, TickId } from "../../../src/schema/ids.ts";
import type { JobRules } from "../../../src/sim/world/requests.ts";
import type { Knowledge, Outage, RecordSeen, Run } from "../../../src/sim/world/truth.ts";
import { items, type Reply, type RunningPeer } from "../cluster.ts";

/** A job of the lab. */
export interface LabJob {
  rules: JobRules;
  /** `majority`: at most one start of a tick, whatever the faults */
  partition: "available" | "majority";
  /** how long each run lasts */
  lastsMs: number;
}

/** The command of a job that writes its truth to the file. */
export function truthfulCommand(file: string, lastsMs: number): string {
  return [
    `say() {`,
    `  printf '%s\\n' "$1 $CICADA_JOB $CICADA_TICK $CICADA_ATTEMPT $CICADA_PEER $(date +%s%3N)" >> '${file}'`,
    `  sync '${file}'`,
    `}`,
    `say start`,
    ...(lastsMs > 0 ? [`sleep ${lastsMs / 1_000}`] : []),
    `say end`,
  ].join("\n");
}

/** By peer id: when each of the peer's processes was started. */
export type Lives = ReadonlyMap<PeerId, readonly number[]>;

interface Line {
  what: "start" | "end";
  job: JobId;
  tick: TickId;
  attempt: number;
  peer: PeerId;
  at: number;
}

/** Reads everything written so far. A malformed line means that the truth itself is broken, and throws. */
export function readTruth(file: string, lives: Lives, outages: readonly Outage[]): Run[] {
  const lines = readFileSync(file, "utf8").split("\n").filter(Boolean).map(readLine);
  const ends = Map.groupBy(
    lines.filter(({ what }) => what === "end"),
    runOf,
  );
  return lines
    .filter(({ what }) => what === "start")
    .map(({ job, tick, attempt, peer, at }) => {
      // A second start of the same run on the same peer has the second end.
      const end = ends.get(runOf({ job, tick, attempt, peer }))?.shift()?.at;
      const life = (lives.get(peer) ?? []).filter((begun) => begun <= at).length;
      return { job, tick, attempt, peer, life, start: at, end: end ?? diedAt(outages, peer, at) };
    });
}

function readLine(line: string): Line {
  const match = /^(start|end) (\S+) (\S+) (\d+) (\S+) (\d+)$/.exec(line);
  const [, what, job = "", tick = "", attempt, peer = "", at] = match ?? [];
  if (what !== "start" && what !== "end") throw new Error(`this is not a line of a job: ${line}`);
  return {
    what,
    // The job wrote it; the checkers compare it with the requests.
    job: job as JobId,
    tick: tick as TickId,
    attempt: Number(attempt),
    peer: peer as PeerId,
    at: Number(at),
  };
}

function runOf({ job, tick, attempt, peer }: Pick<Line, "job" | "tick" | "attempt" | "peer">): string {
  return `${job} ${tick} ${attempt} ${peer}`;
}

/** A run that never wrote its end was ended together with its peer by the launcher, within this time, ms. */
const groupEndsMs = 1_000;

function diedAt(outages: readonly Outage[], peer: PeerId, start: number): number | undefined {
  const death = outages.find((one) => one.peer === peer && one.kind === "down" && one.to > start);
  return death === undefined ? undefined : Math.max(start, death.from + groupEndsMs);
}

/** The fields of a record in the API on which peers must agree. */
interface RunItem {
  id: string;
  job: JobId;
  tick: TickId;
  attempt: number;
  peer: PeerId;
  state: string;
  reason: string | null;
  signature: string;
}

/** What the peer knows, as its API shows it. */
export async function knowledgeOf(peer: RunningPeer): Promise<Knowledge> {
  const jobs = await items<{ id: JobId; revision: string }>(peer, "/v1/jobs?limit=1000");
  const records = await allRecords(peer);
  const health = await peer.call("GET", "/readyz?verbose");
  return {
    // The peer's own file says so.
    peer: peer.ready.peerId as PeerId,
    jobs: new Map(jobs.map(({ id, revision }) => [id, revision])),
    records: new Map(records.map((record) => [record.id, seen(record)])),
    complaint: complaintIn(health),
  };
}

/**
 * Why the peer says that it is not ready; undefined = it is ready. A voter whose disk is older than its votes must stop
 * voting for good and say so, so that is not a complaint.
 */
function complaintIn({ status, body, text }: Reply): string | undefined {
  if (status === 200) return undefined;
  const reasons = typeof body === "object" && body !== null && "reasons" in body ? body.reasons : undefined;
  const isOnlyOld =
    Array.isArray(reasons) && reasons.every((reason) => String(reason).endsWith("it no longer votes"));
  return isOnlyOld ? undefined : `not ready: ${text}`;
}

function seen({ job, tick, attempt, peer, state, signature }: RunItem): RecordSeen {
  return { job, tick, attempt, peer, state, writing: signature };
}

const pageLimit = 1_000;

async function allRecords(peer: RunningPeer): Promise<RunItem[]> {
  const found: RunItem[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const target = `/v1/runs?limit=${pageLimit}${cursor === "" ? "" : `&cursor=${cursor}`}`;
    // The API's own schema has checked what is in the page.
    const page = (await peer.ask("GET", target)) as { items: RunItem[]; nextCursor: string | null };
    found.push(...page.items);
    cursor = page.nextCursor;
  }
  return found;
}
