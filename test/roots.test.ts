/**
 * A new kind of thing in the table is one row in the table of roots. These tests add such a row: pools, of which the
 * latest value counts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TableEdit } from "../src/schema/job.ts";
import { tableRoots, type Root } from "../src/table/roots.ts";
import type { JobTable } from "../src/table/table.ts";
import { edit, exchange, jobOf, makeTable, specOf, wallOf } from "./kit/tables.ts";

const pools: Root = {
  name: "pools",
  holds: "values",
  merge: "latest",
  isId: (id) => /^[a-z]{1,16}$/.test(id),
  accepts: (value) => typeof value === "object" && value !== null && "slots" in value,
  valueCapBytes: 256,
  idsCap: 100,
};

function withPools(peer: string): JobTable {
  return makeTable(peer, undefined, [...tableRoots, pools]);
}

function pool(id: string, value: unknown): TableEdit {
  return { kind: "set", root: "pools", id, value, by: "ann" };
}

test("its values are replicated, and the latest one counts, whichever peer wrote it", () => {
  const [a, b] = [withPools("a"), withPools("b")];
  edit(a, pool("db", { slots: 1 }), wallOf(1));
  exchange(a, b);
  edit(b, pool("db", { slots: 2 }), wallOf(3));
  edit(a, pool("db", { slots: 3 }), wallOf(2));
  edit(a, pool("disk", { slots: 9 }), wallOf(2));
  exchange(a, b);
  for (const table of [a, b]) {
    assert.deepEqual(
      [...table.values("pools")],
      [
        ["db", { slots: 2 }],
        ["disk", { slots: 9 }],
      ],
    );
  }
  assert.equal(a.digest(), b.digest());
});

test("its values survive a restart and a snapshot, and can be removed", () => {
  const a = withPools("a");
  const updates = [
    edit(a, pool("db", { slots: 1 }), wallOf(1)),
    edit(a, pool("gone", { slots: 1 }), wallOf(1)),
    edit(a, pool("gone", null), wallOf(2)),
  ];
  const [again, copy] = [withPools("a"), withPools("c")];
  assert.deepEqual(again.load(updates).refused, []);
  copy.apply(a.snapshot());
  for (const table of [a, again, copy]) assert.deepEqual([...table.values("pools").keys()], ["db"]);
});

test("the map of its values stays the same object until one of them changes", () => {
  const a = withPools("a");
  edit(a, pool("db", { slots: 1 }), wallOf(1));
  const before = a.values("pools");
  edit(a, { kind: "put", spec: specOf("x"), by: "ann" }, wallOf(2));
  assert.equal(a.values("pools"), before);
  edit(a, pool("db", { slots: 2 }), wallOf(3));
  assert.notEqual(a.values("pools"), before);
});

test("an update with a value that is too large or a key of another form is refused", () => {
  for (const [id, value] of [
    ["db", { slots: 1, note: "x".repeat(300) }],
    ["No Id", { slots: 1 }],
  ] as const) {
    const [a, b] = [withPools("a"), withPools("b")];
    const applied = b.apply(edit(a, pool(id, value), wallOf(1)));
    assert.equal(typeof applied, "object", id);
    assert.equal(b.values("pools").size, 0);
  }
});

test("a value that the root doesn't accept is kept on every peer, and has no effect", () => {
  const [a, b] = [withPools("a"), withPools("b")];
  assert.equal(b.apply(edit(a, pool("db", { places: 1 }), wallOf(1))), "changed");
  assert.deepEqual([a.values("pools").size, b.values("pools").size], [0, 0]);
  assert.equal(a.digest(), b.digest());
});

test("a peer that doesn't know the root keeps its values for peers that do", () => {
  const [a, b, c] = [withPools("a"), makeTable("b"), withPools("c")];
  assert.equal(b.apply(edit(a, pool("db", { slots: 1 }), wallOf(1))), "changed");
  exchange(b, c);
  assert.deepEqual([...c.values("pools")], [["db", { slots: 1 }]]);
  assert.equal(b.digest(), c.digest());
});

test("a change of jobs and other values that can't be stored is undone as a whole", () => {
  const a = withPools("a");
  edit(a, pool("db", { slots: 1 }), wallOf(1));
  const edits: TableEdit[] = [
    { kind: "put", spec: specOf("x"), by: "ann" },
    pool("db", { slots: 2 }),
    pool("disk", { slots: 3 }),
  ];
  const { steps } = a.edit(edits, wallOf(2));
  a.takeBack([steps], wallOf(3));
  assert.equal(jobOf(a, "x"), undefined);
  assert.deepEqual([...a.values("pools")], [["db", { slots: 1 }]]);
});
