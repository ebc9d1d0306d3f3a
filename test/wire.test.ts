/** The edge of a peer: messages are read as they were sent, and everything else is refused with a named reason. */
import assert from "node:assert/strict";
import { generateKeyPairSync, sign, verify } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import type { Keys } from "../src/ports.ts";
import type { JobId, PeerId, TickId } from "../src/schema/ids.ts";
import { bodiesOf, messageCapBytes, type Channel, type Message } from "../src/schema/message.ts";
import type { Heartbeat } from "../src/schema/heartbeat.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { decode, depthCap, encode, wireVersion, type Refusal } from "../src/wire/codec.ts";
import { signedBytes, signRecord, verifyRecord } from "../src/wire/records.ts";

const cluster = "0123456789abcdef";
const sender = "12D3KooWsender" as PeerId;

const record: RunRecord = {
  job: "backup" as JobId,
  tick: "2026-11-20T02:00:00Z" as TickId,
  attempt: 1,
  slot: "0",
  peer: sender,
  state: "running",
  version: 2,
  revision: "0123456789abcdef",
  trigger: "schedule",
  rank: 1,
  due: 1_795_140_000_000,
  claimedAt: 1_795_139_998_000,
  startedAt: 1_795_140_000_010,
  view: 3,
  passed: [{ peer: "12D3KooWdead" as PeerId, why: "dead" }],
  signature: "",
};

const heartbeat: Heartbeat = {
  kind: "heartbeat",
  incarnation: 3,
  name: "höst-ä",
  version: "0.1.0",
  sentAt: 1_795_140_000_000,
  clock: { count: 2, synchronised: true },
  load: 1,
  capacity: 20,
  role: "worker",
  tags: { zone: "a" },
  draining: false,
  warmingUp: false,
  table: "a".repeat(32),
  open: { count: 1, digest: "b".repeat(16) },
  tzdata: "2026a",
  hears: [sender],
  addresses: ["/ip4/10.0.0.1/tcp/7401"],
};

const manyNames = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`name-${index}`, index]));

function heard(message: Heartbeat): ReturnType<typeof decode> {
  return decode("heartbeat", encode({ cluster, sender, seq: 1 }, message), sender, cluster);
}

test("a long heartbeat keeps 64 tags and voters and no field that is unknown, and a longer one is refused", () => {
  const long = {
    ...heartbeat,
    tags: Object.fromEntries(Object.keys(manyNames).map((name) => [name, "x"])),
    seenVotes: manyNames,
    life: { incarnation: 3, signature: "s", later: [[]] },
    later: [[]],
  };
  const decoded = heard(long);
  assert.ok(decoded.ok && decoded.message.kind === "heartbeat");
  const { tags, seenVotes = {}, life, ...rest } = decoded.message;
  assert.deepEqual([Object.keys(tags).length, Object.keys(seenVotes).length], [64, 64]);
  assert.deepEqual(life, { incarnation: 3, signature: "s" });
  assert.deepEqual({ ...rest, tags: heartbeat.tags }, heartbeat);
  const short = { ...heartbeat, later: "what a later version says" };
  assert.deepEqual(heard(short), { ok: true, message: short, seq: 1 });
  const hears = Array.from(
    { length: 256 },
    (_, index) => `12D3KooW${String(index).padStart(250, "x")}` as PeerId,
  );
  assert.deepEqual(heard({ ...heartbeat, hears }), { ok: false, refusal: "too-large" });
});

const ballot = { round: 1, peer: sender, incarnation: 3 };

