/**
 * The named scenarios of the partition bench. Each is one fault with a known beginning and end.
 *
 * All run the same jobs: two ticks are due in each second, overlap is allowed and every missed tick is caught up. So
 * the bench measures the mesh and not the jobs' own rules.
 */
import { assert } from "../../errors.ts";
import type { JobId, PeerId } from "../../schema/ids.ts";
import type { Lasting, Work } from "../client/client.ts";
import { makeJobs } from "../client/client.ts";
import { calmNetwork } from "../mesh/wires.ts";
import { split } from "./faults.ts";
import { atSecond } from "../client/schedules.ts";
import type { Evidence, Knowledge } from "../world/truth.ts";
import type { MakePeer } from "../world/settings.ts";
import { World } from "../world/world.ts";

const second = 1_000;
const minute = 60 * second;
const beginning = Date.parse("2026-11-20T00:00:00Z");
const lasting: Lasting = { least: 50, most: 500, fails: 0 };

export interface Scenario {
  name: string;
  says: string;
  /** Begins the fault; the returned function ends it. */
  begin(world: World): () => void;
}

function cutBoth(world: World, one: PeerId, other: PeerId): () => void {
  return split(world, [one, other], 1);
}

/** Calls `act` now, and again every `everyMs` until `until`. */
function repeat(world: World, everyMs: number, until: number, act: (turn: number) => void): void {
  for (let turn = 0; world.now() + turn * everyMs < until; turn++) {
    world.at(world.now() + turn * everyMs, () => act(turn));
  }
}

function nothing(): void {
  // Some faults end by themselves.
}

/** The shortest grace that a rotation may have, ms. */
const graceMs = 10 * second;

function missRotation(world: World, peer: PeerId, member: PeerId): () => void {
  world.hosts.kill(peer);
  world.ask(member, { kind: "rotate", graceMs });
  world.at(world.now() + 2 * graceMs, () => world.hosts.start(peer));
  return () => world.folders.joinAnew(peer, member);
}

function peerOf(world: World, index: number): PeerId {
  const peer = world.peers[index % world.peers.length];
  assert(peer !== undefined, "a world has peers");
  return peer;
}

/** How long the fault lasts, ms. */
export const troubleMs = 2 * minute;

export const scenarios: readonly Scenario[] = [
  { name: "calm", says: "nothing goes wrong", begin: () => nothing },
  {
    name: "half and half",
    says: "the mesh splits into two halves",
    begin: (world) => split(world, world.peers, Math.floor(world.peers.length / 2)),
  },
  {
    name: "isolate one",
    says: "one peer loses every link",
    begin: (world) => split(world, world.peers, 1),
  },
  {
    name: "one link only",
    says: "one link between two peers is cut, all others hold",
    begin: (world) => cutBoth(world, peerOf(world, 0), peerOf(world, 1)),
  },
  {
    name: "one-way",
    says: "what one peer sends reaches nobody, while it hears everybody",
    begin: (world) => {
      const mute = peerOf(world, 0);
      const mends = world.peers
        .filter((peer) => peer !== mute)
        .map((peer) => world.disturbances.cut(mute, peer));
      return () => mends.forEach((mend) => mend());
    },
  },
  {
    name: "flapping",
    says: "one peer loses every link for 3 s, every 6 s",
    begin: (world) => {
      repeat(world, 6 * second, world.now() + troubleMs, () => {
        const mend = split(world, world.peers, 1);
        world.at(world.now() + 3 * second, mend);
      });
      return nothing;
    },
  },
  {
    name: "one dies",
    says: "one peer's process is killed",
    begin: (world) => {
      world.hosts.kill(peerOf(world, 0));
      return () => world.hosts.start(peerOf(world, 0));
    },
  },
  {
    name: "host goes dark",
    says: "one peer's host loses power",
    begin: (world) => {
      world.hosts.kill(peerOf(world, 0), true);
      return () => world.hosts.start(peerOf(world, 0));
    },
  },
  {
    name: "one hangs",
    says: "one peer's process is stopped, and resumed 2 minutes later",
    begin: (world) => {
      world.hosts.pause(peerOf(world, 0));
      return () => world.hosts.resume(peerOf(world, 0));
    },
  },
  {
    name: "rolling restart",
    says: "one peer after the other is terminated, and started again 5 s later",
    begin: (world) => {
      const everyMs = troubleMs / world.peers.length;
      repeat(world, everyMs, world.now() + troubleMs - 1, (turn) => {
        const peer = peerOf(world, turn);
        world.hosts.stop(peer);
        world.at(world.now() + 5 * second, () => world.hosts.start(peer));
      });
      return () => world.peers.forEach((peer) => world.hosts.start(peer));
    },
  },
  {
    name: "mass restart",
    says: "all peers are killed at once and start again within 10 s, at the end of that time",
    begin: (world) => {
      const dice = world.dice.fork("mass restart");
      world.at(world.now() + troubleMs - 10 * second, () => {
        for (const peer of world.peers) {
          world.hosts.kill(peer);
          world.at(world.now() + dice.between(0, 10 * second), () => world.hosts.start(peer));
        }
      });
      return () => world.peers.forEach((peer) => world.hosts.start(peer));
    },
  },
  {
    name: "missed key rotation",
    says: "one peer is killed, the cluster key is rotated, and the peer is started again with the old one; at the end it rejoins",
    begin: (world) => missRotation(world, peerOf(world, 0), peerOf(world, 1)),
  },
  {
    name: "clock skew",
    says: "one clock is 1.2 s ahead, one 1.2 s behind, and a third one 5 s ahead",
    begin: (world) => {
      const mends = [1_200, -1_200, 5_000].map((ms, index) =>
        world.disturbances.stepClock(peerOf(world, index), ms),
      );
      return () => mends.forEach((mend) => mend());
    },
  },
];

