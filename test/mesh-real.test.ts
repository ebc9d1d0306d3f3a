/** The mesh on libp2p: the contract of every mesh, and what only the real one can show. */
import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { describe, test } from "node:test";
import { multiaddr } from "@multiformats/multiaddr";
import fc from "fast-check";
import { CicadaError } from "../src/errors.ts";
import { generateClusterKey, generatePeerKey, peerIdOf } from "../src/real/keys.ts";
import {
  hostOf,
  joinAddress,
  parseAddress,
  sortForDialling,
  splitAddress,
} from "../src/real/mesh/addresses.ts";
import { AddressBook } from "../src/real/mesh/book.ts";
import { redialWaitMs } from "../src/real/mesh/dialler.ts";
import { decodeGreeting, encodeGreeting, peersCap, sinceCap } from "../src/real/mesh/greeting.ts";
import { Encrypters } from "../src/real/mesh/encrypter.ts";
import { createHost } from "../src/real/mesh/host.ts";
import type { RealMesh } from "../src/real/mesh.ts";
import { ownProtocol } from "../src/schema/protocol.ts";
import type { PeerId } from "../src/schema/ids.ts";
import { messageCapBytes } from "../src/schema/message.ts";
import { meshContract, type Report } from "./kit/contract/mesh.ts";
import { freePort, freePorts } from "./kit/cluster.ts";
import {
  type LifeOptions,
  type LoggedLine,
  makeRealWorld,
  anyOpenings,
  openTestMesh,
  pass,
  onlyKey,
  startReporting,
  stopped,
  until,
} from "./kit/mesh-world.ts";

meshContract("real", makeRealWorld);

const clusterKey = generateClusterKey();

interface TestPeer {
  id: PeerId;
  mesh: RealMesh;
  reports: Report[];
  lines: LoggedLine[];
}

/** Runs with peers that are always stopped in the end. */
async function withPeers(
  run: (open: (options?: Partial<LifeOptions>) => Promise<TestPeer>) => Promise<void>,
): Promise<void> {
  const meshes: RealMesh[] = [];
  try {
    await run(async (options = {}) => {
      const lines: LoggedLine[] = [];
      const life = { peerKey: generatePeerKey(), clusterKey, bootstrap: [], remembered: [], ...options };
      const mesh = await openTestMesh(life, undefined, lines);
      meshes.push(mesh);
      const reports: Report[] = [];
      startReporting(mesh, (report) => reports.push(report));
      return { id: peerIdOf(life.peerKey), mesh, reports, lines };
    });
  } finally {
    await Promise.all(meshes.map((mesh) => stopped(mesh)));
  }
}

const portOf = (mesh: RealMesh): string => mesh.addresses()[0]?.split("/")[4] ?? assert.fail("no address");
const at127 = (port: number): string[] => [`/ip4/127.0.0.1/tcp/${port}`];
const isError = (code: string) => (error: unknown) => error instanceof CicadaError && error.code === code;
const foreignKey = generateClusterKey();
const linksOf = (peer: TestPeer): Report[] =>
  peer.reports.filter(({ kind }) => kind === "up" || kind === "down");

test("with as many peers as may be connected, a member that returns is let in, and the peer that came last gives way", () =>
  withPeers(async (open) => {
    const full = await open({ peersMax: 2 });
    const toFull = [`127.0.0.1:${portOf(full.mesh)}`];
    const [friendKey, memberKey] = [generatePeerKey(), generatePeerKey()];
    const count = (what: "up" | "down", peer: TestPeer) =>
      full.reports.filter((report) => report.kind === what && report.peer === peer.id).length;
    const friend = await open({ peerKey: friendKey, bootstrap: toFull });
    await until("a friend is in", () => count("up", friend) === 1);
    const member = await open({ peerKey: memberKey, bootstrap: toFull });
    await until("a member is in", () => count("up", member) === 1);
    await stopped(member.mesh);
    await until("the member has left", () => count("down", member) === 1);
    const guest = await open({ bootstrap: toFull });
    await until("a guest is in", () => count("up", guest) === 1);
    const late = await open({ bootstrap: toFull });
    await until("another one isn't", () => (full.mesh.counters()["mesh_peers_too_many"] ?? 0) > 1);
    assert.equal(count("up", late), 0);
    const back = await open({ peerKey: memberKey, bootstrap: toFull });
    await until("the member is in again", () => count("up", back) === 2);
    await until("instead of the guest", () => count("down", guest) === 1);
    assert.equal(count("down", friend), 0);
  }));

