/** What a job was: what a peer notes of each change, how it is shown, and the way back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { JobHistory } from "../src/peer/job-history.ts";
import type { JobId } from "../src/schema/ids.ts";
import type { TableEdit } from "../src/schema/job.ts";
import type { JobRevision } from "../src/schema/revision.ts";
import type { JobTable } from "../src/table/table.ts";
import { call, fakeApi, type FakeApi } from "./kit/fake-api.ts";
import { edit, jobOf, makeTable, specOf, wallOf } from "./kit/tables.ts";

const backup = "backup" as JobId;

/** Makes the edits one after the other at a peer, and returns what it noted. */
function noted(table: JobTable, edits: readonly TableEdit[]): JobRevision[] {
  const history = new JobHistory();
  table.takeChanges();
  return edits.flatMap((one, index) => {
    history.editing([one]);
    edit(table, one, wallOf(index + 2));
    return taken(history, table, wallOf(index + 2));
  });
}

function taken(history: JobHistory, table: JobTable, wall: number): JobRevision[] {
  history.note(table.takeChanges(), (id) => table.holds(id), wall);
  return history.take().flatMap((write) => (write.kind === "revision" ? [write.revision] : []));
}

test("an edit is noted with its author and time, beside what the job was before", () => {
  const table = makeTable("a");
  edit(table, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1));
  const revisions = noted(table, [{ kind: "put", spec: specOf("backup", { owner: "ops" }), by: "bob" }]);
  assert.deepEqual(
    revisions.map(({ by, at, spec }) => [by, at, spec?.["owner"]]),
    [
      ["ann", wallOf(1), undefined],
      ["bob", wallOf(2), "ops"],
    ],
  );
  assert.equal(revisions[1]?.revision, jobOf(table, "backup")?.revision);
});

test("what only the defaults of its group made of a job is noted as nobody's edit", () => {
  const table = makeTable("a");
  edit(table, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1));
  const revisions = noted(table, [
    { kind: "set", root: "groups", id: "default", value: { env: { A: "1" } }, by: "bob" },
    { kind: "put", spec: specOf("backup", { owner: "ops" }), by: "cem" },
  ]);
  assert.deepEqual(
    revisions.map(({ by }) => by),
    ["cem"],
  );
});

test("a pause, its end and a deletion are noted, with who asked for it", () => {
  const table = makeTable("a");
  edit(table, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1));
  const ulid = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
  const revisions = noted(table, [
    { kind: "pause", id: backup, ulid, pause: { at: wallOf(2), by: "bob" } },
    { kind: "resume", id: backup, at: wallOf(3), by: "cem" },
    { kind: "delete", id: backup, by: "dan" },
  ]);
  const after = revisions.filter((_, index) => index % 2 === 1);
  assert.deepEqual(
    after.map(({ at, by, pauses, spec }) => [at, by, pauses, spec === undefined]),
    [
      [wallOf(2), "bob", 1, false],
      [wallOf(3), "cem", 0, false],
      [wallOf(4), "dan", 0, true],
    ],
  );
});

test("a resume by another peer is noted with who asked for it", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  there.apply(edit(here, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1)));
  const pause = { at: wallOf(2), by: "bob" };
  here.apply(
    edit(there, { kind: "pause", id: backup, ulid: "01ARZ3NDEKTSV4RRFFQ69G5FAV", pause }, wallOf(2)),
  );
  here.takeChanges();
  here.apply(edit(there, { kind: "resume", id: backup, at: wallOf(3), by: "cem" }, wallOf(3)));
  const resumed = taken(new JobHistory(), here, wallOf(4)).at(-1);
  assert.deepEqual([resumed?.at, resumed?.by, resumed?.pauses], [wallOf(3), "cem", 0]);
});

test("a deletion by another peer is noted without a name; a job that can't be read is not noted as deleted", () => {
  const [here, there] = [makeTable("a"), makeTable("b")];
  there.apply(edit(here, { kind: "put", spec: specOf("backup"), by: "ann" }, wallOf(1)));
  here.takeChanges();
  const deleted = jobOf(here, "backup");
  here.apply(edit(there, { kind: "delete", id: backup, by: "bob" }, wallOf(2)));
  const [, deletion] = taken(new JobHistory(), here, wallOf(3));
  assert.deepEqual([deletion?.at, deletion?.by, deletion?.spec], [wallOf(3), undefined, undefined]);
  const unreadable = { id: backup, before: deleted, job: undefined };
  const history = new JobHistory();
  history.note([unreadable], () => true, wallOf(4));
  assert.deepEqual(history.take().length, 1);
  history.note([unreadable], () => false, wallOf(4));
  assert.deepEqual(history.take().length, 2);
});

// ---------------------------------------------------------------------------------------------------------
// Over HTTP

const spec = { id: "backup", schedule: "0 2 * * *", command: "ls", env: { A: "1", B: "2" } };
const day = 86_400_000;

function revision(
  name: string,
  at: number,
  fields: { by?: string | undefined; spec?: Record<string, unknown> | undefined } = {},
): JobRevision {
  const given = { by: "ann", spec, ...fields };
  return {
    job: backup,
    revision: name,
    at,
    createdAt: day,
    pauses: 0,
    ...(given.by === undefined ? {} : { by: given.by }),
    ...(given.spec === undefined ? {} : { spec: given.spec }),
  };
}

async function withHistory(): Promise<FakeApi> {
  const fake = fakeApi();
  await call(fake, { method: "POST", url: "/v1/jobs", body: spec });
  const edited = { ...spec, command: "tar", env: { A: "1", B: "3" }, timeout: "5m" };
  fake.control.kept.set(backup, [
    revision("deleted-r2", 3 * day, { spec: undefined, by: undefined }),
    revision("r2", 2 * day, { spec: edited, by: "bob" }),
    revision("r1", day),
  ]);
  return fake;
}

