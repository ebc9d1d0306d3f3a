/**
 * Signatures that cost next to nothing: a keyed 128-bit hash instead of Ed25519, whose 70 to 90 µs a time would
 * be most of the simulator's work. They bind peer and bytes together, which is all that the code under test relies
 * on. They don't prevent forgery.
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

/** The simulated wires need no key. This keyring only remembers the present one, for one life of a peer. */
export class SimKeyring implements Keyring {
  private readonly later: (act: () => void) => void;
  private change: KeyChange | undefined;

  /** `later` carries something out within an event of its own. */
  constructor(later: (act: () => void) => void) {
    this.later = later;
  }

  fingerprint(): string {
    return hashText(String(this.madeAt()), 4).toString(16).padStart(8, "0").repeat(2);
  }

  madeAt(): number {
    return this.change?.madeAt ?? 0;
  }

  rotate(
    change: Pick<KeyChange, "madeAt" | "oldUntil" | "heirs">,
    done: (error?: CicadaError) => void,
  ): void {
    this.adopt({ ...change, key: new Uint8Array(32), proofs: {} }, done);
  }

  adopt(change: KeyChange, done: (error?: CicadaError) => void): void {
    if (change.madeAt > this.madeAt()) this.change = change;
    this.later(done);
  }

  handover(): KeyChange | undefined {
    return this.change;
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
