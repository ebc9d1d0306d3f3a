/**
 * The signature under a run record: by whom it was written, provable to everybody who gets it second hand.
 *
 * Signed are all fields but the signature, in one canonical writing (keys sorted, no blanks), behind a prefix that no
 * other signature of this program begins with. Only `lost` may be written by another than the runner (`by`).
 */
import type { Keys } from "../ports.ts";
import type { PeerId } from "../schema/ids.ts";
import type { RunRecord } from "../schema/run.ts";

const prefix = "cicada run record 1\n";

export function signedBytes(record: RunRecord): Uint8Array {
  const { signature: _, ...said } = record;
  return Buffer.from(prefix + canonical(said));
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

/** JSON with sorted keys; what is undefined is left out. For plain values only. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members: string[] = [];
  for (const [key, content] of Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (content !== undefined) members.push(`${JSON.stringify(key)}:${canonical(content)}`);
  }
  return `{${members.join(",")}}`;
}
