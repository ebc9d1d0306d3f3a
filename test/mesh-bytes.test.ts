/** Garbage on the mesh's port, from strangers and from a member that breaks the protocol. */
import { ownProtocol } from "../src/schema/protocol.ts";
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { describe, test } from "node:test";
import { generateKeyPair, publicKeyToProtobuf } from "@libp2p/crypto/keys";
import { noise } from "@libp2p/noise";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import fc from "fast-check";
import { createLibp2p } from "libp2p";
import { clusterFingerprint } from "../src/identity/cluster-key.ts";
import { generateClusterKey, generatePeerKey, peerIdOf } from "../src/real/keys.ts";
import { Encrypters } from "../src/real/mesh/encrypter.ts";
import { FrameReader, toFrame } from "../src/real/mesh/frames.ts";
import { decodeGreeting, encodeGreeting } from "../src/real/mesh/greeting.ts";
import { createHost, type Host } from "../src/real/mesh/host.ts";
import type { RealMesh } from "../src/real/mesh.ts";
import { messageCapBytes } from "../src/schema/message.ts";
import type { Report } from "./kit/contract/mesh.ts";
import { onlyKey, anyOpenings, openTestMesh, startReporting, stopped, until } from "./kit/mesh-world.ts";

const clusterKey = generateClusterKey();

interface Member {
  mesh: RealMesh;
  reports: Report[];
  port: number;
  counter: (name: string) => number;
}

async function open(bootstrap: readonly string[]): Promise<{ mesh: RealMesh; reports: Report[] }> {
  const mesh = await openTestMesh({ peerKey: generatePeerKey(), clusterKey, bootstrap, remembered: [] });
  const reports: Report[] = [];
  startReporting(mesh, (report) => reports.push(report));
  return { mesh, reports };
}

/** Runs the attack on a peer; afterwards another peer must still be able to join it. */
async function withMember(attack: (member: Member) => Promise<void>): Promise<void> {
  const { mesh, reports } = await open([]);
  const port = Number(mesh.addresses()[0]?.split("/")[4]);
  const opened = [mesh];
  try {
    await attack({ mesh, reports, port, counter: (name) => mesh.counters()[name] ?? 0 });
    const friend = await open([`127.0.0.1:${port}`]);
    opened.push(friend.mesh);
    await until("a friend can still join", () => friend.reports.some(({ kind }) => kind === "up"));
  } finally {
    await Promise.all(opened.map((one) => stopped(one)));
  }
}

function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
  });
}

