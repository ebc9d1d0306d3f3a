/**
 * The contract of every mesh, run against the real and the simulated one.
 *
 * A world makes some peers of one mesh, records what their doors report, can let time pass, and can kill and restart
 * peers. The suite waits for named states with a limit; it never sleeps in the hope that something has happened.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Mesh } from "../../../src/ports.ts";
import type { PeerId } from "../../../src/schema/ids.ts";
import { type Channel, messageCapBytes } from "../../../src/schema/message.ts";
import type { ProtocolRange } from "../../../src/schema/protocol.ts";

export type Report =
  | { kind: "up"; peer: PeerId }
  | { kind: "down"; peer: PeerId; why: "closed" | "reset" }
  | { kind: "refused"; peer: PeerId; times: number }
  | { kind: "turned-away"; by: PeerId; proof: string | undefined }
  | { kind: "superseded"; by: PeerId }
  | { kind: "received"; from: PeerId; channel: Channel; bytes: Uint8Array; by?: PeerId | undefined };

export interface ContractPeer {
  readonly id: PeerId;
  /** the door of its present process */
  readonly mesh: Pick<Mesh, "publish" | "send" | "refuse" | "known" | "unresolved">;
  /** warnings about its connections, for a person; only for a peer that isn't mortal */
  warnings(): readonly string[];
  /** all reports of the door in the present process, in order */
  readonly reports: readonly Report[];
  /** called with each report as it comes */
  onReport: (report: Report) => void;
}

export interface MeshWorld {
  readonly peers: readonly ContractPeer[];
  /** Lets time pass until the condition holds; a failure names what did not come. */
  until(what: string, condition: () => boolean, limitMs?: number): Promise<void>;
  /** Lets this much time pass, to see that nothing more comes. */
  pass(ms: number): Promise<void>;
  /** As kill -9; only for a peer that the options call mortal. */
  kill(peer: number): Promise<void>;
  /** As SIGSTOP and SIGCONT; only for a mortal peer. */
  pause(peer: number): void;
  resume(peer: number): void;
  stop(peer: number): Promise<void>;
  /** After kill or stop: starts the same peer id without named addresses; it remembers at least these peers. */
  restart(peer: number, remembering: readonly number[]): Promise<void>;
  close(): Promise<void>;
}

export interface WorldOptions {
  /** for each peer, the earlier peers whose addresses it is given */
  named: readonly (readonly number[])[];
  /** peers that the test will kill */
  mortal?: readonly number[];
  /** the protocol range of each peer; absent = this program's */
  protocols?: readonly ProtocolRange[];
}

type MakeWorld = (options: WorldOptions) => Promise<MeshWorld>;

/** Three peers; each knows only the first one's address. */
const threeByOne: WorldOptions = { named: [[], [0], [0]] };

export function meshContract(name: string, makeWorld: MakeWorld): void {
  // The cases mostly wait, so some run side by side.
  describe(`the ${name} mesh`, { concurrency: 4 }, () => {
    const cases = [...findingCases, ...messageCases, ...leavingCases, ...refusingCases, ...versionCases];
    for (const { title, options, run } of cases) {
      test(title, async () => {
        const world = await makeWorld(options);
        try {
          await run(world);
        } finally {
          await world.close();
        }
      });
    }
  });
}

interface Case {
  title: string;
  options: WorldOptions;
  run: (world: MeshWorld) => Promise<void>;
}

