/**
 * Which mesh a peer belongs to: the cluster key that it starts with, and the addresses that came with it.
 *
 * The key is in the file that `--cluster-key` names, in the join string, or in the data folder; once given, it is kept
 * there. Only a new folder for which nothing names a mesh gets a key of its own: a peer that was meant to join a mesh and
 * founds one instead would run every job a second time. A folder stays with its mesh, because its jobs would flow into the
 * other one. A mesh whose key was rotated is still the same mesh: of two of its keys the later one counts, so a peer that
 * was away comes back with a fresh invitation, and an old one in a unit file does no harm.
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { Config } from "../../config.ts";
import {
  clusterFingerprint,
  founderIn,
  parseClusterKey,
  rotationIn,
  type Rotation,
} from "../../identity/cluster-key.ts";
import { decodeJoin, joinPrefix, type Join } from "../../identity/join.ts";
import { CicadaError } from "../../errors.ts";
import type { PeerId } from "../../schema/ids.ts";
import { formatError } from "../terminal/client.ts";

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
  /** Of a key that has replaced another one. */
  rotation: Rotation | undefined;
  /** The key was made just now, by this peer. */
  founded: boolean;
  /** Who made the key, if its file says so. */
  founder: PeerId | undefined;
  /** The data folder does not have it yet and is to keep it. */
  keep: boolean;
  /** Addresses in the invitation. */
  addresses: readonly string[];
  /** The flag that names an older key of this mesh than the folder has, and was ignored. */
  stale: string | undefined;
}

export function chooseKey(
  config: Pick<Config, "join" | "clusterKey" | "bootstrap">,
  kept: KeptKey,
  generate: () => Uint8Array,
): Membership {
  const given = givenKey(config);
  const own = kept.text === undefined ? undefined : ownKey(kept.file, kept.text);
  if (given !== undefined && own !== undefined && meshOf(given) !== meshOf(own)) {
    throw new CicadaError(
      "BAD_KEY",
      `${kept.file} belongs to another mesh than ${given.flag}; give a folder of its own with --data, or move that file away`,
    );
  }
  const known = laterOf(own, given);
  if (known !== undefined) {
    const { key, rotation } = known;
    return {
      key,
      rotation,
      founded: false,
      founder: given?.founder ?? own?.founder,
      keep: known !== own,
      addresses: given?.addresses ?? [],
      stale: given !== undefined && known === own && !sameKey(given.key, own.key) ? given.flag : undefined,
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
  const nothing = { rotation: undefined, founder: undefined, addresses: [], stale: undefined };
  return { ...nothing, key: generate(), founded: true, keep: true };
}

/** Two keys of one mesh: the later one counts, and the folder's own when they are the same. */
function laterOf(own: KnownKey | undefined, given: KnownKey | undefined): KnownKey | undefined {
  if (own === undefined || given === undefined) return own ?? given;
  return madeAt(given) > madeAt(own) ? given : own;
}

function madeAt({ rotation }: KnownKey): number {
  return rotation?.madeAt ?? 0;
}

function meshOf({ key, rotation }: KnownKey): string {
  return rotation?.mesh ?? clusterFingerprint(key);
}

function ownKey(file: string, text: string): KnownKey {
  const key = readKey(file, text);
  return { key, rotation: rotationIn(text), founder: founderIn(text), addresses: [], flag: "" };
}

interface KnownKey {
  key: Uint8Array;
  rotation: Rotation | undefined;
  founder: PeerId | undefined;
  addresses: readonly string[];
  /** The flag that gave it, for error messages. */
  flag: string;
}

/** The key that the settings name; undefined when they name none. */
function givenKey({ join: joinText, clusterKey }: Pick<Config, "join" | "clusterKey">): KnownKey | undefined {
  const join = joinText === undefined ? undefined : readJoin(joinText);
  const addresses = join?.addresses ?? [];
  if (clusterKey === undefined) {
    if (join === undefined) return undefined;
    const { key, rotation } = join;
    return { key, rotation, founder: undefined, addresses, flag: "--join" };
  }
  const text = readKeyFile(clusterKey);
  const key = readKey(clusterKey, text);
  if (join !== undefined && !sameKey(key, join.key)) {
    throw new CicadaError("BAD_KEY", `${clusterKey} and --join hold different keys; give one of them`);
  }
  return { key, rotation: rotationIn(text), founder: founderIn(text), addresses, flag: "--cluster-key" };
}

/**
 * With `--join -`, what stands for the string in `input`: its first line that holds one. Neither arguments nor environment
 * show a secret that comes this way.
 */
export async function readJoinFrom(input: Readable): Promise<string> {
  const lines = createInterface({ input });
  for await (const line of lines) {
    const word = joinWordIn(line);
    if (word !== undefined) return word;
  }
  throw new CicadaError("BAD_KEY", "--join -: no join string came by standard input");
}

/** The flag holds the secret itself, for other users to see, and not a place where it is. */
export function isJoinString(flag: unknown): boolean {
  return typeof flag === "string" && flag.trim().startsWith(joinPrefix);
}

function joinWordIn(text: string): string | undefined {
  return text.split(/\s+/).find((part) => part.startsWith(joinPrefix));
}

/** The string itself, or a file that holds it (alone, or with the words around it that `peers invite` prints). */
function readJoin(given: string): Join {
  const text = isJoinString(given) ? given : readKeyFile(given);
  const word = joinWordIn(text);
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
    throw new CicadaError("BAD_KEY", `${file}: ${formatError(error)}`);
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
