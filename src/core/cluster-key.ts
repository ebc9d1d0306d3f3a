/**
 * The text form of a cluster key, as it lies in `cluster.key`: the key in one line, and in a second one, which may be
 * missing, the peer that made it: the first voter of the mesh (core/roster.ts).
 *
 * `cicada-cluster-key-1:` and, in base64url, the 32 bytes of the key and 4 of checksum. The checksum tells a line
 * that was cut off or mistyped from a good one.
 */
import { createHash } from "node:crypto";
import { assert, CicadaError } from "../errors.ts";
import type { PeerId } from "../schema/ids.ts";
import { clusterKeyBytes } from "./join.ts";

const clusterKeyPrefix = "cicada-cluster-key-1:";
const founderPrefix = "founder:";
const checksumBytes = 4;

/** What a cluster key file holds. */
export function formatClusterKey(clusterKey: Uint8Array, founder?: PeerId): string {
  assert(clusterKey.length === clusterKeyBytes, `a cluster key has ${clusterKeyBytes} bytes`);
  const coded = Buffer.concat([clusterKey, checksumOf(clusterKey)]).toString("base64url");
  return `${clusterKeyPrefix}${coded}\n${founder === undefined ? "" : `${founderPrefix}${founder}\n`}`;
}

/** The peer that made the key, if the file says so. */
export function founderIn(text: string): PeerId | undefined {
  const line = text.split("\n").find((each) => each.startsWith(founderPrefix));
  const founder = line?.slice(founderPrefix.length).trim();
  return founder === undefined || founder === "" ? undefined : (founder as PeerId);
}

/** Throws BAD_KEY, saying what is wrong with it (and never what is in it). */
export function parseClusterKey(text: string): Uint8Array {
  const [line = "", ...others] = text
    .trim()
    .split("\n")
    .map((each) => each.trim());
  if (line === "") throw new CicadaError("BAD_KEY", "the cluster key is empty");
  if (!line.startsWith(clusterKeyPrefix)) {
    throw new CicadaError("BAD_KEY", `a cluster key begins with ${clusterKeyPrefix}, this text does not`);
  }
  const coded = line.slice(clusterKeyPrefix.length);
  const bytes = Buffer.from(coded, "base64url");
  const key = Uint8Array.from(bytes.subarray(0, clusterKeyBytes));
  const isWhole =
    others.every((other) => other === "" || other.startsWith(founderPrefix)) &&
    /^[\w-]+$/.test(coded) &&
    bytes.length === clusterKeyBytes + checksumBytes &&
    checksumOf(key).equals(bytes.subarray(clusterKeyBytes));
  if (!isWhole) throw new CicadaError("BAD_KEY", "the cluster key is cut off or mistyped");
  return key;
}

function checksumOf(clusterKey: Uint8Array): Buffer {
  return createHash("sha256").update(clusterKeyPrefix).update(clusterKey).digest().subarray(0, checksumBytes);
}