describe("a wrong cluster key", () => {
  test("is refused, and both sides say why", () =>
    withPeers(async (open) => {
      const member = await open();
      const stranger = await open({
        clusterKey: generateClusterKey(),
        bootstrap: [`127.0.0.1:${portOf(member.mesh)}`],
      });
      await until("both have said it", () => member.lines.length > 0 && stranger.lines.length > 0);
      const [inside] = member.lines;
      const [outside] = stranger.lines;
      assert.equal(inside?.level, "warn");
      assert.match(inside?.message ?? "", /another cluster key/);
      assert.match(String(inside?.fields["theirs"]), /^[0-9a-f]{16}$/);
      assert.notEqual(inside?.fields["theirs"], inside?.fields["key"]);
      assert.match(outside?.message ?? "", /another cluster key/);
      assert.deepEqual([...linksOf(member), ...linksOf(stranger)], []);
    }));

  test("causes neither a crash nor a flood of log lines when it is retried", () =>
    withPeers(async (open) => {
      const member = await open();
      const address = multiaddr(`/ip4/127.0.0.1/tcp/${portOf(member.mesh)}`);
      const stranger = await createHost({
        peerKey: generatePeerKey(),
        keyring: onlyKey(foreignKey),
        listen: [],
        announce: [],
        mdns: false,
        gater: {},
        openings: anyOpenings(),
        encrypters: new Encrypters(
          onlyKey(foreignKey),
          { refusalOf: () => undefined, turnedAway: () => undefined },
          () => undefined,
        ),
      });
      await stranger.start();
      for (let round = 0; round < 10; round++) {
        const dials = Array.from({ length: 20 }, () =>
          // An id that no peer has; otherwise libp2p would make one dial of all.
          stranger.dial(address.encapsulate(`/p2p/${peerIdOf(generatePeerKey())}`)),
        );
        // oxlint-disable-next-line no-await-in-loop -- round after round
        const outcomes = await Promise.allSettled(dials);
        assert.ok(outcomes.every(({ status }) => status === "rejected"));
      }
      await stranger.stop();
      const refused = () => member.mesh.counters()["mesh_handshakes_refused"] ?? 0;
      await until("all were refused", () => refused() === 200);
      assert.equal(member.lines.length, 1);
      const friend = await open({ bootstrap: [`127.0.0.1:${portOf(member.mesh)}`] });
      await until("a friend is in", () => linksOf(friend).length === 1 && linksOf(member).length === 1);
    }));
});

const heardBy = ({ reports }: TestPeer): number =>
  reports.filter((report) => report.kind === "received" && report.channel === "heartbeat").length;

describe("two processes with one identity", () => {
  test("both still receive messages from their links, and neither costs the other its link", () =>
    withPeers(async (open) => {
      const member = await open();
      const bootstrap = [`127.0.0.1:${portOf(member.mesh)}`];
      const peerKey = generatePeerKey();
      const one = await open({ peerKey, bootstrap });
      await until("the first is linked", () => linksOf(member).length === 1);
      const other = await open({ peerKey, bootstrap });
      await until("the second is linked", () => linksOf(other).length === 1);
      for (let beat = 0; beat < 20; beat++) {
        const before = [heardBy(one), heardBy(other)] as const;
        member.mesh.send(one.id, "heartbeat", Buffer.from(String(beat)));
        one.mesh.send(member.id, "heartbeat", Buffer.from(String(beat)));
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        await until(`both have heard ${beat}`, () => heardBy(one) > before[0] && heardBy(other) > before[1]);
      }
      assert.equal(heardBy(member), 20);
      await until("gossip goes to the one that came last, and from it", () => {
        member.mesh.publish("runs", Buffer.from("to both"));
        other.mesh.publish("runs", Buffer.from("from the last"));
        return [other, member].every(({ reports }) =>
          reports.some((report) => report.kind === "received" && report.channel === "runs"),
        );
      });
      await stopped(other.mesh);
      assert.deepEqual([linksOf(member).length, linksOf(one).length], [1, 1], "no link was lost meanwhile");
    }));
});

