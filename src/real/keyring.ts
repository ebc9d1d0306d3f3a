/**
 * The real Keyring door: the present cluster key, earlier keys that are still accepted, retired keys, and what is sent
 * to the other members after a rotation (DESIGN §3).
 *
 * A change of keys is only accepted from a peer that knows the key that it replaces. The change carries a MAC under
 * each older key that its sender holds. So during the grace, an attacker who only has the leaked key can't replace the
 * new key by a third. Keys are on disk before they are used: first `cluster.key.old`, then `cluster.key`. Between the
 * two writes the folder opens with the old key, which the others still accept. A damaged list of old keys doesn't
 * prevent a start: it is logged and set aside, and a member that holds only an old key has to rejoin.
 *
 * Until its grace ends, an old key admits only the heirs: the members to which the latest rotation gives its key. An intruder, or
 * a peer that was left out, may know the old key too, but is not admitted under an identity of its own.
 *
 * When its grace is over, an old key is retired: it is kept in a file of its own, `cluster.key.retired`, for 30 days and
 * until the key is replaced once more. Time alone removes none, because a clock may leap a year ahead. A retired key
 * admits no peer and proves no change of keys. Its only use is to prove to a peer that still holds it as its present key
 * that the key was replaced (mesh/succession.ts).
 */
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
import { checkOf } from "../schema/check.ts";
import { graceMaxMs } from "../schema/message.ts";
import type { PeerId } from "../schema/ids.ts";
import { PeerIdSchema } from "../schema/id-shapes.ts";
import type { Folder } from "./folder.ts";
import { generateClusterKey } from "./keys.ts";

export interface OldKey {
  key: Uint8Array;
  /** wall ms; the key is useless from then on */
  until: number;
}

/** The keys in a data folder. */
export interface KeptKeys {
  key: Uint8Array;
  /** undefined for the first key of a mesh */
  rotation: Rotation | undefined;
  olds: readonly OldKey[];
  /** no longer accepted, the newest first; the next replacement of the key removes those whose `until` has passed. Absent = none */
  retired?: readonly OldKey[];
  heirs: readonly PeerId[];
}

export interface ClusterKeysOptions {
  kept: KeptKeys;
  /** Stores the keys durably, or throws a CicadaError. */
  keep(kept: KeptKeys): void;
  /** wall ms */
  wall(): number;
}

/** The most old keys that are kept: a few rotations within one grace. Each is offered in every handshake. */
const oldKeysCap = 4;
/**
 * How long a key is kept after its grace, at least. A peer that returns later is refused without a proof, and runs its jobs
 * alone. More keeps leaked secrets on the disk for longer, with which old recordings could be decrypted.
 */
const retiredForMs = 30 * 86_400_000;
/**
 * The most retired keys that are kept: two rotations a day for the whole time. Each costs a round trip whenever a peer is
 * dialled that accepts none of this peer's keys, and one name in the list that is offered. A mesh that rotates more often keeps
 * the newest ones: a peer that returns with an older key is refused without a proof.
 */
