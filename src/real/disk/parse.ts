/**
 * Parses text from the database, in the peer's thread, and checks each value against its schema. A value that fails the
 * check is reported as damage.
 */
import { CicadaError } from "../../errors.ts";
import { checkOf } from "../../schema/check.ts";
import {
  RequestedOrderSchema,
  RunRecordSchema,
  WatermarkSchema,
  type RequestedOrder,
  type RunRecord,
  type Watermark,
} from "../../schema/run.ts";
import { OtherRecordSchema, type OtherRecord } from "../../schema/other-record.ts";
import { AuditEntrySchema, type AuditEntry } from "../../schema/audit.ts";
import { JobRevisionSchema, type JobRevision } from "../../schema/revision.ts";
import { StoredVoteSchema, type StoredVote } from "../../schema/vote.ts";

const recordCheck = checkOf(RunRecordSchema);
const orderCheck = checkOf(RequestedOrderSchema);
const otherCheck = checkOf(OtherRecordSchema);
const watermarkCheck = checkOf(WatermarkSchema);
const revisionCheck = checkOf(JobRevisionSchema);
const auditCheck = checkOf(AuditEntrySchema);
const voteCheck = checkOf(StoredVoteSchema);

export function parseRecord(text: string): RunRecord {
  const value = parse(text);
  if (!recordCheck.accepts(value)) throw damagedRow("run record", text);
  return value;
}

export function parseOrder(text: string): RequestedOrder {
  const value = parse(text);
  if (!orderCheck.accepts(value)) throw damagedRow("order", text);
  return value;
}

export function parseOther(text: string): OtherRecord {
  const value = parse(text);
  if (!otherCheck.accepts(value)) throw damagedRow("record", text);
  return value;
}

export function parseRevision(text: string): JobRevision {
  const value = parse(text);
  if (!revisionCheck.accepts(value)) throw damagedRow("job's revision", text);
  return value;
}

export function parseAudit(text: string): AuditEntry {
  const value = parse(text);
  if (!auditCheck.accepts(value)) throw damagedRow("entry of the audit", text);
  return value;
}

export function parseVote(text: string): StoredVote {
  const value = parse(text);
  if (!voteCheck.accepts(value)) throw damagedRow("vote", text);
  return value;
}

export function parseWatermark(text: string): Watermark {
  const value = parse(text);
  if (!watermarkCheck.accepts(value)) throw damagedRow("watermark", text);
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function damagedRow(what: string, text: string): CicadaError {
  return new CicadaError(
    "DATA_FOLDER_DAMAGED",
    `cicada.db holds a ${what} that can't be read: ${text.slice(0, 80)}`,
  );
}
