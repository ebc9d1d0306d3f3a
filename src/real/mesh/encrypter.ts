/**
 * Admits peers to the mesh: a Noise handshake in which both sides must know the cluster key, and one byte of welcome.
 *
 * The key is part of Noise's prologue, so a handshake with another key fails, and nobody in between can relay one. The
 * key's fingerprint is part of the encrypter's name. So a foreign peer is refused in the negotiation before the
 * handshake, within milliseconds and with a known reason, and after a rotation both keys can be offered.
 *
 * After the handshake the dialler's identity is known, and the dialled peer answers with one byte: welcome, forgotten by
 * the mesh, or that the key was replaced and the dialler is no heir of it (keyring.ts). Without that byte, a refused peer could
 * not distinguish the refusal from a broken network, and would dial for ever. A forgotten peer is then shown the proof:
 * two bytes with its length, and the text. Earlier versions send none and don't read it; they take the third answer for
 * the second one without a proof. Since the handshake shows that the other side knows the key, the third answer proves as
 * much as succession.ts does.
 *
 * The encrypters that are offered last admit no peer. They tell a peer that was away that the key was rotated
 * (succession.ts).
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
const replaced = 2;
/** Longest proof; a word of the table, whose largest value has 4 KiB. */
const proofCapBytes = 8_192;
/** How long a refused peer has to read the reason before the connection ends. */
const closeGraceMs = 1_000;
/** libp2p only keeps the messages of errors in a handshake (host.ts). */
export const forgottenMessage = "cicada: the mesh has forgotten this peer";
export const replacedMessage = "cicada: a key that was replaced, and one of the two is no heir of it";

export interface Gate {
  /** The proof to be shown to an identity that the mesh refuses; undefined = it is not refused. */
  refusalOf(peer: PeerId): string | undefined;
  /** The peer `by` refuses this one as forgotten; `proof` is what it has shown, if anything. */
  turnedAway(by: PeerId, proof: string | undefined): void;
}

/**
 * One encrypter for each accepted key, the present one first; then the succession handshakes, for the present key and
 * for retired ones. They are offered in this order.
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

  /** The encrypter with which libp2p is created. Call `refresh` afterwards. */
  readonly first = (components: NoiseComponents): ConnectionEncrypter => {
    this.components = components;
    return this.encrypterOf(this.keyring.present, components);
  };

  /** Updates the offered encrypters to the keyring's present state. Handshakes in progress are not disturbed. */
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
    const { gate, keyring } = this;
    const fingerprint = clusterFingerprint(clusterKey);
    const admits = ({ remotePeer }: SecuredConnection): boolean =>
      keyring.admits(fingerprint, remotePeer.toString() as PeerId);
    const encrypter: ConnectionEncrypter = {
      protocol,
      secureInbound: async (connection, options) => {
        const secured = await inner.secureInbound(connection, options);
        await sendVerdict(secured, gate, admits(secured));
        return secured;
      },
      secureOutbound: async (connection, options) => {
        const secured = await inner.secureOutbound(connection, options);
        const verdict = await readVerdict(secured, gate, options?.signal);
        if (verdict === replaced && keyring.isPresent(clusterKey))
          this.superseded(secured.remotePeer.toString() as PeerId);
        if (verdict === replaced || !admits(secured)) throw new Error(replacedMessage);
        return secured;
      },
    };
    this.made.set(protocol, encrypter);
    return encrypter;
  }
}

async function sendVerdict(
  { connection, remotePeer }: SecuredConnection,
  gate: Gate,
  isAdmitted: boolean,
): Promise<void> {
  const bytes = byteStream(connection);
  const refusal = gate.refusalOf(remotePeer.toString() as PeerId);
  if (refusal === undefined && isAdmitted) {
    await bytes.write(Uint8Array.of(welcome));
    bytes.unwrap();
    return;
  }
  // Earlier versions read a proof after each refusal; one of no length is none.
  const [verdict, proof] = refusal === undefined ? [replaced, ""] : [forgotten, refusal];
  await bytes.write(Buffer.concat([Uint8Array.of(verdict), encodeProof(proof)]));
  // The other side closes the connection when it has read the byte. If this side did, the byte could be lost.
  await bytes.read({ signal: AbortSignal.timeout(closeGraceMs) }).catch(() => undefined);
  if (refusal === undefined) throw new Error(replacedMessage);
  throw new Error("a forgotten peer was refused");
}

async function readVerdict(
  { connection, remotePeer }: SecuredConnection,
  gate: Gate,
  signal: AbortSignal | undefined,
): Promise<typeof welcome | typeof replaced> {
  const bytes = byteStream(connection);
  const word = await bytes.read({ bytes: 1, ...(signal === undefined ? {} : { signal }) });
  const verdict = word.get(0);
  if (verdict === replaced) return replaced;
  if (verdict !== welcome) {
    gate.turnedAway(remotePeer.toString() as PeerId, await readProof(bytes));
    throw new Error(forgottenMessage);
  }
  bytes.unwrap();
  return welcome;
}

/** A text that is too long is not shown: two bytes of zero, as if there were no proof. */
function encodeProof(proof: string): Uint8Array {
  const text = Buffer.from(proof);
  const shown = text.length > proofCapBytes ? Buffer.alloc(0) : text;
  return Buffer.concat([Uint8Array.of(shown.length >> 8, shown.length & 255), shown]);
}

/** Undefined if the other side shows none, as earlier versions do. */
async function readProof(bytes: ReturnType<typeof byteStream>): Promise<string | undefined> {
  const signal = AbortSignal.timeout(closeGraceMs / 2);
  try {
    const [high = 0, low = 0] = (await bytes.read({ bytes: 2, signal })).subarray();
    const length = high * 256 + low;
    if (length === 0 || length > proofCapBytes) return undefined;
    return Buffer.from((await bytes.read({ bytes: length, signal })).subarray()).toString();
  } catch {
    return undefined;
  }
}

/** The fingerprints of the keys that a dialler offered, read from its first bytes. None if it is not a cicada peer. */
export function fingerprintsIn(opening: Uint8Array): string[] {
  const text = Buffer.from(opening).toString("latin1");
  return [...text.matchAll(offered)].map(([, fingerprint = ""]) => fingerprint);
}
const offered = new RegExp(`${namePrefix}([0-9a-f]{16})`, "g");

/** The fingerprint of the key under which a connection was made. */
export function fingerprintOf({ encryption }: Pick<Connection, "encryption">): string {
  return (encryption ?? "").slice(namePrefix.length);
}