const saidBy = ({ lines }: TestPeer): LoggedLine[] =>
  lines.filter(({ message }) => message.includes("speaks protocol"));

describe("versions of the protocol", () => {
  test("peers without a common one refuse each other, and both name both ranges in log and warnings", () =>
    withPeers(async (open) => {
      const older = await open();
      const newer = await open({
        protocol: { oldest: 3, newest: 4 },
        bootstrap: [`127.0.0.1:${portOf(older.mesh)}`],
      });
      await until("both have said it", () => saidBy(older).length > 0 && saidBy(newer).length > 0);
      const retried = () => (older.mesh.counters()["mesh_versions_refused"] ?? 0) > 2;
      await until("the newer one has tried again", retried);
      assert.deepEqual([saidBy(older).length, saidBy(newer).length], [1, 1]);
      assert.match(
        older.mesh.warnings().join(),
        /speaks protocol 3 to 4, and this peer 2: .*until this peer runs a newer/,
      );
      assert.match(
        newer.mesh.warnings().join(),
        /speaks protocol 2, and this peer 3 to 4: .*until that peer runs a newer/,
      );
      assert.deepEqual([...linksOf(older), ...linksOf(newer)], []);
    }));

  test("peers with common ones are linked, whichever is newer, and both speak the highest", () =>
    withPeers(async (open) => {
      const older = await open({ protocol: { oldest: 1, newest: 3 } });
      const newer = await open({
        protocol: { oldest: 2, newest: 4 },
        bootstrap: [`127.0.0.1:${portOf(older.mesh)}`],
      });
      await until("they are linked", () => linksOf(older).length === 1 && linksOf(newer).length === 1);
      assert.match(
        saidBy(newer)[0]?.message ?? "",
        /speaks protocol 1 to 3, and this peer 2 to 4: they speak 3$/,
      );
      assert.deepEqual(saidBy(older), [], "it speaks the highest version that it has");
      assert.deepEqual([...older.mesh.warnings(), ...newer.mesh.warnings()], []);
    }));

  test("a greeting without a range is of version 1, and one with an impossible range is refused", () => {
    const self = ["12D3KooWBmBLZzzkxaFBzWgXtVYZkm3dQSoiWmvNK5rJjY2SWMx5", 1, []];
    const read = (fields: object) =>
      decodeGreeting(Buffer.from(JSON.stringify({ kind: "hello", self, others: [], ...fields })));
    const hello = read({});
    assert.ok(hello?.kind === "hello");
    assert.deepEqual(hello.protocol, { oldest: 1, newest: 1 });
    for (const protocol of [
      null,
      1,
      {},
      { oldest: 2, newest: 1 },
      { oldest: 0, newest: 1 },
      { oldest: 1, newest: 1.5 },
    ]) {
      assert.equal(read({ protocol }), undefined, JSON.stringify(protocol));
    }
  });
});

