/**
 * The join string: one line, fit to be pasted, with all that a new peer needs to find and join a mesh.
 *
 * It is `cicada-join-1:` followed, in base64url, by 6 bytes of checksum, the 32 bytes of the cluster key, and the addresses of
 * some peers, one per line. For a rotated key, a line `mesh:` before them names its mesh and when the key was made. A line
 * `invite:` names the invitation and the peer at which a person asked for it, so that people can tell later who came in by
 * which one; it proves nothing. The checksum protects against mistakes, not against attackers: it shows when a line was cut off
 * or mistyped. Anyone who has the string has the key.
 */
import { createHash } from "node:crypto";
import { assert } from "../errors.ts";
import { isInvitationId, type Invitation } from "../schema/admission.ts";
import type { PeerId } from "../schema/ids.ts";
import { clusterKeyBytes, type Rotation } from "./cluster-key.ts";

export interface Join {
  key: Uint8Array;
  addresses: string[];
  /** only for a key that replaced another one */
  rotation?: Rotation;
  /** absent in the strings of earlier versions */
  invitation?: Invitation;
}

export const joinPrefix = "cicada-join-1:";
const checksumBytes = 6;
const meshPrefix = "mesh:";
const invitePrefix = "invite:";
const meshForm = /^mesh:([0-9a-f]{16}):(\d{1,15})$/;

export function encodeJoin(join: {
  key: Uint8Array;
  addresses: readonly string[];
  rotation?: Rotation | undefined;
  invitation?: Invitation | undefined;
}): string {
  assert(join.key.length === clusterKeyBytes, `a cluster key has ${clusterKeyBytes} bytes`);
  assert(
    join.addresses.every((address) => address !== "" && !/\s/.test(address)),
    "an address holds no white space",
  );
  const { rotation, invitation } = join;
  const lines = [
    ...(rotation === undefined ? [] : [`${meshPrefix}${rotation.mesh}:${rotation.madeAt}`]),
    ...(invitation === undefined ? [] : [`${invitePrefix}${invitation.id}:${invitation.by}`]),
    ...join.addresses,
  ];
  const body = Buffer.concat([join.key, Buffer.from(lines.join("\n"))]);
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
  const addresses = rest === "" ? [] : rest.split("\n");
  const key = Uint8Array.from(body.subarray(0, clusterKeyBytes));
  const [, mesh, madeAt] = meshForm.exec(addresses[0] ?? "") ?? [];
  if (mesh !== undefined) addresses.shift();
  const invitation = readInvitation(addresses[0] ?? "");
  if (invitation !== undefined) addresses.shift();
  return {
    key,
    addresses,
    ...(mesh === undefined ? {} : { rotation: { mesh, madeAt: Number(madeAt) } }),
    ...(invitation === undefined ? {} : { invitation }),
  };
}

function readInvitation(line: string): Invitation | undefined {
  if (!line.startsWith(invitePrefix)) return undefined;
  const [id = "", by = "", ...more] = line.slice(invitePrefix.length).split(":");
  return isInvitationId(id) && by !== "" && more.length === 0 ? { id, by: by as PeerId } : undefined;
}

function checksumOf(body: Uint8Array): Buffer {
  return createHash("sha256").update(joinPrefix).update(body).digest().subarray(0, checksumBytes);
}
