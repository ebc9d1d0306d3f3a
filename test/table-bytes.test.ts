/** Hostile or broken bytes don't change the job table. Yjs alone would accept each of these cases. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import * as Y from "yjs";
import { applyCompactly } from "../src/table/compact.ts";
import { hlcCap, nextHlc } from "../src/table/hlc.ts";
import { inspectUpdate } from "../src/table/update.ts";
import type { JobTable } from "../src/table/table.ts";
import { edit, exchange, jobOf, makeTable, specOf, wallOf } from "./kit/tables.ts";

const ulid = `01${"A".repeat(24)}`;

/** An update as anybody with Yjs could write it. */
function written(write: (doc: Y.Doc) => void): Uint8Array {
  const doc = new Y.Doc();
  doc.clientID = 99;
  doc.transact(() => write(doc));
  return Y.encodeStateAsUpdate(doc);
}

function writtenSlot(key: string, value: unknown): Uint8Array {
  return written((doc) => {
    const map = new Y.Map<unknown>();
    map.set(key, value);
    doc.getMap("jobs").set(ulid, map);
  });
}

const slot = { hlc: nextHlc(0, wallOf(1)), by: "x" };

function nested(depth: number): unknown {
  return depth === 0 ? 1 : { a: nested(depth - 1) };
}

const refused: readonly [string, Uint8Array][] = [
  ["a forgotten peer without an id", written((doc) => doc.getMap("peers").set("", { at: 1, by: "x" }))],
  [
    "a forgotten peer with a very long id",
    written((doc) => doc.getMap("peers").set("x".repeat(200), { at: 1, by: "x" })),
  ],
  ["a forgotten peer that is a map", written((doc) => doc.getMap("peers").set("x", new Y.Map()))],
  ["a forgotten peer that is a number", written((doc) => doc.getMap("peers").set("x", 1))],
  ["a list of forgotten peers", written((doc) => doc.getArray("peers").insert(0, [{ at: 1, by: "x" }]))],
  ["a root without a name", written((doc) => doc.getMap("").set(ulid, new Y.Map()))],
  ["a root with a name that no version uses", written((doc) => doc.getMap("__proto__").set(ulid, { a: 1 }))],
  ["a list in another root", written((doc) => doc.getMap("tokens").set("x", new Y.Array()))],
  ["text in another root", written((doc) => doc.getMap("tokens").set("x", new Y.Text("x")))],
  ["a number in another root", written((doc) => doc.getMap("tokens").set("x", 1))],
  ["a list as another root", written((doc) => doc.getArray("tokens").insert(0, [{ a: 1 }]))],
  ["a list as root", written((doc) => doc.getArray("jobs").insert(0, [{ a: 1 }]))],
  ["text as root", written((doc) => doc.getText("jobs").insert(0, "x"))],
  ["a value as incarnation", written((doc) => doc.getMap("jobs").set(ulid, { a: 1 }))],
  ["an incarnation without a ULID", written((doc) => doc.getMap("jobs").set("x", new Y.Map()))],
  ["a list as incarnation", written((doc) => doc.getMap("jobs").set(ulid, new Y.Array()))],
  ["XML as incarnation", written((doc) => doc.getMap("jobs").set(ulid, new Y.XmlElement("script")))],
  ["a document as incarnation", written((doc) => doc.getMap("jobs").set(ulid, new Y.Doc()))],
  ["a map as slot", writtenSlot("owner@x", new Y.Map())],
  ["text as slot", writtenSlot("owner@x", new Y.Text("x"))],
  ["bytes as slot", writtenSlot("owner@x", Uint8Array.of(1))],
  ["a number as slot", writtenSlot("owner@x", 1)],
  ["bytes in a slot", writtenSlot("owner@x", { ...slot, value: Uint8Array.of(1) })],
  ["nothing in a slot", writtenSlot("owner@x", { ...slot, value: undefined })],
  ["a number that is not finite", writtenSlot("owner@x", { ...slot, value: Number.NaN })],
  ["a bigint", writtenSlot("owner@x", { ...slot, value: 1n })],
  ["a value of great depth", writtenSlot("owner@x", { ...slot, value: nested(50) })],
  ["a value of great size", writtenSlot("owner@x", { ...slot, value: "x".repeat(5_000_000) })],
  ["a key without a writer", writtenSlot("owner", { ...slot, value: "x" })],
  ["a key of great length", writtenSlot(`owner@${"x".repeat(600)}`, { ...slot, value: "x" })],
  ["a pause without a ULID", writtenSlot("pause@x", { by: "x", at: 1 })],
  ["a stamp from beyond the year 2200", writtenSlot("owner@x", { ...slot, hlc: hlcCap })],
  ["a stamp that is not a number", writtenSlot("owner@x", { ...slot, hlc: "9" })],
  [
    "a key that changes objects",
    writtenSlot("owner@x", { ...slot, value: JSON.parse('{"__proto__":{"a":1}}') as unknown }),
  ],
  ["nothing at all", new Uint8Array()],
  ["one byte", Uint8Array.of(1)],
  ["a billion clients", Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x03, 0)],
  ["a billion structs", Uint8Array.of(1, 0xff, 0xff, 0xff, 0xff, 0x03, 1, 0, 0)],
  ["a number without end", new Uint8Array(64).fill(0xff)],
  ["a deletion of all possible ids", Uint8Array.of(0, 1, 99, 1, 0, ...Buffer.alloc(7, 0xff), 0x0f)],
  ["collected garbage of enormous length", Uint8Array.of(1, 1, 99, 0, 0, ...Buffer.alloc(7, 0xff), 0x0f, 0)],
  ["an empty deletion", Uint8Array.of(0, 1, 99, 1, 0, 0)],
  ["a gap", Uint8Array.of(1, 1, 99, 0, 10, 5, 0)],
  [
    "an item that is its own parent",
    Uint8Array.of(1, 1, 99, 0, 0x28, 0, 99, 0, 9, ...Buffer.from("owner@x@x"), 1, 118, 0, 0),
  ],
  ["bytes behind the end", Uint8Array.of(0, 0, 0)],
  ["the other format of Yjs", Y.convertUpdateFormatV1ToV2(writtenSlot("owner@x", { ...slot, value: "x" }))],
];

