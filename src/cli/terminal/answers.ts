/**
 * The answers of the API, as far as the command line shows them (openapi.json has all of it). Instants are RFC 3339.
 */
import type { MaintenanceSpec } from "../../schema/maintenance.ts";
import type { MemberState } from "../../ports/control.ts";
import type { PeerId, TickId } from "../../schema/ids.ts";
import type { JobState } from "../../schema/job-vocabulary.ts";
import type { JobSpec, Problem } from "../../schema/job.ts";
import type { Trigger } from "../../schema/run.ts";
import type { RunState } from "../../schema/run-states.ts";

export interface JobAnswer extends JobSpec {
  revision: string | null;
  createdAt: string | null;
  updatedAt: string | null;
  updatedBy: string | null;
  paused: { note: string | null; by: string; until: string | null } | null;
  nextTick: string | null;
  nextPeer: { id: string; name: string } | null;
  lastTick: { tick: TickId; state: RunState; reason: string | null; run: string | null } | null;
  lastRun: LastRun | null;
  lastSuccess: string | null;
  state: JobState;
  /** what it has from its group; absent in the answer of an older peer */
  inherited?: Partial<JobSpec> | null;
  problems: (Problem & { code: string })[];
  /** in the answer to a write */
  warnings?: string[];
}

/** Of `jobs run`. */
export interface OrderedAnswer {
  job: string;
  tick: string;
  warnings?: string[];
}

type LastRun = Pick<RunAnswer, "id" | "tick" | "state" | "peer" | "startedAt" | "finishedAt" | "exitCode">;

export interface RunAnswer {
  id: string;
  job: string;
  tick: string;
  attempt: number;
  /** absent in the answer of an older peer: one */
  slots?: number;
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
  /** set if the record stands for many ticks that nobody ran */
  range: { from: string; to: string; count: number } | null;
  duplicate: boolean;
}

export interface RevisionAnswer {
  revision: string;
  at: string;
  by: string | null;
  change: "created" | "edited" | "paused" | "resumed" | "deleted" | null;
  fields: { pointer: string; before: unknown; after: unknown }[];
}

export interface NextAnswer {
  tick: string;
  startsAt: string;
  /** why it will not run */
  skipped?: "except" | "asked" | "maintenance";
  skippedBy?: string;
  note?: string;
  peers: { id: string; name: string; rank: number }[];
  /** the jobs that must have ended before */
  after?: string[];
}

interface PoolSlot {
  job: string;
  tick: string;
  peer: string;
  peerName: string | null;
}

export interface BackfillAnswer {
  job: string;
  dryRun: boolean;
  ticks: string[];
  leftOut: { tick: string; why: string; state: string | null; run: string | null }[];
}

export interface CalendarAnswer {
  name: string;
  dates?: string[];
  expanded?: { days: string[]; floating: string[]; spans: string[]; until?: string };
  jobs?: string[];
  note?: string;
}

export interface PoolAnswer {
  name: string;
  slots: number;
  note?: string;
  jobs: string[];
  holders: PoolSlot[];
  waiting: PoolSlot[];
}

export interface PlanItem {
  kind: string;
  name: string;
  action: "create" | "update" | "delete" | "unchanged";
  fields: string[];
  /** absent in the answer of an older peer */
  changes?: { field: string; before: unknown; after: unknown }[];
  conflict: string | null;
}

export interface ExportAnswer {
  items: Record<string, unknown>[];
  /** absent in the answer of an older peer */
  leftOut?: { kind: string; name: string; reason: string }[];
}

export interface PlanAnswer {
  source: string;
  applied: boolean;
  plan: string;
  counts: { create: number; update: number; delete: number; unchanged: number };
  items: PlanItem[];
  /** absent in the answer of an older peer */
  warnings?: { kind: string; name: string; job: string | null; message: string }[];
}

export interface BulkAnswer {
  items: {
    job: string;
    ok: boolean;
    status: number;
    code: string | null;
    detail: string | null;
    tick: string | null;
    /** absent in the answer of an older peer */
    warnings?: string[];
  }[];
}

export interface GroupAnswer {
  name: string;
  description?: string;
  jobs?: string[];
  /** its defaults */
  [field: string]: unknown;
}

export interface SecretAnswer {
  name: string;
  sealedAt: string | null;
  peers: { id: string; name: string; has: boolean; from: "sealed" | "own" | null; problem: string | null }[];
  forgotten: { id: string; name: string }[];
  jobs: string[];
}

export interface TokenAnswer {
  id: string;
  name: string;
  role: string;
  groups: string[] | null;
  expires: string | null;
  expired: boolean;
  createdAt: string;
  createdBy: string;
  /** in the answer to a write */
  warnings?: string[];
}

export interface AuditAnswer {
  items: {
    at: string;
    actor: string;
    action: string;
    kind: string;
    name: string;
    outcome: string;
    code?: string;
    peer: { id: string; name: string };
  }[];
  nextCursor: string | null;
  peers: { id: string; name: string; covered: boolean }[];
}

export interface MadeTokenAnswer extends TokenAnswer {
  token: string;
}

export interface MaintenanceAnswer extends MaintenanceSpec {
  name: string;
}

/** The account of one tick, and what keeps the next one from running. */
export interface WhyAnswer {
  /** null if no tick has gone wrong; the fields about it are then absent */
  tick: string | null;
  state?: RunState | "pending";
  duplicate?: boolean;
  waitsFor?: string | null;
  why?: string[];
  obstacles: string[];
}

/** How a peer came in. Peers of earlier versions don't say it. */
export interface AdmissionAnswer {
  joinedAt?: string | null;
  invitation?: string | null;
  confirmed?: boolean;
}

export interface PeerAnswer extends AdmissionAnswer {
  id: PeerId;
  name: string;
  self: boolean;
  state: MemberState | "forgotten";
  role: string | null;
  voter: boolean;
  votesFrom: string | null;
  /** absent in the answer of an older peer */
  votesLost?: boolean;
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
  /** absent in the answer of an older peer */
  hears?: string[];
  clockSynchronised?: boolean | null;
}

export interface RosterAnswer {
  epoch: number;
  voters: string[];
  from: string;
  forced: { epoch: number; by: string }[];
}

export interface PeersAnswer {
  items: PeerAnswer[];
  /** null if the mesh has no voters */
  roster: RosterAnswer | null;
}

export interface HeirAnswer extends AdmissionAnswer {
  id: PeerId;
  name: string;
  state: MemberState;
  /** why a person must confirm that it gets a new key; null = nobody must */
  doubt: string | null;
}

export interface HeirsAnswer {
  peers: HeirAnswer[];
}

export interface RotationAnswer {
  fingerprint: string;
  oldAcceptedUntil: string;
  peers: { id: string; name: string; has: boolean }[];
}