export interface ScenarioRun {
  evidence: Evidence;
  /** when the fault began and ended; ticks count from 1 minute before it to the end of the run */
  from: number;
  to: number;
  messages: number;
  bytes: number;
  traceHash: string;
}

export interface ScenarioOptions {
  seed: string;
  peers: number;
  makePeer: MakePeer;
}

export function runScenario(scenario: Scenario, options: ScenarioOptions): ScenarioRun {
  const world = new World({
    seed: `${scenario.name} ${options.seed}`,
    peers: options.peers,
    epoch: beginning,
    network: calmNetwork,
    disk: { fsyncMs: { least: 0.5, most: 5 } },
    children: {
      spawnMs: { least: 2, most: 10 },
      behaviour: (_spec, dice) => ({ lastsMs: dice.between(lasting.least, lasting.most), exitCode: 0 }),
    },
    skewMs: 5,
    driftPpm: 0,
    makePeer: options.makePeer,
  });
  for (const peer of world.peers) world.at(beginning, () => world.hosts.start(peer));
  world.at(beginning + 15 * second, () => makeJobs(world, twoEachSecond(), 10 * second));
  const from = beginning + 3 * minute;
  const to = from + troubleMs;
  const until = to + 3 * minute;
  const counted = { messages: 0, bytes: 0 };
  world.at(from - minute, () => {
    counted.messages = -world.wires.messages;
    counted.bytes = -world.wires.bytes;
  });
  world.at(from, () => {
    const end = scenario.begin(world);
    world.at(to, end);
  });
  const convergedViews: Knowledge[][] = [];
  for (const afterMs of [27 * second, 30 * second]) {
    world.at(to + afterMs, () => convergedViews.push(world.knowledge()));
  }
  world.runUntil(until);
  return {
    evidence: world.evidence(to, convergedViews),
    from,
    to,
    messages: counted.messages + world.wires.messages,
    bytes: counted.bytes + world.wires.bytes,
    traceHash: world.traceHash(),
  };
}

function twoEachSecond(): Work[] {
  return Array.from({ length: 120 }, (_, index) => ({
    rules: {
      id: `job-${index + 1}` as JobId,
      schedule: atSecond(index % 60),
      overlap: "allow" as const,
      catchUp: { policy: "all" as const, windowMs: 60 * minute },
      peers: undefined,
    },
    lasting,
  }));
}
