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

/** In the order of their names; JSON leaves out what is undefined. A new field that is forgotten here is a type error. */
export function signedBytes(record: RunRecord): Uint8Array {
  const said = {
    attempt: record.attempt,
    by: record.by,
    claimedAt: record.claimedAt,
    due: record.due,
    epoch: record.epoch,
    exitCode: record.exitCode,
    finishedAt: record.finishedAt,
    job: record.job,
    logBytes: record.logBytes,
    logTruncated: record.logTruncated,
    passed: record.passed?.map(({ peer, why }) => ({ peer, why })),
    peer: record.peer,
    range: record.range,
    rank: record.rank,
    reason: record.reason,
    revision: record.revision,
    signal: record.signal,
    slot: record.slot,
    startedAt: record.startedAt,
    state: record.state,
    tick: record.tick,
    trigger: record.trigger,
    version: record.version,
    view: record.view,
    waiting: record.waiting,
  } satisfies { [Field in Exclude<keyof RunRecord, "signature">]-?: RunRecord[Field] | undefined };
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
