/**
 * Seals a value to peers: the value is encrypted with a new key, and that key to each peer.
 *
 * A peer's identity is an Ed25519 key, and its id holds the public half. Both halves have a counterpart for X25519 (RFC 7748;
 * the map is that of libsodium's crypto_sign_ed25519_pk_to_curve25519), so nothing has to be announced before a value can be
 * sealed. Each key is encrypted as in ECIES: an ephemeral X25519 key, HKDF-SHA256 over the shared secret with both public keys
 * as salt, AES-256-GCM. The mesh, the name, the version and, for each key, the peer are authenticated with it: a sealed value
 * can't be passed off as another one, an earlier one, or one for another peer.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { peerIdFromString } from "@libp2p/peer-id";
import { assert, CicadaError } from "../../errors.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { SealedSecret, SecretLabel } from "../../schema/secret.ts";

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const algorithm = "aes-256-gcm";
const seedBytes = 32;

export function seal(
  value: string,
  label: SecretLabel,
  peers: readonly PeerId[],
): SealedSecret | CicadaError {
  const boxKey = randomBytes(keyBytes);
  const keys: Record<string, string> = {};
  for (const peer of peers) {
    const to = publicHalfOf(peer);
    if (to === undefined) return new CicadaError("BAD_REQUEST", `nothing can be sealed to ${peer}`);
    const once = x25519.utils.randomSecretKey();
    const from = x25519.getPublicKey(once);
    const key = sharedKey(x25519.getSharedSecret(once, to), from, to);
    const sealed = encrypt(key, boxKey, labelBytes(label, peer));
    keys[peer] = Buffer.concat([from, sealed]).toString("base64url");
  }
  const box = encrypt(boxKey, Buffer.from(value), labelBytes(label));
  return { version: label.version, box: box.toString("base64url"), keys };
}

/** Undefined if it isn't sealed to this peer under this label, or was changed. `peerKey`: libp2p's raw form. */
export function unseal(
  sealed: SealedSecret,
  label: SecretLabel,
  peer: PeerId,
  peerKey: Uint8Array,
): string | undefined {
  const text = Object.hasOwn(sealed.keys, peer) ? sealed.keys[peer] : undefined;
  if (text === undefined) return undefined;
  try {
    const bytes = Buffer.from(text, "base64url");
    const [from, sealedKey] = [bytes.subarray(0, keyBytes), bytes.subarray(keyBytes)];
    const own = ed25519.utils.toMontgomerySecret(peerKey.subarray(0, seedBytes));
    const key = sharedKey(x25519.getSharedSecret(own, from), from, x25519.getPublicKey(own));
    const boxKey = decrypt(key, sealedKey, labelBytes(label, peer));
    return decrypt(boxKey, Buffer.from(sealed.box, "base64url"), labelBytes(label)).toString();
  } catch {
    // A stranger's bytes may be wrong in any way. They then hold no value.
    return undefined;
  }
}

function publicHalfOf(peer: PeerId): Uint8Array | undefined {
  try {
    const id = peerIdFromString(peer);
    return id.type === "Ed25519" ? ed25519.utils.toMontgomery(id.publicKey.raw) : undefined;
  } catch {
    return undefined;
  }
}

function labelBytes({ mesh, name, version }: SecretLabel, peer?: PeerId): Buffer {
  return Buffer.from(JSON.stringify(["cicada-secret-1", mesh, name, version, peer ?? null]));
}

function sharedKey(shared: Uint8Array, from: Uint8Array, to: Uint8Array): Buffer {
  const salt = Buffer.concat([from, to]);
  return Buffer.from(hkdfSync("sha256", shared, salt, "cicada-secret-1", keyBytes));
}

function encrypt(key: Uint8Array, bytes: Uint8Array, label: Uint8Array): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, key, nonce).setAAD(label);
  return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Uint8Array, bytes: Buffer, label: Uint8Array): Buffer {
  assert(bytes.length >= nonceBytes + tagBytes, "a sealed text has a nonce and a tag");
  const end = bytes.length - tagBytes;
  const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(label).setAuthTag(bytes.subarray(end));
  return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, end)), decipher.final()]);
}
