/** Sync between neighbours over a wire that delays, loses and repeats messages. The stage moves the time on. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as Y from "yjs";
import { bucketMs } from "../src/core/records/buckets.ts";
import { recordKey } from "../src/core/records/records.ts";
import { describeSync } from "../src/peer/status.ts";
import { exchangeWindowMs } from "../src/peer/sync/sync-records.ts";
import { FetchTurns, nextTurnMs, turnsBytesMax } from "../src/peer/sync/fetch-turns.ts";
import { TableSync } from "../src/peer/sync/sync-table.ts";
import { instantOf, type PeerId } from "../src/schema/ids.ts";
import type { Message } from "../src/schema/message.ts";
import type { RequestedOrder, RunRecord } from "../src/schema/run.ts";
import { peersRoot } from "../src/table/roots.ts";
import { pieceBytes } from "../src/peer/messages/pieces.ts";
import { SyncStage, type Actor } from "./kit/sync-stage.ts";
import { edit, jobOf, makeTable, specOf, wallOf } from "./kit/tables.ts";

function put(actor: Actor, id: string, minute: number, owner?: string): Uint8Array {
  const spec = specOf(id, owner === undefined ? {} : { owner });
  return edit(actor.table, { kind: "put", spec, by: "ann" }, wallOf(minute));
}

function assertSame(one: Actor, other: Actor): void {
  assert.equal(one.table.digest(), other.table.digest());
  assert.deepEqual(new Map(one.table.jobs()), new Map(other.table.jobs()));
  assert.deepEqual(new Map(one.disk.records), new Map(other.disk.records));
  assert.deepEqual(new Map(one.disk.orders), new Map(other.disk.orders));
}

test("peers that meet have the same table and records within a second, and both know it", () => {
  const stage = new SyncStage("meet");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  for (const id of ["x", "y"]) put(a, id, 1);
  put(b, "z", 2);
  for (let i = 0; i < 20; i++) a.disk.keep(stage.record("a", i));
  for (let i = 10; i < 40; i++) b.disk.keep(stage.record("b", i));
  b.disk.keepOrder(stage.order(3));
  stage.link(a, b);
  stage.pass(1_000);
  assertSame(a, b);
  assert.equal(a.disk.records.size, 50);
  assert.deepEqual(a.synced, ["b"]);
  assert.deepEqual(b.synced, ["a"]);
  assert.ok(a.updates.length > 0 && b.updates.length > 0);
});

test("a record and an order of a newer version reach a third peer through one that doesn't know their fields", () => {
  const stage = new SyncStage("newer");
  const [a, b, c] = [stage.actor("a"), stage.actor("b"), stage.actor("c")];
  const record = { ...stage.record("a", 1), chain: { parent: "dump", depth: 2 } };
  const order = { ...stage.order(3), dryRun: true };
  a.disk.keep(record);
  a.disk.keepOrder(order);
  stage.link(a, b);
  stage.pass(2_000);
  stage.unlink(a, b);
  stage.link(b, c);
  stage.pass(2_000);
  assert.deepEqual([...c.disk.records.values()], [record]);
  assert.deepEqual([...c.disk.orders.values()], [order]);
});

test("peers with the same data find that out with a few short messages", () => {
  const stage = new SyncStage("equal");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  b.table.apply(put(a, "x", 1));
  for (const actor of [a, b]) for (let i = 0; i < 100; i++) actor.disk.keep(stage.record("a", i));
  stage.link(a, b);
  stage.pass(1_000);
  assert.deepEqual([a.synced, b.synced], [["b"], ["a"]]);
  assert.ok(stage.sent.length <= 12, `${stage.sent.length} messages`);
  assert.ok(stage.sent.every(({ kind }) => /^(table-have|buckets|watermarks(-want)?)$/.test(kind)));
});

test("whatever is lost or repeated on the way, neighbours end up with the same data", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const stage = new SyncStage(`loss ${seed}`, { loss: 0.3, repeat: 0.2 });
      const actors = [stage.actor("a"), stage.actor("b"), stage.actor("c")];
      for (const [index, actor] of actors.entries()) {
        put(actor, `job-${index}`, index);
        for (let i = 0; i < 30; i++) actor.disk.keep(stage.record(actor.name, i));
      }
      const [a, b, c] = actors;
      assert.ok(a !== undefined && b !== undefined && c !== undefined);
      stage.link(a, b);
      stage.link(b, c);
      stage.pass(20_000);
      put(a, "late", 9);
      b.disk.keep(stage.record("b", 40));
      stage.pass(240_000);
      assertSame(a, b);
      assertSame(b, c);
      assert.ok(a.synced.length > 0 && b.synced.length > 1 && c.synced.length > 0);
    }),
    { numRuns: 15 },
  );
});

test("a peer that can't read its records never claims to have none, and syncs once it can read them", () => {
  for (const unreadable of ["a", "b"]) {
    const stage = new SyncStage(`unreadable ${unreadable}`);
    const [a, b] = [stage.actor("a"), stage.actor("b")];
    for (let i = 0; i < 20; i++) for (const actor of [a, b]) actor.disk.keep(stage.record("a", i));
    b.disk.keep(stage.record("b", 30));
    const broken = unreadable === "a" ? a : b;
    broken.disk.unreadable = true;
    stage.link(a, b);
    stage.pass(60_000);
    const exchanged = stage.sent.filter(({ kind }) => kind === "records" || kind === "want");
    assert.deepEqual(exchanged, [], "nothing is asked for that both have");
    assert.deepEqual(broken.synced, [], "it is not in sync as far as it knows");
    broken.disk.unreadable = false;
    stage.pass(120_000);
    assertSame(a, b);
    assert.ok(a.synced.length > 0 && b.synced.length > 0);
  }
});

test("a silent neighbour is asked again after 3 s", () => {
  const stage = new SyncStage("silent");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  put(b, "x", 1);
  stage.deaf = true;
  stage.link(a, b);
  stage.pass(2_900);
  const asked = stage.sent.length;
  stage.deaf = false;
  stage.pass(2_000);
  assert.ok(stage.sent.length > asked);
  assertSame(a, b);
  assert.deepEqual(a.synced, ["b"]);
});

test("a mismatch in two heartbeats in a row starts a sync; one alone may be gossip on its way", () => {
  const stage = new SyncStage("heartbeat");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  stage.link(a, b);
  stage.pass(3_000);
  put(b, "x", 1);
  stage.sent.length = 0;
  a.sync.tableDigest(b.name, b.table.digest(), stage.now);
  stage.pass(500);
  assert.equal(stage.sent.length, 0);
  a.sync.tableDigest(b.name, b.table.digest(), stage.now);
  stage.pass(500);
  assert.ok(jobOf(a.table, "x") !== undefined);
});

test("an update that builds on a missing one causes a sync at once", () => {
  const stage = new SyncStage("pending");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  stage.link(a, b);
  stage.pass(3_000);
  put(b, "x", 1);
  a.sync.heardUpdate(b.name, put(b, "x", 2, "bob"), stage.now);
  assert.equal(a.table.pending(), true);
  stage.pass(200);
  assert.equal(jobOf(a.table, "x")?.spec.owner, "bob");
  assert.equal(a.table.pending(), false);
});

test("records that gossip lost arrive within a minute, or at once on request", () => {
  const stage = new SyncStage("routine");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  stage.link(a, b);
  stage.pass(1_000);
  b.disk.keep(stage.record("b", 20));
  stage.pass(45_000);
  assertSame(a, b);
  b.disk.keep(stage.record("b", 46));
  a.synced.length = 0;
  a.sync.wantRecent(b.name, stage.now);
  stage.pass(200);
  assertSame(a, b);
  assert.deepEqual(a.synced, ["b"]);
});

test("records that were refused for a while arrive on request, from the instant that is given on", () => {
  const stage = new SyncStage("refused");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  stage.link(a, b);
  stage.pass(40 * 60_000);
  b.disk.keep(stage.record("b", 50));
  a.synced.length = 0;
  a.sync.wantRecent(b.name, stage.now);
  stage.pass(200);
  assert.equal(a.disk.records.size, 0);
  a.sync.wantRecent(b.name, stage.now, { since: stage.now.wall - 50 * 60_000 });
  stage.pass(200);
  assertSame(a, b);
  assert.deepEqual(a.synced, ["b", "b"]);
});

test("records of ticks that are ahead, as a clock that was ahead wrote them, arrive on request", () => {
  const stage = new SyncStage("ahead");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  stage.link(a, b);
  stage.pass(1_000);
  const ahead = stage.record("b", 80);
  b.disk.keep(ahead);
  stage.pass(2 * 60_000);
  assert.equal(a.disk.records.size, 0, "no routine comparison reaches so far");
  a.sync.wantRecent(b.name, stage.now, { until: instantOf(ahead.tick) });
  stage.pass(200);
  assertSame(a, b);
});

test("of two versions of one record the more advanced one wins on both sides", () => {
  const stage = new SyncStage("versions");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  const claimed = stage.record("a", 5);
  const ended: RunRecord = { ...claimed, state: "succeeded", version: 3, signature: "later" };
  a.disk.keep(claimed);
  b.disk.keep(ended);
  stage.link(a, b);
  stage.pass(1_000);
  assert.deepEqual([...a.disk.records.values()], [ended]);
  assertSame(a, b);
});

test("thousands of records in one bucket are fetched in pieces, and only the missing ones", () => {
  const stage = new SyncStage("many");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  for (let i = 0; i < 10_000; i++) {
    const record = stage.record("a", 0, i);
    a.disk.keep(record);
    if (i % 100 !== 0) b.disk.keep(record);
  }
  const c = stage.actor("c");
  stage.link(a, b);
  stage.pass(3_000);
  assertSame(a, b);
  const given = stage.sent.flatMap((message) => (message.kind === "records" ? message.records : []));
  assert.equal(given.length, 100);
  stage.link(a, c);
  stage.pass(10_000);
  assertSame(a, c);
  assert.ok(stage.largestBytes <= 192 * 1024, `${stage.largestBytes} bytes in one message`);
});

test("a table of several megabytes is transferred piece by piece, from one neighbour at a time", () => {
  const stage = new SyncStage("large");
  const [a, b, c] = [stage.actor("a"), stage.actor("b"), stage.actor("c")];
  for (let i = 0; i < 40; i++) {
    const spec = specOf(`job-${i}`, { command: `echo ${"x".repeat(50_000)}` });
    b.table.apply(edit(a.table, { kind: "put", spec, by: "ann" }, wallOf(1)));
  }
  stage.link(a, c);
  stage.link(b, c);
  stage.pass(8_000);
  assertSame(a, c);
  assert.deepEqual(c.synced.toSorted(), ["a", "b"]);
  const pieces = stage.sent.filter(({ kind }) => kind === "table-diff");
  assert.ok(pieces.length < 25, `${pieces.length} pieces for 16`);
  assert.ok(stage.largestBytes <= 192 * 1024, `${stage.largestBytes} bytes in one message`);
});

test("a large table arrives even if the sending neighbour vanishes halfway", () => {
  const stage = new SyncStage("vanish");
  const [a, b, c] = [stage.actor("a"), stage.actor("b"), stage.actor("c")];
  for (let i = 0; i < 40; i++) {
    const spec = specOf(`job-${i}`, { command: `echo ${"x".repeat(50_000)}` });
    b.table.apply(edit(a.table, { kind: "put", spec, by: "ann" }, wallOf(1)));
  }
  stage.link(a, c);
  stage.link(b, c);
  stage.pass(30);
  stage.unlink(a, c);
  stage.pass(8_000);
  assertSame(b, c);
  assert.deepEqual(c.synced, ["b"]);
});

test("a receiver doesn't keep asking for records that it has refused", () => {
  const stage = new SyncStage("refused");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  for (let i = 0; i < 3_000; i++) b.disk.keep(stage.record("b", 0, i));
  a.refuses = true;
  stage.link(a, b);
  stage.pass(10_000);
  const wants = stage.sent.filter(({ kind }) => kind === "want").length;
  assert.ok(wants < 10, `${wants} wants`);
  assert.deepEqual(a.synced, ["b"]);
});

test("two peers that were apart for very long have the same records, however old, a minute after they are linked", () => {
  const stage = new SyncStage("apart");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  const days = (24 * 3_600_000) / bucketMs;
  for (let day = 4; day < 24; day++) {
    const [actor, peer] = day % 2 === 0 ? ([a, "a"] as const) : ([b, "b"] as const);
    actor.disk.keep(stage.record(peer, -day * days));
  }
  stage.link(a, b);
  stage.pass(60_000);
  assertSame(a, b);
  assert.equal(a.disk.records.size, 20);
});

test("records that a peer has pruned are neither offered to it nor requested by it", () => {
  const stage = new SyncStage("pruned");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  const old = stage.record("b", -exchangeWindowMs / bucketMs);
  const pruned = stage.record("b", 24);
  const kept = stage.record("b", 25);
  const other = stage.record("b", 24, 1);
  for (const record of [old, pruned, kept, other]) b.disk.keep(record);
  const keep = { runs: 1, ageMs: 0, windowMs: 0 };
  a.horizons.moved([{ job: pruned.job, before: kept.due, keep, starts: [] }]);
  stage.link(a, b);
  stage.pass(40_000);
  assert.deepEqual(new Set(a.disk.records.values()), new Set([kept, other]));
  // After the first comparison, in which b didn't know it yet.
  const before = stage.sent.length;
  stage.pass(1_200_000);
  assert.deepEqual(new Set(a.disk.records.values()), new Set([kept, other]));
  const given = stage.sent
    .slice(before)
    .flatMap((message) => (message.kind === "records" ? message.records : []));
  assert.deepEqual(given, []);
});

test("a peer tells its neighbours of later pruning, and those records don't come back either", () => {
  const stage = new SyncStage("pruned later");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  const records = [20, 21, 22].map((bucket) => stage.record("b", bucket));
  for (const record of records) b.disk.keep(record);
  stage.link(a, b);
  stage.pass(1_000);
  assert.equal(a.disk.records.size, 3);
  const [first, second] = records;
  assert.ok(first !== undefined && second !== undefined);
  a.disk.records.delete(recordKey(first));
  a.horizons.moved([
    { job: first.job, before: second.due, keep: { runs: 2, ageMs: 0, windowMs: 0 }, starts: [] },
  ]);
  const before = stage.sent.length;
  stage.pass(1_300_000);
  assert.equal(a.disk.records.size, 2);
  const sent = stage.sent.slice(before);
  assert.ok(sent.length > 0, "they have synced again");
  assert.deepEqual(
    sent.filter((message) => message.kind === "records" && message.records.length > 0),
    [],
  );
});

test("a disk that is slower than a neighbour's silence may last delays a sync, but never restarts it", () => {
  const stage = new SyncStage("slow disk");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  for (let i = 0; i < 40; i++) for (let n = 0; n < 100; n++) b.disk.keep(stage.record("b", i, n));
  stage.diskMs = 4_000;
  stage.link(a, b);
  stage.pass(180_000);
  assert.deepEqual(new Set(a.disk.records.keys()), new Set(b.disk.records.keys()));
  assert.ok(a.synced.includes(b.name));
});

test("a bucket of many pages is fetched page by page, on both sides", () => {
  const stage = new SyncStage("large bucket");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  for (let n = 0; n < 9_000; n++) b.disk.keep(stage.record("b", 40, n));
  for (let n = 0; n < 9_000; n += 3) a.disk.keep(stage.record("b", 40, n));
  for (let n = 0; n < 2_000; n++) a.disk.keep(stage.record("a", 40, n));
  stage.link(a, b);
  stage.pass(5_000);
  assertSame(a, b);
  assert.ok(Math.max(a.disk.largestPage, b.disk.largestPage) <= 1_024);
  assert.ok(stage.largestBytes < 262_144);
  const given = stage.sent.reduce((sum, one) => sum + (one.kind === "records" ? one.records.length : 0), 0);
  assert.equal(given, 8_000, "each is sent once");
});

test("a table with a hundred thousand writing clients is synced, with its state vector in pieces", () => {
  const stage = new SyncStage("clients");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  const clients = 100_000;
  assert.equal(a.table.apply(deletionsOf(clients)), "changed");
  assert.equal(b.table.apply(deletionsOf(clients)), "changed");
  put(a, "x", 1);
  put(b, "y", 1);
  stage.link(a, b);
  stage.pass(5_000);
  assertSame(a, b);
  assert.deepEqual([a.synced, b.synced], [["b"], ["a"]]);
  assert.ok(stage.largestBytes < 262_144, `${stage.largestBytes} bytes in one message`);
});

test("a member may bring a few new clients a day: thousands of them are refused and reported as a problem", () => {
  const stage = new SyncStage("too many clients");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  stage.link(a, b);
  stage.pass(1_000);
  assert.deepEqual(a.sync.problems(stage.now), []);
  assert.equal(b.table.apply(deletionsOf(900)), "changed");
  stage.pass(10_000);
  assert.equal(a.table.digest(), b.table.digest());
  assert.equal(b.table.apply(deletionsOf(2_000)), "changed");
  stage.pass(10_000);
  assert.notEqual(a.table.digest(), b.table.digest());
  const [problem] = a.sync.problems(stage.now);
  assert.equal(problem?.peer, "b");
  assert.match(problem?.what ?? "", /refused: edits of too many new clients/);
});

test("two peers that a liar has filled with different things say so, take each other's new jobs all the same, and a new peer takes in the table of either", () => {
  for (const chosen of ["a", "b"]) {
    const stage = new SyncStage(`filled ${chosen}`);
    const [a, b] = [stage.actor("a"), stage.actor("b")];
    for (const actor of [a, b]) {
      assert.equal(actor.table.apply(forgottenBy(actor.name, peersRoot.idsCap)), "changed");
    }
    stage.link(a, b);
    stage.pass(20_000);
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const [problem] = one.sync.problems(stage.now);
      assert.deepEqual(problem, {
        peer: other.name,
        what: "its job table is refused: too many ids under peers",
      });
      const job = specOf(`of-${one.name}`);
      other.sync.heardUpdate(
        one.name,
        edit(one.table, { kind: "put", spec: job, by: "ann" }, wallOf(1)),
        stage.now,
      );
      assert.notEqual(jobOf(other.table, job.id), undefined);
    }
    const fresh = stage.actor("c");
    const keeps = chosen === "a" ? a : b;
    stage.link(fresh, keeps);
    stage.pass(20_000);
    assert.equal(fresh.table.digest(), keeps.table.digest());
    assert.deepEqual(fresh.sync.problems(stage.now), []);
  }
});

/** An update in which one client has the peers `BY-0`, `BY-1` … forgotten. */
function forgottenBy(by: string, peers: number): Uint8Array {
  const doc = new Y.Doc();
  doc.transact(() => {
    for (let peer = 0; peer < peers; peer++) {
      doc.getMap("peers").set(`${by}-${peer}`, { at: 1, by, name: "" });
    }
  });
  return Y.encodeStateAsUpdate(doc);
}

