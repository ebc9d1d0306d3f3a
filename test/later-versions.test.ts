/**
 * Jobs and roots of the table that a later version of cicada has written. This version keeps them unchanged, forwards
 * them, and runs a job only if it has the capabilities that the job's parts need.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as Y from "yjs";
import { blockedJobs, obstaclesOf, jobNow, jobsUnknownHere, watermarksOf } from "../src/core/view.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import type { Job, PartNeeds } from "../src/schema/job.ts";
import { commonVersion, type ProtocolRange } from "../src/schema/protocol.ts";
import { nextHlc } from "../src/table/hlc.ts";
import type { JobTable } from "../src/table/table.ts";
import { Cores } from "./kit/cores.ts";
import { edit, exchange, jobOf, makeTable, specOf, wallOf } from "./kit/tables.ts";

const incarnation = `01${"C".repeat(24)}`;
const id = "backup" as JobId;

interface Entry {
  value: unknown;
  needs?: unknown;
}

/** The job as a later version writes it; slots by name. */
function laterJob(slots: Readonly<Record<string, Entry>>): Uint8Array {
  const doc = new Y.Doc();
  doc.clientID = 99;
  doc.transact(() => {
    const map = new Y.Map<unknown>();
    doc.getMap<unknown>("jobs").set(incarnation, map);
    const stamp = { hlc: nextHlc(0, wallOf(1)), by: "new" };
    const whole = { created: { value: id }, action: { value: { command: "true" } }, ...slots };
    for (const [slot, entry] of Object.entries(whole)) map.set(`${slot}@n`, { ...stamp, ...entry });
  });
  return Y.encodeStateAsUpdate(doc);
}

function tableWith(slots: Readonly<Record<string, Entry>>): JobTable {
  const table = makeTable("a");
  assert.equal(table.apply(laterJob(slots)), "changed");
  return table;
}

function job(table: JobTable): Job {
  return jobOf(table, id) ?? assert.fail(JSON.stringify(table.quarantined()));
}

function needsOf(table: JobTable): (readonly [string, readonly string[]])[] {
  return job(table).needs.map(({ pointer, capabilities }) => [pointer, capabilities] as const);
}

/** The newest entry of the slot in the document. */
function heldIn(table: JobTable, slot: string): unknown {
  const doc = new Y.Doc();
  Y.applyUpdate(doc, table.snapshot());
  const map = doc.getMap("jobs").get(incarnation);
  assert.ok(map instanceof Y.Map);
  const entries = [...map.entries()].filter(([key]) => key.startsWith(`${slot}@`));
  const newest = entries.toSorted(([, a], [, b]) => Number(b.hlc) - Number(a.hlc))[0]?.[1];
  const { hlc: _hlc, by: _by, ...rest } = newest;
  return rest;
}

test("two peers agree on the highest protocol version that both ranges contain", () => {
  const cases: [ProtocolRange, ProtocolRange, number | undefined][] = [
    [{ oldest: 1, newest: 1 }, { oldest: 1, newest: 1 }, 1],
    [{ oldest: 1, newest: 3 }, { oldest: 2, newest: 4 }, 3],
    [{ oldest: 1, newest: 9 }, { oldest: 4, newest: 5 }, 5],
    [{ oldest: 1, newest: 2 }, { oldest: 2, newest: 3 }, 2],
    [{ oldest: 1, newest: 2 }, { oldest: 3, newest: 3 }, undefined],
  ];
  for (const [a, b, spoken] of cases) {
    assert.deepEqual([commonVersion(a, b), commonVersion(b, a)], [spoken, spoken], JSON.stringify([a, b]));
  }
});

describe("a part of a job that this version doesn't know keeps the job out of quarantine", () => {
  const cases: [string, Record<string, Entry>, [string, string[]][]][] = [
    ["a field, and the job needs it", { mutex: { value: "tape" } }, [["/mutex", ["field:mutex"]]]],
    [
      "a field that names what it needs",
      { after: { value: ["dump"], needs: ["chain"] } },
      [["/after", ["chain"]]],
    ],
    ["a field that doesn't affect running", { colour: { value: "red", needs: [] } }, []],
    ["a field that was cleared", { mutex: { value: null } }, []],
    [
      "a part of the schedule",
      { schedule: { value: { schedule: "@daily", season: "winter" } } },
      [["/season", ["field:season"]]],
    ],
    [
      "a part of a field",
      { target: { value: { peers: ["a"], near: "all" } } },
      [["/target/near", ["field:target.near"]]],
    ],
    [
      "a part of the action, with what it needs",
      { action: { value: { command: "true", cgroup: "batch" }, needs: ["cgroup", "executor:process"] } },
      [["/cgroup", ["cgroup", "executor:process"]]],
    ],
    [
      "unreadable needs count as absent",
      { mutex: { value: "tape", needs: "nothing" } },
      [["/mutex", ["field:mutex"]]],
    ],
  ];
  for (const [what, slots, needs] of cases) {
    test(what, () => {
      const table = tableWith(slots);
      assert.deepEqual(table.quarantined(), []);
      assert.equal(job(table).spec.command, "true");
      assert.deepEqual(needsOf(table), needs);
    });
  }

  test("a known value of a known field may need more than this version has", () => {
    const table = tableWith({ timeout: { value: "5m", needs: ["timeout:soft"] } });
    assert.equal(job(table).spec.timeout, "5m");
    assert.deepEqual(needsOf(table), [["/timeout", ["timeout:soft"]]]);
  });

  test("a value that makes no sense here is left out when it needs what this version lacks", () => {
    const table = tableWith({ overlap: { value: "merge", needs: ["overlap:merge"] }, owner: { value: "x" } });
    assert.deepEqual([job(table).spec.overlap, job(table).spec.owner], [undefined, "x"]);
    assert.deepEqual(needsOf(table), [["/overlap", ["overlap:merge"]]]);
  });

  test("an action of a kind that this version doesn't know needs its executor", () => {
    const action = { value: { executor: "wasm", wasm: { url: "x" } }, needs: ["executor:wasm"] };
    const table = tableWith({ action, owner: { value: "x" } });
    assert.equal(job(table).spec.owner, "x");
    assert.deepEqual(needsOf(table), [["/wasm", ["executor:wasm"]]]);
  });
});

