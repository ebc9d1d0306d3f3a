/**
 * The door to the values of secrets: files in the peer's own folder, and values that the table has sealed to this peer. No
 * value comes out of it, except to the processes and requests of runs, which the Executor door starts.
 */
import type { CicadaError } from "../errors.ts";
import type { PeerId } from "../schema/ids.ts";
import type { HeldSecrets, SealedSecret } from "../schema/secret.ts";

export interface Secrets {
  /** Reads the own folder. `sealed`: all that the table has sealed now; it replaces what was given before. */
  readOwn(sealed: ReadonlyMap<string, SealedSecret>, done: (held: HeldSecrets) => void): void;
  /** Keeps a value in the own folder, durably. */
  keep(name: string, value: string, version: number, done: (error?: CicadaError) => void): void;
  /** Removes a value from the own folder, durably; it need not be there. */
  remove(name: string, done: (error?: CicadaError) => void): void;
  /** Seals a value to peers. It knows no state, and is done at once. */
  seal(name: string, value: string, version: number, peers: readonly PeerId[]): SealedSecret | CicadaError;
}
