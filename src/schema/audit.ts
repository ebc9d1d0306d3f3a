/**
 * The audit: who has changed what, and who was refused. Each peer keeps what was asked of it, for longer than what it is about:
 * also of deleted jobs and revoked tokens.
 */
import { Type, type Static } from "typebox";
import { roles } from "./access.ts";

/** How many entries a peer keeps; the oldest go first. More takes more disk. */
export const auditKept = 20_000;
/** Refusals are counted apart, so that nobody can push out what was done by asking for what it may not do. */
export const auditRefusalsKept = 5_000;
/** The longest text of what was there before, or after. Unit: characters of JSON. Together with the counts it bounds the disk. */
export const auditValueMax = 4_096;

/** What an entry is about. */
export const auditKinds = [
  "job",
  "run",
  "group",
  "calendar",
  "pool",
  "maintenance",
  "channel",
  "secret",
  "script",
  "token",
  "peer",
  "key",
  "call",
] as const;

export const AuditEntrySchema = Type.Object({
  /** wall ms */
  at: Type.Number(),
  actor: Type.String({ maxLength: 256, description: "NAME@PEER, as lists of jobs show it" }),
  token: Type.String({ maxLength: 256, description: "the id of the token with which it was asked" }),
  role: Type.Enum(roles),
  action: Type.String({ maxLength: 64, description: "such as put-job, run-job, forget-peer, set-secret" }),
  kind: Type.Enum(auditKinds),
  name: Type.String({ maxLength: 512, description: "of what was changed" }),
  job: Type.Optional(Type.String({ maxLength: 512 })),
  group: Type.Optional(Type.String({ maxLength: 64, description: "of the job or setting" })),
  outcome: Type.Enum(["done", "failed", "refused"], {
    description: "refused: the token may not do that; failed: the peer answered with another error",
  }),
  code: Type.Optional(Type.String({ maxLength: 64, description: "of a refusal or failure" })),
  before: Type.Optional(
    Type.Unknown({ description: "the fields that were others; too long ones are left out" }),
  ),
  after: Type.Optional(Type.Unknown()),
});
export type AuditEntry = Static<typeof AuditEntrySchema>;

export interface AuditQuery {
  actor?: string;
  job?: string;
  action?: string;
  /** only of these groups */
  groups?: readonly string[];
  /** instants, ms: from ≤ at < to */
  from?: number;
  to?: number;
  /** newest first; at most this many */
  limit: number;
  /** what the previous page gave as `next` */
  after?: string;
}

export interface AuditPage {
  entries: AuditEntry[];
  next: string | null;
}
