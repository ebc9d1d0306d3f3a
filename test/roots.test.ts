/**
 * A new kind of thing in the table is one row in the table of roots. These tests add such a row: tapes, of which the
 * latest value counts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TableEdit } from "../src/schema/job.ts";
import { tableRoots, type Root } from "../src/table/roots.ts";
import type { JobTable } from "../src/table/table.ts";
import { edit, exchange, jobOf, makeTable, specOf, wallOf } from "./kit/tables.ts";

const tapes: Root = {
  name: "tapes",
  holds: "values",
  merge: "latest",
  isId: (id) => /^[a-z]{1,16}$/.test(id),
  accepts: (value) => typeof value === "object" && value !== null && "slots" in value,
  valueCapBytes: 256,
  idsCap: 100,
};

function withTapes(peer: string): JobTable {
  return makeTable(peer, undefined, [...tableRoots, tapes]);
}

function tape(id: string, value: unknown): TableEdit {
  return { kind: "set", root: "tapes", id, value, by: "ann" };
}

test("its values are replicated, and the latest one counts, whichever peer wrote it", () => {
  const [a, b] = [withTapes("a"), withTapes("b")];
  edit(a, tape("db", { slots: 1 }), wallOf(1));
  exchange(a, b);
  edit(b, tape("db", { slots: 2 }), wallOf(3));
  edit(a, tape("db", { slots: 3 }), wallOf(2));
  edit(a, tape("disk", { slots: 9 }), wallOf(2));
  exchange(a, b);
  for (const table of [a, b]) {
    assert.deepEqual(
      [...table.values("tapes")],
      [
        ["db", { slots: 2 }],
        ["disk", { slots: 9 }],
      ],
    );
  }
  assert.equal(a.digest(), b.digest());
});

test("its values survive a restart and a snapshot, and can be removed", () => {
  const a = withTapes("a");
  const updates = [
    edit(a, tape("db", { slots: 1 }), wallOf(1)),
    edit(a, tape("gone", { slots: 1 }), wallOf(1)),
    edit(a, tape("gone", null), wallOf(2)),
  ];
  const [again, copy] = [withTapes("a"), withTapes("c")];
  assert.deepEqual(again.load(updates).refused, []);
  copy.apply(a.snapshot());
  for (const table of [a, again, copy]) assert.deepEqual([...table.values("tapes").keys()], ["db"]);
});

test("the map of its values stays the same object until one of them changes", () => {
  const a = withTapes("a");
  edit(a, tape("db", { slots: 1 }), wallOf(1));
  const before = a.values("tapes");
  edit(a, { kind: "put", spec: specOf("x"), by: "ann" }, wallOf(2));
  assert.equal(a.values("tapes"), before);
  edit(a, tape("db", { slots: 2 }), wallOf(3));
  assert.notEqual(a.values("tapes"), before);
});

test("an update with a value that is too large or a key of another form is refused", () => {
  for (const [id, value] of [
    ["db", { slots: 1, note: "x".repeat(300) }],
    ["No Id", { slots: 1 }],
  ] as const) {
    const [a, b] = [withTapes("a"), withTapes("b")];
    const applied = b.apply(edit(a, tape(id, value), wallOf(1)));
    assert.equal(typeof applied, "object", id);
    assert.equal(b.values("tapes").size, 0);
  }
});

test("a value that the root doesn't accept is kept on every peer, and has no effect", () => {
  const [a, b] = [withTapes("a"), withTapes("b")];
  assert.equal(b.apply(edit(a, tape("db", { places: 1 }), wallOf(1))), "changed");
  assert.deepEqual([a.values("tapes").size, b.values("tapes").size], [0, 0]);
  assert.equal(a.digest(), b.digest());
});

test("a peer that doesn't know the root keeps its values for peers that do", () => {
  const [a, b, c] = [withTapes("a"), makeTable("b"), withTapes("c")];
  assert.equal(b.apply(edit(a, tape("db", { slots: 1 }), wallOf(1))), "changed");
  exchange(b, c);
  assert.deepEqual([...c.values("tapes")], [["db", { slots: 1 }]]);
  assert.equal(b.digest(), c.digest());
});

test("a change of jobs and other values that can't be stored is undone as a whole", () => {
  const a = withTapes("a");
  edit(a, tape("db", { slots: 1 }), wallOf(1));
  const edits: TableEdit[] = [
    { kind: "put", spec: specOf("x"), by: "ann" },
    tape("db", { slots: 2 }),
    tape("disk", { slots: 3 }),
  ];
  const { steps } = a.edit(edits, wallOf(2));
  a.takeBack([steps], wallOf(3));
  assert.equal(jobOf(a, "x"), undefined);
  assert.deepEqual([...a.values("tapes")], [["db", { slots: 1 }]]);
});

const withoutTokens = (peer: string): JobTable =>
  makeTable(
    peer,
    undefined,
    tableRoots.filter(({ name }) => name !== "tokens"),
  );

const setToken = (id: string, value: unknown): TableEdit => ({
  kind: "set",
  root: "tokens",
  id,
  value,
  by: "ann",
});

test("a version without tokens keeps them, and that one is revoked, and passes them on", () => {
  const [a, old, c] = [makeTable("a"), withoutTokens("b"), makeTable("c")];
  const entry = { hash: "0".repeat(64), name: "ci", role: "viewer", createdAt: 1, createdBy: "ann" };
  edit(a, setToken("0123456789ab", entry), wallOf(1));
  edit(a, setToken("0123456789ab.revoked", { revokedAt: 1, by: "ann" }), wallOf(2));
  exchange(a, old);
  exchange(old, c);
  assert.deepEqual([...c.values("tokens").keys()], ["0123456789ab", "0123456789ab.revoked"]);
  assert.equal(old.digest(), a.digest());
});
