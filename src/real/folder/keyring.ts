/**
 * The cluster keys of one peer: the present one, those before it that are still accepted, and what is to be handed to
 * the other members (DESIGN §11: a leaked key is mended by rotating it, without a stop).
 *
 * A change of keys is believed only of somebody who knows the key that it replaces: it carries, for each older key that
 * its sender holds, a MAC under that key. So during the grace whoever has but the leaked key can't replace the new
 * one by a third. What is kept is on disk before it is used: `cluster.key.old` first, `cluster.key` second, and in
 * between the folder opens with the old key, which the others still accept.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { clusterFingerprint, type Rotation } from "../../identity/cluster-key.ts";
import { CicadaError } from "../../errors.ts";
import type { KeyChange, Keyring } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import { generateClusterKey } from "../keys.ts";

export interface OldKey {
  key: Uint8Array;
  /** wall ms; not accepted from then on */
  until: number;
}

/** What a data folder holds of keys. */
export interface KeptKeys {
  key: Uint8Array;
  /** undefined of a mesh's first key */
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

/** Keys kept at once: a few rotations in one grace; more would be offered in every handshake. */
const oldKeysCap = 4;
/** A change from farther in the future could never be followed by another one. */
const aheadMs = 3_600_000;

export class ClusterKeys implements Keyring {
  private readonly options: ClusterKeysOptions;
  private kept: KeptKeys;
  /** Called after each change of what is accepted. */
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
    if (!isProven(change, this.kept.key)) return refuse("whoever made it did not know the present one");
    this.take(change, done);
  }

  private isLater({ key, madeAt }: KeyChange): boolean {
    return madeAt === this.madeAt() ? Buffer.compare(key, this.kept.key) > 0 : madeAt > this.madeAt();
  }

  /**
   * Two members were asked to rotate at once, and this peer has the later key already. The other one is accepted as
   * long as the old ones are, so that those who hold it can be shown that this peer knows it.
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

  /** Forgets keys whose time is over. To be called now and then. */
  expire(): void {
    const now = this.options.wall();
    const olds = this.kept.olds.filter(({ until }) => until > now);
    if (olds.length === this.kept.olds.length) return;
    const kept = { ...this.kept, olds, heirs: olds.length === 0 ? [] : this.kept.heirs };
    this.kept = kept;
    try {
      this.options.keep(kept);
    } catch (error) {
      // It stays on the disk and out of use; the next start sees that its time is over.
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

/** That whoever made the change knows `old`. */
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
