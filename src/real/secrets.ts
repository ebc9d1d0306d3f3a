/**
 * The real Secrets door. A peer has values of its own, as files in its folder (secrets/own-values.ts), and can open those that
 * were sealed to it. Of the two under one name, the one that was set last counts.
 *
 * Values are read or opened when a run begins, and not kept in between.
 */
import { CicadaError } from "../errors.ts";
import type { Keys, Log } from "../ports.ts";
import type { Secrets } from "../ports/secrets.ts";
import { secretsOfJobMaxBytes, type HeldSecrets, type SealedSecret } from "../schema/secret.ts";
import { ownValuesIn, readOwnValue, removeOwnValue, writeOwnValue } from "./secrets/own-values.ts";
import { seal } from "./secrets/seal.ts";
import { SealedValues } from "./secrets/sealed-values.ts";

export type SecretValues = ReadonlyMap<string, string>;

/** What a run gets. `host`: another peer may have it; otherwise it is the job's fault. */
export type Resolved = { values: SecretValues } | { why: "host" | "error"; reason: string };

export interface RealSecrets extends Secrets {
  /** The newest values of these secrets. */
  resolve(names: readonly string[]): Resolved;
}

interface Options {
  folder: string;
  peerKey: Uint8Array;
  keys: Pick<Keys, "self" | "cluster">;
  log: Log;
}

export function openSecrets({ folder, peerKey, keys, log }: Options): RealSecrets {
  const sealedValues = new SealedValues(keys, peerKey);
  let faultsLogged = "";

  function logFaults(faults: ReadonlyMap<string, string>): void {
    const why = JSON.stringify([...faults]);
    if (why !== faultsLogged && faults.size > 0) {
      log.warn("files in the folder of secrets are not used", { folder, why: why.slice(0, 1_024) });
    }
    faultsLogged = why;
  }

  function readOwn(sealed: ReadonlyMap<string, SealedSecret>): HeldSecrets {
    sealedValues.replace(sealed);
    const { own, faults } = ownValuesIn(folder);
    logFaults(faults);
    return { own, faults, unopened: sealedValues.unopened() };
  }

  function newestValueOf(name: string): string | undefined {
    const found = readOwnValue(folder, name);
    const own = found === undefined || "fault" in found ? undefined : found;
    const sealedVersion = sealedValues.versionOf(name) ?? -Infinity;
    return own !== undefined && own.version > sealedVersion ? own.value : sealedValues.open(name);
  }

  return {
    readOwn: (sealed, done) => {
      const held = readOwn(sealed);
      setImmediate(() => done(held));
    },
    keep: (name, value, version, done) => later(done, () => writeOwnValue(folder, name, value, version)),
    remove: (name, done) => later(done, () => removeOwnValue(folder, name)),
    seal: (name, value, version, peers) => seal(value, { mesh: keys.cluster, name, version }, peers),
    resolve: (names) => resolveAll(names, newestValueOf),
  };
}

function resolveAll(names: readonly string[], valueOf: (name: string) => string | undefined): Resolved {
  const values = new Map<string, string>();
  let bytes = 0;
  for (const name of names) {
    const value = valueOf(name);
    if (value === undefined) {
      return { why: "host", reason: `this peer doesn't have the newest value of the secret ${name}` };
    }
    bytes += Buffer.byteLength(value);
    values.set(name, value);
  }
  if (bytes <= secretsOfJobMaxBytes) return { values };
  const reason = `its secrets have ${bytes} bytes in all, and the maximum is ${secretsOfJobMaxBytes}`;
  return { why: "error", reason };
}

/** Calls back in a later turn, with what the disk said. */
function later(done: (error?: CicadaError) => void, act: () => void): void {
  let failed: CicadaError | undefined;
  try {
    act();
  } catch (error) {
    failed = new CicadaError("DISK_FAILED", error instanceof Error ? error.message : String(error));
  }
  setImmediate(() => done(failed));
}
