/**
 * The signature of a run record. It proves who wrote the record, also to a peer that received it from a third one.
 *
 * The signature covers the whole record except itself, as canonical JSON (RFC 8785), after a prefix that no other
 * signature of this program uses. Fields of a newer version are covered too, so a peer that doesn't know them can
 * verify, keep and forward the record unchanged. Another peer (`by`) than the runner may write only `lost` and
 * `withdrawn`.
 */
import type { Keys } from "../ports.ts";
import { canonicalText } from "../schema/canonical.ts";
import type { PeerId } from "../schema/ids.ts";
import { otherRecordBytesMax, type OtherRecord } from "../schema/other-record.ts";
import type { RunRecord } from "../schema/run.ts";

const prefix = "cicada run record 1\n";
const otherPrefix = "cicada other record 1\n";

/**
 * Half of the highest version that a record may have, so that every record from another peer can get a next version.
 */
const heardVersionMax = 2 ** 52;

/** Undefined if the record has no canonical form: a text in it is ill-formed Unicode, or a number is not finite. */
export function signedBytes(record: RunRecord): Uint8Array | undefined {
  const { signature: _, ...signed } = record;
  const text = canonicalText(signed);
  return text === undefined ? undefined : Buffer.from(prefix + text);
}

/** Signs the record. This peer must be its writer. */
export function signRecord(record: RunRecord, keys: Keys): RunRecord {
  const sound = wellFormed(record);
  const bytes = signedBytes(sound);
  if (bytes === undefined) throw new RangeError(`a number in the record of ${record.job} is not finite`);
  return { ...sound, signature: Buffer.from(keys.sign(bytes)).toString("base64url") };
}

/** True if the writer signed exactly this, was entitled to write it, and left room for a next version. */
export function verifyRecord(record: RunRecord, keys: Keys): boolean {
  const writer = writerOf(record);
  if (writer !== record.peer && record.state !== "lost" && record.state !== "withdrawn") return false;
  if (record.version > heardVersionMax) return false;
  const signature = readSignature(record.signature);
  const bytes = signedBytes(record);
  return bytes !== undefined && signature !== undefined && keys.verify(writer, bytes, signature);
}

/** The bytes that the writer of a record of an unknown kind signs; undefined if the record has no canonical form. */
export function signedOtherBytes(record: OtherRecord): Uint8Array | undefined {
  const { signature: _, ...signed } = record;
  const text = canonicalText(signed);
  return text === undefined ? undefined : Buffer.from(otherPrefix + text);
}

/** Signs a record of another kind than a run's. This peer must be its writer. */
export function signOtherRecord<Kind extends OtherRecord>(record: Kind, keys: Keys): Kind {
  const bytes = signedOtherBytes(record);
  if (bytes === undefined) throw new RangeError(`the ${record.kind} of ${record.job} has no canonical form`);
  return { ...record, signature: Buffer.from(keys.sign(bytes)).toString("base64url") };
}

/** True if its writer has signed exactly this record, unknown fields included, and it is no longer than it may be. */
export function verifyOtherRecord(record: OtherRecord, keys: Keys): boolean {
  // These fields distinguish runs' records and requested orders from such a record wherever the three lie together.
  if ("attempt" in record || "requestedAt" in record) return false;
  if (Buffer.byteLength(JSON.stringify(record)) > otherRecordBytesMax) return false;
  const bytes = signedOtherBytes(record);
  const signature = readSignature(record.signature);
  return bytes !== undefined && signature !== undefined && keys.verify(record.peer, bytes, signature);
}

/** Undefined for a text that is no signature, or not written in its one form. */
function readSignature(text: string): Uint8Array | undefined {
  const signature = Buffer.from(text, "base64url");
  return signature.length > 0 && signature.toString("base64url") === text ? signature : undefined;
}

function writerOf(record: RunRecord): PeerId {
  return record.by ?? record.peer;
}

/** A reason may quote text from a person or a program; halves of surrogate pairs in it become U+FFFD. */
function wellFormed(record: RunRecord): RunRecord {
  return record.reason === undefined || record.reason.isWellFormed()
    ? record
    : { ...record, reason: record.reason.toWellFormed() };
}