const versionCases: Case[] = [
  {
    title: "peers with overlapping protocol versions are linked without a warning",
    options: {
      ...threeByOne,
      protocols: [
        { oldest: 1, newest: 2 },
        { oldest: 2, newest: 3 },
        { oldest: 1, newest: 9 },
      ],
    },
    run: async (world) => {
      await fullMesh(world);
      assert.deepEqual(
        world.peers.flatMap((peer) => peer.warnings()),
        [],
      );
    },
  },

  {
    title: "peers without a common protocol version are never linked, and both warn of it",
    options: {
      ...threeByOne,
      protocols: [
        { oldest: 1, newest: 2 },
        { oldest: 1, newest: 3 },
        { oldest: 3, newest: 4 },
      ],
    },
    run: async (world) => {
      const [older, between, newer] = pick(world, 0, 1, 2);
      await world.until("both warn", () => said(older) !== "" && said(newer) !== "");
      assert.match(
        said(older),
        /speaks protocol 3 to 4, and this peer 1 to 2: .* until this peer runs a newer/,
      );
      assert.match(
        said(newer),
        /speaks protocol 1 to 2, and this peer 3 to 4: .* until that peer runs a newer/,
      );
      await world.until("the first two are linked", () => linksOf(older).join() === between.id);
      await world.pass(1_000);
      assert.deepEqual([linksOf(older), linksOf(newer), said(between)], [[between.id], [], ""]);
    },
  },
];

function said(peer: ContractPeer): string {
  return peer.warnings().join();
}

/** The linked peers, one entry for each link. */
function linksOf({ reports }: ContractPeer): PeerId[] {
  return reports.flatMap((report) => (report.kind === "up" ? [report.peer] : []));
}

const findingCases: Case[] = [
  {
    title: "each peer finds all others from one address",
    options: { named: [[], [0], [0], [0]] },
    run: async (world) => {
      await fullMesh(world);
      for (const peer of world.peers) {
        const others = world.peers.filter((other) => other !== peer).map(({ id }) => id);
        assert.deepEqual([...peer.mesh.known()].toSorted(), others.toSorted());
        assert.equal(peer.mesh.unresolved(), 0);
      }
    },
  },

  {
    title: "a link is reported once for each peer, whichever side dials",
    options: { named: [[], [0], [0, 1]] },
    run: async (world) => {
      await fullMesh(world);
      await world.pass(700);
      for (const peer of world.peers) {
        const links = peer.reports.filter(({ kind }) => kind === "up" || kind === "down");
        assert.equal(links.length, 2, JSON.stringify(links));
      }
    },
  },

  {
    title: "a peer without any addresses knows no other and waits for none",
    options: { named: [[]] },
    run: async (world) => {
      const [alone] = pick(world, 0);
      assert.deepEqual(alone.mesh.known(), []);
      assert.equal(alone.mesh.unresolved(), 0);
    },
  },

  {
    title:
      "a restarted peer without named addresses finds the mesh again by the ones that it remembers, even on a new port",
    options: threeByOne,
    run: async (world) => {
      await fullMesh(world);
      await world.stop(2);
      const [first, second, third] = pick(world, 0, 1, 2);
      await linkDown(world, first, third);
      await linkDown(world, second, third);
      await world.restart(2, [0]);
      await world.until("all linked again", () =>
        [first, second].every((peer) => ups(peer, third).length === 2),
      );
      await world.until(
        "the restarted one linked",
        () => ups(third, first).length + ups(third, second).length === 2,
      );
      await delivers(world, second, third);
      await delivers(world, third, second);
    },
  },
];

