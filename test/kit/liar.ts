/**
 * A member that lies to real peers: it holds the cluster key, has a link to each of them, and says whatever a test wants,
 * in its own name or in another's.
 */
import { readFileSync } from "node:fs";
import { parseClusterKey } from "../../src/identity/cluster-key.ts";
import { openRandom } from "../../src/real/random.ts";
import { generatePeerKey, openKeys, peerIdOf } from "../../src/real/keys.ts";
import type { Keys } from "../../src/ports.ts";
import type { StreamProtocol } from "../../src/real/mesh/streams.ts";
import { ulid, type PeerId } from "../../src/schema/ids.ts";
import type { Heartbeat } from "../../src/schema/heartbeat.ts";
import type { TableEdit } from "../../src/schema/job.ts";
import { membershipBytes, type MembershipStatement } from "../../src/schema/membership.ts";
import type { Message, Protocol, Topic } from "../../src/schema/message.ts";
import type { Epoch } from "../../src/schema/vote.ts";
import { freshClientId, JobTable } from "../../src/table/table.ts";
import { decode, encode } from "../../src/wire/codec.ts";
import type { RunningPeer } from "./cluster.ts";
import { idleHeartbeat } from "./idle-heartbeat.ts";
import { onlyKey, openTestMesh, until } from "./mesh-world.ts";

const linkWithinMs = 20_000;

export class Liar {
  readonly keys: Keys;
  readonly table: JobTable;
  readonly victims: readonly PeerId[];
  /** the last heartbeat of each peer to the liar */
  readonly heard = new Map<PeerId, Heartbeat>();
  /** what it was shown when it was turned away */
  readonly proofs: (string | undefined)[] = [];
  /** the roster, as a peer has told it */
  roster: readonly Epoch[] = [];
  readonly #linked = new Set<PeerId>();
  readonly #mesh: Awaited<ReturnType<typeof openTestMesh>>;
  #seq = 0;

  private constructor(
    keys: Keys,
    victims: readonly PeerId[],
    mesh: Awaited<ReturnType<typeof openTestMesh>>,
  ) {
    this.keys = keys;
    this.victims = victims;
    this.#mesh = mesh;
    const random = openRandom();
    this.table = new JobTable({
      self: keys.self,
      clientId: freshClientId(random),
      freshClientId: () => freshClientId(random),
      incarnation: (wall) => ulid(wall, random.bytes(16)),
    });
    mesh.start({
      linkUp: (peer) => void this.#linked.add(peer),
      linkDown: (peer) => void this.#linked.delete(peer),
      redialRefused: () => undefined,
      turnedAway: (_by, proof) => void this.proofs.push(proof),
      keySuperseded: () => undefined,
      received: (from, channel, bytes) => {
        const decoded = decode(channel, bytes, from, keys.cluster);
        if (!decoded.ok) return;
        if (decoded.message.kind === "heartbeat") this.heard.set(from, decoded.message);
        if (decoded.message.kind === "roster") this.roster = decoded.message.epochs;
      },
    });
  }

  /** Joins the mesh of these peers with the first one's key. */
  static async among(peers: readonly RunningPeer[]): Promise<Liar> {
    const [first] = peers;
    const peerKey = generatePeerKey();
    const clusterKey = parseClusterKey(readFileSync(first?.keyFile ?? "", "utf8"));
    const keys = openKeys({ peerKey, mesh: onlyKey(clusterKey).mesh });
    const bootstrap = peers.map(({ address }) => address);
    const mesh = await openTestMesh({ peerKey, clusterKey, bootstrap, remembered: [] });
    const liar = new Liar(
      keys,
      peers.map(({ ready }) => ready.peerId as PeerId),
      mesh,
    );
    await until("a link to each peer", () => liar.links === peers.length, linkWithinMs);
    return liar;
  }

  get links(): number {
    return this.#linked.size;
  }

  /** Bytes as they are, on any of a line's protocols, the mesh's own included. */
  sendBytes(protocol: StreamProtocol, bytes: Uint8Array): void {
    // The mesh sends over any of its protocols; its door names those that the peer itself uses.
    for (const victim of this.victims) this.#mesh.send(victim, protocol as Protocol, bytes);
  }

  sendToAll(protocol: Protocol, messageTo: (victim: PeerId) => Message): void {
    for (const victim of this.victims) this.#mesh.send(victim, protocol, this.#encode(messageTo(victim)));
  }

  publish(topic: Topic, message: Message): void {
    this.#mesh.publish(topic, this.#encode(message));
  }

  /** Makes the edits in a table of its own, and gossips them. */
  edit(edits: readonly TableEdit[]): void {
    const { update } = this.table.edit(edits, Date.now());
    this.publish("jobs", { kind: "update", update: Buffer.from(update).toString("base64") });
  }

  heartbeat(more: Partial<Heartbeat>): Heartbeat {
    return idleHeartbeat({ hears: [...this.victims], ...more });
  }

  /** Its own signature over bytes, whatever they say. */
  sign(bytes: Uint8Array | undefined): string {
    return Buffer.from(this.keys.sign(bytes ?? new Uint8Array())).toString("base64url");
  }

  /** A statement about membership with the liar's signature, in its own name or in another's. */
  statement(
    said: Pick<MembershipStatement, "peer" | "forgotten">,
    signer: PeerId = this.keys.self,
  ): MembershipStatement {
    const statement = { at: Date.now(), by: "mallory", name: "x", ...said, signer };
    return { ...statement, signature: this.sign(membershipBytes(statement)) };
  }

  stop(): Promise<void> {
    return new Promise((resolve) => this.#mesh.stop(resolve));
  }

  #encode(message: Message): Uint8Array {
    return encode({ cluster: this.keys.cluster, sender: this.keys.self, seq: this.#seq++ }, message);
  }
}

/** An identity that no peer has ever met. */
export function strangerId(): PeerId {
  return peerIdOf(generatePeerKey());
}
