/** The sealed secrets that the job table holds now, and which of them this peer can open with its own key. */
import type { Keys } from "../../ports.ts";
import type { SealedSecret } from "../../schema/secret.ts";
import { unseal } from "./seal.ts";

export class SealedValues {
  readonly #keys: Pick<Keys, "self" | "cluster">;
  readonly #peerKey: Uint8Array;
  #byName: ReadonlyMap<string, SealedSecret> = new Map();
  /** whether this peer can open a value that was sealed to it; values never change */
  readonly #canOpen = new WeakMap<SealedSecret, boolean>();

  constructor(keys: Pick<Keys, "self" | "cluster">, peerKey: Uint8Array) {
    this.#keys = keys;
    this.#peerKey = peerKey;
  }

  replace(sealed: ReadonlyMap<string, SealedSecret>): void {
    this.#byName = sealed;
  }

  versionOf(name: string): number | undefined {
    return this.#byName.get(name)?.version;
  }

  /** Undefined if there is no such secret, or this peer can't open it. */
  open(name: string): string | undefined {
    const sealed = this.#byName.get(name);
    return sealed === undefined ? undefined : this.#unseal(name, sealed);
  }

  /** The names of those that were sealed to this peer and can't be opened here. */
  unopened(): string[] {
    return [...this.#byName].flatMap(([name, sealed]) =>
      Object.hasOwn(sealed.keys, this.#keys.self) && !this.#isOpened(name, sealed) ? [name] : [],
    );
  }

  #isOpened(name: string, sealed: SealedSecret): boolean {
    const known = this.#canOpen.get(sealed) ?? this.#unseal(name, sealed) !== undefined;
    this.#canOpen.set(sealed, known);
    return known;
  }

  #unseal(name: string, sealed: SealedSecret): string | undefined {
    const label = { mesh: this.#keys.cluster, name, version: sealed.version };
    return unseal(sealed, label, this.#keys.self, this.#peerKey);
  }
}