function tableWithJob(): JobTable {
  const table = makeTable("a");
  edit(table, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1));
  return table;
}

for (const [name, update] of refused) {
  test(`${name} is refused and changes nothing`, () => {
    const table = tableWithJob();
    const [digest, job] = [table.digest(), jobOf(table, "backup")];
    table.takeChanges();
    const applied = table.apply(update);
    assert.ok(typeof applied === "object", `it was ${JSON.stringify(applied)}`);
    assert.equal(table.digest(), digest);
    assert.deepEqual(table.takeChanges(), []);
    assert.deepEqual(jobOf(table, "backup"), job);
    assert.equal(table.pending(), false);
  });
}

test("text that is not UTF-8 is refused", () => {
  const update = Buffer.from(writtenSlot("owner@x", { ...slot, value: "ABCDEF" }));
  update[update.indexOf("ABCDEF") + 2] = 0xff;
  assert.ok(typeof tableWithJob().apply(update) === "object");
});

test("an update with an unknown past is pending and disturbs no other", () => {
  const table = tableWithJob();
  assert.equal(table.apply(Uint8Array.of(0, 1, 99, 1, 0, 5)), "pending");
  const far = Uint8Array.of(1, 1, 99, 0xff, 0xff, 0xff, 0x7f, 0, 1, 0);
  assert.equal(table.apply(far), "pending");
  assert.equal(table.pending(), true);
  const other = makeTable("b");
  exchange(table, other);
  assert.equal(other.pending(), false);
  assert.equal(table.digest(), other.digest());
});

