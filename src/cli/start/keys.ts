/**
 * Decides which mesh a peer belongs to: the cluster key that it starts with, and the addresses that came with it.
 *
 * The key is in the file that `--cluster-key` names, in the join string, or in the data folder, which keeps it once it
 * is given. Only a new folder for which no setting names a mesh gets a new key: a peer that should join a mesh but
 * founds one would run every job a second time. A folder stays with its mesh, because its jobs would otherwise spread
 * into the other one. A mesh whose key was rotated is still the same mesh, and the later of its keys counts. So a peer
 * that was away rejoins with a new invitation, and an old one in a unit file does no harm.
 */
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
import type { Invitation } from "../../schema/admission.ts";
import type { PeerId } from "../../schema/ids.ts";
import { formatError } from "../terminal/client.ts";
import { readToEnd } from "../terminal/text-file.ts";

/** What the data folder knows about the mesh. */
export interface KeptKey {
  file: string;
  /** undefined = there is none */
  text: string | undefined;
  /** A peer has used the folder before. */
  used: boolean;
}

export interface Membership {
  key: Uint8Array;
  /** Set for a key that has replaced another one. */
  rotation: Rotation | undefined;
  /** This peer has just made the key. */
  founded: boolean;
  /** The peer that made the key, if its file says so. */
  founder: PeerId | undefined;
  /** The key is not in the data folder yet and has to be stored there. */
  keep: boolean;
  /** The addresses in the invitation. */
  addresses: readonly string[];
  /** What the invitation says of itself, if it is of this version. */
  invitation: Invitation | undefined;
  /** The flag that gave an older key of this mesh than the folder has. That key is ignored. */
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
      `${kept.file} and ${given.flag} belong to different meshes; give this peer a folder of its own with --data, or move that file away`,
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
      invitation: given?.invitation,
      stale: given !== undefined && known === own && !sameKey(given.key, own.key) ? given.flag : undefined,
    };
  }
  if (config.bootstrap.length > 0) {
    throw new CicadaError(
      "BAD_KEY",
      `--bootstrap names a mesh, but ${kept.file} doesn't exist; give the mesh's key with --cluster-key FILE, or join with --join`,
    );
  }
  if (kept.used) {
    throw new CicadaError(
      "BAD_KEY",
      `${kept.file} is gone, but this folder belonged to a mesh; restore the file, or give the mesh's key with --join or --cluster-key`,
    );
  }
  const nothing = {
    rotation: undefined,
    founder: undefined,
    addresses: [],
    invitation: undefined,
    stale: undefined,
  };
  return { ...nothing, key: generate(), founded: true, keep: true };
}

/** Of two keys of one mesh, the later one counts. If both are the same, the folder's own is used. */
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
  return {
    key,
    rotation: rotationIn(text),
    founder: founderIn(text),
    addresses: [],
    invitation: undefined,
    flag: "",
  };
}

interface KnownKey {
  key: Uint8Array;
  rotation: Rotation | undefined;
  founder: PeerId | undefined;
  addresses: readonly string[];
  invitation: Invitation | undefined;
  /** The flag that gave it, for error messages. */
  flag: string;
}

/** The key that the settings name; undefined when they name none. */
function givenKey({ join: joinText, clusterKey }: Pick<Config, "join" | "clusterKey">): KnownKey | undefined {
  const join = joinText === undefined ? undefined : readJoin(joinText);
  const addresses = join?.addresses ?? [];
  if (clusterKey === undefined) {
    if (join === undefined) return undefined;
    const { key, rotation, invitation } = join;
    return { key, rotation, founder: undefined, addresses, invitation, flag: "--join" };
  }
  const text = readKeyFile(clusterKey);
  const key = readKey(clusterKey, text);
  if (join !== undefined && !sameKey(key, join.key)) {
    throw new CicadaError("BAD_KEY", `${clusterKey} and --join hold different keys; give one of them`);
  }
  return {
    key,
    rotation: rotationIn(text),
    founder: founderIn(text),
    addresses,
    invitation: join?.invitation,
    flag: "--cluster-key",
  };
}

/**
 * With `--join -`, reads the join string from the first line of `input` that holds one. Neither the arguments nor the
 * environment show a secret that is given this way.
 */
export async function readJoinFrom(input: Readable): Promise<string> {
  const lines = createInterface({ input });
  for await (const line of lines) {
    const word = joinWordIn(line);
    if (word !== undefined) return word;
  }
  throw new CicadaError("BAD_KEY", "--join -: there is no join string on standard input");
}

/** True if the flag holds the secret itself, which other users can see, and not the place where it is. */
export function isJoinString(flag: unknown): boolean {
  return typeof flag === "string" && flag.trim().startsWith(joinPrefix);
}

function joinWordIn(text: string): string | undefined {
  return text.split(/\s+/).find((part) => part.startsWith(joinPrefix));
}

/** Reads the string itself, or a file that holds it, alone or among the words that `peers invite` prints around it. */
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
    return readToEnd(file).toString();
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
