/** Each neighbour's share of a peer's work: who waits, who doesn't, and what is dropped. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { WorkShares, workLimits } from "../src/peer/messages/work-shares.ts";
import type { PeerId } from "../src/schema/ids.ts";
import { HostClock, SimClock } from "../src/sim/clock.ts";
import { Dice } from "../src/sim/random.ts";
import { Process } from "../src/sim/world/process.ts";
import { Queue } from "../src/sim/world/queue.ts";
import type { TableEdit } from "../src/schema/job.ts";
import { FuzzMesh, members, victim } from "./kit/fuzz/mesh.ts";
import { makeTable } from "./kit/tables.ts";

const honest = "honest" as PeerId;
const greedy = "greedy" as PeerId;
const small = new Uint8Array(50);

/** A peer for which each message costs so many steps besides its bytes. */
function stage(stepsOfEach: number) {
  const queue = new Queue();
  const clock = new SimClock(
    queue,
    new HostClock(queue, 0, 0, 0),
    new Process("p", queue),
    new Dice("shares"),
  );
  const taken: { from: PeerId; size: number }[] = [];
  const counts = new Map<string, number>();
  const shares = new WorkShares({
    clock,
    take: (from, _channel, bytes, payer) => {
      taken.push({ from, size: bytes.length });
      shares.charge(payer, stepsOfEach);
    },
    count: (name) => counts.set(name, (counts.get(name) ?? 0) + 1),
  });
  const of = (peer: PeerId) => taken.filter(({ from }) => from === peer);
  return { shares, counts, of, pass: (ms: number) => queue.runUntil(queue.now + ms) };
}