/** A number in lib0's encoding. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}

/** Ids of client 99 that their sender has deleted and collected: a few bytes for any number of ids. */
function collected(from: number, count: number): Uint8Array {
  return Uint8Array.of(1, 1, 99, ...varint(from), 0, ...varint(count), 0);
}

test("an update costs in proportion to its bytes, not to the ids that it names", () => {
  const table = tableWithJob();
  const many = 200_000_000;
  // Id by id, each of these would take seconds.
  for (let update = 0; update < 1_000; update++) {
    assert.equal(table.apply(collected(update * many, many)), "changed");
  }
  assert.equal(table.pending(), false);
});

test("the same ids in other pieces give the same digest, and other ids another one", () => {
  const [whole, pieces, fewer] = [tableWithJob(), tableWithJob(), tableWithJob()];
  whole.apply(collected(0, 1_000_000));
  for (const [from, count] of [
    [0, 1],
    [1, 499_999],
    [500_000, 500_000],
  ] as const) {
    pieces.apply(collected(from, count));
  }
  fewer.apply(collected(0, 999_999));
  exchange(whole, pieces);
  assert.equal(pieces.digest(), whole.digest());
  assert.notEqual(fewer.digest(), whole.digest());
});

test("unreadable entries quarantine their job and no other", () => {
  const table = tableWithJob();
  const bad = [
    ["created@x", { ...slot, value: "bad id!" }],
    ["created@x", { by: "x" }],
    ["created@x", { ...slot, value: { id: "backup" } }],
  ] as const;
  for (const [index, [key, value]] of bad.entries()) {
    const update = written((doc) => {
      doc.clientID = 200 + index;
      const map = new Y.Map<unknown>();
      map.set(key, value);
      doc.getMap("jobs").set(`0${index}${"A".repeat(24)}`, map);
    });
    assert.equal(table.apply(update), "changed");
  }
  assert.equal(table.quarantined().length, bad.length);
  assert.deepEqual([...table.jobs().keys()], ["backup"]);
});

test("a real update with some changed bytes never throws, and the table still converges", () => {
  const source = makeTable("s");
  for (const id of ["x", "y"]) edit(source, { kind: "put", spec: specOf(id), by: "ann" }, wallOf(1));
  edit(source, { kind: "delete", id: specOf("y").id, by: "ann" }, wallOf(2));
  edit(source, { kind: "put", spec: specOf("x", { owner: "bob" }), by: "ann" }, wallOf(3));
  const real = source.snapshot();
  const change = fc.record({ at: fc.nat(real.length - 1), byte: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const bytes = Uint8Array.from(real);
      for (const { at, byte } of changes) bytes[at] = byte;
      const [table, other] = [tableWithJob(), makeTable("o")];
      table.apply(bytes);
      assert.ok(jobOf(table, "backup") !== undefined);
      exchange(table, other);
      assert.equal(table.digest(), other.digest());
      assert.deepEqual(new Map(table.jobs()), new Map(other.jobs()));
    }),
    { numRuns: 1_500 },
  );
});

test("arbitrary bytes are refused, known or pending, in no time", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      tableWithJob().apply(bytes);
    }),
    { numRuns: 1_500 },
  );
});

test("updates that Yjs wrote for a table always pass inspection", () => {
  const table = tableWithJob();
  for (let i = 0; i < 50; i++) {
    edit(table, { kind: "put", spec: specOf(`job-${i % 7}`, { owner: `o${i}` }), by: "ann" }, wallOf(i));
    if (i % 5 === 0) edit(table, { kind: "delete", id: specOf(`job-${i % 7}`).id, by: "ann" }, wallOf(i));
  }
  assert.equal(inspectUpdate(table.snapshot(), () => 0).kind, "fits");
});

