/**
 * Which mesh a peer belongs to: the cluster key that it starts with, and the addresses that came with it.
 *
 * In this order: the file that `--cluster-key` names, the join string, the key in the data folder. Only a folder that
 * is new, and for which nothing names a mesh, gets a key of its own: a peer that was meant to join another and makes
 * a mesh for itself would run every job a second time.
 */
import { readFileSync } from "node:fs";
import type { Config } from "../config.ts";
import { founderIn, parseClusterKey } from "../core/cluster-key.ts";
import { decodeJoin, joinPrefix, type Join } from "../core/join.ts";
import { CicadaError } from "../errors.ts";
import type { PeerId } from "../schema/ids.ts";
import { sayError } from "./client.ts";

/** What the data folder says of the mesh. */
export interface KeptKey {
  file: string;
  /** undefined = there is none */
  text: string | undefined;
  /** The folder has served a peer before. */
  used: boolean;
}

export interface Membership {
  key: Uint8Array;
  /** The key was made just now, by this peer. */
  founded: boolean;
  /** Who made the key, if its file says so. */
  founder: PeerId | undefined;
  /** The data folder does not have it yet and is to keep it. */
  keep: boolean;
  /** Where the peers that sent the invitation are. */
  addresses: readonly string[];
}

export function chooseKey(
  config: Pick<Config, "join" | "clusterKey" | "bootstrap">,
  kept: KeptKey,
  generate: () => Uint8Array,
): Membership {
  const join = config.join === undefined ? undefined : readJoin(config.join);
  const addresses = join?.addresses ?? [];
  if (config.clusterKey !== undefined) {
    const text = readKeyFile(config.clusterKey);
    const key = readKey(config.clusterKey, text);
    if (join !== undefined && !sameKey(key, join.key)) {
      throw new CicadaError(
        "BAD_KEY",
        `${config.clusterKey} and --join hold different keys; give one of them`,
      );
    }
    return { key, founded: false, founder: founderIn(text), keep: false, addresses };
  }
  const founder = founderIn(kept.text ?? "");
  const own = kept.text === undefined ? undefined : readKey(kept.file, kept.text);
  if (join !== undefined) {
    if (own === undefined || sameKey(own, join.key))
      return { key: join.key, founded: false, founder, keep: own === undefined, addresses };
    throw new CicadaError(
      "BAD_KEY",
      `${kept.file} belongs to another mesh than --join; give a folder of its own with --data, or move that file away`,
    );
  }
  if (own !== undefined) return { key: own, founded: false, founder, keep: false, addresses };
  if (config.bootstrap.length > 0) {
    throw new CicadaError(
      "BAD_KEY",
      `--bootstrap names a mesh, but ${kept.file} is not there; give its key with --cluster-key FILE, or join with --join`,
    );
  }
  if (kept.used) {
    throw new CicadaError("BAD_KEY", `${kept.file} is gone, and this folder belonged to a mesh; put it back`);
  }
  return { key: generate(), founded: true, founder, keep: true, addresses };
}

/** The string itself, or a file that holds it (alone, or with the words around it that `peers invite` prints). */
function readJoin(given: string): Join {
  const text = given.trim().startsWith(joinPrefix) ? given : readKeyFile(given);
  const word = text.split(/\s+/).find((part) => part.startsWith(joinPrefix));
  const join = word === undefined ? undefined : decodeJoin(word);
  if (join !== undefined) return join;
  const what = text === given ? "--join" : `--join ${given}`;
  throw new CicadaError(
    "BAD_KEY",
    word === undefined
      ? `${what}: there is no join string in it`
      : `${what}: the join string is cut off or mistyped`,
  );
}

function readKeyFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new CicadaError("BAD_KEY", `${file}: ${sayError(error)}`);
  }
}

function readKey(file: string, text: string): Uint8Array {
  try {
    return parseClusterKey(text);
  } catch (error) {
    if (error instanceof CicadaError) throw new CicadaError(error.code, `${file}: ${error.detail}`);
    throw error;
  }
}

function sameKey(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.from(a).equals(b);
}
