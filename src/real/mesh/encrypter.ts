/**
 * The mesh's door: Noise, in which both sides must know the cluster key, and a word of welcome.
 *
 * The key goes into Noise's prologue, so a handshake with another key fails and nobody in between can pass one on.
 * Its fingerprint is part of the encrypter's name, so that a foreign peer is turned away by the negotiation before
 * it, within milliseconds, and the reason can be told.
 *
 * Then it is known who knocks, and whoever was dialled says one byte: come in, or that the mesh has forgotten the
 * dialler. A peer that is merely not let in could not tell that from a broken network, and would go on for ever.
 */
import { createHash } from "node:crypto";
import type { ConnectionEncrypter, SecuredConnection } from "@libp2p/interface";
import { noise, type NoiseComponents } from "@libp2p/noise";
import { byteStream } from "@libp2p/utils";
import type { PeerId } from "../../schema/ids.ts";
import { clusterFingerprint } from "../keys.ts";

const namePrefix = "/cicada/noise/2/";
const welcome = 0;
const forgotten = 1;
/** How long the one who was turned away has to read why, before the connection ends. */
const partingMs = 1_000;
/** libp2p keeps only the words of what went wrong in a handshake (dial.ts). */
export const forgottenWords = "cicada: the mesh has forgotten this peer";

export interface Gate {
  /** This identity is kept out. */
  isForgotten(peer: PeerId): boolean;
  /** That peer keeps this one out. */
  turnedAway(by: PeerId): void;
}

export function clusterNoise(
  clusterKey: Uint8Array,
  gate: Gate,
): (components: NoiseComponents) => ConnectionEncrypter {
  const prologueBytes = createHash("sha256").update("cicada prologue 1").update(clusterKey).digest();
  const makeNoise = noise({ prologueBytes });
  return (components) => {
    const inner = makeNoise(components);
    return {
      protocol: namePrefix + clusterFingerprint(clusterKey),
      secureInbound: async (connection, options) => {
        const secured = await inner.secureInbound(connection, options);
        await answer(secured, gate);
        return secured;
      },
      secureOutbound: async (connection, options) => {
        const secured = await inner.secureOutbound(connection, options);
        await hear(secured, gate, options?.signal);
        return secured;
      },
    };
  };
}

async function answer({ connection, remotePeer }: SecuredConnection, gate: Gate): Promise<void> {
  const words = byteStream(connection);
  const isForgotten = gate.isForgotten(remotePeer.toString() as PeerId);
  await words.write(Uint8Array.of(isForgotten ? forgotten : welcome));
  if (!isForgotten) {
    words.unwrap();
    return;
  }
  // It hangs up when it has read that; if this side did it first, the word could be lost.
  await words.read({ signal: AbortSignal.timeout(partingMs) }).catch(() => undefined);
  throw new Error("a forgotten peer was turned away");
}

async function hear(
  { connection, remotePeer }: SecuredConnection,
  gate: Gate,
  signal: AbortSignal | undefined,
): Promise<void> {
  const words = byteStream(connection);
  const word = await words.read({ bytes: 1, ...(signal === undefined ? {} : { signal }) });
  if (word.get(0) !== welcome) {
    gate.turnedAway(remotePeer.toString() as PeerId);
    throw new Error(forgottenWords);
  }
  words.unwrap();
}

/** Which mesh a dialler asked for, read from the first bytes that it sent; undefined when it is no cicada peer. */
export function fingerprintIn(opening: Uint8Array): string | undefined {
  const text = Buffer.from(opening).toString("latin1");
  const at = text.indexOf(namePrefix);
  return at < 0 ? undefined : /^[0-9a-f]{16}/.exec(text.slice(at + namePrefix.length))?.[0];
}