/** One of each kind, on its channel. */
const said: readonly [Channel, Message][] = [
  ["jobs", { kind: "update", update: "AAA=" }],
  [
    "runs",
    {
      kind: "runs",
      records: [record],
      declined: ["backup@2026-11-20T02:00:00Z~1"],
      orders: [],
      cancels: [{ run: "backup@2026-11-20T02:00:00Z", by: "ann", reason: "" }],
    },
  ],
  ["members", { kind: "leave", incarnation: 3 }],
  ["heartbeat", heartbeat],
  ["ask", { kind: "ask", id: 1, orders: [{ key: "k", job: record.job, rank: 1, due: 5 }] }],
  ["ask", { kind: "answer", id: 1, records: [record], goesFirst: ["k"], settled: [] }],
  ["ask", { kind: "drain", id: 1, on: true, by: "ann" }],
  ["ask", { kind: "drained", id: 1, stored: true }],
  ["ask", { kind: "cancel", id: 1, run: "r", by: "ann", reason: "" }],
  ["ask", { kind: "cancel-heard", id: 1 }],
  [
    "ask",
    { kind: "skip", id: 1, job: "backup" as JobId, skips: [{ tick: 60_000, by: "ann", at: 1, note: "n" }] },
  ],
  ["ask", { kind: "skip-heard", id: 1, begun: [60_000] }],
  ["vote", { kind: "ballots", ballots: [{ decision: "k", epoch: 1, instant: 5, ballot, value: "3/b" }] }],
  ["vote", { kind: "replies", replies: [{ decision: "k", answer: "promised", ballot }] }],
  ["vote", { kind: "chosen", chosen: [{ decision: "k", epoch: 1, value: "3/b" }] }],
  [
    "vote",
    { kind: "roster", epochs: [{ number: 0, voters: [sender], from: 0, previous: "", signatures: {} }] },
  ],
  ["sync", { kind: "table-have", id: 1, digest: "d", stateVector: "AA==", piece: 0, pieces: 1, reply: true }],
  ["sync", { kind: "table-have-want", id: 1, piece: 1, reply: false }],
  ["sync", { kind: "table-diff", id: 1, piece: 0, pieces: 1, update: "AAA=" }],
  ["sync", { kind: "table-want", id: 1, piece: 1 }],
  ["sync", { kind: "watermarks-want", id: 1, taken: 0 }],
  [
    "sync",
    { kind: "watermarks", id: 1, watermarks: [{ job: record.job, since: 1, at: 5, open: [3] }], last: true },
  ],
  ["sync", { kind: "horizons", horizons: [{ job: record.job, before: 5 }], more: true }],
  ["sync", { kind: "horizons-want" }],
  ["sync", { kind: "buckets", id: 1, from: 1, to: 9, digests: [[3, "00"]], reply: false }],
  ["sync", { kind: "want", id: 1, page: 1, buckets: [3], have: ["00"], upTo: "[]" }],
  ["sync", { kind: "records", id: 1, page: 1, records: [record], orders: [], last: true }],
  ["log", { kind: "log-read", id: 1, run: "r", offset: 0, length: 10 }],
  ["blob", { kind: "blob-read", id: 1, sha256: "a".repeat(64), offset: 0 }],
  ["blob", { kind: "blob-piece", id: 1, sha256: "a".repeat(64), offset: 0, size: 2, bytes: "aGk=" }],
  ["log", { kind: "log-piece", id: 1, found: true, offset: 0, bytes: "AA==", size: 1, complete: true }],
  ["log", { kind: "audit-read", id: 1, query: { limit: 10, job: "backup", groups: ["a"], after: 7 } }],
  ["log", { kind: "audit-page", id: 1, found: true, rows: [], more: false }],
  ["log", { kind: "log-copy", run: "r", piece: 0, pieces: 1, bytes: "AA==" }],
  ["log", { kind: "log-copy-next", run: "r", piece: 1 }],
  ["key", { kind: "key", key: "k".repeat(43), madeAt: 1, oldUntil: 5, heirs: [sender], proofs: {} }],
  ["key", { kind: "key-heard", madeAt: 1, stored: true }],
];

function refusalOf(channel: Channel, bytes: Uint8Array): Refusal | undefined {
  const decoded = decode(channel, bytes, sender, cluster);
  return decoded.ok ? undefined : decoded.refusal;
}

/** An envelope with one thing changed, as text. */
function envelope(changes: Record<string, unknown>): Uint8Array {
  return Buffer.from(
    JSON.stringify({ cluster, version: wireVersion, sender, seq: 0, body: heartbeat, ...changes }),
  );
}

for (const [channel, message] of said) {
  test(`a ${message.kind} message on ${channel} is read as it was sent`, () => {
    const bytes = encode({ cluster, sender, seq: 7 }, message);
    assert.deepEqual(decode(channel, bytes, sender, cluster), { ok: true, message, seq: 7 });
  });
}

test("each kind of message has an example here, on its channel", () => {
  const kinds = Object.entries(bodiesOf).flatMap(([channel, { anyOf }]) =>
    anyOf.map(({ properties }) => `${channel} ${properties.kind.const}`),
  );
  assert.deepEqual(said.map(([channel, { kind }]) => `${channel} ${kind}`).toSorted(), kinds.toSorted());
});

test("a message is refused on every channel but its own", () => {
  for (const [channel, message] of said) {
    const bytes = encode({ cluster, sender, seq: 7 }, message);
    for (const [other] of said) if (other !== channel) assert.equal(refusalOf(other, bytes), "unknown-kind");
  }
});

/** Nested lists. */
function nested(depth: number): unknown {
  return depth === 0 ? 1 : [nested(depth - 1)];
}