const retiredCap = 64;
/** A change with a date further ahead is refused, because no later change could follow it. */
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

  /** The name of the mesh: the fingerprint of its first key. */
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

  /** Every key that admits a peer, the present one first. The others admit only heirs. */
  accepted(): readonly Uint8Array[] {
    return [this.kept.key, ...this.kept.olds.map(({ key }) => key)];
  }

  accepts(fingerprint: string): boolean {
    return this.accepted().some((key) => clusterFingerprint(key) === fingerprint);
  }

  /** Whether the key with that fingerprint admits this peer. */
  admits(fingerprint: string, peer: PeerId): boolean {
    if (fingerprint === this.fingerprint()) return true;
    return this.kept.heirs.includes(peer) && this.accepts(fingerprint);
  }

  /** Keys that no longer admit a peer. */
  retired(): readonly Uint8Array[] {
    return (this.kept.retired ?? []).map(({ key }) => key);
  }

  isRetired(fingerprint: string): boolean {
    return this.retired().some((key) => clusterFingerprint(key) === fingerprint);
  }

  isPresent(key: Uint8Array): boolean {
    return isSame(key, this.kept.key);
  }

  rotate(
    change: Pick<KeyChange, "madeAt" | "oldUntil" | "heirs">,
    done: (error?: CicadaError) => void,
  ): void {
    this.take({ ...change, key: generateClusterKey() }, done);
  }

  adopt(change: KeyChange, done: (error?: CicadaError) => void): void {
    const refuse = (why: string) => queueMicrotask(() => done(new CicadaError("BAD_KEY", why)));
    if (this.isPresent(change.key)) return queueMicrotask(() => done());
    if (change.madeAt > this.options.wall() + aheadMs) return refuse("it was made in the future");
    if (!this.isLater(change)) return this.noteRival(change, done);
    if (!isProven(change, this.kept.key)) return refuse("its maker did not know the present key");
    this.take({ ...change, oldUntil: Math.min(change.oldUntil, change.madeAt + graceMaxMs) }, done);
  }

  private isLater({ key, madeAt }: KeyChange): boolean {
    return madeAt === this.madeAt() ? Buffer.compare(key, this.kept.key) > 0 : madeAt > this.madeAt();
  }

  /**
   * Handles the case that two members were asked to rotate at the same time, and this peer already has the later key.
   * The other key is accepted for as long as the old ones, so that peers which hold it learn that this peer knows it.
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

  ongoingRotation(): KeyChange | undefined {
    const { key, olds, heirs } = this.kept;
    const [last] = olds;
    if (last === undefined) return undefined;
    const change = { key, madeAt: this.madeAt(), oldUntil: last.until, heirs };
    const proofs = Object.fromEntries(
      olds.map((old) => [clusterFingerprint(old.key), proofOf(old.key, change).toString("base64url")]),
    );
    return { ...change, proofs };
  }

  /** Retires keys whose grace is over. Call it regularly. */
  expire(): void {
    const now = this.options.wall();
    const { olds: before, retired: retiredBefore = [] } = this.kept;
    const olds = before.filter(({ until }) => until > now);
    const over = before.filter(({ until }) => until <= now);
    if (over.length === 0) return;
    const retired = retiredWith(over, retiredBefore, now);
    const kept = { ...this.kept, olds, retired, heirs: olds.length === 0 ? [] : this.kept.heirs };
    this.kept = kept;
    try {
      this.options.keep(kept);
    } catch (error) {
      // The key stays on the disk unused, and the next start sees that it has expired.
      if (!(error instanceof CicadaError)) throw error;
    }
    this.onChange();
  }

  /**
   * No replaced key outlasts the grace of the latest rotation, because a peer that is left out of it may know all earlier keys.
   */
  private take(change: Omit<KeyChange, "proofs">, done: (error?: CicadaError) => void): void {
    const { key, madeAt, oldUntil, heirs } = change;
    const earlier = this.kept.olds.map((old) => ({ ...old, until: Math.min(old.until, oldUntil) }));
    const all = [{ key: this.kept.key, until: oldUntil }, ...earlier];
    const olds = all.slice(0, oldKeysCap);
    const now = this.options.wall();
    const retired = retiredWith(all.slice(oldKeysCap), stillKept(this.kept.retired ?? [], now), now);
    this.change({ key, rotation: { mesh: this.mesh, madeAt }, olds, retired, heirs }, done);
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

/** The retired keys after further ones have been retired at that instant (wall ms). */
function retiredWith(more: readonly OldKey[], retired: readonly OldKey[], now: number): readonly OldKey[] {
  const all = [...more.map(({ key }) => ({ key, until: now + retiredForMs })), ...retired];
  return all.slice(0, retiredCap);
}

/** Those of the retired keys that are kept when the present key is replaced at that instant (wall ms). */
function stillKept(retired: readonly OldKey[], now: number): readonly OldKey[] {
  return retired.filter(({ until }) => until > now);
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

const KeyList = Type.Array(Type.Object({ key: Type.String(), until: Type.Number() }));
const oldKeysCheck = checkOf(Type.Object({ keys: KeyList, heirs: Type.Array(PeerIdSchema) }));
const retiredKeysCheck = checkOf(Type.Object({ keys: KeyList }));

export interface PresentKey {
  key: Uint8Array;
  founder: PeerId | undefined;
  rotation: Rotation | undefined;
  /** the folder's key until now, if a later one was given at this start */
  replaced?: Uint8Array | undefined;
}

/** `present` is the key that the peer was started with. It is in the folder already. */
export function openKeyring(folder: Folder, present: PresentKey, wall: () => number, log: Log): ClusterKeys {
  const { key, founder, rotation, replaced } = present;
  let retired = readRetiredKeys(folder, log);
  let old = readOldKeys(folder, log);
  if (replaced !== undefined) {
    // The heirs of an earlier rotation may have been left out of the one that made the given key.
    const all = [{ key: replaced, until: 0 }, ...old.olds];
    const now = wall();
    retired = retiredWith(all, stillKept(retired, now), now);
    old = { olds: [], heirs: [] };
    folder.keepRetiredKeys(formatRetiredKeys(retired));
    folder.keepOldKeys(undefined);
  }
  return new ClusterKeys({
    kept: { key, rotation, ...old, retired },
    keep: (kept) => {
      folder.keepRetiredKeys(formatRetiredKeys(kept.retired ?? []));
      folder.keepOldKeys(formatOldKeys(kept));
      folder.keepClusterKey(formatClusterKey(kept.key, founder, kept.rotation));
    },
    wall,
  });
}

function formatOldKeys({ olds, heirs }: KeptKeys): string | undefined {
  return olds.length === 0 ? undefined : formatJson({ keys: formatKeys(olds), heirs });
}

function formatRetiredKeys(retired: readonly OldKey[]): string | undefined {
  return retired.length === 0 ? undefined : formatJson({ keys: formatKeys(retired) });
}

function formatKeys(keys: readonly OldKey[]): { key: string; until: number }[] {
  return keys.map(({ key, until }) => ({ key: formatClusterKey(key).trim(), until }));
}

function formatJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function readOldKeys(folder: Folder, log: Log): Pick<KeptKeys, "olds" | "heirs"> {
  const text = folder.oldKeys();
  if (text === undefined) return { olds: [], heirs: [] };
  try {
    const value: unknown = JSON.parse(text);
    if (!oldKeysCheck.accepts(value)) throw new Error("it has an unknown form");
    return { olds: parseKeys(value.keys), heirs: value.heirs };
  } catch (error) {
    const file = folder.setAside("cluster.key.old");
    log.warn("cluster.key.old can't be read and is set aside; the keys in it are no longer accepted", {
      file,
      why: String(error),
    });
    return { olds: [], heirs: [] };
  }
}

function readRetiredKeys(folder: Folder, log: Log): readonly OldKey[] {
  const text = folder.retiredKeys();
  if (text === undefined) return [];
  try {
    const value: unknown = JSON.parse(text);
    if (!retiredKeysCheck.accepts(value)) throw new Error("it has an unknown form");
    return parseKeys(value.keys);
  } catch (error) {
    const file = folder.setAside("cluster.key.retired");
    log.warn(
      "cluster.key.retired can't be read and is set aside; peers that still hold such a key can't be told that it was replaced",
      { file, why: String(error) },
    );
    return [];
  }
}

function parseKeys(keys: readonly { key: string; until: number }[]): OldKey[] {
  return keys.map(({ key, until }) => ({ key: parseClusterKey(key), until }));
}
