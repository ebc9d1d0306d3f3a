/**
 * Cheap signatures: a keyed 128-bit hash instead of Ed25519, which takes 70 to 90 µs and would be most of the
 * simulator's work. They bind a peer to bytes, which is all that the code under test relies on. They don't prevent
 * forgery.
 */
import type { Keys } from "../ports.ts";
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
