/** What a member can make of the table that every peer keeps: only so many ids under each root, and only so many roots. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as Y from "yjs";
import { laterRoot, laterRootsCap, peersRoot } from "../src/table/roots.ts";
import type { TableEdit } from "../src/schema/job.ts";
import { edit, jobOf, makeTable, specOf, wallOf } from "./kit/tables.ts";

/** Updates, each of them of so many ids under the root, that a hostile member writes. */
function filling(root: string, ids: number, perUpdate: number): Uint8Array[] {
  const doc = new Y.Doc();
  const updates: Uint8Array[] = [];
  doc.on("update", (update: Uint8Array) => updates.push(update));
  for (let from = 0; from < ids; from += perUpdate) {
    doc.transact(() => {
      for (let id = from; id < Math.min(ids, from + perUpdate); id++) {
        doc.getMap(root).set(`peer-${id}`, { note: "x".repeat(1_000) });
      }
    });
  }
  return updates;
}

describe("the job table", () => {
  for (const [what, root, perUpdate, cap] of [
    ["22 MB under the root of forgotten peers, in one update", "peers", 22_000, 0],
    ["22 MB under the root of forgotten peers, in many updates", "peers", 100, peersRoot.idsCap],
    ["22 MB under a root of a later version", "pools", 100, laterRoot.idsCap],
  ] as const) {
    test(`doesn't take in ${what}, and jobs can be edited afterwards`, () => {
      const [a, b] = [makeTable("a"), makeTable("b")];
      const applied = filling(root, 22_000, perUpdate).map((update) => a.apply(update));
      const taken = applied.filter((one) => one === "changed").length;
      assert.equal(taken, Math.floor(cap / perUpdate));
      assert.ok(a.snapshot().length < (cap + 1) * 1_100);
      assert.equal(a.apply(edit(b, { kind: "put", spec: specOf("x"), by: "ann" }, wallOf(1))), "changed");
      assert.ok(jobOf(a, "x") !== undefined);
    });
  }

  test("takes in again what it has, although a root is full", () => {
    const a = makeTable("a");
    const updates = filling("peers", peersRoot.idsCap, peersRoot.idsCap);
    for (const expected of ["changed", "known"])
      assert.equal(a.apply(updates[0] ?? new Uint8Array()), expected);
    assert.equal(
      typeof a.apply(filling("peers", peersRoot.idsCap + 1, 1).at(-1) ?? new Uint8Array()),
      "string",
    );
  });

  test("takes in only so many roots of later versions", () => {
    const a = makeTable("a");
    const applied = Array.from({ length: 40 }, (_, root) =>
      a.apply(filling(`root-${root}`, 1, 1)[0] ?? new Uint8Array()),
    );
    assert.equal(applied.filter((one) => one === "changed").length, laterRootsCap);
  });

  test("of 100 peers with 10,000 jobs fits", () => {
    const a = makeTable("a");
    for (let peer = 0; peer < 100; peer++) {
      const table = makeTable(`peer-${peer}`);
      const edits = Array.from({ length: 100 }, (_, job): TableEdit => ({
        kind: "put",
        spec: specOf(`job-${peer}-${job}`),
        by: "ann",
      }));
      assert.equal(a.apply(table.edit(edits, wallOf(peer)).update), "changed");
    }
    const joining = makeTable("joining");
    assert.equal(joining.apply(a.snapshot()), "changed");
    assert.equal(joining.jobs().size, 10_000);
  });
});