test("an invalid job whose needs this version meets stays in quarantine", () => {
  for (const needs of [undefined, ["majority"], []]) {
    const table = tableWith({ overlap: { value: "merge", ...(needs === undefined ? {} : { needs }) } });
    assert.equal(table.jobs().size, 0);
    assert.match(JSON.stringify(table.quarantined()), /overlap/);
  }
});

describe("what this version doesn't know stays unchanged", () => {
  const slots = {
    mutex: { value: "tape" },
    after: { value: ["dump"], needs: ["chain"] },
    schedule: { value: { schedule: "@daily", season: "winter" }, needs: ["seasons"] },
    target: { value: { peers: ["a"], near: "all" } },
  };

  test("through edits of other fields, of the same group, and of another part of the same field", () => {
    const table = tableWith(slots);
    const spec = { ...job(table).spec, schedule: "@hourly", target: { peers: ["b"] }, owner: "ann" };
    edit(table, { kind: "put", spec, by: "ann" }, wallOf(2));
    assert.deepEqual(job(table).spec, { ...spec });
    assert.deepEqual(heldIn(table, "mutex"), slots.mutex);
    assert.deepEqual(heldIn(table, "after"), slots.after);
    assert.deepEqual(heldIn(table, "schedule"), {
      value: { schedule: "@hourly", season: "winter" },
      needs: ["seasons"],
    });
    assert.deepEqual(heldIn(table, "target"), { value: { peers: ["b"], near: "all" } });
    assert.equal(job(table).needs.length, 4);
  });

  test("when the known part of a field is removed", () => {
    const table = tableWith(slots);
    const { target: _target, schedule: _schedule, ...spec } = job(table).spec;
    edit(table, { kind: "put", spec, by: "ann" }, wallOf(2));
    assert.deepEqual(heldIn(table, "target"), { value: { near: "all" } });
    assert.deepEqual(heldIn(table, "schedule"), { value: { season: "winter" }, needs: ["seasons"] });
  });

  test("when a person's edit leaves out a value that can't be shown here", () => {
    const action = { value: { executor: "wasm", wasm: { url: "x" } }, needs: ["executor:wasm"] };
    const overlap = { value: "merge", needs: ["overlap:merge"] };
    const table = tableWith({ action, overlap });
    edit(table, { kind: "put", spec: { ...job(table).spec, owner: "ann" }, by: "ann" }, wallOf(2));
    assert.deepEqual([heldIn(table, "action"), heldIn(table, "overlap")], [action, overlap]);
    assert.equal(job(table).spec.owner, "ann");
  });

  test("when an edit is undone, and when the job is written anew because of an absurd stamp", () => {
    const table = tableWith(slots);
    const before = job(table);
    const { steps } = table.edit(
      [{ kind: "put", spec: { ...before.spec, owner: "ann" }, by: "ann" }],
      wallOf(2),
    );
    table.takeBack([steps], wallOf(3));
    assert.deepEqual(job(table), before);
    const longAgo = wallOf(-10_000);
    edit(table, { kind: "put", spec: { ...before.spec, owner: "bob" }, by: "bob" }, longAgo);
    assert.equal(job(table).spec.owner, "bob");
    assert.deepEqual(
      job(table).needs.map(({ pointer }) => pointer),
      before.needs.map(({ pointer }) => pointer),
    );
  });

  test("on other peers, after a restart and in a snapshot, all with the same job and revision", () => {
    const update = laterJob(slots);
    const [a, b, c] = [tableWith(slots), makeTable("b"), makeTable("c")];
    exchange(a, b);
    assert.deepEqual(c.load([update]).refused, []);
    for (const table of [b, c]) {
      assert.deepEqual(job(table), job(a));
      assert.deepEqual(heldIn(table, "mutex"), slots.mutex);
      assert.equal(table.digest(), a.digest());
    }
  });
});

