/** Real meshes whose cluster key is rotated while they are linked, or while one of them is away. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { describe, test } from "node:test";
import { generateClusterKey, generatePeerKey, peerIdOf } from "../src/real/keys.ts";
import { ClusterKeys } from "../src/real/keyring.ts";
import type { RealMesh } from "../src/real/mesh.ts";
import type { PeerId } from "../src/schema/ids.ts";
import type { Report } from "./kit/contract/mesh.ts";
import { onlyKey, openTestMesh, startReporting, stopped, until } from "./kit/mesh-world.ts";

class Peer {
  readonly keyring: ClusterKeys;
  readonly id: PeerId;
  readonly reports: Report[] = [];
  readonly mesh: RealMesh;

  private constructor(keyring: ClusterKeys, id: PeerId, mesh: RealMesh) {
    this.keyring = keyring;
    this.id = id;
    this.mesh = mesh;
  }

  static async open(
    keyring: ClusterKeys,
    bootstrap: readonly (Peer | string)[] = [],
    peerKey = generatePeerKey(),
  ): Promise<Peer> {
    const addresses = bootstrap.map((one) => (typeof one === "string" ? one : one.address));
    const options = { peerKey, clusterKey: keyring.present, bootstrap: addresses, remembered: [], keyring };
    const mesh = await openTestMesh(options);
    const peer = new Peer(keyring, peerIdOf(peerKey), mesh);
    startReporting(mesh, (report) => peer.reports.push(report));
    return peer;
  }

  get address(): string {
    return this.mesh.addresses()[0] ?? assert.fail("it listens nowhere");
  }

  /** How often the other peer has proved that this one's key was replaced. */
  supersededBy(other: Peer): number {
    return this.reports.filter((report) => report.kind === "superseded" && report.by === other.id).length;
  }

  get proofs(): number {
    return this.reports.filter(({ kind }) => kind === "superseded").length;
  }

  has(kind: "up" | "down", other: Peer): number {
    return this.reports.filter((report) => report.kind === kind && report.peer === other.id).length;
  }

  hears(word: string): boolean {
    return this.reports.some(
      (report) => report.kind === "received" && Buffer.from(report.bytes).toString() === word,
    );
  }
}

const rotated = (from: ClusterKeys, oldUntil: number, heirs: readonly PeerId[]): Promise<void> =>
  new Promise((resolve, reject) =>
    from.rotate({ madeAt: Date.now(), oldUntil, heirs }, (error) => (error ? reject(error) : resolve())),
  );
const handed = (from: ClusterKeys, to: ClusterKeys): Promise<void> =>
  new Promise((resolve, reject) => {
    const change = from.ongoingRotation() ?? assert.fail("there is nothing to hand over");
    to.adopt(change, (error) => (error ? reject(error) : resolve()));
  });

describe("a mesh whose key is rotated", () => {
  test("keeps every link; a member with the old key is let in until the grace is over, and then no more", async () => {
    const [key, keyOfLate] = [generateClusterKey(), generatePeerKey()];
    const ada = await Peer.open(onlyKey(key));
    const peers = [ada];
    try {
      const second = await Peer.open(onlyKey(key), [ada]);
      peers.push(second);
      await until("they are linked", () => ada.has("up", second) + second.has("up", ada) === 2);

      const oldUntil = Date.now() + 8_000;
      await rotated(ada.keyring, oldUntil, [ada.id, second.id, peerIdOf(keyOfLate)]);
      await handed(ada.keyring, second.keyring);
      const late = await Peer.open(onlyKey(key), [ada], keyOfLate);
      peers.push(late);
      await until("the old key still lets the member in", () => late.has("up", ada) === 1);

      const fresh = await Peer.open(
        new ClusterKeys({
          kept: {
            key: ada.keyring.present,
            rotation: { mesh: ada.keyring.mesh, madeAt: 1 },
            olds: [],
            heirs: [],
          },
          keep: () => undefined,
          wall: Date.now,
        }),
        [ada],
      );
      peers.push(fresh);
      await until("so does the new one", () => fresh.has("up", ada) === 1);

      await until(
        "the grace is over, and the peer with the old key is out",
        () => ada.has("down", late) === 1,
        12_000,
      );
      assert.ok(Date.now() >= oldUntil);
      await until("it is told why", () => late.supersededBy(ada) > 0);
      assert.equal(second.proofs + fresh.proofs + ada.proofs, 0, "no other peer is told so");
      assert.equal(ada.has("down", second) + second.has("down", ada), 0, "the members' link never broke");
      assert.equal(ada.has("down", fresh), 0);
      ada.mesh.publish("runs", Buffer.from("gossip"));
      second.mesh.send(ada.id, "ask", Buffer.from("word"));
      await until("gossip flows", () => second.hears("gossip") && fresh.hears("gossip"));
      await until("and so do words", () => ada.hears("word"));
      assert.deepEqual(ada.mesh.warnings(), []);
    } finally {
      await Promise.all(peers.map(({ mesh }) => stopped(mesh)));
    }
  });
});

