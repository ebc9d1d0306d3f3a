/**
 * The text form of a cluster key: one line, as it lies in `cluster.key`.
 *
 * `cicada-cluster-key-1:` and, in base64url, the 32 bytes of the key and 4 of checksum. The checksum tells a line
 * that was cut off or mistyped from a good one.
 */
import { createHash } from "node:crypto";
import { assert, CicadaError } from "../errors.ts";
import { clusterKeyBytes } from "./join.ts";

const clusterKeyPrefix = "cicada-cluster-key-1:";
const checksumBytes = 4;

/** The one line of a cluster key file. */
export function formatClusterKey(clusterKey: Uint8Array): string {
  assert(clusterKey.length === clusterKeyBytes, `a cluster key has ${clusterKeyBytes} bytes`);
  const coded = Buffer.concat([clusterKey, checksumOf(clusterKey)]).toString("base64url");
  return `${clusterKeyPrefix}${coded}\n`;
}

/** Throws BAD_KEY, saying what is wrong with it (and never what is in it). */
export function parseClusterKey(text: string): Uint8Array {
  const line = text.trim();
  if (line === "") throw new CicadaError("BAD_KEY", "the cluster key is empty");
  if (!line.startsWith(clusterKeyPrefix)) {
    throw new CicadaError("BAD_KEY", `a cluster key begins with ${clusterKeyPrefix}, this text does not`);
  }
  const coded = line.slice(clusterKeyPrefix.length);
  const bytes = Buffer.from(coded, "base64url");
  const key = Uint8Array.from(bytes.subarray(0, clusterKeyBytes));
  const isWhole =
    /^[\w-]+$/.test(coded) &&
    bytes.length === clusterKeyBytes + checksumBytes &&
    checksumOf(key).equals(bytes.subarray(clusterKeyBytes));
  if (!isWhole) throw new CicadaError("BAD_KEY", "the cluster key is cut off or mistyped");
  return key;
}

function checksumOf(clusterKey: Uint8Array): Buffer {
  return createHash("sha256").update(clusterKeyPrefix).update(clusterKey).digest().subarray(0, checksumBytes);
}