describe("a stranger on the port", () => {
  const openings: [string, Uint8Array][] = [
    ["random bytes", randomBytes(4_096)],
    ["a web request", Buffer.from("GET / HTTP/1.1\r\nHost: cicada\r\n\r\n")],
    ["an unlimited length", Buffer.alloc(4_096, 0xff)],
    [
      "a long protocol name",
      Buffer.concat([
        Buffer.from([0x13]),
        Buffer.from("/multistream/1.0.0\n"),
        Buffer.from([0xff, 0xff, 0x7f]),
        Buffer.alloc(300_000, 97),
      ]),
    ],
    ["zeroes", Buffer.alloc(300_000)],
  ];
  for (const [title, bytes] of openings) {
    test(`that sends ${title} is dropped and counted`, () =>
      withMember(async ({ port, counter, reports }) => {
        const socket = connect(port, "127.0.0.1");
        socket.end(bytes);
        await ended(socket);
        await until("it is counted", () => counter("mesh_handshakes_refused") === 1);
        assert.deepEqual(reports, []);
      }));
  }

  test("that holds 400 silent connections, and reopens each closed one, keeps no member out", async () => {
    const { mesh } = await open([]);
    const port = Number(mesh.addresses()[0]?.split("/")[4]);
    const opened = [mesh];
    const sockets = new Set<Socket>();
    let goesOn = true;
    const openAnother = (): void => {
      if (!goesOn) return;
      const socket = connect(port, "127.0.0.1");
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        setTimeout(openAnother, 50);
      });
    };
    try {
      for (let number = 0; number < 400; number++) openAnother();
      await until("they are there", () => [...sockets].some(({ pending }) => !pending));
      const friends = [await open([`127.0.0.1:${port}`]), await open([`127.0.0.1:${port}`])];
      opened.push(...friends.map((friend) => friend.mesh));
      for (const { reports } of friends) {
        await until("a member joins", () => reports.some(({ kind }) => kind === "up"));
      }
      assert.equal(mesh.counters()["mesh_handshakes_refused"] ?? 0, 0);
    } finally {
      goesOn = false;
      for (const socket of sockets) socket.destroy();
      await Promise.all(opened.map((one) => stopped(one)));
    }
  });

  for (const [what, opening] of [
    ["says nothing", ""],
    ["asks for a key of the mesh and then says nothing", `/cicada/noise/2/${clusterFingerprint(clusterKey)}`],
    ["asks for a protocol of its own and then says nothing", "/x"],
  ] as const) {
    test(`that ${what} is closed when its handshake is due`, async () => {
      const mesh = await openTestMesh({
        peerKey: generatePeerKey(),
        clusterKey,
        bootstrap: [],
        remembered: [],
        handshakeMs: 50,
      });
      startReporting(mesh, () => undefined);
      try {
        const socket = connect(Number(mesh.addresses()[0]?.split("/")[4]), "127.0.0.1");
        const closed = ended(socket.resume());
        if (opening !== "") {
          const name = Buffer.from(`${opening}\n`);
          socket.write(Buffer.from("\x13/multistream/1.0.0\n"));
          socket.write(Uint8Array.of(name.length));
          socket.write(name);
        }
        await closed;
      } finally {
        await stopped(mesh);
      }
    });
  }

  test("that knows the fingerprint but not the key does not get in", () =>
    withMember(async ({ port, reports }) => {
      const makeNoise = noise({ prologueBytes: randomBytes(32) });
      const stranger = await createLibp2p({
        transports: [tcp()],
        streamMuxers: [yamux()],
        connectionEncrypters: [
          (components) => {
            const inner = makeNoise(components);
            return {
              protocol: `/cicada/noise/2/${clusterFingerprint(clusterKey)}`,
              secureInbound: (connection, options) => inner.secureInbound(connection, options),
              secureOutbound: (connection, options) => inner.secureOutbound(connection, options),
            };
          },
        ],
      });
      try {
        await assert.rejects(stranger.dial(multiaddr(`/ip4/127.0.0.1/tcp/${port}`)));
        assert.deepEqual(reports, []);
      } finally {
        await stranger.stop();
      }
    }));
});

/** A host that has the key and speaks libp2p, but uses its streams as the attack likes. */
const withRogue = (attack: (member: Member, rogue: Host) => Promise<void>) =>
  withMember(async (member) => {
    const rogue = await createHost({
      peerKey: generatePeerKey(),
      keyring: onlyKey(clusterKey),
      listen: [],
      announce: [],
      mdns: false,
      gater: {},
      openings: anyOpenings(),
      encrypters: new Encrypters(
        onlyKey(clusterKey),
        { refusalOf: () => undefined, turnedAway: () => undefined },
        () => undefined,
      ),
    });
    await rogue.start();
    try {
      await attack(member, rogue);
    } finally {
      await rogue.stop();
    }
  });

const dial = (rogue: Host, { port }: Member, protocol: string) =>
  rogue.dialProtocol(multiaddr(`/ip4/127.0.0.1/tcp/${port}`), `/cicada/${protocol}/1`);

const received = ({ reports }: Member): string[] =>
  reports.flatMap((report) => (report.kind === "received" ? [Buffer.from(report.bytes).toString()] : []));

