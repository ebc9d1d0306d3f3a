/**
 * The join string: one line, fit to be pasted, with all that a new peer needs to find and join a mesh.
 *
 * It is `cicada-join-1:` followed, in base64url, by 6 bytes of checksum, the 32 bytes of the cluster key, and the
 * addresses of some peers, one per line. For a rotated key, a line `mesh:` before them names its mesh and when the key
 * was made. The checksum protects against mistakes, not against attackers: it shows when a line was cut off or
 * mistyped. Anyone who has the string has the key.
 */
import { createHash } from "node:crypto";
import { assert } from "../errors.ts";
import { clusterKeyBytes, type Rotation } from "./cluster-key.ts";

export interface Join {
  key: Uint8Array;
  addresses: string[];
  /** only for a key that replaced another one */
  rotation?: Rotation;
}

export const joinPrefix = "cicada-join-1:";
const checksumBytes = 6;
const meshPrefix = "mesh:";
const meshForm = /^mesh:([0-9a-f]{16}):(\d{1,15})$/;

export function encodeJoin(join: {
  key: Uint8Array;
  addresses: readonly string[];
  rotation?: Rotation | undefined;
}): string {
  assert(join.key.length === clusterKeyBytes, `a cluster key has ${clusterKeyBytes} bytes`);
  assert(
    join.addresses.every((address) => address !== "" && !/\s/.test(address)),
    "an address holds no white space",
  );
  const { rotation } = join;
  const first = rotation === undefined ? [] : [`${meshPrefix}${rotation.mesh}:${rotation.madeAt}`];
  const body = Buffer.concat([join.key, Buffer.from([...first, ...join.addresses].join("\n"))]);
  return joinPrefix + Buffer.concat([checksumOf(body), body]).toString("base64url");
}

/** Undefined for a text that is not a complete join string. White space around the string is ignored. */
export function decodeJoin(text: string): Join | undefined {
  const line = text.trim();
  if (!line.startsWith(joinPrefix)) return undefined;
  const coded = line.slice(joinPrefix.length);
  if (!/^[\w-]+$/.test(coded)) return undefined;
  const bytes = Buffer.from(coded, "base64url");
  const body = bytes.subarray(checksumBytes);
  if (body.length < clusterKeyBytes) return undefined;
  if (!checksumOf(body).equals(bytes.subarray(0, checksumBytes))) return undefined;
  const rest = body.subarray(clusterKeyBytes).toString();
  const lines = rest === "" ? [] : rest.split("\n");
  const key = Uint8Array.from(body.subarray(0, clusterKeyBytes));
  const [, mesh, madeAt] = meshForm.exec(lines[0] ?? "") ?? [];
  if (mesh === undefined) return { key, addresses: lines };
  return { key, addresses: lines.slice(1), rotation: { mesh, madeAt: Number(madeAt) } };
}

function checksumOf(body: Uint8Array): Buffer {
  return createHash("sha256").update(joinPrefix).update(body).digest().subarray(0, checksumBytes);
}