test("values of every kind arrive as they were written", () => {
  const [table, other] = [makeTable("a"), makeTable("b")];
  const env = { Ä: "ß 😀", EMPTY: "", LONG: "x".repeat(300), BOM: "\uFEFFa" };
  const more = { env, labels: { "a/b": "\u0000" }, weight: 3, enabled: false, keep: { runs: 2 ** 20 } };
  const lists = { success: { exitCodes: [0, 1, 255] } };
  const values: Parameters<typeof specOf>[1] = { ...more, ...lists, retry: { factor: 1.5, on: ["lost"] } };
  edit(table, { kind: "put", spec: specOf("x", values), by: "ann" }, wallOf(1));
  assert.equal(typeof other.apply(table.snapshot()), "string");
  assert.deepEqual(jobOf(other, "x"), jobOf(table, "x"));
  assert.deepEqual(other.snapshot(), table.snapshot());
});

test("values are kept without a list for each, and the document stays the same", () => {
  const [doc, compact] = [new Y.Doc(), new Y.Doc()];
  const map = doc.getMap("channels");
  const send = () => applyCompactly(compact, Y.encodeStateAsUpdate(doc, Y.encodeStateVector(compact)));
  for (let i = 0; i < 9; i++) map.set(`key-${i}`, { ...slot, value: { i } });
  send();
  assert.deepEqual(contentsOf(compact), ["SingleValue"]);
  map.set("key-3", slot);
  map.delete("key-5");
  send();
  assert.deepEqual(compact.getMap("channels").toJSON(), map.toJSON());
  assert.deepEqual(Y.encodeStateAsUpdate(compact), Y.encodeStateAsUpdate(doc));
  const third = new Y.Doc();
  Y.applyUpdate(third, Y.encodeStateAsUpdate(compact));
  assert.deepEqual(third.getMap("channels").toJSON(), map.toJSON());
});

function contentsOf(doc: Y.Doc): string[] {
  const items = [...doc.store.clients.values()].flat().filter((struct) => struct instanceof Y.Item);
  return [...new Set(items.map(({ content }) => content.constructor.name))];
}

test("texts that come again and again arrive as they were, whatever is in them", () => {
  const text = fc.oneof(fc.string({ maxLength: 3 }), fc.string({ unit: "binary", maxLength: 99 }));
  const texts = fc.sample(text, { numRuns: 3_000, seed: 1 });
  const doc = new Y.Doc();
  doc.getMap("channels").set(
    "x",
    [...texts, ...texts].map((value, index) => ({ [`${value}${index}`]: value })),
  );
  doc.getMap("channels").set("y", Object.fromEntries(texts.map((value) => [`_${value}`, value])));
  const copy = new Y.Doc();
  applyCompactly(copy, Y.encodeStateAsUpdate(doc));
  assert.deepEqual(copy.getMap("channels").toJSON(), doc.getMap("channels").toJSON());
});

test("when Yjs throws in the middle of an update, the table is whole again at once", (t) => {
  const [table, other] = [tableWithJob(), makeTable("b")];
  const update = edit(other, { kind: "put", spec: specOf("second"), by: "bob" }, wallOf(2));
  let values = 0;
  const mock = t.mock.method(Y.ContentAny.prototype, "integrate", () => {
    if (++values === 2) throw new Error("planted");
  });
  const applied = table.apply(update);
  mock.mock.restore();
  assert.deepEqual(applied, { refused: "yjs: planted" });
  assert.deepEqual([...table.jobs().keys()], ["backup"]);
  assert.equal(table.apply(update), "changed");
  exchange(table, other);
  assert.equal(table.jobs().size, 2);
  assert.equal(table.digest(), other.digest());
  edit(table, { kind: "put", spec: specOf("backup", { owner: "x" }), by: "ann" }, wallOf(3));
  assert.equal(jobOf(table, "backup")?.spec.owner, "x");
});

test("an unreadable entry about a peer's membership says nothing", () => {
  const table = makeTable("a");
  const update = written((doc) => doc.getMap("peers").set("12D3KooWx", { at: "never" }));
  assert.equal(table.apply(update), "changed");
  assert.deepEqual(table.membership(), []);
});
