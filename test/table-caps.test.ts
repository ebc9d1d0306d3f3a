/** What a member can make of the table that every peer keeps: only so many ids under each root, and only so many roots. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as Y from "yjs";
import type { JobId } from "../src/schema/ids.ts";
import {
  jobsRoot,
  laterRoot,
  laterRootsCap,
  confirmationsRoot,
  peersRoot,
  tableRoots,
} from "../src/table/roots.ts";
import type { TableEdit } from "../src/schema/job.ts";
import { edit, exchange, jobOf, makeTable, specOf, wallOf } from "./kit/tables.ts";

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

function putJob(table: string, number: number): TableEdit {
  return { kind: "put", spec: specOf(`${table}-${number}`), by: "ann" };
}

function forget(peer: string): TableEdit {
  const value = { at: 1, by: "ann", name: peer, forgotten: true };
  return { kind: "set", root: "membership", id: peer, by: "ann", value };
}

function confirm(peer: string): TableEdit {
  const value = { at: 1, by: "ann", signature: "" };
  return { kind: "set", root: "confirmations", id: `${peer}/a`, by: "ann", value };
}

describe("the job table", () => {
  for (const [what, root, perUpdate, cap] of [
    ["22 MB under the root of forgotten peers, in one update", "peers", 22_000, 0],
    ["22 MB under the root of forgotten peers, in many updates", "peers", 100, peersRoot.idsCap],
    ["22 MB under a root of a later version", "tapes", 100, laterRoot.idsCap],
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

  test("of a peer never gets so many ids by its own edits that others refuse it, also if several peers write at once", () => {
    const roots = tableRoots.map((root) => (root === jobsRoot ? { ...jobsRoot, idsCap: 16 } : root));
    const [a, b] = [makeTable("a", undefined, roots), makeTable("b", undefined, roots)];
    for (let number = 0; a.fullFor([putJob("a", number)]) === undefined; number++)
      edit(a, putJob("a", number), wallOf(number));
    assert.equal(a.jobs().size, 14);
    for (let number = 0; number < 2; number++) edit(b, putJob("b", number), wallOf(number));
    exchange(a, b);
    assert.deepEqual([a.jobs().size, b.jobs().size], [16, 16]);
    for (const table of [a, b]) {
      assert.match(
        table.fullFor([putJob("c", 0)]) ?? "",
        /^it has had 16 ids under "jobs", and the maximum is 14$/,
      );
      assert.match(table.fullFor([putJob("a", 0), putJob("c", 0)]) ?? "", /ids under "jobs"/);
      assert.equal(table.fullFor([putJob("a", 0)]), undefined);
      assert.equal(table.fullFor([{ kind: "delete", id: "a-0" as JobId, by: "ann" }]), undefined);
    }
  });

  test("of a peer counts the ids under each root that its own edits would bring, and each only once", () => {
    const roots = tableRoots.map((root) =>
      root === confirmationsRoot ? { ...confirmationsRoot, idsCap: 8 } : root,
    );
    const table = makeTable("a", undefined, roots);
    for (let peer = 0; peer < 7; peer++) edit(table, confirm(`peer-${peer}`), wallOf(peer));
    assert.match(
      table.fullFor([confirm("peer-7")]) ?? "",
      /7 ids under "confirmations", and the maximum is 7/,
    );
    assert.equal(table.fullFor([confirm("peer-3")]), undefined);
    assert.equal(table.fullFor([putJob("x", 0)]), undefined);
  });

  test("of a peer always has room to forget somebody, however much a member has filled it", () => {
    const table = makeTable("a");
    for (const root of ["peers", "membership"])
      table.apply(filling(root, peersRoot.idsCap, 2_048)[0] ?? new Uint8Array());
    assert.equal(table.fullFor([forget("liar")]), undefined);
    edit(table, forget("liar"), wallOf(1));
    assert.ok(table.membership().some(({ peer, forgotten }) => peer === "liar" && forgotten));
  });
});
