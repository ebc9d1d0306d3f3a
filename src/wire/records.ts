/**
 * The signature under a run record: by whom it was written, provable to everybody who gets it second hand.
 *
 * Signed are all fields but the signature, in one canonical writing (keys sorted, no blanks), behind a prefix that no
 * other signature of this program begins with. Only `lost` may be written by another than the runner (`by`).
 */
import type { Keys } from "../ports.ts";
import type { PeerId } from "../schema/ids.ts";
import { RunRecordSchema, type RunRecord } from "../schema/run.ts";

const prefix = "cicada run record 1\n";

/** Taken from the schema, so that a new field can't be forgotten here. */
const signedFields = Object.keys(RunRecordSchema.properties)
  .filter((field): field is keyof RunRecord => field !== "signature")
  .toSorted((a, b) => (a < b ? -1 : 1));

export function signedBytes(record: RunRecord): Uint8Array {
  const said: Record<string, unknown> = {};
  for (const field of signedFields) if (record[field] !== undefined) said[field] = record[field];
  if (record.passed !== undefined) said["passed"] = record.passed.map(({ peer, why }) => ({ peer, why }));
  return Buffer.from(prefix + JSON.stringify(said));
}

/** The record with the signature of this peer, which must be its writer. */
export function signRecord(record: RunRecord, keys: Keys): RunRecord {
  const signature = Buffer.from(keys.sign(signedBytes(record))).toString("base64url");
  return { ...record, signature };
}

/** True when its writer has signed exactly this, and was entitled to write it. */
export function verifyRecord(record: RunRecord, keys: Keys): boolean {
  const writer = writerOf(record);
  if (writer !== record.peer && record.state !== "lost") return false;
  const signature = Buffer.from(record.signature, "base64url");
  if (signature.length === 0 || signature.toString("base64url") !== record.signature) return false;
  return keys.verify(writer, signedBytes(record), signature);
}

function writerOf(record: RunRecord): PeerId {
  return record.by ?? record.peer;
}