describe("finding peers", () => {
  test("six peers that all dial each other at once are linked once each, without a break", () =>
    withPeers(async (open) => {
      const ports = await freePorts(6);
      const bootstrap = ports.map((port) => `127.0.0.1:${port}`);
      const peers = await Promise.all(ports.map((port) => open({ listen: at127(port), bootstrap })));
      await until("a full mesh", () => peers.every((peer) => linksOf(peer).length >= peers.length - 1));
      await pass(1_000);
      for (const peer of peers) {
        assert.equal(linksOf(peer).length, peers.length - 1, JSON.stringify(linksOf(peer)));
        assert.ok(linksOf(peer).every(({ kind }) => kind === "up"));
        assert.equal(peer.mesh.unresolved(), 0);
      }
    }));

  test("a peer that finds itself at a named address ignores it", () =>
    withPeers(async (open) => {
      const port = await freePort();
      const peer = await open({ listen: at127(port), bootstrap: [`127.0.0.1:${port}`] });
      assert.equal(peer.mesh.unresolved(), 1);
      await until("it has seen that", () => peer.mesh.unresolved() === 0);
      assert.deepEqual(peer.mesh.known(), []);
      assert.deepEqual(peer.lines, []);
    }));

  test("a named address stays unresolved until a peer answers there", () =>
    withPeers(async (open) => {
      const port = await freePort();
      const waiting = await open({ bootstrap: [`127.0.0.1:${port}`] });
      await until("it was tried", () => (waiting.mesh.counters()["mesh_dials_failed"] ?? 0) > 0);
      assert.equal(waiting.mesh.unresolved(), 1);
      const late = await open({ listen: at127(port) });
      await until("they are linked", () => linksOf(waiting).length === 1 && linksOf(late).length === 1);
      assert.equal(waiting.mesh.unresolved(), 0);
      assert.deepEqual(waiting.mesh.known(), [late.id]);
    }));

  test("a host name works as well as an IP address", () =>
    withPeers(async (open) => {
      const there = await open();
      const here = await open({ bootstrap: [`localhost:${portOf(there.mesh)}`] });
      await until("they are linked", () => linksOf(here).length === 1 && linksOf(there).length === 1);
      assert.equal(here.mesh.unresolved(), 0);
    }));

  test("a peer that listens on every interface names each of them, with its id", () =>
    withPeers(async (open) => {
      const { id, mesh } = await open({ listen: ["/ip4/0.0.0.0/tcp/0"] });
      const hosts = mesh.addresses().map((address) => hostOf(address));
      const interfaces = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
      const expected = interfaces.filter(({ family }) => family === "IPv4").map(({ address }) => address);
      assert.deepEqual(new Set(hosts), new Set(expected));
      assert.ok(mesh.addresses().every((address) => address.endsWith(`/p2p/${id}`)));
    }));

  test("an address with another peer's id is not connected, and the peer at that address is not disturbed", () =>
    withPeers(async (open) => {
      const there = await open();
      const wrong = `/ip4/127.0.0.1/tcp/${portOf(there.mesh)}/p2p/${peerIdOf(generatePeerKey())}`;
      const here = await open({ bootstrap: [wrong] });
      await until("it was tried", () => (here.mesh.counters()["mesh_dials_failed"] ?? 0) > 1);
      assert.deepEqual(linksOf(there), []);
      assert.equal(here.mesh.known().length, 1);
    }));

  test("a taken port and an invalid address are clear errors", () =>
    withPeers(async (open) => {
      const first = await open();
      await assert.rejects(open({ listen: at127(Number(portOf(first.mesh))) }), isError("PORT_IN_USE"));
      await assert.rejects(open({ bootstrap: ["not an address"] }), isError("USAGE"));
      await assert.rejects(open({ listen: ["0.0.0.0:7401"] }), isError("USAGE"));
      await assert.rejects(open({ listen: ["/ip4/192.0.2.1/tcp/0"] }), isError("USAGE"));
      await assert.rejects(open({ peerKey: new Uint8Array(3) }), isError("BAD_KEY"));
    }));
});

test("a message of more than 256 KiB is an error of the caller", () =>
  withPeers(async (open) => {
    const here = await open();
    const there = await open({ bootstrap: [`127.0.0.1:${portOf(here.mesh)}`] });
    await until("they are linked", () => linksOf(here).length === 1);
    const tooLong = new Uint8Array(messageCapBytes + 1);
    assert.throws(() => here.mesh.publish("jobs", tooLong), /262144/);
    assert.throws(() => here.mesh.send(there.id, "sync", tooLong), /262144/);
  }));

