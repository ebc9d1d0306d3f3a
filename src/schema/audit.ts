/**
 * The audit: who has changed what, and who was refused. Each peer keeps what was asked of it, and keeps it for longer than what
 * it is about: deleted jobs and revoked tokens still have their entries.
 */
import { Type, type Static } from "typebox";
import { roles, tokenGroupsMax } from "./access.ts";
import type { PeerId } from "./ids.ts";
import { InstantSchema } from "./id-shapes.ts";

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

/** What can be done to the table, or to a peer. */
export const auditActions = [
  "put-job",
  "patch-job",
  "delete-job",
  "run-job",
  "pause-job",
  "resume-job",
  "skip-ticks",
  "unskip-ticks",
  "backfill-job",
  "cancel-run",
  "put-setting",
  "remove-setting",
  "put-channel",
  "remove-channel",
  "test-channel",
  "set-secret",
  "remove-secret",
  "put-script",
  "create-token",
  "change-token",
  "revoke-token",
  "confirm-peer",
  "promote-peer",
  "drain-peer",
  "undrain-peer",
  "forget-peer",
  "unforget-peer",
  "rotate-key",
] as const;

/** The second form is that of a call which was refused before its body was read. */
export type AuditAction = (typeof auditActions)[number] | `${string} ${string}`;

export function isAuditAction(text: string): text is AuditAction {
  return (auditActions as readonly string[]).includes(text) || /^[A-Z]+ \//.test(text);
}

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
    Type.Unknown({
      description: "the fields that changed, as they were; those that are too long are left out",
    }),
  ),
  after: Type.Optional(Type.Unknown()),
});
export type AuditEntry = Static<typeof AuditEntrySchema>;

/**
 * The longest cursor of the merged list, which has about 28 characters for each peer: 400 peers. Unit: characters. More would not
 * fit into the head of a request.
 */
export const auditCursorMax = 12_000;

/** How many rows one peer asks another for at a time; fewer come if they are long. */
export const auditRowsAsked = 200;

export const AuditQuerySchema = Type.Object({
  actor: Type.Optional(Type.String({ maxLength: 256 })),
  job: Type.Optional(Type.String({ maxLength: 512 })),
  action: Type.Optional(Type.String({ maxLength: 64 })),
  /** only of these groups */
  groups: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: tokenGroupsMax })),
  /** instants, ms: from ≤ at < to */
  from: Type.Optional(InstantSchema),
  to: Type.Optional(InstantSchema),
  /** newest first; at most this many */
  limit: Type.Integer({ minimum: 1, maximum: 1_000 }),
  /** only entries before this place */
  after: Type.Optional(Type.Integer()),
});
export type AuditQuery = Omit<Static<typeof AuditQuerySchema>, "groups"> & { groups?: readonly string[] };

/** An entry, and its place in its peer's order: later ones have higher places. */
export const AuditRowSchema = Type.Object({ place: Type.Integer(), entry: AuditEntrySchema });

/** A page of one peer's audit. */
export interface AuditPage {
  rows: Static<typeof AuditRowSchema>[];
  /** there are older ones that fit */
  more: boolean;
}

/** A page of all peers' audits, merged. */
export interface AuditFound {
  /** `peer`: of which it was asked */
  entries: (AuditEntry & { peer: PeerId })[];
  next: string | null;
  /** whose audits were read */
  covered: PeerId[];
}
