/**
 * The Scripts door: what is on the host's storage, after a moment. Every host has the interpreters that it is given, all users, and the
 * one script of the world from the beginning.
 */
import { scriptName } from "../core/checks/script.ts";
import { CicadaError } from "../errors.ts";
import type { Scripts } from "../ports/scripts.ts";
import type { StableStorage } from "./disk/storage.ts";
import type { Dice } from "./random.ts";
import type { Process } from "./world/process.ts";
import type { Queue } from "./world/queue.ts";

const bytes = new TextEncoder().encode("true\n");
export const worldScript = { bytes, use: { interpreter: "sh", sha256: scriptName(bytes) } } as const;

export interface SimScriptsParts {
  queue: Queue;
  process: Process;
  storage: StableStorage;
  interpreters: readonly string[];
  dice: Dice;
}

export function simScripts({ queue, process, storage, interpreters, dice }: SimScriptsParts): Scripts {
  const later = (act: () => void): void => void queue.after(dice.between(0.1, 5), process, act);
  return {
    list: (done) => later(() => done(new Map([...storage.scripts].map(([name, one]) => [name, one.length])))),
    store: (sha256, given, done) =>
      later(() => {
        if (storage.full) return done(new CicadaError("DISK_FAILED", "the disk is full"));
        storage.scripts.set(sha256, given);
        done();
      }),
    read: (sha256, done) => later(() => done(storage.scripts.get(sha256))),
    remove: (sha256) => void storage.scripts.delete(sha256),
    missingInterpreters: (names, done) =>
      later(() => done(names.filter((name) => !interpreters.includes(name)))),
    lookUpUsers: (names, found) => later(() => names.forEach((name) => found(name, false))),
  };
}