describe("a neighbour's share of a peer's work", () => {
  test("a neighbour that asks for too much waits, and another one is answered at once", () => {
    const { shares, of, pass } = stage(10_000);
    for (let i = 0; i < 1_000; i++) shares.received(greedy, "sync", small);
    assert.ok(
      of(greedy).length <= workLimits.burstSteps / 10_000 + 1,
      `${of(greedy).length} were taken at once`,
    );
    shares.received(honest, "sync", small);
    assert.equal(of(honest).length, 1);
    const before = of(greedy).length;
    pass(2_000);
    const steps = (of(greedy).length - before) * 10_000;
    assert.ok(steps > workLimits.stepsPerSecond, "its messages go on");
    assert.ok(steps < 3 * workLimits.stepsPerSecond, "at the pace of its share");
  });

  test("on a host where a step takes five times as long, one turn of the loop doesn't take all that has arrived", () => {
    const stepsOfEach = 1_000;
    let mono = 0;
    let taken = 0;
    const rings: (() => void)[] = [];
    const shares: WorkShares = new WorkShares({
      clock: {
        now: () => ({ mono, wall: mono }),
        alarm: (_at, ring) => {
          rings.push(ring);
          return () => undefined;
        },
      },
      take: (from) => {
        taken++;
        shares.charge(from, stepsOfEach);
        mono += (5 * stepsOfEach) / 1_000;
      },
      count: () => undefined,
    });
    for (let i = 0; i < 1_000; i++) shares.received(greedy, "sync", small);
    assert.ok(taken < 40, `${taken} of 1,000 were taken in the turn in which they arrived`);
    for (let turn = 0; turn < 500; turn++) {
      const before = taken;
      mono += 10;
      for (const ring of rings.splice(0)) ring();
      assert.ok(taken - before <= 11, `${taken - before} were taken in a later one`);
    }
    assert.equal(taken, 1_000, "and none is lost");
  });

  test("what was passed on has one share, however many authors it has, and uses up none of theirs", () => {
    const { shares, of, pass } = stage(10_000);
    const authors = [honest, ...Array.from({ length: 999 }, (_, index) => `author ${index}` as PeerId)];
    for (const author of authors) shares.received(author, "runs", small, true);
    const taken = (): number => authors.reduce((sum, author) => sum + of(author).length, 0);
    assert.ok(taken() <= workLimits.burstSteps / 10_000 + 1, `${taken()} were taken at once`);
    const before = of(honest).length;
    shares.received(honest, "runs", small);
    assert.equal(of(honest).length, before + 1, "its own message doesn't wait");
    pass(1_000);
    assert.ok(taken() * 10_000 < 3 * workLimits.stepsPerSecond, "they go on at the pace of one share");
  });

  test("what waited is taken in its order, and what comes meanwhile comes behind it", () => {
    const { shares, of, pass } = stage(100_000);
    for (let size = 1; size <= 20; size++) shares.received(greedy, "runs", new Uint8Array(size));
    pass(1_000);
    for (let size = 21; size <= 30; size++) shares.received(greedy, "sync", new Uint8Array(size));
    pass(60_000);
    assert.deepEqual(
      of(greedy).map(({ size }) => size),
      Array.from({ length: 30 }, (_, index) => index + 1),
    );
  });

  test("only so many bytes wait for a neighbour, and only so many for all; the rest is dropped and counted", () => {
    const { shares, counts, of, pass } = stage(0);
    const large = new Uint8Array(262_144);
    for (let peer = 0; peer < 40; peer++) {
      const from = `greedy-${peer}` as PeerId;
      shares.charge(from, workLimits.burstSteps);
      for (let i = 0; i < 20; i++) shares.received(from, "runs", large);
    }
    const kept = counts.get("work_messages_delayed") ?? 0;
    assert.equal(kept, Math.floor(workLimits.waitingBytesInAll / (large.length + 100)));
    assert.equal(counts.get("work_messages_dropped"), 800 - kept);
    pass(60_000);
    assert.equal(of("greedy-0" as PeerId).length, 15);
    for (let i = 0; i < 10; i++) shares.received(greedy, "runs", large);
    assert.equal(counts.get("work_messages_dropped"), 800 - kept, "there is room again");
  });

  test("heartbeats don't wait behind other messages, and a flood of them is dropped", () => {
    const { shares, counts, of, pass } = stage(0);
    shares.charge(greedy, 10 * workLimits.burstSteps);
    shares.received(greedy, "sync", small);
    shares.received(greedy, "heartbeat", small);
    assert.equal(of(greedy).length, 1);
    for (let i = 0; i < 1_000; i++) shares.received(greedy, "heartbeat", small);
    assert.equal(of(greedy).length, workLimits.heartbeatBurst);
    assert.equal(counts.get("work_heartbeats_dropped"), 1_001 - workLimits.heartbeatBurst);
    pass(1_000);
    shares.received(greedy, "heartbeat", small);
    assert.equal(of(greedy).length, workLimits.heartbeatBurst + 1);
  });

  test("what waits is dropped with the link, and frees its room", () => {
    const { shares, counts, of, pass } = stage(0);
    shares.charge(greedy, workLimits.burstSteps);
    for (let i = 0; i < 100; i++) shares.received(greedy, "sync", small);
    shares.linkDown(greedy);
    pass(60_000);
    assert.equal(of(greedy).length, 0);
    for (let i = 0; i < 100; i++) shares.received(greedy, "sync", small);
    assert.equal(of(greedy).length, 100);
    assert.equal(counts.get("work_messages_dropped"), undefined);
  });
});

describe("three peers, of which one floods another with questions", () => {
  const [, flooder] = members;
  const questions = 20_000;

  test("it answers a bounded number of them, and goes on with its jobs", () => {
    const mesh = new FuzzMesh("questions");
    const before = mesh.sentTo(flooder);
    for (let id = 0; id < questions; id++) {
      mesh.sendAs(flooder, "sync", { kind: "watermarks-want", id, taken: 0 });
      mesh.sendAs(flooder, "sync", {
        kind: "table-have",
        id,
        digest: "another",
        stateVector: "AA==",
        piece: 0,
        pieces: 1,
        reply: false,
      });
    }
    const answers = mesh.sentTo(flooder) - before;
    assert.ok(answers < questions, `${answers} answers to ${2 * questions} questions`);
    const since = mesh.world.now();
    mesh.pass(30_000);
    const ticks = mesh.runs().filter(({ job, start }) => job === "beat" && start >= since);
    assert.ok(ticks.length >= 5, `${ticks.length} of 6 ticks`);
    assert.ok((mesh.peer(victim).status.view().counters["work_messages_dropped"] ?? 0) > 0);
  });
});

