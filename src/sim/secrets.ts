/** The Secrets door: values on the host's storage, and sealed values that only their peers open. Nothing is encrypted here. */
import { CicadaError } from "../errors.ts";
import type { Secrets } from "../ports/secrets.ts";
import type { PeerId } from "../schema/ids.ts";
import type { StableStorage } from "./disk/storage.ts";
import type { Dice } from "./random.ts";
import type { Process } from "./world/process.ts";
import type { Queue } from "./world/queue.ts";

export const worldSecret = "WORLD_SECRET";

export interface SimSecretsParts {
  queue: Queue;
  process: Process;
  storage: StableStorage;
  peer: PeerId;
  dice: Dice;
}

export function simSecrets({ queue, process, storage, peer, dice }: SimSecretsParts): Secrets {
  const later = (act: () => void): void => void queue.after(dice.between(0.1, 5), process, act);
  return {
    readOwn: (sealed, done) => {
      const unopened = [...sealed].flatMap(([name, { keys }]) =>
        Object.hasOwn(keys, peer) && keys[peer] !== peer ? [name] : [],
      );
      later(() => {
        const own = new Map([...storage.secrets].map(([name, { version }]) => [name, version]));
        done({ own, faults: new Map(), unopened });
      });
    },
    keep: (name, value, version, done) =>
      later(() => {
        if (storage.full) return done(new CicadaError("DISK_FAILED", "the disk is full"));
        storage.secrets.set(name, { value, version });
        done();
      }),
    remove: (name, done) =>
      later(() => {
        storage.secrets.delete(name);
        done();
      }),
    seal: (_name, value, version, peers) => ({
      version,
      box: Buffer.from(value).toString("base64url"),
      keys: Object.fromEntries(peers.map((one) => [one, one])),
    }),
  };
}