const strangers: readonly [string, Uint8Array, Refusal][] = [
  ["a message of another mesh", envelope({ cluster: "f".repeat(16) }), "foreign-cluster"],
  ["a message of another version", envelope({ version: wireVersion + 1 }), "other-version"],
  ["a message in another's name", envelope({ sender: "12D3KooWother" }), "foreign-sender"],
  ["an envelope without a number", envelope({ seq: undefined }), "no-envelope"],
  ["an envelope numbered below 0", envelope({ seq: -1 }), "no-envelope"],
  ["a list", Buffer.from("[1]"), "no-envelope"],
  ["null", Buffer.from("null"), "no-envelope"],
  ["nothing at all", new Uint8Array(), "not-json"],
  ["half a message", envelope({}).subarray(0, 100), "not-json"],
  ["bytes that are not UTF-8", Uint8Array.of(0x22, 0xff, 0xfe, 0x22), "not-utf8"],
  ["a message without a kind", envelope({ body: {} }), "unknown-kind"],
  ["a kind that is not text", envelope({ body: { kind: ["heartbeat"] } }), "unknown-kind"],
  ["a kind that every object has", envelope({ body: { kind: "constructor" } }), "unknown-kind"],
  ["a missing field", envelope({ body: { ...heartbeat, load: undefined } }), "wrong-shape"],
  ["a negative load", envelope({ body: { ...heartbeat, load: -1 } }), "wrong-shape"],
  ["a name that is too long", envelope({ body: { ...heartbeat, name: "x".repeat(300) } }), "wrong-shape"],
  [
    "a key that would change an object",
    Buffer.from(envelope({}).toString().replace('"zone"', '"__proto__"')),
    "forbidden-key",
  ],
  [
    "such a key with escaped letters",
    Buffer.from(
      envelope({})
        .toString()
        .replace('"zone"', String.raw`"\u005f_\u0070roto__"`),
    ),
    "forbidden-key",
  ],
  [
    "a value that is nested too deep",
    Buffer.from(`{"cluster":${"[".repeat(20_000)}${"]".repeat(20_000)}}`),
    "too-deep",
  ],
  [
    "a body that is nested too deep",
    Buffer.from(
      envelope({ body: 0 })
        .toString()
        .replace('"body":0', `"body":${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}`),
    ),
    "too-deep",
  ],
  [
    "an unknown field that is one level too deep",
    envelope({ body: { ...heartbeat, extra: nested(depthCap - 1) } }),
    "too-deep",
  ],
  ["text with half a surrogate pair", envelope({ body: { ...heartbeat, name: "\ud800" } }), "not-unicode"],
  [
    "a key with half a surrogate pair",
    envelope({ body: { ...heartbeat, tags: { "\udc00": "" } } }),
    "not-unicode",
  ],
  ["more than a message may hold", new Uint8Array(messageCapBytes + 1), "too-large"],
];

for (const [name, bytes, refusal] of strangers) {
  test(`${name} is refused: ${refusal}`, () => assert.equal(refusalOf("heartbeat", bytes), refusal));
}

test("a message of a newer version, with fields that this one doesn't know, is understood and loses none of them", () => {
  const extra = { unit: "°C", "[deep": [{ brackets: '"[[[[{{{{' }], limit: nested(depthCap - 3) };
  for (const [channel, message] of said) {
    const newer = { ...message, extra };
    const bytes = encode({ cluster, sender, seq: 7 }, newer);
    assert.deepEqual(decode(channel, bytes, sender, cluster), { ok: true, message: newer, seq: 7 });
  }
  assert.equal(refusalOf("heartbeat", envelope({ more: 1 })), undefined);
});

function cancel(reason: string): Message {
  return {
    kind: "runs",
    records: [record],
    declined: [],
    orders: [],
    cancels: [{ run: "backup@2026-11-20T02:00:00Z", by: "ann", reason }],
  };
}

test("half a surrogate pair in a person's text is sent as U+FFFD, and the rest of the message is unchanged", () => {
  const bytes = encode({ cluster, sender, seq: 1 }, cancel("stop \ud83d, 🦗"));
  const message = cancel("stop \ufffd, 🦗");
  assert.deepEqual(decode("runs", bytes, sender, cluster), { ok: true, message, seq: 1 });
});

test("a text that mentions __proto__ is accepted", () => {
  const message = { ...heartbeat, name: "__proto__" };
  assert.equal(refusalOf("heartbeat", encode({ cluster, sender, seq: 1 }, message)), undefined);
});

test("no bytes make the decoder throw", () => {
  const channels = said.map(([channel]) => channel);
  fc.assert(
    fc.property(fc.constantFrom(...channels), fc.uint8Array({ maxLength: 300 }), (channel, bytes) => {
      assert.equal(decode(channel, bytes, sender, cluster).ok, false);
    }),
  );
  fc.assert(
    fc.property(fc.constantFrom(...said), fc.json(), fc.nat(20), ([channel, message], json, place) => {
      const value: unknown = JSON.parse(json);
      const keys = Object.keys(message);
      const body = { ...message, [keys[place % keys.length] ?? "kind"]: value };
      const bytes = Buffer.from(JSON.stringify({ cluster, version: wireVersion, sender, seq: 0, body }));
      assert.equal(typeof decode(channel, bytes, sender, cluster).ok, "boolean");
    }),
  );
});