describe("a peer that was no member when the key was rotated", () => {
  test("is not let in with the old key, whether it dials or is dialled, and learns with proof that the key was replaced", () =>
    withPeers(async (open) => {
      const key = generateClusterKey();
      const ring = onlyKey(key);
      const member = await open(ring);
      await rotated(ring, Date.now() + 3_600_000, [member.id]);
      const thief = await open(onlyKey(key), [member]);
      await until("it is told, and told again", () => thief.supersededBy(member) >= 2);
      const dialled = await open(onlyKey(key));
      const heir = onlyKey(key);
      await rotated(heir, Date.now() + 3_600_000, []);
      const dialler = await open(heir, [dialled]);
      await until("it was dialled twice", () => (dialler.mesh.counters()["mesh_dials_failed"] ?? 0) >= 2);
      assert.equal(member.proofs + dialler.proofs, 0);
      for (const peer of [member, thief, dialler, dialled])
        assert.equal(peer.reports.filter(({ kind }) => kind === "up").length, 0);
    }));

  test("is cut off at once if it was linked", () =>
    withPeers(async (open) => {
      const key = generateClusterKey();
      const member = await open(onlyKey(key));
      const [friend, thief] = [await open(onlyKey(key), [member]), await open(onlyKey(key), [member])];
      await until("all are linked", () => friend.has("up", thief) + member.has("up", thief) === 2);
      await rotated(member.keyring, Date.now() + 3_600_000, [member.id, friend.id]);
      await until("the rotating one has cut it", () => member.has("down", thief) === 1);
      await handed(member.keyring, friend.keyring);
      await until("so has the other one", () => friend.has("down", thief) === 1);
      await until("it is told why", () => thief.supersededBy(member) + thief.supersededBy(friend) > 0);
      assert.equal(member.has("down", friend) + friend.has("down", member), 0);
    }));
});

/** A member's keyring after a rotation whose grace is over. */
function afterRotation(from: Uint8Array): ClusterKeys {
  return new ClusterKeys({
    kept: {
      key: generateClusterKey(),
      rotation: { mesh: onlyKey(from).mesh, madeAt: 1 },
      olds: [],
      retired: [{ key: from, until: Infinity }],
      heirs: [],
    },
    keep: () => undefined,
    wall: Date.now,
  });
}

async function withPeers(run: (open: typeof Peer.open) => Promise<void>): Promise<void> {
  const peers: Peer[] = [];
  try {
    await run(async (...args) => {
      const peer = await Peer.open(...args);
      peers.push(peer);
      return peer;
    });
  } finally {
    await Promise.all(peers.map(({ mesh }) => stopped(mesh)));
  }
}

/** A wire with an attacker: it forwards everything and records what the far side says, or replays the recording. */
class Wire implements AsyncDisposable {
  readonly #to: number;
  readonly #server = createServer((socket) => this.#taken(socket));
  readonly #sockets = new Set<Socket>();
  /** what the far side answered on the last forwarded connection, piece by piece */
  recorded: Buffer[] = [];
  repeats = false;
  /** everything that was said by those to whom the recording was replayed */
  readonly repeatedTo: string[] = [];