const messageCases: Case[] = [
  {
    title: "a published message reaches every other peer once, and never the publisher",
    options: threeByOne,
    run: async (world) => {
      await fullMesh(world);
      const [publisher, ...others] = pick(world, 0, 1, 2);
      await gossipFlows(world, publisher);
      for (let i = 0; i < 20; i++) publisher.mesh.publish("runs", text(`m${i}`));
      await world.until("all received", () =>
        others.every((peer) => received(peer, "runs").filter((got) => got.startsWith("m")).length >= 20),
      );
      await world.pass(300);
      for (const peer of others) {
        const got = received(peer, "runs").filter((one) => one.startsWith("m"));
        assert.equal(got.length, 20);
        assert.equal(new Set(got).size, 20);
        assert.ok(peer.reports.every((report) => report.kind !== "received" || report.from === publisher.id));
      }
      assert.ok(publisher.reports.every(({ kind }) => kind !== "received"));
    },
  },

  {
    title: "messages to one peer arrive in the order in which they were sent",
    options: threeByOne,
    run: async (world) => {
      await fullMesh(world);
      const [from, to] = pick(world, 1, 2);
      const sent = Array.from({ length: 300 }, (_, i) => `${i} ${"x".repeat((i * 37) % 2_000)}`);
      for (const one of sent) from.mesh.send(to.id, "sync", text(one));
      await world.until("all arrived", () => received(to, "sync").length === sent.length);
      assert.deepEqual(received(to, "sync"), sent);
    },
  },

  {
    title: "messages of the four protocols are kept apart",
    options: { named: [[], [0]] },
    run: async (world) => {
      await fullMesh(world);
      const [from, to] = pick(world, 0, 1);
      const protocols = ["heartbeat", "ask", "sync", "log"] as const;
      for (const protocol of protocols) from.mesh.send(to.id, protocol, text(protocol));
      await world.until("all arrived", () =>
        protocols.every((protocol) => received(to, protocol).join() === protocol),
      );
    },
  },

  {
    title: "a message sent as soon as the link is up arrives, in both directions",
    options: { named: [[], [0]] },
    run: async (world) => {
      const [a, b] = pick(world, 0, 1);
      for (const [me, other] of [
        [a, b],
        [b, a],
      ] as const) {
        if (ups(me, other).length > 0) me.mesh.send(other.id, "heartbeat", text("hello"));
        me.onReport = (report) => {
          if (report.kind === "up") me.mesh.send(report.peer, "heartbeat", text("hello"));
        };
      }
      await world.until("both heard", () =>
        [a, b].every((peer) => received(peer, "heartbeat").join() === "hello"),
      );
      for (const peer of [a, b]) {
        const kinds = peer.reports.map(({ kind }) => kind);
        assert.ok(kinds.indexOf("up") < kinds.indexOf("received"), "up comes first");
      }
    },
  },

  {
    title: "a message of 256 KiB arrives, sent or published",
    options: { named: [[], [0]] },
    run: async (world) => {
      await fullMesh(world);
      const [a, b] = pick(world, 0, 1);
      for (const publisher of [a, b]) await gossipFlows(world, publisher);
      const largest = Uint8Array.from({ length: messageCapBytes }, (_, i) => i % 251);
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        from.mesh.send(to.id, "sync", largest);
        from.mesh.publish("jobs", largest);
        const whole = (channel: Channel) =>
          to.reports.some(
            (report) =>
              report.kind === "received" &&
              report.channel === channel &&
              Buffer.compare(report.bytes, largest) === 0,
          );
        await world.until("it arrived whole", () => whole("sync") && whole("jobs"));
      }
    },
  },

  {
    title: "a message to a peer that is not connected is dropped",
    options: { named: [[], [0]] },
    run: async (world) => {
      await fullMesh(world);
      const [here, there] = pick(world, 0, 1);
      await world.stop(1);
      await linkDown(world, here, there);
      here.mesh.send(there.id, "ask", text("anyone?"));
      here.mesh.publish("runs", text("anyone?"));
      await world.pass(50);
      assert.equal(ups(here, there).length, 1);
    },
  },
];