test("a neighbour is reported as a problem while sync with it can't finish", () => {
  const stage = new SyncStage("silent");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  stage.deaf = true;
  stage.link(a, b);
  stage.pass(20_000);
  assert.deepEqual(a.sync.problems(stage.now), []);
  stage.pass(20_000);
  assert.deepEqual(
    a.sync.problems(stage.now).map(({ peer }) => peer),
    ["b", "b"],
  );
  stage.deaf = false;
  stage.pass(20_000);
  assert.deepEqual(a.sync.problems(stage.now), []);
});

/** An update in which that many clients have written something that is already deleted. */
function deletionsOf(clients: number): Uint8Array {
  const bytes: number[] = [];
  const write = (number: number): void => {
    let rest = number;
    for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest & 127) | 128);
    bytes.push(rest);
  };
  write(clients);
  // For each client: one struct from clock 0, which is one garbage-collected id.
  for (let client = clients; client >= 1; client--)
    for (const number of [1, 1_000_000 + client, 0, 0, 1]) write(number);
  write(0);
  return Uint8Array.from(bytes);
}

test("nonsense from a neighbour changes nothing and doesn't end the sync", () => {
  const stage = new SyncStage("nonsense");
  const [a, b] = [stage.actor("a"), stage.actor("b")];
  put(a, "x", 1);
  stage.link(a, b);
  stage.pass(1_000);
  const digest = a.table.digest();
  const id = 1;
  const order: RequestedOrder = stage.order(1);
  const nonsense: Message[] = [
    { kind: "table-have", id, digest: "?", stateVector: "////////////", piece: 0, pieces: 1, reply: false },
    { kind: "table-have", id, digest: "?", stateVector: "%%%", piece: 3, pieces: 2, reply: true },
    { kind: "table-diff", id, piece: 0, pieces: 1, update: "AQEBAQEB" },
    { kind: "table-diff", id, piece: 7, pieces: 9, update: "" },
    { kind: "table-want", id, piece: 12 },
    { kind: "buckets", id, from: 9e15, to: -9e15, digests: [[1, "x"]], reply: true },
    { kind: "buckets", id, from: -9e15, to: 9e15, digests: [[1, "x"]], reply: false },
    { kind: "want", id, page: 1, buckets: [-1, 9e15], have: ["x"], after: "x", upTo: "[]" },
    { kind: "horizons", horizons: [{ job: order.job, before: 9e15 }], more: true },
    { kind: "records", id, page: 0, records: [], orders: [order], last: true },
  ];
  for (const message of nonsense) {
    a.sync.heard(b.name, message, stage.now);
    stage.pass(100);
  }
  stage.pass(60_000);
  assert.equal(a.table.digest(), digest);
  assert.ok(jobOf(a.table, "x") !== undefined);
  assertSame(a, b);
});