test("a root that this version doesn't know is kept and forwarded, with values and maps", () => {
  const doc = new Y.Doc();
  doc.clientID = 99;
  doc.getMap<unknown>("later-values").set("db@n", { hlc: 1, by: "new", value: { slots: 2 } });
  doc
    .getMap<unknown>("later-maps")
    .set(incarnation, new Y.Map([["url@n", { hlc: 1, by: "new", value: "x" }]]));
  const [a, b] = [makeTable("a"), makeTable("b")];
  edit(a, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1));
  assert.equal(a.apply(Y.encodeStateAsUpdate(doc)), "changed");
  doc.getMap("later-values").delete("db@n");
  doc.getMap<unknown>("later-values").set("db@n", { hlc: 2, by: "new", value: { slots: 3 } });
  assert.equal(a.apply(Y.encodeStateAsUpdate(doc)), "changed");
  exchange(a, b);
  assert.equal(a.digest(), b.digest());
  const again = new Y.Doc();
  Y.applyUpdate(again, b.snapshot());
  assert.deepEqual(again.getMap("later-values").toJSON(), {
    "db@n": { hlc: 2, by: "new", value: { slots: 3 } },
  });
  assert.deepEqual(again.getMap("later-maps").toJSON(), {
    [incarnation]: { "url@n": { hlc: 1, by: "new", value: "x" } },
  });
  assert.deepEqual([...b.jobs().keys()], ["backup"]);
});

describe("a job with a part that this version doesn't know", () => {
  const beat = { id: "beat", schedule: "@every 10s", command: "true" } as const;
  const chained: PartNeeds[] = [{ pointer: "/after", slot: "after", capabilities: ["chain"] }];
  const capabilities = {
    b: ["executor:process", "majority", "chain"],
    c: ["executor:process", "majority", "chain"],
  };

  test("runs on the peers that know it, each tick once, and never here", () => {
    const cores = new Cores(["a", "b", "c"], { capabilities });
    cores.pass(30_000);
    cores.put(beat, { needs: chained });
    cores.pass(120_000);
    const ran = new Set(cores.starts.map(({ peer }) => peer));
    assert.deepEqual([...ran].toSorted(), ["b", "c"]);
    const ticks = cores.starts.map(({ tick }) => tick);
    assert.ok(ticks.length >= 11 && new Set(ticks).size === ticks.length, `${ticks.length} starts`);
  });

  test("says which field it is and what to do, and has no problem on peers that know it", () => {
    const cores = new Cores(["a", "b"], { capabilities });
    cores.pass(30_000);
    cores.put(beat, { needs: chained });
    const [here, there] = [cores.state("a"), cores.state("b")];
    const now = jobNow(here, here.now, "beat" as JobId);
    assert.equal(now?.state, "scheduled");
    assert.deepEqual(
      now.hindrances.map(({ code, pointer }) => [code, pointer]),
      [["NEEDS_NEWER", "/after"]],
    );
    assert.match(
      now.hindrances[0]?.message ?? "",
      /^its \/after needs a newer version of cicada .*chain.*Upgrade this peer/,
    );
    assert.match(obstaclesOf(here, here.now, "beat" as JobId).join(" "), /Not on this peer: its \/after/);
    assert.deepEqual(
      jobsUnknownHere(here, here.now).map((one) => one.id),
      ["beat"],
    );
    assert.deepEqual(blockedJobs(here, here.now), []);
    assert.deepEqual(jobNow(there, there.now, "beat" as JobId)?.hindrances, []);
    assert.deepEqual(jobsUnknownHere(there, there.now), []);
  });

  test("is blocked if no living peer knows that part", () => {
    const cores = new Cores(["a", "b"]);
    cores.pass(30_000);
    cores.put(beat, { needs: chained });
    const state = cores.state("a");
    const now = jobNow(state, state.now, "beat" as JobId);
    assert.equal(now?.state, "blocked");
    assert.deepEqual(
      now.hindrances.map(({ code }) => code),
      ["NO_PEER", "NEEDS_NEWER"],
    );
  });

  test("has no ticks here if the part is in its schedule: none is planned, reported, or called over", () => {
    const excepted: PartNeeds[] = [{ pointer: "/season", slot: "schedule", capabilities: ["seasons"] }];
    const cores = new Cores(["a", "b"]);
    cores.pass(30_000);
    cores.put(beat, { needs: excepted });
    cores.pass(3 * 3_600_000);
    assert.deepEqual(cores.starts, []);
    assert.equal(cores.records.get("a" as PeerId)?.size ?? 0, 0);
    const state = cores.state("a");
    assert.deepEqual(watermarksOf(state), []);
    assert.equal(jobNow(state, state.now, "beat" as JobId)?.next, undefined);
    assert.match(
      obstaclesOf(state, state.now, "beat" as JobId).join(" "),
      /can't tell when its next tick is/,
    );
  });
});