test("the history of a job shows who changed which fields and when, newest first", async () => {
  const answer = await call(await withHistory(), { url: "/v1/jobs/backup/history" });
  assert.equal(answer.statusCode, 200, answer.body);
  assert.deepEqual(answer.json(), {
    items: [
      { revision: "deleted-r2", at: "1970-01-04T00:00:00.000Z", by: null, change: "deleted", fields: [] },
      {
        revision: "r2",
        at: "1970-01-03T00:00:00.000Z",
        by: "bob",
        change: "edited",
        fields: [
          { pointer: "/command", before: "ls", after: "tar" },
          { pointer: "/env/B", before: "2", after: "3" },
          { pointer: "/timeout", before: null, after: "5m" },
        ],
      },
      { revision: "r1", at: "1970-01-02T00:00:00.000Z", by: "ann", change: "created", fields: [] },
    ],
    nextCursor: null,
  });
});

test("a deletion that was asked of another peer has its name from the audit", async () => {
  const fake = await withHistory();
  const deletion = { token: "t", role: "admin", action: "delete-job", kind: "job", name: "backup" } as const;
  const entry = (at: number, actor: string, outcome: "done" | "refused") => ({
    ...deletion,
    job: backup,
    at,
    actor,
    outcome,
  });
  await fake.control.noteAudit([
    entry(day / 2, "of-an-earlier-job@bravo", "done"),
    entry(3 * day - 40, "cem@bravo", "done"),
    entry(3 * day - 20, "eve@bravo", "refused"),
    entry(4 * day, "later@bravo", "done"),
  ]);
  const answer = await call(fake, { url: "/v1/jobs/backup/history" });
  assert.deepEqual(
    answer.json().items.map(({ change, by }: { change: string; by: string }) => [change, by]),
    [
      ["deleted", "cem@bravo"],
      ["edited", "bob"],
      ["created", "ann"],
    ],
  );
});

test("the history comes in pages, and an edit at the end of a page is still compared with the one before it", async () => {
  const fake = await withHistory();
  const first = await call(fake, { url: "/v1/jobs/backup/history?limit=2" });
  assert.equal(first.json().items[1].fields.length, 3);
  const cursor = first.json().nextCursor;
  const second = await call(fake, { url: `/v1/jobs/backup/history?limit=2&cursor=${cursor}` });
  assert.deepEqual(
    second.json().items.map((item: { revision: string }) => item.revision),
    ["r1"],
  );
  assert.equal(second.json().nextCursor, null);
});

test("revert makes the job what it was, in every field", async () => {
  const fake = await withHistory();
  const body = { revision: "r2" };
  const answer = await call(fake, { method: "POST", url: "/v1/jobs/backup/revert", body });
  assert.equal(answer.statusCode, 200, answer.body);
  assert.deepEqual(fake.control.jobs.get(backup)?.spec, {
    ...spec,
    command: "tar",
    env: { A: "1", B: "3" },
    timeout: "5m",
  });
});

test("revert warns as a write does", async () => {
  const fake = await withHistory();
  const chained = { id: backup, command: "tar", after: { jobs: ["gone"] } };
  fake.control.kept.set(backup, [revision("chained", day, { spec: chained })]);
  const body = { revision: "chained" };
  const answer = await call(fake, { method: "POST", url: "/v1/jobs/backup/revert", body });
  assert.deepEqual(answer.json().warnings, ['it runs after "gone", and there is no such job']);
});

test("revert brings a deleted job back", async () => {
  const fake = await withHistory();
  await call(fake, { method: "DELETE", url: "/v1/jobs/backup" });
  const answer = await call(fake, {
    method: "POST",
    url: "/v1/jobs/backup/revert",
    body: { revision: "r1" },
  });
  assert.equal(answer.statusCode, 201, answer.body);
  assert.deepEqual(fake.control.jobs.get(backup)?.spec, spec);
});

for (const [what, revised, id, status, code, words] of [
  ["an unknown revision", "r9", "backup", 404, "REVISION_NOT_FOUND", /no revision "r9"/],
  ["an unknown job", "r1", "other", 404, "JOB_NOT_FOUND", /other/],
  ["a deletion", "deleted-r2", "backup", 422, "UNPROCESSABLE", /the revision before it/],
] as const) {
  test(`revert to ${what} is refused, and nothing changes`, async () => {
    const fake = await withHistory();
    const url = `/v1/jobs/${id}/revert`;
    const answer = await call(fake, { method: "POST", url, body: { revision: revised } });
    assert.equal(answer.statusCode, status, answer.body);
    assert.equal(answer.json().code, code);
    assert.match(answer.json().detail, words);
    assert.deepEqual(fake.control.jobs.get(backup)?.spec, spec);
  });
}

test("revert to a revision that is no valid job in this version is refused with its problems", async () => {
  const fake = await withHistory();
  fake.control.kept.get(backup)?.push(revision("r0", 0, { spec: { ...spec, timeout: "soon" } }));
  const body = { revision: "r0" };
  const answer = await call(fake, { method: "POST", url: "/v1/jobs/backup/revert", body });
  assert.equal(answer.json().code, "INVALID_JOB");
  assert.deepEqual(
    answer.json().errors.map(({ pointer }: { pointer: string }) => pointer),
    ["/timeout"],
  );
});

test("revert respects If-Match", async () => {
  const fake = await withHistory();
  const headers = { "if-match": '"other"' };
  const body = { revision: "r2" };
  const answer = await call(fake, { method: "POST", url: "/v1/jobs/backup/revert", body, headers });
  assert.equal(answer.json().code, "REVISION_CONFLICT");
});
