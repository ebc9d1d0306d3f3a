/**
 * What people do to a mesh every day costs no tick, at whatever moment it is done: whole peers in a simulated world
 * without faults, with a job that is due every second. The seeds' checkers can't say so, since among faults they allow for
 * what a fault may cost.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import { everySeconds } from "../src/sim/client/schedules.ts";
import type { JobRules } from "../src/sim/world/requests.ts";
import { World } from "../src/sim/world/world.ts";
import { calmWorld, epoch } from "./kit/calm-world.ts";

const second = 1_000;
const minute = 60 * second;
/** A start that waits for a lease or for a death to be noticed is later than this. */
const promptMs = 700;
const beat = "beat" as JobId;
const child = "child" as JobId;

interface Mesh {
  world: World;
  rules: JobRules;
  /** the peer that this round is about, and another one */
  peer: PeerId;
  other: PeerId;
  /** the one that isn't started with the others */
  spare: PeerId;
}

interface Operation {
  what: string;
  rounds: number;
  betweenMs: number;
  /** the round's number is from 0 on */
  act: (mesh: Mesh, round: number) => void;
}

/** Stops the peer, and starts it again so long after it. */
const stopFor =
  (ms: number): Operation["act"] =>
  ({ world, peer }) => {
    world.hosts.stop(peer);
    world.runUntil(world.now() + ms);
    world.hosts.start(peer);
  };

const stops: Operation = {
  // A claim that was given back is told by gossip, and may come after its peer's goodbye.
  what: "a peer is stopped, and started again 8 s later",
  rounds: 30,
  betweenMs: 12 * second,
  act: stopFor(8 * second),
};

const operations: readonly Operation[] = [
  stops,
  {
    what: "a peer is restarted",
    rounds: 20,
    betweenMs: 9 * second,
    act: stopFor(2.5 * second),
  },
  {
    what: "a peer is drained, and undrained 5 s later",
    rounds: 15,
    betweenMs: 10 * second,
    act: ({ world, peer, other }) => {
      world.ask(other, { kind: "drain", target: peer, on: true });
      world.runUntil(world.now() + 5 * second);
      world.ask(other, { kind: "drain", target: peer, on: false });
    },
  },
  {
    what: "the job is edited",
    rounds: 30,
    betweenMs: 3 * second,
    act: ({ world, peer, rules }, round) => {
      world.ask(peer, { kind: "put", rules: { ...rules, overlap: round % 2 === 0 ? "queue-all" : "allow" } });
    },
  },
  {
    what: "a fourth peer joins, and leaves",
    rounds: 12,
    betweenMs: 10 * second,
    act: ({ world, spare }, round) => {
      if (round % 2 === 0) world.hosts.start(spare);
      else world.hosts.stop(spare);
    },
  },
  {
    what: "a fourth peer is promoted, stopped and forgotten",
    rounds: 4,
    betweenMs: 20 * second,
    act: ({ world, peer, spare }, round) => {
      if (round === 0) world.hosts.start(spare);
      if (round === 1) world.ask(peer, { kind: "promote", target: spare });
      if (round === 2) world.hosts.stop(spare);
      if (round === 3) world.ask(peer, { kind: "forget", target: spare });
    },
  },
  {
    what: "the cluster key is rotated",
    rounds: 5,
    betweenMs: 20 * second,
    act: ({ world, peer }) => world.ask(peer, { kind: "rotate", graceMs: 5 * second }),
  },
  {
    what: "a clock is set by 0.4 s",
    rounds: 10,
    betweenMs: 12 * second,
    act: ({ world, peer }, round) => {
      world.disturbances.stepClock(peer, round % 2 === 0 ? 400 : -400);
    },
  },
];

interface Kind {
  what: string;
  rules: Partial<JobRules>;
  /** with a second job that runs after each tick of the first, and is judged instead */
  hasChild?: true;
  fails?: true;
  /** how often each tick starts */
  starts: number;
  /** no start is later than this, ms. A peer that was just restarted hears late of what it waits for, and others step in */
  withinMs: number;
  operations: readonly Operation[];
}

