/**
 * The text of a cluster key, as it is in the file `cluster.key`. The first line holds the key. Optional lines name the
 * peer that made the mesh's first key (its first voter, core/voting/roster.ts) and, for a rotated key, its mesh and
 * when the key was made.
 *
 * The key's line is `cicada-cluster-key-1:` followed, in base64url, by 32 bytes of key and 4 bytes of checksum. The
 * checksum shows when a line was cut off or mistyped. The fingerprint of a mesh's first key is the mesh's name for
 * ever.
 */
import { createHash } from "node:crypto";
import { assert, CicadaError } from "../errors.ts";
import type { PeerId } from "../schema/ids.ts";

export const clusterKeyBytes = 32;
const clusterKeyPrefix = "cicada-cluster-key-1:";
const founderPrefix = "founder:";
const meshPrefix = "mesh:";
const madePrefix = "made:";
const linePrefixes = [founderPrefix, meshPrefix, madePrefix] as const;
const checksumBytes = 4;

/** 16 hex digits that identify a cluster key without revealing it. */
export function clusterFingerprint(clusterKey: Uint8Array): string {
  return createHash("sha256").update("cicada cluster 1").update(clusterKey).digest("hex").slice(0, 16);
}

/** What is known about a key that replaced another one. */
export interface Rotation {
  /** fingerprint of the mesh's first key */
  mesh: string;
  /** when this key was made (wall clock, ms); of two keys of one mesh, the later one counts */
  madeAt: number;
}

/** The content of a cluster key file. */
export function formatClusterKey(clusterKey: Uint8Array, founder?: PeerId, rotation?: Rotation): string {
  assert(clusterKey.length === clusterKeyBytes, `a cluster key has ${clusterKeyBytes} bytes`);
  const coded = Buffer.concat([clusterKey, checksumOf(clusterKey)]).toString("base64url");
  const lines = [`${clusterKeyPrefix}${coded}`];
  if (founder !== undefined) lines.push(`${founderPrefix}${founder}`);
  if (rotation !== undefined) lines.push(meshPrefix + rotation.mesh, madePrefix + rotation.madeAt);
  return `${lines.join("\n")}\n`;
}

/** The peer that made the key, if the file says so. */
export function founderIn(text: string): PeerId | undefined {
  const founder = lineIn(text, founderPrefix);
  return founder === undefined || founder === "" ? undefined : (founder as PeerId);
}

/** Undefined for a mesh's first key, and for a key without such lines. */
export function rotationIn(text: string): Rotation | undefined {
  const mesh = lineIn(text, meshPrefix);
  const madeAt = Number(lineIn(text, madePrefix));
  if (mesh === undefined || !/^[0-9a-f]{16}$/.test(mesh) || !Number.isSafeInteger(madeAt)) return undefined;
  return { mesh, madeAt };
}

function lineIn(text: string, prefix: string): string | undefined {
  return text
    .split("\n")
    .find((each) => each.startsWith(prefix))
    ?.slice(prefix.length)
    .trim();
}

/** Throws BAD_KEY, which says what is wrong with the text, but never what is in it. */
export function parseClusterKey(text: string): Uint8Array {
  const [line = "", ...others] = text
    .trim()
    .split("\n")
    .map((each) => each.trim());
  if (line === "") throw new CicadaError("BAD_KEY", "the cluster key is empty");
  if (!line.startsWith(clusterKeyPrefix)) {
    throw new CicadaError("BAD_KEY", `a cluster key begins with ${clusterKeyPrefix}, but this text does not`);
  }
  const coded = line.slice(clusterKeyPrefix.length);
  const bytes = Buffer.from(coded, "base64url");
  const key = Uint8Array.from(bytes.subarray(0, clusterKeyBytes));
  const isWhole =
    others.every((other) => other === "" || linePrefixes.some((prefix) => other.startsWith(prefix))) &&
    /^[\w-]+$/.test(coded) &&
    bytes.length === clusterKeyBytes + checksumBytes &&
    checksumOf(key).equals(bytes.subarray(clusterKeyBytes));
  if (!isWhole) throw new CicadaError("BAD_KEY", "the cluster key is cut off or mistyped");
  return key;
}

function checksumOf(clusterKey: Uint8Array): Buffer {
  return createHash("sha256").update(clusterKeyPrefix).update(clusterKey).digest().subarray(0, checksumBytes);
}