test("neighbours with the same problem are one reason, however many a member that lies invents", () => {
  const silent = Array.from({ length: 256 }, (_, number) => ({
    peer: `p${number}` as PeerId,
    what: "silent",
  }));
  const refused = { peer: "ann" as PeerId, what: "its job table is refused" };
  assert.deepEqual(
    describeSync([...silent, refused], (peer) => peer).map(({ message }) => message),
    [
      "not in sync with p0, p1, p2, p3, p4 and 251 more: silent",
      "not in sync with ann: its job table is refused",
    ],
  );
});

test("state vectors that arrive in pieces take 32 MiB at most, however many neighbours send them", () => {
  const whole: PeerId[] = [];
  const sync = new TableSync({
    table: makeTable("a"),
    send: () => undefined,
    charge: () => undefined,
    onUpdate: () => undefined,
    onHave: (peer) => void whole.push(peer),
    onDone: () => undefined,
    nextId: () => 1,
    count: () => undefined,
    log: { debug() {}, info() {}, warn() {}, error() {} },
  });
  const now = { wall: wallOf(1), mono: 0 };
  const pieces = 64;
  const stateVector = Buffer.alloc(196_608).toString("base64");
  const neighbours = Array.from({ length: 8 }, (_, number) => `p${number}` as PeerId);
  const sendPiece = (from: PeerId, piece: number): void => {
    const message = {
      kind: "table-have",
      id: 7,
      digest: "other",
      stateVector,
      piece,
      pieces,
      reply: false,
    } as const;
    sync.heardHave(from, message, { ...now, mono: ++now.mono });
  };
  for (const neighbour of neighbours) {
    sync.linkUp(neighbour, now);
    for (let piece = 0; piece < pieces - 1; piece++) sendPiece(neighbour, piece);
  }
  for (const neighbour of neighbours) sendPiece(neighbour, pieces - 1);
  assert.deepEqual(whole, ["p6", "p7"], "those that began last");
  for (let piece = 0; piece < pieces; piece++) sendPiece(neighbours[0] as PeerId, piece);
  assert.deepEqual(whole, ["p6", "p7", "p0"], "one that begins again is taken in");
});

