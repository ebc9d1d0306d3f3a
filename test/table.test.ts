/** What the job table keeps when jobs are edited on several peers, with two or three tables in each test. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import type { Job, TableEdit } from "../src/schema/job.ts";
import { freshClientId } from "../src/table/table.ts";
import { edit, jobOf, makeTable, exchange, specOf, wallOf } from "./kit/tables.ts";

test("a created job is the same on every peer, with its maker and its times", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  there.apply(edit(here, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1)));
  const job = jobOf(there, "backup");
  assert.deepEqual(job, jobOf(here, "backup"));
  assert.deepEqual(job?.spec, specOf("backup"));
  assert.equal(job?.createdAt, wallOf(1));
  assert.equal(job?.updatedAt, wallOf(1));
  assert.equal(job?.scheduledAt, wallOf(1));
  assert.equal(job?.updatedBy, "ann");
  assert.equal(here.digest(), there.digest());
});

test("edits of different fields on two sides of a split both survive", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  there.apply(edit(here, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1)));
  edit(here, { kind: "put", spec: specOf("backup", { overlap: "skip" }), by: "ann" }, wallOf(2));
  edit(there, { kind: "put", spec: specOf("backup", { description: "nightly" }), by: "bob" }, wallOf(3));
  exchange(here, there);
  assert.deepEqual(
    jobOf(here, "backup")?.spec,
    specOf("backup", { overlap: "skip", description: "nightly" }),
  );
  assert.equal(jobOf(here, "backup")?.updatedBy, "bob");
  assert.equal(here.digest(), there.digest());
});

test("a schedule never mixes with the time zone of another edit", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  const first = specOf("backup", { schedule: "0 2 * * *", timezone: "Europe/Berlin" });
  there.apply(edit(here, { kind: "put", spec: first, by: "ann" }, wallOf(1)));
  edit(here, { kind: "put", spec: { ...first, timezone: "Asia/Tokyo" }, by: "ann" }, wallOf(2));
  edit(there, { kind: "put", spec: { ...first, schedule: "0 5 * * *" }, by: "bob" }, wallOf(3));
  exchange(here, there);
  for (const table of [here, there]) {
    const spec = jobOf(table, "backup")?.spec;
    assert.deepEqual([spec?.schedule, spec?.timezone], ["0 5 * * *", "Europe/Berlin"]);
  }
});

for (const [earlier, later] of [
  ["a", "b"],
  ["b", "a"],
] as const) {
  test(`the later of two edits of one field wins, whichever peer made it (${later} after ${earlier})`, () => {
    const tables = { a: makeTable("a"), b: makeTable("b") };
    tables.b.apply(edit(tables.a, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1)));
    edit(tables[earlier], { kind: "put", spec: specOf("backup", { owner: "first" }), by: "ann" }, wallOf(2));
    edit(tables[later], { kind: "put", spec: specOf("backup", { owner: "second" }), by: "bob" }, wallOf(3));
    exchange(tables.a, tables.b);
    assert.equal(jobOf(tables.a, "backup")?.spec.owner, "second");
    assert.equal(jobOf(tables.b, "backup")?.spec.owner, "second");
  });
}

test("an edit by a peer that knows another edit is later than that one, even if its clock is behind", () => {
  const [ahead, behind] = [makeTable("a"), makeTable("b")];
  behind.apply(edit(ahead, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(50)));
  ahead.apply(
    edit(behind, { kind: "put", spec: specOf("backup", { command: "true" }), by: "bob" }, wallOf(1)),
  );
  assert.equal(jobOf(ahead, "backup")?.spec.command, "true");
  assert.equal(jobOf(behind, "backup")?.spec.command, "true");
});

test("a field that is left out of the new spec is cleared everywhere", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  there.apply(
    edit(
      here,
      { kind: "put", spec: specOf("backup", { timeout: "1h", labels: { a: "b" } }), by: "ann" },
      wallOf(1),
    ),
  );
  here.apply(edit(there, { kind: "put", spec: specOf("backup"), by: "bob" }, wallOf(2)));
  assert.deepEqual(jobOf(here, "backup")?.spec, specOf("backup"));
});

test("putting an unchanged job writes nothing and keeps its revision", () => {
  const table = makeTable("a");
  const spec = specOf("backup", { labels: { x: "1", y: "2" } });
  edit(table, { kind: "put", spec, by: "ann" }, wallOf(1));
  const before = jobOf(table, "backup");
  const digest = table.digest();
  table.takeChanges();
  const update = edit(
    table,
    { kind: "put", spec: { ...spec, labels: { y: "2", x: "1" } }, by: "bob" },
    wallOf(2),
  );
  assert.deepEqual(jobOf(table, "backup"), before);
  assert.equal(table.digest(), digest);
  assert.deepEqual(table.takeChanges(), []);
  assert.equal(makeTable("b").apply(update), "known");
});

test("a deleted job stays deleted, whatever was edited at the same time elsewhere", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  there.apply(edit(here, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1)));
  const deletion = edit(here, { kind: "delete", id: specOf("backup").id, by: "ann" }, wallOf(2));
  const edited = edit(there, { kind: "put", spec: specOf("backup", { owner: "bob" }), by: "bob" }, wallOf(3));
  there.apply(deletion);
  here.apply(edited);
  assert.equal(jobOf(here, "backup"), undefined);
  assert.equal(jobOf(there, "backup"), undefined);
  assert.equal(here.digest(), there.digest());
});

test("a job that was deleted can be created again under the same name", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  there.apply(edit(here, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1)));
  there.apply(edit(here, { kind: "delete", id: specOf("backup").id, by: "ann" }, wallOf(2)));
  there.apply(edit(here, { kind: "put", spec: specOf("backup", { owner: "new" }), by: "ann" }, wallOf(3)));
  assert.equal(jobOf(there, "backup")?.spec.owner, "new");
  assert.equal(jobOf(there, "backup")?.createdAt, wallOf(3));
});

test("a job that both sides of a split created becomes one, with the later of each field", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  edit(here, { kind: "put", spec: specOf("backup", { owner: "ann" }), by: "ann" }, wallOf(1));
  edit(there, { kind: "put", spec: specOf("backup", { command: "true" }), by: "bob" }, wallOf(2));
  exchange(here, there);
  assert.equal(here.jobs().size, 1);
  assert.deepEqual(jobOf(here, "backup"), jobOf(there, "backup"));
  assert.deepEqual(jobOf(here, "backup")?.spec, specOf("backup", { owner: "ann", command: "true" }));
});

test("a pause of a job that was created twice holds even if one of the two is being deleted", () => {
  const [a, b, c] = [makeTable("a"), makeTable("b"), makeTable("c")];
  c.apply(edit(a, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1)));
  edit(b, { kind: "put", spec: specOf("backup"), by: "bob" }, wallOf(2));
  exchange(a, b);
  const id = specOf("backup").id;
  edit(a, { kind: "pause", id, ulid: `01${"A".repeat(24)}`, pause: { by: "ann", at: wallOf(3) } }, wallOf(3));
  edit(c, { kind: "delete", id, by: "cat" }, wallOf(3));
  exchange(a, c);
  exchange(a, b);
  assert.equal(jobOf(b, "backup")?.pauses.length, 1);
});

test("ticks to be skipped are kept on the disk and on all peers, and an unskip takes back those that it names", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  const { id } = specOf("backup");
  const made = edit(here, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1));
  there.apply(made);
  const revision = jobOf(here, "backup")?.revision;
  const [first, second] = [wallOf(60), wallOf(120)];
  const noted = { tick: first, by: "ann", at: wallOf(2), note: "release" };
  const bare = { tick: second, by: "bob", at: wallOf(2) };
  const skipped = edit(here, { kind: "skip", id, skips: [noted] }, wallOf(2));
  edit(there, { kind: "skip", id, skips: [bare] }, wallOf(2));
  exchange(here, there);
  assert.deepEqual(jobOf(here, "backup")?.skips, [noted, bare]);
  assert.deepEqual(jobOf(there, "backup"), jobOf(here, "backup"));
  assert.equal(jobOf(here, "backup")?.revision, revision, "it is no edit of the job");
  assert.deepEqual(jobOf(here, "backup")?.needs[0]?.capabilities, ["field:skip"]);
  const restarted = makeTable("a");
  assert.deepEqual(restarted.load([made, skipped]).refused, []);
  assert.deepEqual(jobOf(restarted, "backup")?.skips, [noted]);
  here.takeChanges();
  there.apply(edit(here, { kind: "unskip", id, ticks: [first] }, wallOf(3)));
  assert.deepEqual(jobOf(there, "backup")?.skips, [bare]);
  assert.deepEqual(
    here.takeChanges().map((change) => change.id),
    [id],
  );
  edit(here, { kind: "unskip", id, ticks: [second] }, wallOf(3));
  assert.equal(jobOf(here, "backup")?.skips, undefined);
  assert.deepEqual(jobOf(here, "backup")?.needs, []);
});

test("resuming ends only the pauses that its peer knew", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  const id = specOf("backup").id;
  there.apply(edit(here, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1)));
  const pause = { by: "ann", at: wallOf(2), note: "disk" };
  there.apply(edit(here, { kind: "pause", id, ulid: `01${"A".repeat(24)}`, pause }, wallOf(2)));
  assert.deepEqual(jobOf(there, "backup")?.pauses, [pause]);
  edit(
    here,
    { kind: "pause", id, ulid: `01${"B".repeat(24)}`, pause: { by: "bob", at: wallOf(3) } },
    wallOf(3),
  );
  edit(there, { kind: "resume", id, at: wallOf(4), by: "cat" }, wallOf(4));
  assert.deepEqual(jobOf(there, "backup")?.pauses, []);
  exchange(here, there);
  assert.deepEqual(
    jobOf(there, "backup")?.pauses.map(({ by }) => by),
    ["bob"],
  );
  assert.equal(jobOf(here, "backup")?.resumedAt, wallOf(4));
});

test("enabling, disabling and a new time zone count as edits of a job's schedule; a new command does not", () => {
  const table = makeTable("a");
  const put = (more: Partial<Job["spec"]>, minute: number): number | undefined => {
    edit(table, { kind: "put", spec: specOf("backup", more), by: "ann" }, wallOf(minute));
    return jobOf(table, "backup")?.scheduledAt;
  };
  assert.equal(put({}, 1), wallOf(1));
  assert.equal(put({ command: "true" }, 2), wallOf(1));
  assert.equal(put({ command: "true", enabled: false }, 3), wallOf(3));
  assert.equal(put({ command: "true", enabled: false, timezone: "Asia/Tokyo" }, 4), wallOf(4));
});

test("each change of a job gives it a new revision, and only changed jobs are reported", () => {
  const table = makeTable("a");
  const id = specOf("backup").id;
  const revisions = new Set<string | undefined>();
  edit(table, { kind: "put", spec: specOf("other"), by: "ann" }, wallOf(0));
  table.takeChanges();
  const changes = [
    { kind: "put", spec: specOf("backup"), by: "ann" },
    { kind: "put", spec: specOf("backup", { owner: "x" }), by: "ann" },
    { kind: "pause", id, ulid: `01${"A".repeat(24)}`, pause: { by: "ann", at: 1 } },
    { kind: "resume", id, at: 2, by: "ann" },
  ] as const;
  for (const change of changes) {
    const before = jobOf(table, "backup");
    edit(table, change, wallOf(1));
    const reported = table.takeChanges();
    assert.deepEqual(reported, [{ id, before, job: jobOf(table, "backup") }]);
    revisions.add(reported[0]?.job?.revision);
  }
  assert.equal(revisions.size, changes.length);
  const before = jobOf(table, "backup");
  edit(table, { kind: "put", spec: specOf("backup", { owner: "y" }), by: "ann" }, wallOf(2));
  edit(table, { kind: "delete", id, by: "ann" }, wallOf(2));
  assert.deepEqual(table.takeChanges(), [{ id, before, job: undefined }]);
});

test("after a restart a peer continues with the table on its disk, under the same client id", () => {
  const before = makeTable("a", 77);
  const kept = [
    edit(before, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1)),
    edit(before, { kind: "put", spec: specOf("backup", { owner: "x" }), by: "ann" }, wallOf(2)),
  ];
  const after = makeTable("a", 77);
  assert.deepEqual(after.load(kept), { refused: [] });
  assert.equal(after.clientId, 77);
  assert.equal(after.digest(), before.digest());
  before.apply(edit(after, { kind: "put", spec: specOf("backup", { owner: "y" }), by: "ann" }, wallOf(3)));
  assert.equal(jobOf(after, "backup")?.spec.owner, "y");
});

test("a peer whose disk has lost edits that the mesh has continues under a new client id, and the tables stay equal", () => {
  const [old, other] = [makeTable("a", 77), makeTable("b")];
  const first = edit(old, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1));
  const lost = edit(old, { kind: "put", spec: specOf("backup", { owner: "lost" }), by: "ann" }, wallOf(2));
  other.load([first, lost]);
  const restored = makeTable("a", 77);
  restored.load([first]);
  restored.heardStateVector(other.stateVector());
  assert.notEqual(restored.clientId, 77);
  edit(restored, { kind: "put", spec: specOf("backup", { timeout: "1h" }), by: "ann" }, wallOf(3));
  exchange(restored, other);
  assert.equal(restored.digest(), other.digest());
  assert.deepEqual(jobOf(other, "backup")?.spec, specOf("backup", { owner: "lost", timeout: "1h" }));
});

test("an update that builds on a missing one counts as pending until the difference has come", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  edit(here, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1));
  const second = edit(here, { kind: "put", spec: specOf("backup", { owner: "x" }), by: "ann" }, wallOf(2));
  assert.equal(there.apply(second), "pending");
  assert.equal(there.pending(), true);
  assert.equal(there.jobs().size, 0);
  exchange(here, there);
  assert.equal(there.pending(), false);
  assert.equal(jobOf(there, "backup")?.spec.owner, "x");
});

test("a stored job that is invalid is shown with its problems and never reported as a job", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  const spec = { ...specOf("backup"), schedule: "not a schedule" };
  there.apply(edit(here, { kind: "put", spec, by: "ann" }, wallOf(1)));
  assert.equal(there.jobs().size, 0);
  assert.deepEqual(there.takeChanges(), []);
  assert.equal(there.quarantined()[0]?.id, "backup");
  assert.ok((there.quarantined()[0]?.problems.length ?? 0) > 0);
  edit(there, { kind: "put", spec: specOf("backup"), by: "bob" }, wallOf(2));
  assert.deepEqual(there.quarantined(), []);
  assert.deepEqual(jobOf(there, "backup")?.spec, specOf("backup"));
});

test("a snapshot replaces all updates before it", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  for (const id of ["x", "y", "z"]) edit(here, { kind: "put", spec: specOf(id), by: "ann" }, wallOf(1));
  edit(here, { kind: "delete", id: specOf("y").id, by: "ann" }, wallOf(2));
  there.load([here.snapshot()]);
  assert.deepEqual(new Map(there.jobs()), new Map(here.jobs()));
  assert.equal(there.digest(), here.digest());
});

test("client ids are whole numbers above 0 that V8 stores unboxed", () => {
  for (const drawn of [0, 0.5, 0.999_999_999_999]) {
    const id = freshClientId({ next: () => drawn, bytes: (length) => new Uint8Array(length) });
    assert.ok(Number.isInteger(id) && id > 0 && id < 2 ** 31);
  }
});

function forget(peer: string, by: string, minute: number): TableEdit {
  return { kind: "set", root: "peers", id: peer, value: { at: wallOf(minute), by, name: "gone" }, by };
}

test("what a person said about a peer's membership stands on every peer, also after a restart and in a snapshot", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  edit(here, { kind: "put", spec: specOf("job"), by: "ann" }, wallOf(1));
  exchange(here, there);
  const peer = "12D3KooWgone" as PeerId;
  const update = edit(here, forget(peer, "ann", 2), wallOf(2));
  assert.equal(there.apply(update), "changed");
  const expected = [
    {
      peer,
      forgotten: true,
      at: wallOf(2),
      by: "ann",
      name: "gone",
      signer: undefined,
      signature: undefined,
    },
  ];
  assert.deepEqual(there.membership(), expected);
  assert.equal(there.digest(), here.digest());
  assert.deepEqual(
    there.takeChanges(),
    [{ id: "job" as JobId, before: undefined, job: jobOf(there, "job") }],
    "jobs are untouched",
  );
  const later = makeTable("c");
  later.load([there.snapshot()]);
  assert.deepEqual(later.membership(), expected);
  assert.equal(later.digest(), here.digest());
});

test("the words about membership are the same objects until something is said", () => {
  const table = makeTable("a");
  const none = table.membership();
  edit(table, { kind: "put", spec: specOf("job"), by: "ann" }, wallOf(1));
  assert.equal(table.membership(), none);
  edit(table, forget("gone", "ann", 2), wallOf(2));
  const [one] = table.membership();
  assert.ok(one);
  assert.deepEqual(
    [...edit(table, forget("gone", "ann", 3), wallOf(3))],
    [0, 0],
    "forgetting twice writes once",
  );
  edit(table, membership("other", true, 4), wallOf(4));
  assert.equal(table.membership().length, 2);
  assert.equal(table.membership()[0], one);
});

function membership(peer: string, forgotten: boolean, minute: number): TableEdit {
  const value = { forgotten, at: wallOf(minute), by: "ann", name: "gone" };
  return { kind: "set", root: "membership", id: peer, value, by: "ann" };
}

test("each writer's last word about a peer is there in every replica, the one that earlier versions follow at the end", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  const both = () => {
    exchange(here, there);
    assert.deepEqual(here.membership(), there.membership());
    assert.equal(here.digest(), there.digest());
    return here.membership().map(({ forgotten, at }) => [forgotten, (at - wallOf(0)) / 60_000]);
  };
  edit(here, forget("gone", "ann", 1), wallOf(1));
  assert.deepEqual(both(), [[true, 1]]);
  edit(there, membership("gone", false, 2), wallOf(2));
  assert.deepEqual(both(), [
    [true, 1],
    [false, 2],
  ]);
  edit(here, membership("gone", true, 3), wallOf(3));
  edit(there, membership("gone", true, 4), wallOf(4));
  assert.deepEqual(both(), [
    [true, 1],
    [true, 3],
    [true, 4],
  ]);
  edit(here, membership("gone", false, 5), wallOf(5));
  assert.deepEqual(both().at(-1), [false, 5]);
  const later = makeTable("c");
  later.load([there.snapshot()]);
  assert.deepEqual(later.membership(), there.membership());
});

test("an update of one entry doesn't go through all others of its root", (t) => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  const channels = Array.from({ length: 100 }, (_, index) => channel(`channel-${index}`, 0));
  there.apply(here.edit(channels, wallOf(0)).update);
  const update = edit(here, channel("channel-7", 1), wallOf(1));
  const iterated = t.mock.method(Map.prototype, "entries");
  assert.equal(there.apply(update), "changed");
  const large = iterated.mock.calls.filter(
    (call) => (call.this as Map<unknown, unknown>).size >= channels.length,
  );
  assert.equal(large.length, 0);
});

function channel(id: string, version: number): TableEdit {
  return { kind: "set", root: "channels", id, value: { version }, by: "ann" };
}