const kinds: readonly Kind[] = [
  { what: "available", rules: {}, starts: 1, withinMs: promptMs, operations },
  { what: "majority", rules: { partition: "majority" }, starts: 1, withinMs: promptMs, operations },
  {
    what: "repeated three times",
    rules: { retry: { attempts: 3, backoffMs: second } },
    fails: true,
    starts: 4,
    withinMs: minute,
    operations: [stops],
  },
  { what: "run after another", rules: {}, hasChild: true, starts: 1, withinMs: minute, operations: [stops] },
  {
    what: "run after another that has two runs",
    rules: { count: 2 },
    hasChild: true,
    starts: 1,
    withinMs: minute,
    operations,
  },
];

for (const kind of kinds) {
  describe(`each tick of a job that is ${kind.what} starts as often as it should, and in time, while`, () => {
    for (const operation of kind.operations) {
      test(operation.what, () => {
        const { runs, records, from, to } = carryOut(operation, kind);
        const wrong: string[] = [];
        for (let due = from; due < to; due += second) {
          const starts = runs.flatMap(({ tick, start }) => (Date.parse(tick) === due ? [start - due] : []));
          if (starts.length === kind.starts && starts.every((late) => late < kind.withinMs)) continue;
          wrong.push(`${new Date(due).toISOString()}: started ${starts.join(", ") || "never"}`);
        }
        assert.deepEqual(wrong, []);
        const usual = [kind.fails === true ? "failed" : "succeeded", "withdrawn"];
        assert.ok(records.length >= (to - from) / second, `${records.length} records`);
        const others = records.filter(({ state }) => !usual.includes(state));
        assert.deepEqual(
          others.map(({ tick, state, peer }) => `${tick} ${state} ${peer}`),
          [],
        );
      });
    }
  });
}

/** Carries the operation out round by round. Returns what happened to the ticks from ≤ instant < to, ms. */
function carryOut({ what, rounds, betweenMs, act }: Operation, kind: Kind) {
  const exitCode = kind.fails === true ? 1 : 0;
  const world = new World({
    ...calmWorld,
    children: { ...calmWorld.children, behaviour: () => ({ lastsMs: 100, exitCode }) },
    seed: `${what}, ${kind.what}`,
    peers: 4,
    skewMs: 5,
    driftPpm: 10,
  });
  const [first, , , spare] = world.peers;
  assert.ok(first !== undefined && spare !== undefined);
  const usual = world.peers.filter((peer) => peer !== spare);
  for (const peer of usual) world.at(epoch, () => world.hosts.start(peer));
  world.joinsLater(spare);
  // By then all three vote.
  world.runUntil(epoch + 3 * minute);
  const rules: JobRules = {
    id: beat,
    schedule: everySeconds(1),
    overlap: "allow",
    catchUp: { policy: "none", windowMs: minute },
    peers: undefined,
    ...kind.rules,
  };
  world.ask(first, { kind: "put", rules });
  if (kind.hasChild === true) {
    world.ask(first, {
      kind: "put",
      rules: { ...rules, count: 1, id: child, after: { jobs: [beat], on: "success" } },
    });
  }
  const from = epoch + 4 * minute;
  for (let round = 0; round < rounds; round++) {
    // Claims and votes run ahead of their ticks: the rounds fall on every moment of a second.
    world.runUntil(from + round * betweenMs + Math.round((round * second) / rounds));
    const [peer = first, other = first] = [round, round + 1].map((index) => usual[index % usual.length]);
    act({ world, rules, peer, other, spare }, round);
  }
  const to = from + rounds * betweenMs;
  world.runUntil(to + minute);
  const judged = kind.hasChild === true ? child : beat;
  const isJudged = ({ job, tick }: { job: JobId; tick: string }) =>
    job === judged && Date.parse(tick) >= from && Date.parse(tick) < to;
  return {
    runs: world.evidence(to, []).runs.filter(isJudged),
    records: [...(world.knowledge()[0]?.records.values() ?? [])].filter(isJudged),
    from,
    to,
  };
}
