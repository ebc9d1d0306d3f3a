/**
 * Which mesh a peer belongs to: the cluster key that it starts with, and the addresses that came with it.
 *
 * The file that `--cluster-key` names, the join string, or the key in the data folder; what is given once is kept
 * there. Only a folder that is new, and for which nothing names a mesh, gets a key of its own: a peer that was meant to
 * join another and makes a mesh for itself would run every job a second time. And a folder stays with its mesh, for
 * its jobs would be poured into the other one.
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
  const given = givenKey(config);
  const own =
    kept.text === undefined
      ? undefined
      : { key: readKey(kept.file, kept.text), founder: founderIn(kept.text), addresses: [], flag: "" };
  if (given !== undefined && own !== undefined && !sameKey(given.key, own.key)) {
    throw new CicadaError(
      "BAD_KEY",
      `${kept.file} belongs to another mesh than ${given.flag}; give a folder of its own with --data, or move that file away`,
    );
  }
  const known = given ?? own;
  if (known !== undefined) {
    const { key, addresses } = known;
    return {
      key,
      founded: false,
      founder: known.founder ?? own?.founder,
      keep: own === undefined,
      addresses,
    };
  }
  if (config.bootstrap.length > 0) {
    throw new CicadaError(
      "BAD_KEY",
      `--bootstrap names a mesh, but ${kept.file} is not there; give its key with --cluster-key FILE, or join with --join`,
    );
  }
  if (kept.used) {
    throw new CicadaError(
      "BAD_KEY",
      `${kept.file} is gone, and this folder belonged to a mesh; put it back, or give its key with --join or --cluster-key`,
    );
  }
  return { key: generate(), founded: true, founder: undefined, keep: true, addresses: [] };
}

interface KnownKey {
  key: Uint8Array;
  founder: PeerId | undefined;
  addresses: readonly string[];
  /** What gave it, for the complaint. */
  flag: string;
}

/** The key that the settings name; undefined when they name none. */
function givenKey({ join: joinText, clusterKey }: Pick<Config, "join" | "clusterKey">): KnownKey | undefined {
  const join = joinText === undefined ? undefined : readJoin(joinText);
  const addresses = join?.addresses ?? [];
  if (clusterKey === undefined) {
    return join === undefined ? undefined : { key: join.key, founder: undefined, addresses, flag: "--join" };
  }
  const text = readKeyFile(clusterKey);
  const key = readKey(clusterKey, text);
  if (join !== undefined && !sameKey(key, join.key)) {
    throw new CicadaError("BAD_KEY", `${clusterKey} and --join hold different keys; give one of them`);
  }
  return { key, founder: founderIn(text), addresses, flag: "--cluster-key" };
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
