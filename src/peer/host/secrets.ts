/**
 * Keeps secrets (schema/secret.ts): tells core of which this peer has a value, and carries out what people ask for: a value is
 * kept here alone, or sealed to peers and put into the table. The values go to the Secrets door and nowhere else. What the audit
 * notes of a change is stored before this peer's own value changes, and together with a sealed one.
 */
import type { Clock } from "../../ports.ts";
import type { Secrets } from "../../ports/secrets.ts";
import { CicadaError } from "../../errors.ts";
import type { AuditEntry } from "../../schema/audit.ts";
import { readSealed, secretNameProblem, secretValueProblem } from "../../core/checks/secrets.ts";
import {
  ownSecretsMax,
  recipientsMax,
  sealedMax,
  type HeldSecrets,
  type SealedSecret,
  type SecretChange,
} from "../../schema/secret.ts";
import type { SettingValues } from "../../schema/setting.ts";

/** How often the peer's own folder is read: a person may put values there. */
const readOwnEveryMs = 10_000;

type Done = (error?: CicadaError) => void;

interface SecretDeps {
  door: Secrets;
  clock: Clock;
  /** what the table has */
  sealed(): SettingValues;
  held(held: HeldSecrets): void;
  /** Writes a sealed value into the table, with what the audit notes of it; null removes it. */
  write(sealed: SealedChange, done: Done): void;
  /** Stores entries of the audit, if the disk takes them. */
  note(entries: readonly AuditEntry[], done: () => void): void;
}

export interface SealedChange {
  name: string;
  value: SealedSecret | null;
  by: string;
  entries: readonly AuditEntry[];
}

export class SecretStore {
  readonly #deps: SecretDeps;
  #held: HeldSecrets = { own: new Map(), faults: new Map(), unopened: [] };
  #read: SettingValues | undefined;
  #sealed: ReadonlyMap<string, SealedSecret> = new Map();
  #readOwnAt = -Infinity;

  constructor(deps: SecretDeps) {
    this.#deps = deps;
  }

  /** What this peer had of its own when that was last read. */
  get held(): HeldSecrets {
    return this.#held;
  }

  begin(): void {
    this.#readOwn();
  }

  /** The table may have other sealed values. */
  tableChanged(): void {
    if (this.#read !== this.#deps.sealed()) this.#readOwn();
  }

  /** Called about once a second. */
  woke(mono: number): void {
    if (mono >= this.#readOwnAt) this.#readOwn();
  }

  set({ name, value, peers, by }: SecretChange, entries: readonly AuditEntry[], done: Done): void {
    const problems = [
      { pointer: "/name", message: secretNameProblem(name) },
      { pointer: "/value", message: secretValueProblem(value) },
    ].flatMap(({ pointer, message }) => (message === undefined ? [] : [{ pointer, message }]));
    const [first] = problems;
    if (first !== undefined) {
      return done(new CicadaError("UNPROCESSABLE", `${first.pointer}: ${first.message}`, problems));
    }
    const version = Math.max(this.#deps.clock.now().wall, this.#versionOf(name) + 1);
    const full = peers === undefined ? this.#fullOfOwn(name) : this.#fullOfSealed(name, peers.length);
    if (full !== undefined) return done(new CicadaError("SECRETS_FULL", full));
    const { door } = this.#deps;
    const thenRead = this.#thenReadOwn(done);
    if (peers === undefined) return this.#deps.note(entries, () => door.keep(name, value, version, thenRead));
    const sealed = door.seal(name, value, version, peers);
    if (sealed instanceof CicadaError) return done(sealed);
    this.#deps.write({ name, value: sealed, by, entries }, (error) =>
      // This peer's own value is older now, and no longer used.
      error === undefined ? door.remove(name, thenRead) : done(error),
    );
  }

  /** Removes the sealed value, and this peer's own. */
  remove(name: string, by: string, entries: readonly AuditEntry[], done: Done): void {
    const isSealed = this.#deps.sealed().has(name);
    if (!isSealed && !this.#held.own.has(name) && !this.#held.faults.has(name)) {
      return done(new CicadaError("SECRET_NOT_FOUND", `this peer knows no value of ${name}`));
    }
    const { door } = this.#deps;
    const thenRead = this.#thenReadOwn(done);
    if (!isSealed) return this.#deps.note(entries, () => door.remove(name, thenRead));
    this.#deps.write({ name, value: null, by, entries }, (error) =>
      error === undefined ? door.remove(name, thenRead) : done(error),
    );
  }

  #versionOf(name: string): number {
    return Math.max(this.#held.own.get(name) ?? 0, this.#sealed.get(name)?.version ?? 0);
  }

  #fullOfOwn(name: string): string | undefined {
    const isNew = !this.#held.own.has(name);
    return isNew && this.#held.own.size >= ownSecretsMax
      ? `a peer has at most ${ownSecretsMax} secrets of its own`
      : undefined;
  }

  #fullOfSealed(name: string, peers: number): string | undefined {
    if (peers > recipientsMax) return `a secret is sealed to ${recipientsMax} peers at most`;
    return !this.#sealed.has(name) && this.#sealed.size >= sealedMax
      ? `a mesh has at most ${sealedMax} sealed secrets`
      : undefined;
  }

  #thenReadOwn(done: Done): Done {
    return (error) => (error === undefined ? this.#readOwn(() => done()) : done(error));
  }

  #readOwn(done?: () => void): void {
    this.#readOwnAt = this.#deps.clock.now().mono + readOwnEveryMs;
    const values = this.#deps.sealed();
    if (values !== this.#read) {
      this.#read = values;
      this.#sealed = readAll(values);
    }
    this.#deps.door.readOwn(this.#sealed, (held) => {
      this.#held = held;
      this.#deps.held(held);
      done?.();
    });
  }
}

function readAll(values: SettingValues): ReadonlyMap<string, SealedSecret> {
  return new Map(
    [...values].flatMap(([name, value]) => {
      const sealed = readSealed(value);
      return sealed === undefined ? [] : [[name, sealed] as const];
    }),
  );
}
