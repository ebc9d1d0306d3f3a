/**
 * The Keyring door of the simulated world. It follows the rules of the real one (real/keyring.ts): which keys are
 * accepted, which changes of keys are adopted, when a key is retired, and what it can still prove. There are no secrets
 * here: a proof is a plain hash, and what the real mesh proves by a handshake is read from the other's keyring.
 */
import { CicadaError } from "../errors.ts";
import type { KeyChange, Keyring } from "../ports.ts";
import type { PeerId } from "../schema/ids.ts";
import { graceMaxMs } from "../schema/message.ts";
import { hashText } from "./random.ts";

interface OldKey {
  key: string;
  /** accepted, or kept, until this wall time, ms */
  until: number;
}

/** The cluster keys on a host's disk. Each key is 64 hex digits. */
export interface KeptKeys {
  key: string;
  /** when the key was made, wall time, ms; 0 = the mesh's first */
  madeAt: number;
  /** still accepted, each until its time */
  olds: readonly OldKey[];
  /** no longer accepted; the next replacement of the key removes those whose `until` has passed */
  retired: readonly OldKey[];
  heirs: readonly PeerId[];
}

export const firstKey: KeptKeys = { key: "0".repeat(64), madeAt: 0, olds: [], retired: [], heirs: [] };

export interface SimKeyringDoors {
  self: PeerId;
  kept(): KeptKeys;
  keep(kept: KeptKeys): void;
  generate(): Uint8Array;
  /** ms */
  wall(): number;
  /** calls `act` after `ms`, in an event of its own */
  later(ms: number, act: () => void): void;
}

/** The same numbers as the real keyring's. */
const oldKeysCap = 4;
const retiredForMs = 30 * 86_400_000;
const retiredCap = 64;
const aheadMs = 3_600_000;
const expiresEveryMs = 1_000;

/** The keys of one process of a peer. */
export class SimKeyring implements Keyring {
  private readonly doors: SimKeyringDoors;
  private expiring = false;
  /** Called after each change of the accepted keys. */
  onChange: () => void = () => undefined;

  constructor(doors: SimKeyringDoors) {
    this.doors = doors;
    this.expire();
  }

  fingerprint(): string {
    return fingerprintOf(this.doors.kept().key);
  }

  madeAt(): number {
    return this.doors.kept().madeAt;
  }

  admitsEachOther(other: SimKeyring): boolean {
    return admitEachOther(this.holder(), other.holder());
  }

  supersedes(other: SimKeyring): boolean {
    return supersedes(this.holder(), other.holder());
  }

  private holder(): Holder {
    return { peer: this.doors.self, keys: this.doors.kept() };
  }

  rotate(
    change: Pick<KeyChange, "madeAt" | "oldUntil" | "heirs">,
    done: (error?: CicadaError) => void,
  ): void {
    this.take({ ...change, key: toHex(this.doors.generate()) }, done);
  }

  adopt(change: KeyChange, done: (error?: CicadaError) => void): void {
    const key = toHex(change.key);
    const kept = this.doors.kept();
    if (key === kept.key) return this.doors.later(0, done);
    if (change.madeAt > this.doors.wall() + aheadMs) return this.refuse("it was made in the future", done);
    const isLater = change.madeAt === kept.madeAt ? key > kept.key : change.madeAt > kept.madeAt;
    if (!isLater) return this.noteRival(key, change, done);
    if (!isProven(key, change, kept.key)) return this.refuse("its maker did not know the present key", done);
    this.take({ ...change, key, oldUntil: Math.min(change.oldUntil, change.madeAt + graceMaxMs) }, done);
  }

  ongoingRotation(): KeyChange | undefined {
    const { key, madeAt, olds, heirs } = this.doors.kept();
    const [last] = olds;
    if (last === undefined) return undefined;
    const proofs = Object.fromEntries(
      olds.map((old) => [fingerprintOf(old.key), proofOf(old.key, key, madeAt)]),
    );
    return { key: Buffer.from(key, "hex"), madeAt, oldUntil: last.until, heirs, proofs };
  }

  private refuse(why: string, done: (error: CicadaError) => void): void {
    this.doors.later(0, () => done(new CicadaError("BAD_KEY", why)));
  }