/** Its table is sent in several pieces. */
function fill({ table }: Actor): void {
  for (let i = 0; i < 40; i++) {
    const spec = specOf(`job-${i}`, { command: `echo ${"x".repeat(50_000)}` });
    edit(table, { kind: "put", spec, by: "ann" }, wallOf(1));
  }
}

test("of the turns in which tables are fetched, the one that holds most is given up when all hold too much", () => {
  const turns = new FetchTurns();
  const held = new Map<PeerId, number>();
  const peers = ["a", "b", "c"] as PeerId[];
  for (const [index, peer] of peers.entries()) {
    assert.ok(turns.begin(peer, { wall: 0, mono: index * nextTurnMs }));
    held.set(peer, peer === "b" ? turnsBytesMax - 2 : 1);
  }
  const takeLargest = () => turns.takeLargest((peer) => held.get(peer) ?? 0);
  assert.equal(takeLargest(), undefined);
  held.set("c" as PeerId, 2);
  assert.equal(takeLargest(), "b");
  assert.deepEqual(
    peers.filter((peer) => turns.has(peer)),
    ["a", "c"],
  );
});

describe("a neighbour that keeps the place at which large tables are fetched", () => {
  const liar = "liar" as PeerId;
  const pieces = 4_096;
  const whole = Buffer.alloc(pieceBytes).toString("base64");

  /** A peer with a link to the liar, which has the turn already, and then one to a neighbour with a large table. */
  function besieged(seed: string, first: string) {
    const stage = new SyncStage(seed);
    const [peer, honest] = [stage.actor("c"), stage.actor("a")];
    fill(honest);
    peer.sync.linkUp(liar, stage.now);
    const asked = stage.sent.find(({ kind }) => kind === "table-have");
    assert.ok(asked?.kind === "table-have");
    const { id: question } = asked;
    const say = (id: number, piece: number, update: string) =>
      peer.sync.heard(liar, { kind: "table-diff", id, piece, pieces, update }, stage.now);
    say(question, 0, first);
    stage.link(honest, peer);
    return { stage, peer, honest, question, say };
  }

  test("with whole pieces, each just in time, delays the others for 5 s and not for ever", () => {
    const { stage, peer, honest, question, say } = besieged("slow pieces", whole);
    for (let piece = 1; piece <= 4; piece++) {
      stage.pass(2_000);
      say(question, piece, whole);
    }
    assertSame(honest, peer);
  });

  for (const [count, seconds] of [
    [2, 12],
    [5, 30],
  ] as const) {
    test(`among ${count} that do so delays the others for less than ${seconds} s`, () => {
      const stage = new SyncStage("several liars");
      const [peer, honest] = [stage.actor("c"), stage.actor("a")];
      fill(honest);
      const liars = Array.from({ length: count }, (_, index) => `liar${index}` as PeerId);
      for (const name of liars) peer.sync.linkUp(name, stage.now);
      const say = (name: PeerId) => {
        const last = stage.sentTo.findLast(
          ({ to, message }) => to === name && ["table-have", "table-want"].includes(message.kind),
        )?.message;
        assert.ok(last?.kind === "table-have" || last?.kind === "table-want");
        const piece = last.kind === "table-want" ? last.piece : 0;
        peer.sync.heard(name, { kind: "table-diff", id: last.id, piece, pieces, update: whole }, stage.now);
      };
      for (const name of liars) say(name);
      stage.link(honest, peer);
      for (let second = 0; second < seconds; second++) {
        stage.pass(1_000);
        for (const name of liars) say(name);
      }
      assertSame(honest, peer);
    });
  }

  test("with small pieces is refused at once, and reported", () => {
    const { stage, peer, honest, say } = besieged("small pieces", "AAAA");
    for (let round = 0; round < 400; round++) {
      stage.pass(10);
      say(2 + round, 0, "AAAA");
    }
    assertSame(honest, peer);
    assert.match(JSON.stringify(peer.sync.problems(stage.now)), /its pieces are too small/);
  });

  test("and begins again as soon as its turn has ended, has to wait behind the others", () => {
    const { stage, peer, honest, say } = besieged("again and again", whole);
    for (let round = 0; round < 2_800; round++) {
      stage.pass(10);
      say(2 + round, 0, whole);
    }
    assertSame(honest, peer);
  });
});
