/**
 * The keyring as the data folder holds it: `cluster.key`, the present one, and `cluster.key.old`, those before it with
 * the instant until which each is accepted. A damaged list of old keys is no reason not to start: it is set aside
 * with a word, and a member that holds but an old key has to join anew.
 */
import { Compile } from "typebox/compile";
import { Type } from "typebox";
import { formatClusterKey, parseClusterKey, type Rotation } from "../../identity/cluster-key.ts";
import { PeerIdSchema, type PeerId } from "../../schema/ids.ts";
import type { Log } from "../../ports.ts";
import type { Folder } from "./folder.ts";
import { ClusterKeys, type KeptKeys } from "./keyring.ts";

const OldKeysFile = Type.Object({
  keys: Type.Array(Type.Object({ key: Type.String(), until: Type.Number() })),
  heirs: Type.Array(PeerIdSchema),
});
const oldKeysCheck = Compile(OldKeysFile);

export interface PresentKey {
  key: Uint8Array;
  founder: PeerId | undefined;
  rotation: Rotation | undefined;
}

/** `present` is what the peer has been started with, and is in the folder already. */
export function openKeyring(folder: Folder, present: PresentKey, wall: () => number, log: Log): ClusterKeys {
  const { key, founder, rotation } = present;
  return new ClusterKeys({
    kept: { key, rotation, ...readOldKeys(folder, log) },
    keep: (kept) => {
      folder.keepOldKeys(formatOldKeys(kept));
      folder.keepClusterKey(formatClusterKey(kept.key, founder, kept.rotation));
    },
    wall,
  });
}

function formatOldKeys({ olds, heirs }: KeptKeys): string | undefined {
  if (olds.length === 0) return undefined;
  const keys = olds.map(({ key, until }) => ({ key: formatClusterKey(key).trim(), until }));
  return `${JSON.stringify({ keys, heirs }, undefined, 2)}\n`;
}

function readOldKeys(folder: Folder, log: Log): Pick<KeptKeys, "olds" | "heirs"> {
  const text = folder.oldKeys();
  if (text === undefined) return { olds: [], heirs: [] };
  try {
    const value: unknown = JSON.parse(text);
    if (!oldKeysCheck.Check(value)) throw new Error("it has another form");
    const olds = value.keys.map(({ key, until }) => ({ key: parseClusterKey(key), until }));
    return { olds, heirs: value.heirs };
  } catch (error) {
    log.warn("cluster.key.old can't be read; the keys in it are accepted no more", { why: String(error) });
    return { olds: [], heirs: [] };
  }
}
