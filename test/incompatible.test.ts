/**
 * Peers of one mesh without a common protocol version, in simulated worlds: a newcomer, and a member that was upgraded
 * too far and is downgraded again. Both sides say so for as long as this lasts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import { ownProtocol, type ProtocolRange } from "../src/schema/protocol.ts";
import { everySeconds } from "../src/sim/client/schedules.ts";
import type { Evidence, Run } from "../src/sim/world/truth.ts";
import { World } from "../src/sim/world/world.ts";
import { calmWorld, epoch } from "./kit/calm-world.ts";

const second = 1_000;
const minute = 60 * second;
const farLater: ProtocolRange = { oldest: 3, newest: 4 };
const periodMs = 10 * second;
const [first, other, third] = ["peer-1", "peer-2", "peer-3"] as [PeerId, PeerId, PeerId];

interface Stage {
  world: World;
  /** what peers logged about versions, with the peer's name */
  said: string[];
}

/** Three peers and two jobs. `thirds` gives the protocol range of each life of the third peer. */
function stage(seed: string, thirds: (life: number) => ProtocolRange): Stage {
  const said: string[] = [];
  const world = new World({
    ...calmWorld,
    seed,
    peers: 3,
    skewMs: 20,
    driftPpm: 10,
    traits: (peer, life) => ({
      role: "worker",
      capacity: 100,
      protocol: peer === third ? thirds(life) : ownProtocol,
    }),
    onLine: (_at, host, line) => {
      if (line.includes("speaks protocol")) said.push(`${host}: ${line}`);
    },
  });
  for (const peer of world.peers) world.at(epoch, () => world.hosts.start(peer));
  world.at(epoch + 15 * second, () => {
    for (const partition of [undefined, "majority"] as const) putJob(world, partition);
  });
  return { world, said };
}

function putJob(world: World, partition: "majority" | undefined): void {
  const rules = {
    id: (partition ?? "available") as JobId,
    schedule: everySeconds(periodMs / second),
    overlap: "allow",
    catchUp: { policy: "none", windowMs: minute },
    peers: undefined,
  } as const;
  world.ask(first, { kind: "put", rules: partition === undefined ? rules : { ...rules, partition } });
}

function warningsOf(world: World, peer: PeerId): string {
  return world.hosts.get(peer).life?.greeter.warnings().join() ?? "it isn't up";
}

/** Runs whose tick lies in the given span after the beginning, ms. */
function runsIn({ runs }: Evidence, job: string, from: number, to: number): Run[] {
  return runs.filter((run) => {
    const sinceMs = Date.parse(run.tick) - epoch;
    return run.job === job && sinceMs >= from && sinceMs < to;
  });
}

function assertEachOnce(runs: readonly Run[], ticks: number): void {
  assert.equal(new Set(runs.map(({ tick }) => tick)).size, ticks);
  assert.equal(runs.length, ticks, "no tick twice");
}

test("a newcomer without a common version is refused, both sides say so for as long as it tries, and the mesh runs on", () => {
  const { world, said } = stage("newcomer", () => farLater);
  for (const afterMs of [minute, 4 * minute]) {
    world.runUntil(epoch + afterMs);
    assert.match(
      warningsOf(world, first),
      /peer-3 .* 3 to 4, and this peer 2: they refuse each other until this peer runs a newer version/,
    );
    assert.match(
      warningsOf(world, third),
      /peer-1 .* 2, and this peer 3 to 4: they refuse each other until that peer runs a newer version/,
    );
  }
  assert.deepEqual(
    said.map((line) => line.split(" ")[0]),
    ["peer-3:", "peer-1:"],
    "each of them logs it once",
  );
  const evidence = world.evidence(world.now(), []);
  for (const job of ["available", "majority"]) {
    const runs = runsIn(evidence, job, minute, 3 * minute);
    assertEachOnce(runs, (2 * minute) / periodMs);
    assert.ok(runs.every(({ peer }) => peer !== third));
  }
  const last = evidence.final.find(({ peer }) => peer === third);
  assert.ok(last);
  assert.deepEqual([...last.jobs.keys()], []);
});

test("when a member returns without a common version the others say so instead of calling it dead, and it is a member again once it has one", () => {
  const upgradedAt = 2 * minute;
  const downgradedAt = 6 * minute;
  const { world, said } = stage("upgraded too far", (life) => (life === 2 ? farLater : ownProtocol));
  for (const at of [upgradedAt, downgradedAt]) {
    world.at(epoch + at, () => {
      world.hosts.kill(third);
      world.hosts.start(third);
    });
  }
  world.runUntil(epoch + downgradedAt - second);
  for (const peer of [first, other]) {
    assert.match(warningsOf(world, peer), /peer-3 .* 3 to 4, and this peer 2: /);
    assert.ok(warningsOf(world, third).includes(`peer ${peer} `));
  }
  assert.equal(said.length, 4, "each side logs it once for each of the others");
  world.runUntil(epoch + 10 * minute);
  assert.deepEqual(
    world.peers.map((peer) => warningsOf(world, peer)),
    ["", "", ""],
  );
  const evidence = world.evidence(world.now(), []);
  const [one = [], ...others] = evidence.final.map(({ records }) => [...records.keys()].toSorted());
  assert.ok(one.length > 0 && others.length === 2);
  for (const keys of others) assert.deepEqual(keys, one, "all have the same history");
  const judged = [8 * minute, 10 * minute - periodMs] as const;
  assertEachOnce(runsIn(evidence, "available", ...judged), (judged[1] - judged[0]) / periodMs);
  const chosen = runsIn(evidence, "majority", 0, judged[1]);
  assert.equal(
    new Set(chosen.map(({ tick }) => tick)).size,
    chosen.length,
    "a majority job never runs twice",
  );
});
