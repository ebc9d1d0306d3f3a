/** The simulated mesh keeps the same contract as the real one. */
import assert from "node:assert/strict";
import type { Mesh } from "../src/ports.ts";
import type { PeerId } from "../src/schema/ids.ts";
import { Fabric } from "../src/sim/mesh.ts";
import { calmNetwork, Network } from "../src/sim/network.ts";
import { Process } from "../src/sim/process.ts";
import { Queue } from "../src/sim/queue.ts";
import { Dice } from "../src/sim/random.ts";
import {
  type ContractPeer,
  meshContract,
  type MeshWorld,
  type Report,
  type WorldOptions,
} from "./contract-mesh.ts";

/** One step of simulated time between two looks at a condition. */
const stepMs = 5;

class SimPeer implements ContractPeer {
  readonly id: PeerId;
  reports: Report[] = [];
  onReport: (report: Report) => void = () => undefined;
  process: Process | undefined;
  private door: Mesh | undefined;

  constructor(id: PeerId) {
    this.id = id;
  }

  get mesh(): Mesh {
    assert.ok(this.door, "this peer is not running");
    return this.door;
  }

  begin(process: Process, mesh: Mesh): void {
    this.process = process;
    this.door = mesh;
    const reports: Report[] = [];
    this.reports = reports;
    const report = (one: Report) => {
      reports.push(one);
      this.onReport(one);
    };
    mesh.start({
      linkUp: (peer) => report({ kind: "up", peer }),
      linkDown: (peer, why) => report({ kind: "down", peer, why }),
      redialRefused: (peer, times) => report({ kind: "refused", peer, times }),
      received: (from, channel, bytes) => report({ kind: "received", from, channel, bytes }),
    });
  }
}

function makeSimWorld(options: WorldOptions): Promise<MeshWorld> {
  const queue = new Queue();
  const dice = new Dice("the mesh's contract");
  const fabric = new Fabric(queue, new Network(calmNetwork, dice.fork("network")), dice.fork("mesh"));
  // In the simulator any word is a peer id.
  const peers = options.named.map((_, i) => new SimPeer(`peer-${i}` as PeerId));
  const peer = (i: number): SimPeer => peers[i] ?? assert.fail(`no peer ${i}`);
  const processOf = (i: number): Process => peer(i).process ?? assert.fail(`peer ${i} is not running`);
  const begin = (i: number) => {
    const process = new Process(peer(i).id, queue);
    peer(i).begin(process, fabric.mesh(process));
  };
  for (const [i, named] of options.named.entries()) {
    fabric.addHost(
      peer(i).id,
      named.map((other) => peer(other).id),
    );
  }
  for (const i of peers.keys()) begin(i);

  const until: MeshWorld["until"] = (what, condition, limitMs = 30_000) => {
    const end = queue.now + limitMs;
    while (!condition()) {
      if (queue.now > end) assert.fail(`did not come within ${limitMs} ms: ${what}`);
      queue.runUntil(queue.now + stepMs);
    }
    return Promise.resolve();
  };
  const die = (i: number) => {
    processOf(i).kill();
    fabric.processDied(processOf(i), false);
  };
  return Promise.resolve({
    peers,
    until,
    pass: (ms) => {
      queue.runUntil(queue.now + ms);
      return Promise.resolve();
    },
    kill: (i) => {
      die(i);
      return Promise.resolve();
    },
    pause: (i) => {
      processOf(i).pause();
      fabric.processPaused(processOf(i));
    },
    resume: (i) => {
      processOf(i).resume();
      fabric.processPaused(processOf(i));
    },
    stop: async (i) => {
      let isStopped = false;
      peer(i).mesh.stop(() => {
        isStopped = true;
      });
      await until("it has stopped", () => isStopped);
      die(i);
    },
    restart: (i) => {
      begin(i);
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  });
}

meshContract("simulated", makeSimWorld);
