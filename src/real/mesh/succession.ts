/**
 * Tells a peer that was away that the cluster key was rotated (DESIGN §3), by a handshake of its own. It is offered
 * after those that admit a peer, and admits no peer itself.
 *
 * Both sides must hold the same key, one as its present key and the other as a retired one. They do a Noise handshake
 * with that key in the prologue, which differs from the prologue for admission. Then each side states what the key is
 * to it, with a MAC under the key that covers this statement and a new random number of each side. So a side that
 * doesn't hold the key can prove nothing, a recording of an earlier handshake proves nothing, and a statement can't be
 * used elsewhere. Then the connection ends, after a few seconds at most. A stranger can cause no more work than by any
 * other handshake, and the same limits apply (host.ts, handshakes.ts).
 *
 * If a key has leaked, an attacker who has it can tell the peers for which it is the present one that it was replaced.
 * For all other peers, statements under it mean nothing. If the leaked key is an old one, these are the peers that were
 * away, and for them the statement is true. If it is the mesh's present key, members continue as long as one linked
 * member was not told so (core/members/superseded-key.ts). An attacker who tells all of them stops the mesh until the
 * key is rotated, and could do worse.
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
type KeyStatus = typeof present | typeof retired;
/** Which side makes a statement, so that it can't be sent back to that side. */
type Side = "dialler" | "dialled";
const nonceBytes = 32;
/** The status and the MAC. */
const statementBytes = 33;
/** How long either side waits for the other's bytes, or for the other to close, before the connection ends. */
const closeGraceMs = 2_000;
/** libp2p only keeps the message of an error in a handshake (host.ts). */
export const successionMessage = "cicada: a handshake that admits no peer";

/** The peer `by` has proved that it holds this peer's present key as a replaced one. */
export type Superseded = (by: PeerId) => void;

export function successionName(clusterKey: Uint8Array): string {
  return namePrefix + clusterFingerprint(clusterKey);
}

/** This handshake always fails in the end, so that no connection results from it. */
export function successionEncrypter(
  clusterKey: Uint8Array,
  keyring: ClusterKeys,
  superseded: Superseded,
  components: NoiseComponents,
): ConnectionEncrypter {
  const prologueBytes = createHash("sha256").update("cicada succession 1").update(clusterKey).digest();
  const inner = noise({ prologueBytes })(components);
  const ownStatement = (by: Side, nonces: Buffer): Buffer =>
    statementOf(clusterKey, by, keyring.isPresent(clusterKey) ? present : retired, nonces);
  const learn = (statement: Buffer, by: Side, nonces: Buffer, peer: { toString(): string }): void => {
    const isRetired = timingSafeEqual(statement, statementOf(clusterKey, by, retired, nonces));
    if (isRetired && keyring.isPresent(clusterKey)) superseded(peer.toString() as PeerId);
  };
  return {
    protocol: successionName(clusterKey),
    secureInbound: async (connection, options) => {
      const secured = await inner.secureInbound(connection, options);
      const stream = byteStream(secured.connection);
      const own = randomBytes(nonceBytes);
      await stream.write(own);
      const nonces = Buffer.concat([await read(stream, nonceBytes), own]);
      learn(await read(stream, statementBytes), "dialler", nonces, secured.remotePeer);
      await stream.write(ownStatement("dialled", nonces));
      // The other side closes the connection when it has read this. If this side did, the statement could be lost.
      await read(stream, 1).catch(() => undefined);
      throw new Error(successionMessage);
    },
    secureOutbound: async (connection, options) => {
      const secured = await inner.secureOutbound(connection, options);
      const stream = byteStream(secured.connection);
      const own = randomBytes(nonceBytes);
      const nonces = Buffer.concat([own, await read(stream, nonceBytes)]);
      await stream.write(Buffer.concat([own, ownStatement("dialler", nonces)]));
      learn(await read(stream, statementBytes), "dialled", nonces, secured.remotePeer);
      throw new Error(successionMessage);
    },
  };
}

/** The proved statement of what the key is to one side. `nonces`: the dialler's, then the dialled peer's. */
function statementOf(clusterKey: Uint8Array, by: Side, status: KeyStatus, nonces: Uint8Array): Buffer {
  const statement = Uint8Array.of(status);
  const mac = createHmac("sha256", clusterKey)
    .update(`cicada succession 1 ${by}`)
    .update(statement)
    .update(nonces);
  return Buffer.concat([statement, mac.digest()]);
}

async function read(stream: ReturnType<typeof byteStream>, bytes: number): Promise<Buffer> {
  const piece = await stream.read({ bytes, signal: AbortSignal.timeout(closeGraceMs) });
  return Buffer.from(piece.subarray());
}
