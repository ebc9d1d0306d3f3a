/**
 * The signature under a run record: by whom it was written, provable to everybody who gets it second hand.
 *
 * The signature covers the whole record except itself, as canonical JSON (RFC 8785), behind a prefix that no other
 * signature of this program begins with. Fields of a newer version are covered too, so a peer that doesn't know them can
 * verify, keep and forward the record unchanged. Only `lost` may be written by another than the runner (`by`).
 */
import type { Keys } from "../ports.ts";
import { canonicalText } from "../schema/canonical.ts";
import type { PeerId } from "../schema/ids.ts";
import type { RunRecord } from "../schema/run.ts";

const prefix = "cicada run record 1\n";

/** Half of what a record may hold, so that whatever is heard has a next version. */
const heardVersionMax = 2 ** 52;

/** Undefined for a record that has no canonical form: a text in it is no Unicode, or a number is not finite. */
export function signedBytes(record: RunRecord): Uint8Array | undefined {
  const { signature: _, ...signed } = record;
  const text = canonicalText(signed);
  return text === undefined ? undefined : Buffer.from(prefix + text);
}

/** The record with the signature of this peer, which must be its writer. */
export function signRecord(record: RunRecord, keys: Keys): RunRecord {
  const sound = wellFormed(record);
  const bytes = signedBytes(sound);
  if (bytes === undefined) throw new RangeError(`a number in the record of ${record.job} is not finite`);
  return { ...sound, signature: Buffer.from(keys.sign(bytes)).toString("base64url") };
}

/** True when its writer has signed exactly this, was entitled to write it, and left room for a next version. */
export function verifyRecord(record: RunRecord, keys: Keys): boolean {
  const writer = writerOf(record);
  if (writer !== record.peer && record.state !== "lost") return false;
  if (record.version > heardVersionMax) return false;
  const signature = Buffer.from(record.signature, "base64url");
  if (signature.length === 0 || signature.toString("base64url") !== record.signature) return false;
  const bytes = signedBytes(record);
  return bytes !== undefined && keys.verify(writer, bytes, signature);
}

function writerOf(record: RunRecord): PeerId {
  return record.by ?? record.peer;
}

/** A reason may quote text that a person or a program gave; halves of surrogate pairs in it become U+FFFD. */
function wellFormed(record: RunRecord): RunRecord {
  return record.reason === undefined || record.reason.isWellFormed()
    ? record
    : { ...record, reason: record.reason.toWellFormed() };
}