const leavingCases: Case[] = [
  {
    title: "the death of a process is reported as a reset and, within 2.5 s, as two refusals by its host",
    options: { ...threeByOne, mortal: [2] },
    run: async (world) => {
      await fullMesh(world);
      const [first, second, dead] = pick(world, 0, 1, 2);
      await world.kill(2);
      await world.until(
        "both know",
        () => [first, second].every((peer) => refusals(peer, dead).length >= 2),
        2_500,
      );
      for (const peer of [first, second]) {
        assert.deepEqual(downs(peer, dead), ["reset"]);
        assert.deepEqual(refusals(peer, dead).slice(0, 2), [1, 2]);
        const kinds = peer.reports
          .filter((report) => "peer" in report && report.peer === dead.id)
          .map(({ kind }) => kind);
        assert.deepEqual(kinds.slice(0, 4), ["up", "down", "refused", "refused"]);
      }
    },
  },

  {
    title: "a killed peer that returns is linked again",
    options: { ...threeByOne, mortal: [1] },
    run: async (world) => {
      await fullMesh(world);
      const [first, killed, third] = pick(world, 0, 1, 2);
      await world.kill(1);
      await linkDown(world, first, killed);
      await linkDown(world, third, killed);
      await world.restart(1, [2]);
      await world.until("linked again", () => [first, third].every((peer) => ups(peer, killed).length === 2));
      await delivers(world, first, killed);
      await delivers(world, killed, third);
    },
  },

  {
    title: "a process that was stopped until the others gave its links up is linked again when it is resumed",
    options: { ...threeByOne, mortal: [2] },
    run: async (world) => {
      await fullMesh(world);
      const [first, second, paused] = pick(world, 0, 1, 2);
      world.pause(2);
      await world.until(
        "both have given it up",
        () => [first, second].every((peer) => downs(peer, paused).join() === "reset"),
        20_000,
      );
      // Its host still accepts connections, so no peer reports a refusal.
      for (const peer of [first, second]) assert.deepEqual(refusals(peer, paused), []);
      world.resume(2);
      await world.until("all linked again", () =>
        [first, second].every((peer) => ups(peer, paused).length === 2),
      );
      await delivers(world, first, paused);
      await delivers(world, paused, second);
    },
  },

  {
    title: "a clean leave is reported as such, not as a death",
    options: threeByOne,
    run: async (world) => {
      await fullMesh(world);
      const [first, second, left] = pick(world, 0, 1, 2);
      await world.stop(2);
      await linkDown(world, first, left);
      await linkDown(world, second, left);
      await world.pass(1_000);
      for (const peer of [first, second]) {
        assert.deepEqual(downs(peer, left), ["closed"]);
        assert.deepEqual(refusals(peer, left), []);
        assert.ok(peer.mesh.known().includes(left.id), "it may still come back");
      }
    },
  },
];

/** What a refusing peer shows. */
const proof = `{"by":"ann","name":"${"é".repeat(200)}"}`;

const refusingCases: Case[] = [
  {
    title: "a refused peer is disconnected, told why, and stays out; the others stay linked",
    options: threeByOne,
    run: async (world) => {
      await fullMesh(world);
      const [first, second, refused] = pick(world, 0, 1, 2);
      for (const peer of [first, second]) peer.mesh.refuse([{ peer: refused.id, proof }]);
      await linkDown(world, first, refused);
      await linkDown(world, second, refused);
      await world.until("it was told by both", () =>
        [first, second].every(({ id }) => turnedAway(refused).includes(id)),
      );
      assert.ok(proofs(refused).every((shown) => shown === proof));
      for (const peer of [first, second]) assert.ok(!peer.mesh.known().includes(refused.id));
      await world.pass(1_500);
      for (const peer of [first, second]) assert.equal(ups(peer, refused).length, 1, "it stayed out");
      assert.equal(downs(first, second).length, 0);
      await delivers(world, first, second);
    },
  },

  {
    title: "a refused peer is told so at once when it is restarted, even if only one peer refuses it",
    options: threeByOne,
    run: async (world) => {
      await fullMesh(world);
      const [first, second, refused] = pick(world, 0, 1, 2);
      first.mesh.refuse([{ peer: refused.id, proof }]);
      await linkDown(world, first, refused);
      await world.stop(2);
      await linkDown(world, second, refused);
      await world.restart(2, [0, 1]);
      await world.until("it was told", () => turnedAway(refused).includes(first.id));
      await world.until("the other one takes it in", () => ups(second, refused).length === 2);
      assert.equal(ups(first, refused).length, 1);
    },
  },

  {
    title: "a peer that was refused before the start is refused from the start, even if its address is named",
    options: { named: [[], [0]] },
    run: async (world) => {
      await fullMesh(world);
      const [first, refused] = pick(world, 0, 1);
      first.mesh.refuse([{ peer: refused.id, proof }]);
      await world.until("it was told", () => turnedAway(refused).length > 0);
      assert.deepEqual(first.mesh.known(), []);
      assert.equal(first.mesh.unresolved(), 0);
    },
  },
];

