/**
 * What the API answers, as far as the command line shows it (openapi.json is the whole). Instants are RFC 3339.
 */
import type { MemberState } from "../../ports.ts";
import type { JobSpec, Problem } from "../../schema/job.ts";
import type { RunState, Trigger } from "../../schema/run.ts";

export interface JobAnswer extends JobSpec {
  revision: string | null;
  createdAt: string | null;
  updatedAt: string | null;
  updatedBy: string | null;
  paused: { note: string | null; by: string; until: string | null } | null;
  nextTick: string | null;
  nextPeer: { id: string; name: string } | null;
  lastRun: LastRun | null;
  state: string;
  problems: Problem[];
}

type LastRun = Pick<RunAnswer, "id" | "tick" | "state" | "peer" | "startedAt" | "finishedAt" | "exitCode">;

export interface RunAnswer {
  id: string;
  job: string;
  tick: string;
  attempt: number;
  trigger: Trigger;
  state: RunState;
  reason: string | null;
  peer: string;
  peerName: string | null;
  startedAt: string | null;
  finishedAt: string | null;
  exitCode: number | null;
  signal: string | null;
  waiting: string | null;
  duplicate: boolean;
}

export interface NextAnswer {
  tick: string;
  startsAt: string;
  peers: { id: string; name: string; rank: number }[];
}

/** One tick's story. */
export interface TickAnswer {
  tick: string;
  state: RunState | "pending";
  duplicate: boolean;
  why: string[];
}

export interface PeerAnswer {
  id: string;
  name: string;
  self: boolean;
  state: MemberState | "forgotten";
  role: string | null;
  voter: boolean;
  epoch: number | null;
  tags: Record<string, string>;
  load: number | null;
  capacity: number | null;
  draining: boolean;
  drained: boolean;
  warmingUp: boolean;
  clockOffsetMs: number | null;
  heardAt: string | null;
  version: string | null;
  tzdata: string | null;
  addresses: string[];
}

export interface RosterAnswer {
  epoch: number;
  voters: string[];
  from: string;
  forced: { epoch: number; by: string }[];
}

export interface PeersAnswer {
  items: PeerAnswer[];
  /** null: the mesh has no voters */
  roster: RosterAnswer | null;
}

export interface RotationAnswer {
  fingerprint: string;
  oldAcceptedUntil: string;
  peers: { id: string; name: string; has: boolean }[];
}
