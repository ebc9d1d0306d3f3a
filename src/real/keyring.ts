/**
 * The real Keyring door: the present cluster key, the ones before it that are still accepted, and what is handed to the
 * other members after a rotation (DESIGN §3).
 *
 * A change of keys is accepted only from somebody who knows the key that it replaces: it carries, for each older key that
 * its sender holds, a MAC under that key. So during the grace, somebody who has only the leaked key can't replace the new
 * one by a third. Keys are on disk before they are used: `cluster.key.old` first, `cluster.key` second. In between
 * the folder opens with the old key, which the others still accept. A damaged list of old keys doesn't prevent a start: it
 * is logged and set aside, and a member that holds only an old key has to join anew.
 */
import { Compile } from "typebox/compile";
import { Type } from "typebox";
import { createHmac, timingSafeEqual } from "node:crypto";
import {
  clusterFingerprint,
  formatClusterKey,
  parseClusterKey,
  type Rotation,
} from "../identity/cluster-key.ts";
import { CicadaError } from "../errors.ts";
import type { KeyChange, Keyring, Log } from "../ports.ts";
import { PeerIdSchema, type PeerId } from "../schema/ids.ts";
import type { Folder } from "./folder.ts";
import { generateClusterKey } from "./keys.ts";

export interface OldKey {
  key: Uint8Array;
  /** wall ms; it is no longer accepted from then on */
  until: number;
}

/** The keys in a data folder. */
export interface KeptKeys {
  key: Uint8Array;
  /** undefined for the first key of a mesh */
  rotation: Rotation | undefined;
  olds: readonly OldKey[];
  heirs: readonly PeerId[];
}

export interface ClusterKeysOptions {
  kept: KeptKeys;
  /** Makes it durable, or throws a CicadaError. */
  keep(kept: KeptKeys): void;
  /** wall ms */
  wall(): number;
}

/** Old keys that are kept: a few rotations within one grace. Each is offered in every handshake. */
const oldKeysCap = 4;
/** A change that is dated further ahead is refused: no other one could follow it. */
const aheadMs = 3_600_000;

export class ClusterKeys implements Keyring {
  private readonly options: ClusterKeysOptions;
  private kept: KeptKeys;
  /** Called after each change of the accepted keys. */
  onChange: () => void = () => undefined;

  constructor(options: ClusterKeysOptions) {
    this.options = options;
    this.kept = options.kept;
    this.expire();
  }

  /** Names the mesh: the fingerprint of its first key. */
  get mesh(): string {
    return this.kept.rotation?.mesh ?? this.fingerprint();
  }

  get present(): Uint8Array {
    return this.kept.key;
  }

  fingerprint(): string {
    return clusterFingerprint(this.kept.key);
  }

  madeAt(): number {
    return this.kept.rotation?.madeAt ?? 0;
  }

  /** Every key under which somebody may come in, the present one first. */
  accepted(): readonly Uint8Array[] {
    return [this.kept.key, ...this.kept.olds.map(({ key }) => key)];
  }

  accepts(fingerprint: string): boolean {
    return this.accepted().some((key) => clusterFingerprint(key) === fingerprint);
  }

  rotate(
    change: Pick<KeyChange, "madeAt" | "oldUntil" | "heirs">,
    done: (error?: CicadaError) => void,
  ): void {
    this.take({ ...change, key: generateClusterKey() }, done);
  }

  adopt(change: KeyChange, done: (error?: CicadaError) => void): void {
    const refuse = (why: string) => queueMicrotask(() => done(new CicadaError("BAD_KEY", why)));
    if (isSame(change.key, this.kept.key)) return queueMicrotask(() => done());
    if (change.madeAt > this.options.wall() + aheadMs) return refuse("it was made in the future");
    if (!this.isLater(change)) return this.noteRival(change, done);
    if (!isProven(change, this.kept.key)) return refuse("its maker did not know the present key");
    this.take(change, done);
  }

  private isLater({ key, madeAt }: KeyChange): boolean {
    return madeAt === this.madeAt() ? Buffer.compare(key, this.kept.key) > 0 : madeAt > this.madeAt();
  }

  /**
   * Two members were asked to rotate at the same time, and this peer has the later key already. The other key is accepted
   * as long as the old ones are, so that peers which hold it learn that this peer knows it.
   */
  private noteRival(change: KeyChange, done: (error?: CicadaError) => void): void {
    const { olds } = this.kept;
    const [last] = olds;
    const isNews = !olds.some(({ key }) => isSame(key, change.key));
    if (last !== undefined && isNews && olds.length < oldKeysCap) {
      if (olds.some(({ key }) => isProven(change, key))) {
        const rival = { key: change.key, until: Math.min(last.until, change.oldUntil) };
        return this.change({ ...this.kept, olds: [...olds, rival] }, done);
      }
    }
    queueMicrotask(() => done(new CicadaError("BAD_KEY", "a later key is known")));
  }