  constructor(to: string) {
    this.#to = Number(/tcp\/(\d+)/.exec(to)?.[1]);
  }

  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `/ip4/127.0.0.1/tcp/${(this.#server.address() as AddressInfo).port}`;
  }

  #taken(socket: Socket): void {
    this.#keep(socket);
    if (this.repeats) this.#repeat(socket);
    else this.#passOn(socket);
  }

  #passOn(near: Socket): void {
    const far = connect(this.#to, "127.0.0.1");
    this.#keep(far);
    const answers: Buffer[] = [];
    this.recorded = answers;
    far.on("data", (piece) => answers.push(piece));
    near.pipe(far).pipe(near);
  }

  #repeat(socket: Socket): void {
    const left = [...this.recorded];
    let heard = "";
    socket.on("data", (piece) => {
      heard += piece.toString("latin1");
      const next = left.shift();
      if (next !== undefined) socket.write(next);
    });
    socket.on("close", () => this.repeatedTo.push(heard));
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

describe("a peer that was away while the key was rotated", () => {
  test("learns of it with proof from the member that it dials, and is not let in", () =>
    withPeers(async (open) => {
      const key = generateClusterKey();
      const member = await open(afterRotation(key));
      const late = await open(onlyKey(key), [member]);
      await until("it is told, and told again", () => late.supersededBy(member) >= 2);
      assert.equal(member.proofs, 0);
      assert.deepEqual([late.has("up", member), member.has("up", late)], [0, 0]);
    }));

  test("learns of it from a member that dials it", () =>
    withPeers(async (open) => {
      const key = generateClusterKey();
      const late = await open(onlyKey(key));
      const member = await open(afterRotation(key), [late]);
      await until("it is told", () => late.supersededBy(member) > 0);
      assert.equal(member.proofs, 0);
      assert.deepEqual([late.has("up", member), member.has("up", late)], [0, 0]);
    }));

  test("gets no proof from a foreign mesh, even one that rotated its key; nor does a healthy peer with a mistyped address", () =>
    withPeers(async (open) => {
      const key = generateClusterKey();
      const foreign = await open(afterRotation(generateClusterKey()));
      const friend = await open(onlyKey(key));
      const healthy = await open(onlyKey(key), [foreign, friend]);
      const alone = await open(onlyKey(generateClusterKey()), [foreign]);
      const refused = () => foreign.mesh.counters()["mesh_handshakes_refused"] ?? 0;
      await until("both were refused", () => refused() >= 4 && alone.mesh.warnings().length > 0);
      await until("the healthy one is linked with its friend", () => healthy.has("up", friend) === 1);
      assert.equal(healthy.proofs + alone.proofs + foreign.proofs, 0);
    }));

  test("gets no proof from a peer that has retired its key, unless that key is its present one", () =>
    withPeers(async (open) => {
      const key = generateClusterKey();
      const [one, other] = [await open(afterRotation(key)), await open(afterRotation(key))];
      const third = await open(afterRotation(key), [one, other]);
      const failed = () => third.mesh.counters()["mesh_dials_failed"] ?? 0;
      await until("it was refused by both", () => failed() >= 4);
      assert.equal(one.proofs + other.proofs + third.proofs, 0);
    }));

  test("accepts no proof that was recorded in an earlier handshake", () =>
    withPeers(async (open) => {
      const key = generateClusterKey();
      const member = await open(afterRotation(key));
      await using wire = new Wire(member.address);
      const late = await open(onlyKey(key), [await wire.listen()]);
      await until("the true proof comes through", () => late.supersededBy(member) > 0);
      wire.repeats = true;
      const before = wire.repeatedTo.length;
      await until("it was repeated", () => wire.repeatedTo.length >= before + 2);
      const proofs = late.proofs;
      await until("and once more", () => wire.repeatedTo.length >= before + 4);
      assert.equal(late.proofs, proofs);
      const name = `/cicada/succession/1/${late.keyring.fingerprint()}\n`;
      for (const heard of wire.repeatedTo) {
        assert.ok(heard.indexOf(name) > 0, "it asked for a proof");
        assert.ok(heard.length > heard.indexOf(name) + name.length, "and began the handshake");
      }
    }));
});
