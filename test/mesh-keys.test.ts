/** Real meshes whose cluster key is rotated while they are linked. */
import assert from "node:assert/strict";
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

  static async open(keyring: ClusterKeys, bootstrap: readonly Peer[] = []): Promise<Peer> {
    const peerKey = generatePeerKey();
    const addresses = bootstrap.map(({ mesh }) => mesh.addresses()[0] ?? assert.fail("it listens nowhere"));
    const options = { peerKey, clusterKey: keyring.present, bootstrap: addresses, remembered: [], keyring };
    const mesh = await openTestMesh(options);
    const peer = new Peer(keyring, peerIdOf(peerKey), mesh);
    startReporting(mesh, (report) => peer.reports.push(report));
    return peer;
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

const rotated = (from: ClusterKeys, oldUntil: number): Promise<void> =>
  new Promise((resolve, reject) =>
    from.rotate({ madeAt: Date.now(), oldUntil, heirs: [] }, (error) => (error ? reject(error) : resolve())),
  );
const handed = (from: ClusterKeys, to: ClusterKeys): Promise<void> =>
  new Promise((resolve, reject) => {
    const change = from.handover() ?? assert.fail("there is nothing to hand over");
    to.adopt(change, (error) => (error ? reject(error) : resolve()));
  });

describe("a mesh whose key is rotated", () => {
  test("keeps every link; who has the old key comes in until the grace is over, and then no more", async () => {
    const key = generateClusterKey();
    const ada = await Peer.open(onlyKey(key));
    const peers = [ada];
    try {
      const second = await Peer.open(onlyKey(key), [ada]);
      peers.push(second);
      await until("they are linked", () => ada.has("up", second) + second.has("up", ada) === 2);

      const oldUntil = Date.now() + 8_000;
      await rotated(ada.keyring, oldUntil);
      await handed(ada.keyring, second.keyring);
      const late = await Peer.open(onlyKey(key), [ada]);
      peers.push(late);
      await until("the old key still lets in", () => late.has("up", ada) === 1);

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
        "the grace is over, and the one with the old key is out",
        () => ada.has("down", late) === 1,
        12_000,
      );
      assert.ok(Date.now() >= oldUntil);
      await until("it is told why", () => late.mesh.warnings().length > 0);
      assert.match(late.mesh.warnings().join(), /join anew/);
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
