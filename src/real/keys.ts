/**
 * The two keys of a peer.
 *
 * The peer key (Ed25519) says who a peer is. Its peer id is the text of the public half, so the id alone suffices to
 * check a signature. The cluster key (32 random bytes, the same on all peers) says who belongs to the mesh. This file
 * generates both keys and signs. identity/cluster-key.ts defines the text form of the cluster key, and folder.ts keeps
 * both.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from "node:crypto";
import { privateKeyFromRaw } from "@libp2p/crypto/keys";
import type { PrivateKey } from "@libp2p/interface";
import { peerIdFromPrivateKey, peerIdFromString } from "@libp2p/peer-id";
import { clusterKeyBytes } from "../identity/cluster-key.ts";
import { assert, CicadaError } from "../errors.ts";
import type { Keys } from "../ports.ts";
import type { PeerId } from "../schema/ids.ts";

/** libp2p's raw form of an Ed25519 key: 32 bytes of seed, then the 32 of the public key. */
const peerKeyBytes = 64;
const signatureBytes = 64;
/** How many parsed public keys are kept. Parsing one costs about as much as verifying; each takes less than 1 KiB. */
const parsedKeysCap = 1_024;

export function generatePeerKey(): Uint8Array {
  const jwk = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  assert(jwk.d !== undefined && jwk.x !== undefined, "an Ed25519 key has both halves");
  return Uint8Array.from([...Buffer.from(jwk.d, "base64url"), ...Buffer.from(jwk.x, "base64url")]);
}

/** The form that libp2p uses. Throws BAD_KEY if the bytes are not a peer key. */
export function parsePeerKey(peerKey: Uint8Array): PrivateKey {
  if (peerKey.length !== peerKeyBytes) {
    throw new CicadaError("BAD_KEY", `a peer key has ${peerKeyBytes} bytes, this one ${peerKey.length}`);
  }
  const seed = createPrivateKey({ format: "jwk", key: toJwk(peerKey) });
  const x = createPublicKey(seed).export({ format: "jwk" }).x;
  if (x !== Buffer.from(peerKey.subarray(peerKeyBytes / 2)).toString("base64url")) {
    throw new CicadaError("BAD_KEY", "the halves of the peer key don't belong together");
  }
  return privateKeyFromRaw(peerKey);
}

export function peerIdOf(peerKey: Uint8Array): PeerId {
  return peerIdFromPrivateKey(parsePeerKey(peerKey)).toString() as PeerId;
}

export function generateClusterKey(): Uint8Array {
  return Uint8Array.from(randomBytes(clusterKeyBytes));
}

/** `mesh`: the fingerprint of its first cluster key. */
export function openKeys(options: { peerKey: Uint8Array; mesh: string }): Keys {
  const self = peerIdOf(options.peerKey);
  const own = createPrivateKey({ format: "jwk", key: toJwk(options.peerKey) });
  const parsed = new Map<PeerId, KeyObject>();

  const publicKeyOf = (peer: PeerId): KeyObject | undefined => {
    const known = parsed.get(peer);
    if (known !== undefined) return known;
    const key = parsePublicKey(peer);
    if (key === undefined) return undefined;
    const oldest = parsed.size >= parsedKeysCap ? parsed.keys().next().value : undefined;
    if (oldest !== undefined) parsed.delete(oldest);
    parsed.set(peer, key);
    return key;
  };

  return {
    self,
    cluster: options.mesh,
    sign: (bytes) => Uint8Array.from(sign(null, bytes, own)),
    verify: (peer, bytes, signature) => {
      const key = publicKeyOf(peer);
      return key !== undefined && signature.length === signatureBytes && verify(null, bytes, key, signature);
    },
  };
}

function toJwk(peerKey: Uint8Array): { kty: string; crv: string; d: string; x: string } {
  const half = peerKeyBytes / 2;
  return {
    kty: "OKP",
    crv: "Ed25519",
    d: Buffer.from(peerKey.subarray(0, half)).toString("base64url"),
    x: Buffer.from(peerKey.subarray(half)).toString("base64url"),
  };
}

/** Undefined when the text is not a peer id, or a peer id that doesn't contain its key. */
function parsePublicKey(peer: PeerId): KeyObject | undefined {
  try {
    const id = peerIdFromString(peer);
    if (id.type !== "Ed25519") return undefined;
    const x = Buffer.from(id.publicKey.raw).toString("base64url");
    return createPublicKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", x } });
  } catch {
    return undefined;
  }
}