  /** When two keys were made at the same time, the one that loses is accepted for as long as the old ones. */
  private noteRival(key: string, change: KeyChange, done: (error?: CicadaError) => void): void {
    const kept = this.doors.kept();
    const { olds } = kept;
    const [last] = olds;
    const isNews = olds.every((old) => old.key !== key) && olds.length < oldKeysCap;
    if (last === undefined || !isNews || !olds.some((old) => isProven(key, change, old.key)))
      return this.refuse("a later key is known", done);
    const rival = { key, until: Math.min(last.until, change.oldUntil) };
    this.change({ ...kept, olds: [...olds, rival] });
    this.doors.later(0, done);
  }

  private take(
    { key, madeAt, oldUntil, heirs }: Omit<KeyChange, "key" | "proofs"> & { key: string },
    done: () => void,
  ): void {
    const kept = this.doors.kept();
    const earlier = kept.olds.map((old) => ({ ...old, until: Math.min(old.until, oldUntil) }));
    const all = [{ key: kept.key, until: oldUntil }, ...earlier];
    const now = this.doors.wall();
    const retired = retiredWith(all.slice(oldKeysCap), stillKept(kept.retired, now), now);
    this.change({ key, madeAt, olds: all.slice(0, oldKeysCap), retired, heirs });
    this.doors.later(0, done);
  }

  private change(kept: KeptKeys): void {
    this.doors.keep(kept);
    this.doors.later(0, () => this.onChange());
    if (!this.expiring) this.expire();
  }

  /** About every second, retires keys whose grace is over. */
  private expire(): void {
    const kept = this.doors.kept();
    const now = this.doors.wall();
    const olds = kept.olds.filter(({ until }) => until > now);
    const over = kept.olds.filter(({ until }) => until <= now);
    if (over.length > 0) {
      const retired = retiredWith(over, kept.retired, now);
      this.doors.keep({ ...kept, olds, retired, heirs: olds.length === 0 ? [] : kept.heirs });
      this.doors.later(0, () => this.onChange());
    }
    this.expiring = olds.length > 0;
    if (this.expiring) this.doors.later(expiresEveryMs, () => this.expire());
  }
}

/** A peer and the keys in its folder. */
export interface Holder {
  peer: PeerId;
  keys: KeptKeys;
}

/** True if one key admits both peers at each other. */
export function admitEachOther(one: Holder, other: Holder): boolean {
  const admitted = admitting(other.keys, one.peer);
  return admitting(one.keys, other.peer).some((key) => admitted.includes(key));
}

/** True if the other's present key was replaced here, and doesn't admit it. */
export function supersedes({ keys: { key, olds, retired, heirs } }: Holder, other: Holder): boolean {
  const isReplaced = (old: OldKey) => old.key === other.keys.key && old.key !== key;
  return retired.some(isReplaced) || (!heirs.includes(other.peer) && olds.some(isReplaced));
}

/**
 * The keys of a folder after its peer was started with a member's invitation: the later key counts, and the key that it
 * replaces is retired, with those before it.
 */
export function invited(own: KeptKeys, { key, madeAt }: KeptKeys, wall: number): KeptKeys {
  if (madeAt <= own.madeAt) return own;
  const retired = retiredWith([{ key: own.key, until: 0 }, ...own.olds], stillKept(own.retired, wall), wall);
  return { key, madeAt, olds: [], retired, heirs: [] };
}

/** The keys that admit the peer: replaced ones admit only heirs. */
function admitting({ key, olds, heirs }: KeptKeys, peer: PeerId): string[] {
  return heirs.includes(peer) ? [key, ...olds.map((old) => old.key)] : [key];
}

function retiredWith(more: readonly OldKey[], retired: readonly OldKey[], now: number): readonly OldKey[] {
  const all = [...more.map(({ key }) => ({ key, until: now + retiredForMs })), ...retired];
  return all.slice(0, retiredCap);
}

/** Those of the retired keys that are kept when the present key is replaced at that instant. */
function stillKept(retired: readonly OldKey[], now: number): readonly OldKey[] {
  return retired.filter(({ until }) => until > now);
}

function isProven(key: string, change: KeyChange, old: string): boolean {
  return change.proofs[fingerprintOf(old)] === proofOf(old, key, change.madeAt);
}

/** Proves that the maker of the change knows the old key. */
function proofOf(old: string, key: string, madeAt: number): string {
  return hashText(`${old} ${key} ${madeAt}`, 5).toString(16);
}

function fingerprintOf(key: string): string {
  return hashText(key, 4).toString(16).padStart(8, "0").repeat(2);
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
