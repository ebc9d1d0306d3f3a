/** The simulated mesh: the contract of every mesh, and its behaviour when wires are cut. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Mesh, MeshEvents } from "../src/ports.ts";
import type { PeerId } from "../src/schema/ids.ts";
import { ownProtocol, type ProtocolRange } from "../src/schema/protocol.ts";
import { HostClock } from "../src/sim/clock.ts";
import { SimLog } from "../src/sim/log.ts";
import { SimNetwork } from "../src/sim/mesh.ts";
import { Greeter } from "../src/sim/mesh/greeter.ts";
import { calmNetwork, Wires } from "../src/sim/mesh/wires.ts";
import { Process } from "../src/sim/world/process.ts";
import { Queue } from "../src/sim/world/queue.ts";
import { Dice } from "../src/sim/random.ts";
import {
  meshContract,
  type ContractPeer,
  type MeshWorld,
  type Report,
  type WorldOptions,
} from "./kit/contract/mesh.ts";

const defaultLimitMs = 30_000;
const stepMs = 5;

class SimMeshPeer implements ContractPeer {
  readonly id: PeerId;
  reports: Report[] = [];
  onReport: (report: Report) => void = () => undefined;
  process: Process;
  mesh: Mesh;
  private readonly queue: Queue;
  private readonly simNetwork: SimNetwork;
  private readonly greeter: Greeter;

  constructor(id: PeerId, queue: Queue, simNetwork: SimNetwork, protocol: ProtocolRange) {
    this.id = id;
    this.queue = queue;
    this.simNetwork = simNetwork;
    this.greeter = new Greeter(protocol, new HostClock(queue, 0, 0, 0), new SimLog());
    [this.process, this.mesh] = this.live();
  }

  warnings(): string[] {
    return this.greeter.warnings();
  }

  live(): [Process, Mesh] {
    const process = new Process(this.id, this.queue);
    this.reports = [];
    const mesh = this.simNetwork.mesh(process, { greeter: this.greeter });
    const add = (report: Report) => {
      this.reports.push(report);
      this.onReport(report);
    };
    const events: MeshEvents = {
      linkUp: (peer) => add({ kind: "up", peer }),
      linkDown: (peer, why) => add({ kind: "down", peer, why }),
      redialRefused: (peer, times) => add({ kind: "refused", peer, times }),
      turnedAway: (by, proof) => add({ kind: "turned-away", by, proof }),
      keySuperseded: (by) => add({ kind: "superseded", by }),
      received: (from, channel, bytes) => add({ kind: "received", from, channel, bytes }),
    };
    this.queue.after(0, process, () => mesh.start(events));
    this.process = process;
    this.mesh = mesh;
    return [process, mesh];
  }
}

class SimMeshWorld implements MeshWorld {
  readonly queue = new Queue();
  readonly wires = new Wires(calmNetwork, new Dice("network"));
  readonly peers: SimMeshPeer[];
  readonly simNetwork = new SimNetwork(this.queue, this.wires, new Dice("mesh"));

  constructor(options: WorldOptions) {
    const ids = options.named.map((_, index) => `peer-${index}` as PeerId);
    for (const [index, named] of options.named.entries()) {
      const id = ids[index];
      if (id !== undefined)
        this.simNetwork.addHost(
          id,
          id,
          ids.filter((_, other) => named.includes(other)),
        );
    }
    this.peers = ids.map(
      (id, index) =>
        new SimMeshPeer(id, this.queue, this.simNetwork, options.protocols?.[index] ?? ownProtocol),
    );
  }

  until(what: string, condition: () => boolean, limitMs = defaultLimitMs): Promise<void> {
    const until = this.queue.now + limitMs;
    while (!condition() && this.queue.now < until) this.queue.runUntil(this.queue.now + stepMs);
    return condition() ? Promise.resolve() : Promise.reject(new Error(`did not come: ${what}`));
  }

  pass(ms: number): Promise<void> {
    this.queue.runUntil(this.queue.now + ms);
    return Promise.resolve();
  }

  kill(index: number): Promise<void> {
    const peer = this.peer(index);
    peer.process.kill();
    this.simNetwork.processDied(peer.process, false);
    return Promise.resolve();
  }

  pause(index: number): void {
    const peer = this.peer(index);
    peer.process.pause();
    this.simNetwork.processPaused(peer.process);
  }

  resume(index: number): void {
    const peer = this.peer(index);
    peer.process.resume();
    this.simNetwork.processPaused(peer.process);
  }

  async stop(index: number): Promise<void> {
    const peer = this.peer(index);
    let stopped = false;
    peer.mesh.stop(() => {
      stopped = true;
    });
    await this.until("it stopped", () => stopped);
    peer.process.kill();
    this.simNetwork.processDied(peer.process, false);
  }

  restart(index: number): Promise<void> {
    this.peer(index).live();
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  peer(index: number): SimMeshPeer {
    const peer = this.peers[index];
    assert.ok(peer !== undefined);
    return peer;
  }
}

meshContract("simulated", (options) => Promise.resolve(new SimMeshWorld(options)));

function upDown(peer: SimMeshPeer): string[] {
  return peer.reports.flatMap((report) =>
    report.kind === "up" || report.kind === "down" ? [report.kind] : [],
  );
}

test("a cut is silent at first; both ends give the link up by themselves, and connect again when it heals", async () => {
  const world = new SimMeshWorld({ named: [[], [0]] });
  const [a, b] = [world.peer(0), world.peer(1)];
  await world.until("linked", () => upDown(a).length === 1 && upDown(b).length === 1);
  world.wires.cut(a.id, b.id);
  world.wires.cut(b.id, a.id);
  await world.pass(3_000);
  assert.deepEqual([upDown(a), upDown(b)], [["up"], ["up"]]);
  await world.until("both gave up", () => upDown(a).length === 2 && upDown(b).length === 2, 5_000);
  assert.ok(a.reports.every(({ kind }) => kind !== "refused"));
  world.wires.mend(a.id, b.id);
  world.wires.mend(b.id, a.id);
  await world.until("linked again", () => upDown(a).length === 3 && upDown(b).length === 3, 10_000);
});

test("two peers that were stopped while the wires between them were cut give the link up when they are resumed", async () => {
  const world = new SimMeshWorld({ named: [[], [0]] });
  const [a, b] = [world.peer(0), world.peer(1)];
  await world.until("linked", () => upDown(a).length === 1 && upDown(b).length === 1);
  for (const index of [0, 1]) world.pause(index);
  world.wires.cut(a.id, b.id);
  world.wires.cut(b.id, a.id);
  await world.pass(60_000);
  for (const index of [0, 1]) world.resume(index);
  await world.until("both gave up", () => upDown(a).length === 2 && upDown(b).length === 2, 10_000);
});

test("messages that are sent into a cut that heals soon arrive late and in order", async () => {
  const world = new SimMeshWorld({ named: [[], [0]] });
  const [a, b] = [world.peer(0), world.peer(1)];
  await world.until("linked", () => upDown(a).length === 1 && upDown(b).length === 1);
  world.wires.cut(a.id, b.id);
  for (const word of ["one", "two", "three"]) a.mesh.send(b.id, "sync", new TextEncoder().encode(word));
  await world.pass(1_000);
  const words = () =>
    b.reports.flatMap((report) =>
      report.kind === "received" ? [new TextDecoder().decode(report.bytes)] : [],
    );
  assert.deepEqual(words(), []);
  world.wires.mend(a.id, b.id);
  await world.until("all came", () => words().length === 3, 3_000);
  assert.deepEqual(words(), ["one", "two", "three"]);
});

test("gossip gets around a cut by way of a third peer", async () => {
  const world = new SimMeshWorld({ named: [[], [0], [0]] });
  await world.until("linked", () => world.peers.every((peer) => upDown(peer).length === 2));
  await world.pass(2_000);
  const [a, b] = [world.peer(0), world.peer(1)];
  world.wires.cut(a.id, b.id);
  a.mesh.publish("runs", new TextEncoder().encode("round"));
  await world.until("it came", () => b.reports.some(({ kind }) => kind === "received"), 1_000);
});

test("two peers that know each other only from a third one are linked, and a cut in one direction breaks their link", async () => {
  const world = new SimMeshWorld({ named: [[], [0], [0]] });
  await world.until("linked", () => world.peers.every((peer) => upDown(peer).length === 2));
  const [b, c] = [world.peer(1), world.peer(2)];
  world.wires.cut(b.id, c.id);
  await world.until("both gave up", () => upDown(b).length === 3 && upDown(c).length === 3, 8_000);
});

const ignore = () => undefined;

test("two peers have known each other since they first met, even if copies of them come and go", async () => {
  const world = new SimMeshWorld({ named: [[], [0]] });
  const [a, b] = [world.peer(0), world.peer(1)];
  const met = () => [...world.simNetwork.introduced].flat().join();
  await world.until("introduced", () => met() !== "");
  const before = met();
  await world.pass(10_000);
  const host = `${a.id}/copy`;
  world.simNetwork.addCopy(host, a.id);
  const process = new Process(host, world.queue);
  const copy = world.simNetwork.mesh(process);
  let linked = false;
  const events: MeshEvents = {
    linkUp: (peer) => {
      linked ||= peer === b.id;
    },
    linkDown: ignore,
    redialRefused: ignore,
    turnedAway: ignore,
    keySuperseded: ignore,
    received: ignore,
  };
  world.queue.after(0, process, () => copy.start(events));
  await world.until("the copy is linked", () => linked);
  await world.pass(5_000);
  assert.equal(met(), before);
});