describe("a member that breaks the protocol", () => {
  test("is named as the one that brings the gossip of authors whom it has invented", () =>
    withRogue(async (member, rogue) => {
      await rogue.dial(multiaddr(`/ip4/127.0.0.1/tcp/${member.port}`));
      const { gossip } = rogue.services;
      await until("gossip flows", () => gossip.getSubscribers("cicada/1/runs").length === 1);
      const privateKey = await generateKeyPair("Ed25519");
      const author = peerIdFromPrivateKey(privateKey);
      const key = publicKeyToProtobuf(privateKey.publicKey);
      // The library signs as the author that this private field names.
      const { publishConfig } = gossip as unknown as { publishConfig: object };
      Object.assign(publishConfig, { author, key, privateKey });
      await gossip.publish("cicada/1/runs", Buffer.from("invented"));
      await until("it has arrived", () => received(member).includes("invented"));
      const [{ from, by }] = member.reports.filter((report) => report.kind === "received") as [
        Extract<Report, { kind: "received" }>,
      ];
      assert.deepEqual([from, by], [author.toString(), rogue.peerId.toString()]);
    }));

  test("loses a stream with a frame that is too long; earlier frames are kept, and a new stream works", () =>
    withRogue(async (member, rogue) => {
      const stream = await dial(rogue, member, "sync");
      stream.send(toFrame(Buffer.from("good")));
      await until("the good one is there", () => received(member).length === 1);
      const header = Buffer.alloc(4);
      header.writeUInt32BE(messageCapBytes + 1);
      const isReset = new Promise<void>((resolve) => {
        stream.addEventListener("close", () => resolve());
      });
      stream.send(header);
      await isReset;
      assert.equal(member.counter("mesh_frames_oversized"), 1);
      const again = await dial(rogue, member, "sync");
      again.send(toFrame(Buffer.from("again")));
      await until("the new stream works", () => received(member).length === 2);
      assert.deepEqual(received(member), ["good", "again"]);
    }));

  test("that ends a stream in the middle of a frame is only counted", () =>
    withRogue(async (member, rogue) => {
      const stream = await dial(rogue, member, "ask");
      stream.send(toFrame(Buffer.from("cut off")).subarray(0, 6));
      await stream.close();
      await until("it is counted", () => member.counter("mesh_frames_torn") === 1);
      assert.deepEqual(received(member), []);
    }));

  test("that sends a senseless greeting is only counted", () =>
    withRogue(async (member, rogue) => {
      const stream = await dial(rogue, member, "peers");
      const nobody = peerIdOf(generatePeerKey());
      const senseless = [
        randomBytes(100),
        Buffer.from("{}"),
        Buffer.from('{"kind":"hello"}'),
        Buffer.from('{"kind":"hello","self":["x",1,[]],"others":[]}'),
        // of another peer
        encodeGreeting({
          kind: "hello",
          protocol: ownProtocol,
          self: { peer: nobody, since: 1, addresses: [] },
          others: [],
        }),
      ];
      for (const bytes of senseless) stream.send(toFrame(bytes));
      await until("all are counted", () => member.counter("mesh_frames_garbled") === senseless.length);
      assert.deepEqual(member.mesh.known(), []);
    }));

  test("can't keep more than a few streams of one protocol open", () =>
    withRogue(async (member, rogue) => {
      const streams = await Promise.allSettled(Array.from({ length: 20 }, () => dial(rogue, member, "log")));
      const alive = streams.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
      await until("the rest was reset", () => alive.filter(({ status }) => status === "open").length <= 4);
    }));

  test("is disconnected if it never greets", () =>
    withRogue(async (member, rogue) => {
      const connection = await rogue.dial(multiaddr(`/ip4/127.0.0.1/tcp/${member.port}`));
      await until("it was dropped", () => connection.status !== "open", 8_000);
      assert.deepEqual(member.reports, []);
    }));
});

describe("frames", () => {
  test("are read as they were written, however the stream is cut into pieces", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 90 })),
        (messages, cuts) => {
          const stream = Buffer.concat(messages.map((message) => toFrame(message)));
          const reader = new FrameReader();
          const read: Uint8Array[] = [];
          let at = 0;
          for (const length of cuts) {
            if (at >= stream.length) break;
            read.push(...(reader.read(stream.subarray(at, at + length)) ?? assert.fail("refused")));
            at += length;
          }
          assert.deepEqual(read, messages);
          assert.equal(reader.isTorn, false);
        },
      ),
    );
  });

  test("that are too long are refused as soon as their length is read", () => {
    const header = Buffer.alloc(4);
    header.writeUInt32BE(messageCapBytes + 1);
    assert.equal(new FrameReader().read(header), undefined);
    header.writeUInt32BE(messageCapBytes);
    assert.deepEqual(new FrameReader().read(header), []);
  });
});

test("any bytes are read as a greeting or refused, without an exception", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        decodeGreeting(bytes);
      },
    ),
  );
  const peer = peerIdOf(generatePeerKey());
  const self = { peer, since: 7, addresses: ["/ip4/10.0.0.1/tcp/1"] };
  const hello = { kind: "hello", protocol: ownProtocol, self, others: [self] } as const;
  const full = { ...hello, key: "0123456789abcdef", life: "fedcba9876543210" };
  for (const one of [hello, full]) assert.deepEqual(decodeGreeting(encodeGreeting(one)), one);
  const mixed = JSON.stringify({
    kind: "hello",
    protocol: ownProtocol,
    life: 7,
    key: "no hex",
    self: [peer, 7, ["/ip4/10.0.0.1/tcp/1", "/tcp/1", 5, "x"]],
    others: [[peer, -1, []], [peer, 7, ["/ip4/10.0.0.1/tcp/1"]], 9],
  });
  assert.deepEqual(decodeGreeting(Buffer.from(mixed)), hello);
});