/** Real keys of two peers, each of which can check the other's. */
function makeKeys(): [Keys, Keys] {
  const pairs = new Map(
    [sender, "12D3KooWother" as PeerId].map((peer) => [peer, generateKeyPairSync("ed25519")]),
  );
  const [first, second] = [...pairs].map(([self, pair]) => ({
    self,
    cluster,
    sign: (bytes: Uint8Array) => sign(null, bytes, pair.privateKey),
    verify: (peer: PeerId, bytes: Uint8Array, signature: Uint8Array) => {
      const key = pairs.get(peer)?.publicKey;
      return key !== undefined && verify(null, bytes, key, signature);
    },
  }));
  assert.ok(first !== undefined && second !== undefined);
  return [first, second];
}

test("a record signed by its runner is accepted by others, in whatever order its fields come", () => {
  const [own, other] = makeKeys();
  const signed = signRecord(record, own);
  assert.match(signed.signature, /^[\w-]{86}$/);
  assert.equal(verifyRecord(signed, other), true);
  const shuffled = Object.fromEntries(Object.entries(signed).toReversed()) as RunRecord;
  assert.equal(verifyRecord(shuffled, other), true);
  assert.deepEqual(signedBytes(shuffled), signedBytes(signed));
});

test("a record that was changed after it was signed is refused", () => {
  const [own, other] = makeKeys();
  const signed = signRecord(record, own);
  const changes: Partial<RunRecord>[] = [
    { state: "succeeded" },
    { exitCode: 0 },
    { rank: 0 },
    { tick: "2026-11-20T02:05:00Z" as TickId },
    { peer: other.self },
    { passed: [] },
    { signature: "" },
    { signature: `${signed.signature}=` },
    { signature: `${signed.signature.slice(0, -1)}!` },
  ];
  for (const change of changes) {
    assert.equal(verifyRecord({ ...signed, ...change }, other), false, JSON.stringify(change));
  }
});

test("only `lost` and `withdrawn` may be written by another peer than the runner", () => {
  const [own, other] = makeKeys();
  for (const state of ["lost", "withdrawn"] as const) {
    const closed: RunRecord = { ...record, state, by: other.self };
    assert.equal(verifyRecord(signRecord(closed, other), own), true, state);
    assert.equal(verifyRecord(signRecord(closed, own), own), false, state);
  }
  const ended: RunRecord = { ...record, state: "succeeded", by: other.self };
  assert.equal(verifyRecord(signRecord(ended, other), own), false);
});

test("a record's signature covers fields of a newer version, and stays valid when an older one forwards the record", () => {
  const [own, other] = makeKeys();
  const newer = { ...record, chain: { parent: "dump@2026-11-20T01:00:00Z", depth: 2 } };
  const signed = signRecord(newer, own);
  const bytes = encode(
    { cluster, sender, seq: 1 },
    { kind: "records", id: 1, page: 1, records: [signed], orders: [], last: true },
  );
  const decoded = decode("sync", bytes, sender, cluster);
  assert.ok(decoded.ok && decoded.message.kind === "records");
  const [forwarded] = decoded.message.records;
  assert.ok(forwarded !== undefined);
  assert.deepEqual(forwarded, signed);
  assert.equal(verifyRecord(forwarded, other), true);
  const { chain: _, ...stripped } = signed as typeof newer;
  assert.equal(verifyRecord(stripped, other), false);
});

test("a record without a canonical form is refused without an exception", () => {
  const [own, other] = makeKeys();
  const signed = signRecord(record, own);
  for (const value of [Infinity, "\ud800"]) {
    assert.equal(verifyRecord({ ...signed, extra: value } as RunRecord, other), false);
  }
});

test("a record whose reason quotes half a surrogate pair can be signed", () => {
  const [own, other] = makeKeys();
  const signed = signRecord({ ...record, state: "cancelled", reason: "stop \ud83d" }, own);
  assert.equal(signed.reason, "stop \ufffd");
  assert.equal(verifyRecord(signed, other), true);
});

test("the writer of any accepted record can write a next version", () => {
  const [own, other] = makeKeys();
  assert.equal(verifyRecord(signRecord({ ...record, version: 2 ** 52 }, own), other), true);
  assert.equal(verifyRecord(signRecord({ ...record, version: 2 ** 52 + 1 }, own), other), false);
  const body = {
    kind: "runs",
    records: [{ ...record, version: 1e308 }],
    declined: [],
    orders: [],
    cancels: [],
  };
  assert.equal(refusalOf("runs", envelope({ body })), "wrong-shape");
});