describe("addresses", () => {
  const id = peerIdOf(generatePeerKey());
  const cases: [string, string, PeerId | undefined][] = [
    ["10.0.0.5", "/ip4/10.0.0.5/tcp/7401", undefined],
    ["10.0.0.5:80", "/ip4/10.0.0.5/tcp/80", undefined],
    ["a.example.org", "/dns/a.example.org/tcp/7401", undefined],
    ["a.example.org:7411", "/dns/a.example.org/tcp/7411", undefined],
    ["localhost:7411", "/dns/localhost/tcp/7411", undefined],
    ["::1", "/ip6/::1/tcp/7401", undefined],
    ["[fd00::5]:99", "/ip6/fd00::5/tcp/99", undefined],
    ["/dns4/b/tcp/1", "/dns4/b/tcp/1", undefined],
    [`/ip4/10.0.0.5/tcp/7401/p2p/${id}`, "/ip4/10.0.0.5/tcp/7401", id],
  ];
  for (const [text, address, peer] of cases) {
    test(`${text} is understood`, () => {
      assert.deepEqual(parseAddress(text), { address, peer });
    });
  }

  for (const bad of [
    "",
    ":80",
    "a:b",
    "a:0",
    "a:70000",
    "[a]:1",
    "a b",
    "/ip4/1.2.3.4/udp/1",
    "/tcp/1",
    "/x",
  ]) {
    test(`${JSON.stringify(bad)} is refused`, () => {
      assert.throws(
        () => parseAddress(bad),
        (error) => error instanceof CicadaError && error.code === "USAGE",
      );
    });
  }

  test("any text is read as an address or refused with a reason", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          return parseAddress(text).address.startsWith("/");
        } catch (error) {
          return error instanceof CicadaError;
        }
      }),
    );
  });

  test("loopback is tried last, unless the peer is on this host", () => {
    const far = ["/ip4/127.0.0.1/tcp/1", "/ip4/192.0.2.7/tcp/1"];
    assert.deepEqual(sortForDialling(far), far.toReversed());
  });

  test("only addresses of Ed25519 peers are accepted", () => {
    const address = "/ip4/10.0.0.5/tcp/1";
    assert.deepEqual(splitAddress(joinAddress(address, id)), { address, peer: id });
    assert.equal(splitAddress(`${address}/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N`), undefined);
  });
});

const at = (port: number) => [`/ip4/10.0.0.1/tcp/${port}`];

