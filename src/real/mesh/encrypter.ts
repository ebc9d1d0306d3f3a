/**
 * Who gets into the mesh: Noise, in which both sides must know the cluster key, and one byte of welcome.
 *
 * The key goes into Noise's prologue, so a handshake with another key fails and nobody in between can relay one. Its
 * fingerprint is part of the encrypter's name. So a foreign peer is refused in the negotiation before the handshake, within
 * milliseconds and with a known reason, and after a rotation both keys can be offered.
 *
 * After the handshake the dialler is known, and the peer that was dialled answers with one byte: welcome, or forgotten by
 * the mesh. Without that byte a forgotten peer could not tell the refusal from a broken network, and would dial for ever.
 *
 * What is offered last lets nobody in: by it a peer that was away during a rotation learns of that (succession.ts).
 */
import { createHash } from "node:crypto";
import type { Connection, ConnectionEncrypter, SecuredConnection } from "@libp2p/interface";
import { noise, type NoiseComponents } from "@libp2p/noise";
import { byteStream } from "@libp2p/utils";
import type { PeerId } from "../../schema/ids.ts";
import { clusterFingerprint } from "../../identity/cluster-key.ts";
import { assert } from "../../errors.ts";
import type { ClusterKeys } from "../keyring.ts";
import { successionEncrypter, successionName, type Superseded } from "./succession.ts";

const namePrefix = "/cicada/noise/2/";
const welcome = 0;
const forgotten = 1;
/** How long a refused peer has to read the reason before the connection ends. */
const partingMs = 1_000;
/** Of what went wrong in a handshake, libp2p keeps only the message (host.ts). */
export const forgottenWords = "cicada: the mesh has forgotten this peer";

export interface Gate {
  /** This identity is kept out. */
  isForgotten(peer: PeerId): boolean;
  /** That peer keeps this one out. */
  turnedAway(by: PeerId): void;
}

/**
 * One encrypter for each accepted key, the present one first, and then the handshakes of a succession, for the present key
 * and for retired ones: they are offered in this order.
 */
export class Encrypters {
  private readonly keyring: ClusterKeys;
  private readonly gate: Gate;
  private readonly superseded: Superseded;
  private readonly made = new Map<string, ConnectionEncrypter>();
  private components: NoiseComponents | undefined;

  constructor(keyring: ClusterKeys, gate: Gate, superseded: Superseded) {
    this.keyring = keyring;
    this.gate = gate;
    this.superseded = superseded;
  }

  /** For libp2p, which takes its encrypters when it is made. Call `refresh` afterwards. */
  readonly first = (components: NoiseComponents): ConnectionEncrypter => {
    this.components = components;
    return this.encrypterOf(this.keyring.present, components);
  };

  /** Takes over what the keyring accepts now. Handshakes under way are not disturbed. */
  refresh(): void {
    const { components } = this;
    assert(components !== undefined, "libp2p has been made");
    const offered = components.upgrader.getConnectionEncrypters();
    offered.clear();
    for (const key of this.keyring.accepted()) {
      const encrypter = this.encrypterOf(key, components);
      offered.set(encrypter.protocol, encrypter);
    }
    for (const key of [this.keyring.present, ...this.keyring.retired()]) {
      const encrypter = this.successionOf(key, components);
      offered.set(encrypter.protocol, encrypter);
    }
  }

  private successionOf(clusterKey: Uint8Array, components: NoiseComponents): ConnectionEncrypter {
    const known = this.made.get(successionName(clusterKey));
    if (known !== undefined) return known;
    const encrypter = successionEncrypter(clusterKey, this.keyring, this.superseded, components);
    this.made.set(encrypter.protocol, encrypter);
    return encrypter;
  }

  private encrypterOf(clusterKey: Uint8Array, components: NoiseComponents): ConnectionEncrypter {
    const protocol = namePrefix + clusterFingerprint(clusterKey);
    const known = this.made.get(protocol);
    if (known !== undefined) return known;
    const prologueBytes = createHash("sha256").update("cicada prologue 1").update(clusterKey).digest();
    const inner = noise({ prologueBytes })(components);
    const { gate } = this;
    const encrypter: ConnectionEncrypter = {
      protocol,
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
    this.made.set(protocol, encrypter);
    return encrypter;
  }
}

async function answer({ connection, remotePeer }: SecuredConnection, gate: Gate): Promise<void> {
  const words = byteStream(connection);
  const isForgotten = gate.isForgotten(remotePeer.toString() as PeerId);
  await words.write(Uint8Array.of(isForgotten ? forgotten : welcome));
  if (!isForgotten) {
    words.unwrap();
    return;
  }
  // The other side hangs up when it has read this. If this side did, the byte could be lost.
  await words.read({ signal: AbortSignal.timeout(partingMs) }).catch(() => undefined);
  throw new Error("a forgotten peer was refused");
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

/** The keys that a dialler offered, read from the first bytes that it sent. None when it is not a cicada peer. */
export function fingerprintsIn(opening: Uint8Array): string[] {
  const text = Buffer.from(opening).toString("latin1");
  return [...text.matchAll(offered)].map(([, fingerprint = ""]) => fingerprint);
}
const offered = new RegExp(`${namePrefix}([0-9a-f]{16})`, "g");

/** The key under which a connection was made, by its fingerprint. */
export function fingerprintOf({ encryption }: Pick<Connection, "encryption">): string {
  return (encryption ?? "").slice(namePrefix.length);
}
