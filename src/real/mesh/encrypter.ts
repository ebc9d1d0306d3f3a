/**
 * The mesh's door: Noise, in which both sides must know the cluster key.
 *
 * The key goes into Noise's prologue, so a handshake with another key fails and nobody in between can pass one on.
 * Its fingerprint is part of the encrypter's name, so that a foreign peer is turned away by the negotiation before
 * it, within milliseconds, and the reason can be told.
 */
import { createHash } from "node:crypto";
import { noise, type NoiseComponents } from "@libp2p/noise";
import type { ConnectionEncrypter } from "@libp2p/interface";
import { clusterFingerprint } from "../keys.ts";

const namePrefix = "/cicada/noise/1/";

export function clusterNoise(clusterKey: Uint8Array): (components: NoiseComponents) => ConnectionEncrypter {
  const prologueBytes = createHash("sha256").update("cicada prologue 1").update(clusterKey).digest();
  const makeNoise = noise({ prologueBytes });
  return (components) => {
    const inner = makeNoise(components);
    return {
      protocol: namePrefix + clusterFingerprint(clusterKey),
      secureInbound: (connection, options) => inner.secureInbound(connection, options),
      secureOutbound: (connection, options) => inner.secureOutbound(connection, options),
    };
  };
}

/** Which mesh a dialler asked for, read from the first bytes that it sent; undefined when it is no cicada peer. */
export function fingerprintIn(opening: Uint8Array): string | undefined {
  const text = Buffer.from(opening).toString("latin1");
  const at = text.indexOf(namePrefix);
  return at < 0 ? undefined : /^[0-9a-f]{16}/.exec(text.slice(at + namePrefix.length))?.[0];
}