describe("the address book", () => {
  const self = peerIdOf(generatePeerKey());
  const a = peerIdOf(generatePeerKey());
  const b = peerIdOf(generatePeerKey());

  test("of two lists of a peer's addresses the later one counts, whichever peer forwards it", () => {
    const book = new AddressBook(self, 1_000);
    assert.ok(book.learnFromOther({ peer: a, since: 5, addresses: at(5) }));
    assert.ok(!book.learnFromOther({ peer: a, since: 4, addresses: at(4) }));
    assert.ok(book.learnFromOther({ peer: a, since: 6, addresses: at(6) }));
    assert.deepEqual(book.addressesOf(a).others, at(6));
  });

  test("a peer's own list counts, even if its clock was set back", () => {
    const book = new AddressBook(self, 1_000);
    book.learnFromOther({ peer: a, since: 900, addresses: at(5) });
    assert.ok(book.learnFromPeer({ peer: a, since: 10, addresses: at(7) }));
    assert.deepEqual(book.addressesOf(a).others, at(7));
    assert.ok(!book.learnFromOther({ peer: a, since: 900, addresses: at(5) }));
  });

  test("a peer that finds others holding a later list of its own addresses overrules it", () => {
    const book = new AddressBook(self, 1_000);
    assert.ok(book.learnFromOther({ peer: self, since: 2_000, addresses: at(1) }));
    assert.equal(book.ownEntry(at(2)).since, 2_001);
    assert.ok(!book.learnFromOther(book.ownEntry(at(2))));
    assert.deepEqual(book.peers(), []);
  });

  test("no list from another peer, whatever its date, keeps a peer from being greeted", () => {
    const book = new AddressBook(self, 1_000);
    const others = [sinceCap, sinceCap + 1, Number.MAX_SAFE_INTEGER].map((since) => [self, since, at(9)]);
    const hello = { kind: "hello", self: [a, 1, at(1)], others };
    const greeting = decodeGreeting(Buffer.from(JSON.stringify(hello)));
    assert.ok(greeting?.kind === "hello");
    for (const one of greeting.others) book.learnFromOther(one);
    const own = { kind: "hello", protocol: ownProtocol, self: book.ownEntry(at(2)), others: [] } as const;
    assert.deepEqual(decodeGreeting(encodeGreeting(own)), own);
  });

  test("hearsay about any number of peers displaces no peer that was named or reached", () => {
    const book = new AddressBook(self, 1_000);
    book.name(a, "/dns/a/tcp/1");
    book.learnFromPeer({ peer: b, since: 1, addresses: at(1) });
    book.prove(b, { dialled: "/ip4/10.0.0.1/tcp/1" });
    for (let number = 0; number < 2 * peersCap; number++) {
      book.learnFromOther({ peer: `nobody-${number}` as PeerId, since: 2 + number, addresses: at(1) });
    }
    assert.equal(book.peers().length, peersCap);
    assert.deepEqual(book.addressesOf(a).others, ["/dns/a/tcp/1"]);
    assert.deepEqual(book.addressesOf(b).proven, ["/ip4/10.0.0.1/tcp/1"]);
  });

  test("a book full of peers that were reached and are gone takes in a new one, and forgets no member that is down longer", () => {
    const linked = new Set<PeerId>([a]);
    const book = new AddressBook(self, 1_000, () => linked);
    const reached = (peer: PeerId) => {
      book.learnFromPeer({ peer, since: 1, addresses: at(1) });
      book.prove(peer, { dialled: "/ip4/10.0.0.1/tcp/1" });
    };
    for (const peer of [a, b]) reached(peer);
    for (let number = 0; number < 3 * peersCap; number++) reached(`guest-${number}` as PeerId);
    const newcomer = peerIdOf(generatePeerKey());
    reached(newcomer);
    assert.equal(book.peers().length, peersCap);
    for (const peer of [a, b, newcomer]) assert.ok(book.peers().includes(peer));
    book.learnFromOther({ peer: "nobody" as PeerId, since: 9, addresses: at(1) });
    assert.ok(book.peers().includes(newcomer) && !book.peers().includes("nobody" as PeerId));
  });

  test("a refusal counts only if the peer was reached since its last start", () => {
    const book = new AddressBook(self, 1_000);
    book.learnFromPeer({ peer: a, since: 1, addresses: at(1) });
    book.prove(a, { host: "10.0.0.1" });
    assert.deepEqual(book.addressesOf(a), { proven: at(1), others: [] });
    book.learnFromPeer({ peer: a, since: 2, addresses: at(2) });
    assert.deepEqual(book.addressesOf(a), { proven: [], others: at(2) });
  });

  test("remembered addresses are tried again, but addresses that no peer announced are not forwarded", () => {
    const book = new AddressBook(self, 1_000);
    book.learnFromPeer({ peer: a, since: 1, addresses: at(1) });
    book.name(b, "/dns/b/tcp/1");
    const later = new AddressBook(self, 2_000);
    later.restore(book.toRemember().map((text) => splitAddress(text) ?? assert.fail(text)));
    assert.deepEqual(later.addressesOf(a).others, at(1));
    assert.deepEqual(later.others(), []);
  });
});

test("redials wait longer each time, from 0.25 s to 5 s, and are spread out", () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 100].map((failures) => redialWaitMs(failures, 0.5)),
    [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000],
  );
  assert.equal(redialWaitMs(1, 0), 200);
  assert.ok(redialWaitMs(9, 0.999) <= 6_000);
});
