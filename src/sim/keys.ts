/**
 * Cheap signatures: a keyed 128-bit hash instead of Ed25519, which takes 70 to 90 µs and would be most of the
 * simulator's work. They bind a peer to bytes, which is all that the code under test relies on. They don't prevent
 * forgery.
 */
import type { CicadaError } from "../errors.ts";
import type { KeyChange, Keyring, Keys } from "../ports.ts";
import type { PeerId } from "../schema/ids.ts";
import { hashText, mixBits } from "./random.ts";

const signatureBytes = 16;

export class SimKeys implements Keys {
  readonly self: PeerId;
  readonly cluster: string;

  constructor(self: PeerId, cluster: string) {
    this.self = self;
    this.cluster = hashText(cluster, 1).toString(16).padStart(8, "0").repeat(2);
  }

  sign(bytes: Uint8Array): Uint8Array {
    return keyedHash(this.self, bytes);
  }

  verify(peer: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean {
    if (signature.length !== signatureBytes) return false;
    const expected = keyedHash(peer, bytes);
    return expected.every((byte, index) => byte === signature[index]);
  }
}

/**
 * The cluster keys on a host's disk. A key is named by the time at which it was made (wall clock, ms); 0 = the mesh's
 * first.
 */
export interface KeptKeys {
  change: KeyChange | undefined;
  /** old keys, accepted until then by the wall clock, ms */
  olds: readonly { key: number; until: number }[];
  /** replaced keys that are accepted no more */
  retired: readonly number[];
}

export const firstKey: KeptKeys = { change: undefined, olds: [], retired: [] };

export interface SimKeyringDoors {
  kept(): KeptKeys;
  keep(kept: KeptKeys): void;
  /** ms */
  wall(): number;
  /** calls `act` after `ms`, in an event of its own */
  later(ms: number, act: () => void): void;
}

/**
 * The keys of one process of a peer, without secrets: what the real keyring proves by a MAC, this one reads from the
 * other's keyring.
 */
export class SimKeyring implements Keyring {
  private readonly doors: SimKeyringDoors;
  /** Called after each change of the accepted keys. */
  onChange: () => void = () => undefined;

  constructor(doors: SimKeyringDoors) {
    this.doors = doors;
    if (doors.kept().olds.length > 0) this.expire();
  }

  fingerprint(): string {
    return hashText(String(this.madeAt()), 4).toString(16).padStart(8, "0").repeat(2);
  }

  madeAt(): number {
    return this.doors.kept().change?.madeAt ?? 0;
  }

  /** True if one of the two accepts the other. */
  sharesKeyWith(other: SimKeyring): boolean {
    return this.accepted().some((key) => other.accepted().includes(key));
  }

  /** True if the other's present key was replaced here. */
  supersedes(other: SimKeyring): boolean {
    return this.doors.kept().retired.includes(other.madeAt());
  }

  rotate(
    change: Pick<KeyChange, "madeAt" | "oldUntil" | "heirs">,
    done: (error?: CicadaError) => void,
  ): void {
    this.adopt({ ...change, key: new Uint8Array(32), proofs: {} }, done);
  }

  adopt(change: KeyChange, done: (error?: CicadaError) => void): void {
    const { olds, retired } = this.doors.kept();
    const before = this.madeAt();
    if (change.madeAt > before) {
      this.doors.keep({ change, olds: [{ key: before, until: change.oldUntil }, ...olds], retired });
      this.doors.later(0, () => this.onChange());
      this.expire();
    }
    this.doors.later(0, done);
  }

  ongoingRotation(): KeyChange | undefined {
    const { change, olds } = this.doors.kept();
    return olds.length > 0 ? change : undefined;
  }

  private accepted(): number[] {
    return [this.madeAt(), ...this.doors.kept().olds.map(({ key }) => key)];
  }

  /** Retires the keys whose time is over, now and whenever the next one is due. */
  private expire(): void {
    const { change, olds, retired } = this.doors.kept();
    const now = this.doors.wall();
    const over = olds.filter(({ until }) => until <= now).map(({ key }) => key);
    const left = olds.filter(({ until }) => until > now);
    if (over.length > 0) {
      this.doors.keep({ change, olds: left, retired: [...over, ...retired] });
      this.doors.later(0, () => this.onChange());
    }
    const soonest = left.reduce((first, { until }) => Math.min(first, until), Infinity);
    if (left.length > 0) this.doors.later(soonest - now, () => this.expire());
  }
}

function keyedHash(peer: PeerId, bytes: Uint8Array): Uint8Array {
  let a = hashText(peer, 2);
  let b = hashText(peer, 3);
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0;
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b + byte, 0x9e3779b1) ^ (b >>> 15);
  }
  const hash = new Uint8Array(signatureBytes);
  const words = new DataView(hash.buffer);
  words.setUint32(0, mixBits(a));
  words.setUint32(4, mixBits(b));
  words.setUint32(8, mixBits(a ^ Math.imul(b, 5)));
  words.setUint32(12, mixBits(b ^ Math.imul(a, 9)));
  return hash;
}
