/**
 * How a peer that was away while the cluster key was rotated learns of it (DESIGN §3): by a handshake of its own, offered
 * after all those by which a peer gets in, and which lets nobody in.
 *
 * Both sides must hold the same key; one still as its present key, the other as a retired one. They shake hands by Noise with
 * that key in the prologue, which differs from the one by which peers get in. Then each says what the key is to it, with a MAC
 * under the key that covers this and a fresh number of either side. So who doesn't hold the key proves nothing, nor does a
 * recording of an earlier handshake, and nothing said here can be used elsewhere. Then the connection ends, after a few
 * seconds at the latest. A stranger can cause no more work than by any other handshake, and the same limits hold (host.ts).
 *
 * What follows if a key has leaked: whoever has it can tell those peers that it was replaced to which it is the present one. To
 * all others nothing said under it counts. If it is an old key, they are the peers that were away, to which it is true. If it is
 * the mesh's present one, members carry on all the same as long as one that is linked was not told so
 * (core/members/superseded-key.ts); one who tells all of them stops the mesh until the key is rotated, and could do worse.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { ConnectionEncrypter } from "@libp2p/interface";
import { noise, type NoiseComponents } from "@libp2p/noise";
import { byteStream } from "@libp2p/utils";
import type { PeerId } from "../../schema/ids.ts";
import { clusterFingerprint } from "../../identity/cluster-key.ts";
import type { ClusterKeys } from "../keyring.ts";

const namePrefix = "/cicada/succession/1/";
const present = 0;
const retired = 1;
type Standing = typeof present | typeof retired;
/** Who speaks: what one side has said can't be said back to it. */
type Side = "dialler" | "dialled";
const nonceBytes = 32;
/** The standing and the MAC. */
const statementBytes = 33;
/** How long either side waits for the other's word, or to be hung up on, before the connection ends. */
const partingMs = 2_000;
/** Of what went wrong in a handshake, libp2p keeps only the message (host.ts). */
export const successionWords = "cicada: a handshake that lets nobody in";

/** That peer has proved that it holds this peer's present key as one that was replaced. */
export type Superseded = (by: PeerId) => void;

export function successionName(clusterKey: Uint8Array): string {
  return namePrefix + clusterFingerprint(clusterKey);
}

/** It always fails in the end: no connection comes of it. */
export function successionEncrypter(
  clusterKey: Uint8Array,
  keyring: ClusterKeys,
  superseded: Superseded,
  components: NoiseComponents,
): ConnectionEncrypter {
  const prologueBytes = createHash("sha256").update("cicada succession 1").update(clusterKey).digest();
  const inner = noise({ prologueBytes })(components);
  const statement = (by: Side, nonces: Buffer): Buffer =>
    statementOf(clusterKey, by, keyring.isPresent(clusterKey) ? present : retired, nonces);
  const learn = (said: Buffer, by: Side, nonces: Buffer, peer: { toString(): string }): void => {
    const isRetired = timingSafeEqual(said, statementOf(clusterKey, by, retired, nonces));
    if (isRetired && keyring.isPresent(clusterKey)) superseded(peer.toString() as PeerId);
  };
  return {
    protocol: successionName(clusterKey),
    secureInbound: async (connection, options) => {
      const secured = await inner.secureInbound(connection, options);
      const words = byteStream(secured.connection);
      const own = randomBytes(nonceBytes);
      await words.write(own);
      const nonces = Buffer.concat([await read(words, nonceBytes), own]);
      learn(await read(words, statementBytes), "dialler", nonces, secured.remotePeer);
      await words.write(statement("dialled", nonces));
      // The other side hangs up when it has read this. If this side did, it could be lost.
      await read(words, 1).catch(() => undefined);
      throw new Error(successionWords);
    },
    secureOutbound: async (connection, options) => {
      const secured = await inner.secureOutbound(connection, options);
      const words = byteStream(secured.connection);
      const own = randomBytes(nonceBytes);
      const nonces = Buffer.concat([own, await read(words, nonceBytes)]);
      await words.write(Buffer.concat([own, statement("dialler", nonces)]));
      learn(await read(words, statementBytes), "dialled", nonces, secured.remotePeer);
      throw new Error(successionWords);
    },
  };
}

/** What the key is to the speaker, proved. `nonces`: the dialler's, then that of the peer that was dialled. */
function statementOf(clusterKey: Uint8Array, by: Side, standing: Standing, nonces: Uint8Array): Buffer {
  const said = Uint8Array.of(standing);
  const mac = createHmac("sha256", clusterKey)
    .update(`cicada succession 1 ${by}`)
    .update(said)
    .update(nonces);
  return Buffer.concat([said, mac.digest()]);
}

async function read(words: ReturnType<typeof byteStream>, bytes: number): Promise<Buffer> {
  const piece = await words.read({ bytes, signal: AbortSignal.timeout(partingMs) });
  return Buffer.from(piece.subarray());
}