function confirm(number: number): TableEdit {
  const value = { at: 1, by: "x", signature: "A".repeat(86) };
  return { kind: "set", root: "confirmations", id: `peer-${number}/peer-1`, value, by: "x" };
}

describe("a member that fills a root of the table, and changes it again and again", () => {
  const [, liar] = members;
  const filled = 6_000;
  const more = 400;

  test("pays for the reading of the whole root each time, so that its changes wait", () => {
    const mesh = new FuzzMesh("confirmations");
    const table = makeTable("liar");
    const say = (from: number, to: number) => {
      const edits = Array.from({ length: to - from }, (_, index) => confirm(from + index));
      const { update } = table.edit(edits, mesh.world.now());
      mesh.sendAs(liar, "jobs", { kind: "update", update: Buffer.from(update).toString("base64") });
    };
    for (let from = 0; from < filled; from += 200) {
      say(from, from + 200);
      mesh.pass(1_000);
    }
    const known = () => mesh.state(victim).members.admissions.confirmations.length;
    assert.equal(known(), filled);
    for (let number = filled; number < filled + more; number++) say(number, number + 1);
    assert.ok(known() < filled + 20, `${known() - filled} of ${more} were taken at once`);
    mesh.pass(60_000);
    assert.equal(known(), filled + more, "none is lost");
  });
});

describe("a crowd of members that flood a peer with heartbeats", () => {
  test("has one share together, and the heartbeats of honest members are all taken", () => {
    const { shares, of, pass } = stage(0);
    const crowd = Array.from({ length: 400 }, (_, index) => `liar-${index}` as PeerId);
    const long = new Uint8Array(6_000);
    const [bytesPerStep, stepsPerMessage, seconds] = [60, 80, 10];
    for (let tenth = 0; tenth < seconds * 10; tenth++) {
      for (const liar of crowd) shares.received(liar, "heartbeat", long);
      if (tenth % 10 === 0) shares.received(honest, "heartbeat", small);
      pass(100);
    }
    assert.equal(of(honest).length, seconds);
    const taken = crowd.reduce((sum, liar) => sum + of(liar).length, 0);
    const { crowdStepsPerSecond, calmHeartbeatsPerSecond, calmHeartbeatBurst } = workLimits;
    const inTheShare = ((seconds + 2) * crowdStepsPerSecond) / (stepsPerMessage + long.length / bytesPerStep);
    const calm = crowd.length * (seconds * calmHeartbeatsPerSecond + calmHeartbeatBurst);
    assert.ok(taken <= inTheShare + calm, `${taken} were taken`);
  });

  test("drops nothing of a member that has news ten times a second, while the share lasts", () => {
    const { shares, of, pass } = stage(0);
    for (let tenth = 0; tenth < 100; tenth++) {
      shares.received(honest, "heartbeat", small);
      pass(100);
    }
    assert.equal(of(honest).length, 100);
  });
});

describe("a member whose heartbeats name peers that nobody has heard", () => {
  const [, liar] = members;

  test("makes no members of them, and a peer that gossips itself is one", () => {
    const mesh = new FuzzMesh("names");
    const phantoms = Array.from({ length: 250 }, (_, index) => `peer-phantom-${index}` as PeerId);
    const [real] = phantoms;
    assert.ok(real !== undefined);
    for (let lie = 0; lie < 30; lie++) {
      const genuine = mesh.overheard.get("heartbeat")?.findLast(({ from }) => from === liar)?.message;
      assert.ok(genuine?.kind === "heartbeat");
      mesh.sendAs(liar, "heartbeat", { ...genuine, hears: [victim, ...phantoms] });
      mesh.pass(100);
    }
    assert.equal(mesh.state(victim).members.byId.size, members.length - 1);
    mesh.sendAs(real, "runs", { kind: "runs", records: [], declined: [], orders: [], cancels: [] });
    assert.deepEqual(
      [...mesh.state(victim).members.byId.keys()].toSorted(),
      [...members.slice(1), real].toSorted(),
    );
  });
});