// ------------------------------------------------------------------------------------------ what was reported

function pick<Indexes extends readonly number[]>(
  world: MeshWorld,
  ...indexes: Indexes
): { [Key in keyof Indexes]: ContractPeer } {
  const found = indexes.map((index) => {
    const peer = world.peers[index];
    assert.ok(peer, `the world has a peer ${index}`);
    return peer;
  });
  // `map` loses the tuple's length.
  return found as { [Key in keyof Indexes]: ContractPeer };
}

const text = (words: string): Uint8Array => new TextEncoder().encode(words);

function received(peer: ContractPeer, channel: Channel): string[] {
  return peer.reports.flatMap((report) =>
    report.kind === "received" && report.channel === channel ? [new TextDecoder().decode(report.bytes)] : [],
  );
}

function ups(peer: ContractPeer, other: ContractPeer): Report[] {
  return peer.reports.filter((report) => report.kind === "up" && report.peer === other.id);
}

function downs(peer: ContractPeer, other: ContractPeer): string[] {
  return peer.reports.flatMap((report) =>
    report.kind === "down" && report.peer === other.id ? [report.why] : [],
  );
}

function refusals(peer: ContractPeer, other: ContractPeer): number[] {
  return peer.reports.flatMap((report) =>
    report.kind === "refused" && report.peer === other.id ? [report.times] : [],
  );
}

function turnedAway(peer: ContractPeer): string[] {
  return peer.reports.flatMap((report) => (report.kind === "turned-away" ? [report.by] : []));
}

function proofs(peer: ContractPeer): (string | undefined)[] {
  return peer.reports.flatMap((report) => (report.kind === "turned-away" ? [report.proof] : []));
}

async function fullMesh(world: MeshWorld): Promise<void> {
  await world.until("a full mesh", () =>
    world.peers.every((peer) =>
      world.peers.every((other) => other === peer || ups(peer, other).length > downs(peer, other).length),
    ),
  );
}

async function linkDown(world: MeshWorld, peer: ContractPeer, other: ContractPeer): Promise<void> {
  await world.until("the link is down", () => downs(peer, other).length === ups(peer, other).length);
}

/** Waits until the peer's gossip reaches all others. */
async function gossipFlows(world: MeshWorld, publisher: ContractPeer): Promise<void> {
  const others = world.peers.filter((peer) => peer !== publisher);
  const isHeard = () =>
    others.every((peer) =>
      peer.reports.some((report) => report.kind === "received" && report.from === publisher.id),
    );
  for (let i = 0; !isHeard() && i < 50; i++) {
    publisher.mesh.publish("members", text(`probe ${i}`));
    // oxlint-disable-next-line no-await-in-loop -- one probe after the other
    await world.pass(50);
  }
  assert.ok(isHeard(), "gossip flows");
}

/**
 * Asserts that messages from one peer reach the other. The message is repeated, because the link may be up a moment
 * later at the sender's end.
 */
async function delivers(world: MeshWorld, from: ContractPeer, to: ContractPeer): Promise<void> {
  const before = received(to, "ask").length;
  const isThere = () => received(to, "ask").length > before;
  for (let i = 0; i < 20 && !isThere(); i++) {
    from.mesh.send(to.id, "ask", text("again"));
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    for (let waited = 0; waited < 500 && !isThere(); waited += 10) await world.pass(10);
  }
  assert.ok(isThere(), "it is delivered");
}