  handover(): KeyChange | undefined {
    const { key, olds, heirs } = this.kept;
    const [last] = olds;
    if (last === undefined) return undefined;
    const change = { key, madeAt: this.madeAt(), oldUntil: last.until, heirs };
    const proofs = Object.fromEntries(
      olds.map((old) => [clusterFingerprint(old.key), proofOf(old.key, change).toString("base64url")]),
    );
    return { ...change, proofs };
  }

  /** Drops expired keys. Call it regularly. */
  expire(): void {
    const now = this.options.wall();
    const olds = this.kept.olds.filter(({ until }) => until > now);
    if (olds.length === this.kept.olds.length) return;
    const kept = { ...this.kept, olds, heirs: olds.length === 0 ? [] : this.kept.heirs };
    this.kept = kept;
    try {
      this.options.keep(kept);
    } catch (error) {
      // It stays on the disk unused; the next start sees that it has expired.
      if (!(error instanceof CicadaError)) throw error;
    }
    this.onChange();
  }

  private take(change: Omit<KeyChange, "proofs">, done: (error?: CicadaError) => void): void {
    const { key, madeAt, oldUntil, heirs } = change;
    const olds = [{ key: this.kept.key, until: oldUntil }, ...this.kept.olds].slice(0, oldKeysCap);
    this.change({ key, rotation: { mesh: this.mesh, madeAt }, olds, heirs }, done);
  }

  private change(kept: KeptKeys, done: (error?: CicadaError) => void): void {
    try {
      this.options.keep(kept);
    } catch (error) {
      if (!(error instanceof CicadaError)) throw error;
      queueMicrotask(() => done(error));
      return;
    }
    this.kept = kept;
    this.onChange();
    queueMicrotask(() => done());
  }
}

/** Proves that the maker of the change knows `old`. */
function proofOf(old: Uint8Array, { key, madeAt }: Pick<KeyChange, "key" | "madeAt">): Buffer {
  return createHmac("sha256", old).update("cicada key change 1").update(String(madeAt)).update(key).digest();
}

function isProven(change: KeyChange, old: Uint8Array): boolean {
  const proof = Buffer.from(change.proofs[clusterFingerprint(old)] ?? "", "base64url");
  const expected = proofOf(old, change);
  return proof.length === expected.length && timingSafeEqual(proof, expected);
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

const OldKeysFile = Type.Object({
  keys: Type.Array(Type.Object({ key: Type.String(), until: Type.Number() })),
  heirs: Type.Array(PeerIdSchema),
});
const oldKeysCheck = Compile(OldKeysFile);

export interface PresentKey {
  key: Uint8Array;
  founder: PeerId | undefined;
  rotation: Rotation | undefined;
}

/** `present` is what the peer has been started with, and is in the folder already. */
export function openKeyring(folder: Folder, present: PresentKey, wall: () => number, log: Log): ClusterKeys {
  const { key, founder, rotation } = present;
  return new ClusterKeys({
    kept: { key, rotation, ...readOldKeys(folder, log) },
    keep: (kept) => {
      folder.keepOldKeys(formatOldKeys(kept));
      folder.keepClusterKey(formatClusterKey(kept.key, founder, kept.rotation));
    },
    wall,
  });
}

function formatOldKeys({ olds, heirs }: KeptKeys): string | undefined {
  if (olds.length === 0) return undefined;
  const keys = olds.map(({ key, until }) => ({ key: formatClusterKey(key).trim(), until }));
  return `${JSON.stringify({ keys, heirs }, undefined, 2)}\n`;
}

function readOldKeys(folder: Folder, log: Log): Pick<KeptKeys, "olds" | "heirs"> {
  const text = folder.oldKeys();
  if (text === undefined) return { olds: [], heirs: [] };
  try {
    const value: unknown = JSON.parse(text);
    if (!oldKeysCheck.Check(value)) throw new Error("it has an unknown form");
    const olds = value.keys.map(({ key, until }) => ({ key: parseClusterKey(key), until }));
    return { olds, heirs: value.heirs };
  } catch (error) {
    log.warn("cluster.key.old can't be read; the keys in it are no longer accepted", { why: String(error) });
    return { olds: [], heirs: [] };
  }
}
