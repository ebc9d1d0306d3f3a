/** The job table over HTTP: what a client can write and read, and what is refused. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { JobId, TickId } from "../src/schema/ids.ts";
import { call, fakeApi, type FakeApi } from "./kit/fake-api.ts";
import { otherId, selfId } from "./kit/fake-control.ts";

const spec = { id: "backup", schedule: "0 2 * * *", timezone: "Europe/Berlin", command: "tar czf /b /home" };

async function create(fake: FakeApi, change: Record<string, unknown> = {}) {
  return call(fake, { method: "POST", url: "/v1/jobs", body: { ...spec, ...change } });
}

test("creating a job answers with 201, its address, an ETag, and the job with its read-only fields", async () => {
  const fake = fakeApi();
  const made = await create(fake);
  assert.equal(made.statusCode, 201);
  assert.equal(made.headers["location"], "/v1/jobs/backup");
  assert.equal(made.headers["etag"], '"r1"');
  const { createdAt, updatedAt, nextTick, ...rest } = made.json();
  assert.equal(new Date(createdAt).toISOString(), createdAt);
  assert.equal(updatedAt, createdAt);
  assert.match(nextTick, /^\d{4}-\d\d-\d\dT0[01]:00:00Z$/);
  assert.deepEqual(rest, {
    ...spec,
    revision: "r1",
    updatedBy: "admin@alpha",
    paused: null,
    nextPeer: { id: selfId, name: "alpha" },
    lastTick: null,
    lastRun: null,
    lastSuccess: null,
    keptFrom: null,
    state: "scheduled",
    inherited: null,
    problems: [],
  });
  const read = await call(fake, { url: "/v1/jobs/backup" });
  assert.deepEqual(read.json(), made.json());
  assert.equal(read.headers["etag"], '"r1"');
});

test("creating a job under an existing id is a 409, unless update=true asks to replace it", async () => {
  const fake = fakeApi();
  await create(fake);
  const again = await create(fake);
  assert.equal(again.statusCode, 409);
  assert.equal(again.json().code, "JOB_EXISTS");
  const url = "/v1/jobs?update=true";
  const update = await call(fake, { method: "POST", url, body: { ...spec, command: "ls" } });
  assert.equal(update.statusCode, 200);
  assert.equal(update.json().command, "ls");
});

test("a job can be read, edited and sent back in the same form", async () => {
  const fake = fakeApi();
  const job = (await create(fake)).json();
  const put = await call(fake, { method: "PUT", url: "/v1/jobs/backup", body: { ...job, command: "ls" } });
  assert.equal(put.statusCode, 200);
  const patch = await call(fake, { method: "PATCH", url: "/v1/jobs/backup", body: put.json() });
  assert.equal(patch.statusCode, 200);
  assert.deepEqual(fake.control.jobs.get("backup" as JobId)?.spec, { ...spec, command: "ls" });
});

test("PUT creates or replaces the job under the id in the address, and the body may leave the id out", async () => {
  const fake = fakeApi();
  const { id: _, ...withoutId } = spec;
  const first = await call(fake, { method: "PUT", url: "/v1/jobs/backup", body: withoutId });
  assert.equal(first.statusCode, 201);
  const second = await call(fake, { method: "PUT", url: "/v1/jobs/backup", body: { command: "ls" } });
  assert.equal(second.statusCode, 200);
  assert.equal(second.json().schedule, undefined);
  const other = await call(fake, { method: "PUT", url: "/v1/jobs/other", body: spec });
  assert.equal(other.json().code, "ID_MISMATCH");
});

test("PATCH changes the fields that it names, and removes those that are null", async () => {
  const fake = fakeApi();
  await create(fake, { description: "nightly" });
  const patched = await call(fake, {
    method: "PATCH",
    url: "/v1/jobs/backup",
    body: { timezone: "UTC", description: null },
    headers: { "content-type": "application/merge-patch+json" },
  });
  assert.equal(patched.statusCode, 200);
  assert.deepEqual(fake.control.jobs.get("backup" as JobId)?.spec, { ...spec, timezone: "UTC" });
});

test("a PATCH that would make the job invalid is refused with the problems", async () => {
  const fake = fakeApi();
  await create(fake);
  for (const [body, words] of [
    [{ command: null }, /nothing to run/],
    [{ schedule: "61 * * * *" }, /minute/],
    [{ comand: "ls" }, /did you mean "command"/],
  ] as const) {
    const answer = await call(fake, { method: "PATCH", url: "/v1/jobs/backup", body });
    assert.equal(answer.json().code, "INVALID_JOB");
    assert.match(answer.json().detail, words);
  }
  assert.deepEqual(fake.control.jobs.get("backup" as JobId)?.spec, spec);
});

test("a change with If-Match is refused if the job has another revision", async () => {
  const fake = fakeApi();
  await create(fake);
  const change = (header: string, method: "PUT" | "PATCH" | "DELETE" = "PATCH") =>
    call(fake, {
      method,
      url: "/v1/jobs/backup",
      ...(method === "DELETE" ? {} : { body: { command: "ls" } }),
      headers: { "if-match": header },
    });
  for (const method of ["PUT", "PATCH", "DELETE"] as const) {
    const stale = await change('"r0"', method);
    assert.equal(stale.statusCode, 412);
    assert.equal(stale.json().code, "REVISION_CONFLICT");
  }
  assert.equal((await change("r1")).statusCode, 400);
  assert.equal((await change('W/"r1"')).statusCode, 412);
  assert.equal((await change('"r0", "r1"')).statusCode, 200);
  // This changes nothing, so the revision stays.
  assert.equal((await change("*")).statusCode, 200);
  assert.equal((await change('"r2"', "DELETE")).statusCode, 204);
  assert.equal((await change("*", "PUT")).statusCode, 412);
});

test("a precondition that a call doesn't look at is refused, and nothing is changed", async () => {
  const fake = fakeApi();
  for (const [method, url, headers, body] of [
    ["PUT", "/v1/pools/db", { "if-match": '"r1"' }, { slots: 2 }],
    ["PUT", "/v1/pools/db", { "if-none-match": "*" }, { slots: 2 }],
    ["POST", "/v1/jobs/backup/pause", { "if-match": "*" }, undefined],
    ["PUT", "/v1/jobs/backup", { "if-none-match": '"r1"' }, spec],
    ["PATCH", "/v1/jobs/backup", { "if-none-match": "*" }, { enabled: false }],
    ["DELETE", "/v1/jobs/backup", { "if-unmodified-since": "Mon, 01 Jan 2001 00:00:00 GMT" }, undefined],
  ] as const) {
    const answer = await call(fake, { method, url, headers, ...(body === undefined ? {} : { body }) });
    assert.deepEqual([answer.statusCode, answer.json().code], [400, "BAD_REQUEST"], `${method} ${url}`);
    assert.match(answer.json().detail, new RegExp(Object.keys(headers)[0] ?? "", "i"));
  }
  assert.deepEqual(fake.control.commands, []);
  assert.equal((await call(fake, { url: "/v1/jobs", headers: { "if-none-match": '"x"' } })).statusCode, 200);
});

test("PUT with If-None-Match: * never replaces", async () => {
  const fake = fakeApi();
  await create(fake);
  const headers = { "if-none-match": "*" };
  const put = await call(fake, { method: "PUT", url: "/v1/jobs/backup", body: spec, headers });
  assert.equal(put.json().code, "JOB_EXISTS");
});

test("every problem of a job is named by JSON pointer, and for an unknown field the nearest known one is offered", async () => {
  const fake = fakeApi();
  const answer = await create(fake, { comand: "x", timezone: "Mars", schedule: "* * *" });
  assert.equal(answer.statusCode, 422);
  assert.match(String(answer.headers["content-type"]), /^application\/problem\+json/);
  const problem = answer.json();
  assert.equal(problem.type, "urn:cicada:error:INVALID_JOB");
  assert.equal(problem.code, "INVALID_JOB");
  const pointers = problem.errors.map(({ pointer }: { pointer: string }) => pointer);
  assert.deepEqual(pointers.toSorted(), ["/comand", "/schedule", "/timezone"]);
  assert.match(JSON.stringify(problem.errors), /did you mean \\"command\\"/);
  assert.equal(fake.control.commands.length, 0);
});

test("a deleted job is gone, and deleting an unknown job is a 404", async () => {
  const fake = fakeApi();
  await create(fake);
  const gone = await call(fake, { method: "DELETE", url: "/v1/jobs/backup" });
  assert.equal(gone.statusCode, 204);
  assert.equal(gone.body, "");
  for (const method of ["GET", "DELETE"] as const) {
    const answer = await call(fake, { method, url: "/v1/jobs/backup" });
    assert.equal(answer.json().code, "JOB_NOT_FOUND");
  }
});

test("a pause shows who paused the job, why and until when; resume ends it", async () => {
  const fake = fakeApi();
  await create(fake);
  const until = new Date(Date.now() + 3_600_000).toISOString();
  const url = "/v1/jobs/backup/pause";
  const paused = (await call(fake, { method: "POST", url, body: { note: "disk is full", until } })).json();
  assert.equal(paused.state, "paused");
  assert.equal(paused.paused.note, "disk is full");
  assert.equal(paused.paused.until, until);
  assert.equal(paused.paused.by, "admin@alpha");
  const resumed = await call(fake, { method: "POST", url: "/v1/jobs/backup/resume" });
  assert.equal(resumed.json().paused, null);
  assert.equal(resumed.json().state, "scheduled");
});

test("a pause that would end in the past, or at an invalid instant, is refused", async () => {
  const fake = fakeApi();
  await create(fake);
  for (const until of ["2020-01-01T00:00:00Z", "tomorrow", "2026-13-01T00:00:00Z"]) {
    const answer = await call(fake, { method: "POST", url: "/v1/jobs/backup/pause", body: { until } });
    assert.ok([400, 422].includes(answer.statusCode), until);
    assert.equal(answer.json().errors[0].pointer, "/until");
  }
});

test("a tick or the next ones are skipped, shown so among the next, and let run again", async () => {
  const fake = fakeApi();
  await create(fake);
  const post = (verb: string, body: object) =>
    call(fake, { method: "POST", url: `/v1/jobs/backup/${verb}`, body });
  const nextOf = async () => (await call(fake, { url: "/v1/jobs/backup/next?count=3" })).json().items;
  const [first, second] = (await nextOf()).map(({ tick }: { tick: string }) => tick);
  const skipped = await post("skip", { tick: second, note: "release" });
  assert.deepEqual(skipped.json(), { job: "backup", ticks: [second] });
  const [, shown] = await nextOf();
  assert.deepEqual(
    [shown.skipped, shown.skippedBy, shown.note, shown.peers],
    ["asked", "admin@alpha", "release", []],
  );
  assert.deepEqual((await post("skip", { next: 1 })).json().ticks, [first]);
  assert.deepEqual((await post("unskip", { next: 5 })).json().ticks, [first, second]);
  assert.equal((await nextOf())[1].skipped, undefined);
});

test("a skip that names no tick, or one that the job doesn't have, says what to do", async () => {
  const fake = fakeApi();
  await create(fake);
  const refused = async (body: object): Promise<string> => {
    const answer = await call(fake, { method: "POST", url: "/v1/jobs/backup/skip", body });
    const { code, errors, detail } = answer.json();
    return `${answer.statusCode} ${code} ${errors?.[0].pointer ?? detail}`;
  };
  assert.match(await refused({}), /^422 UNPROCESSABLE \/tick/);
  assert.match(await refused({ tick: "2030-01-01T01:00:00Z", next: 1 }), /^422 UNPROCESSABLE \/next/);
  assert.match(await refused({ tick: "soon" }), /^422 UNPROCESSABLE \/tick/);
  assert.match(await refused({ next: 0 }), /^400/);
  assert.match(
    await refused({ tick: "2030-01-01T03:00:00Z" }),
    /^404 TICK_NOT_FOUND .*the nearest are 2030-01-01T01:00:00Z and 2030-01-02T01:00:00Z/,
  );
});

test("run now needs no body and answers with the tick that it ordered", async () => {
  const fake = fakeApi();
  await create(fake);
  const answer = await call(fake, { method: "POST", url: "/v1/jobs/backup/run" });
  assert.equal(answer.statusCode, 202);
  assert.equal(answer.json().job, "backup");
  assert.match(answer.json().tick, /^manual-/);
  const shown = (await call(fake, { url: "/v1/jobs/backup" })).json();
  assert.equal(shown.lastRun.tick, answer.json().tick);
  assert.equal(shown.state, "running");
});

test("a write warns of an exit code that counts as a success and as a skip", async () => {
  const both = await create(fakeApi(), { success: { exitCodes: [0, 75], skipCodes: [75] } });
  assert.deepEqual(both.json().warnings, [
    "exit code 75 is in success.exitCodes and in success.skipCodes: it counts as skipped",
  ]);
  const apart = await create(fakeApi(), { success: { exitCodes: [0], skipCodes: [75] } });
  assert.equal(apart.json().warnings, undefined);
});

test("run now warns if no living peer can run it", async () => {
  const fake = fakeApi();
  await create(fake);
  const body = { target: { peers: ["nobody"] } };
  const answer = await call(fake, { method: "POST", url: "/v1/jobs/backup/run", body });
  assert.equal(answer.statusCode, 202);
  const warning = "no peer can run it now: its target nobody is not a member of the mesh";
  assert.deepEqual(answer.json().warnings, [warning]);
});

test("run now passes on its parameters, environment, force and peers", async () => {
  const fake = fakeApi();
  await create(fake);
  const params = { DAY: "monday", COUNT: 3, DRY: false };
  const body = { params, env: { A: "1" }, force: true, target: { peers: ["bravo"] } };
  await call(fake, { method: "POST", url: "/v1/jobs/backup/run", body });
  assert.deepEqual(fake.control.commands.at(-1), {
    kind: "run-job",
    id: "backup",
    params,
    env: { A: "1" },
    force: true,
    peers: ["bravo"],
    by: "admin@alpha",
  });
});

test("run now of a paused job is refused, and says how to force it", async () => {
  const fake = fakeApi();
  await create(fake);
  await call(fake, { method: "POST", url: "/v1/jobs/backup/pause" });
  const refused = await call(fake, { method: "POST", url: "/v1/jobs/backup/run" });
  assert.equal(refused.statusCode, 409);
  assert.match(refused.json().hint, /force/);
});

for (const [what, body, pointer] of [
  ["an invalid variable", { env: { "A=B": "1" } }, "/env/A=B"],
  ["a parameter that is a list", { params: { DAY: ["x"] } }, "/params/DAY"],
  ["parameters that are a list", { params: ["x"] }, "/params"],
  ["tags, which only a job's own target has", { target: { tags: { disk: "ssd" } } }, "/target/tags"],
  ["an invalid peer list", { target: { peers: "bravo" } }, "/target/peers"],
  ["an unknown field", { forse: true }, "/forse"],
] as const) {
  test(`run now with ${what} is refused by name`, async () => {
    const fake = fakeApi();
    await create(fake);
    const answer = await call(fake, { method: "POST", url: "/v1/jobs/backup/run", body });
    assert.ok([400, 422].includes(answer.statusCode));
    assert.equal(answer.json().errors[0].pointer, pointer);
    assert.equal(fake.control.records.length, 0);
  });
}

test("run now refuses more environment than a message between peers can carry", async () => {
  const fake = fakeApi();
  await create(fake);
  const env = Object.fromEntries(Array.from({ length: 3 }, (_, i) => [`A${i}`, "x".repeat(30_000)]));
  const answer = await call(fake, { method: "POST", url: "/v1/jobs/backup/run", body: { env } });
  assert.equal(answer.statusCode, 413);
  assert.match(answer.json().detail, /at most 65536 bytes/);
});

async function ids(fake: FakeApi, query: string): Promise<string[]> {
  const answer = await call(fake, { url: `/v1/jobs?${query}` });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json().items.map(({ id }: { id: string }) => id);
}

test("the list is filtered by group, labels, state and text", async () => {
  const fake = fakeApi();
  await create(fake, { id: "a", group: "ops", labels: { team: "db", env: "prod" } });
  await create(fake, { id: "b", labels: { team: "web" }, description: "Weekly REPORT" });
  await create(fake, { id: "c", schedule: undefined, command: "make report" });
  await create(fake, { id: "d", enabled: false });
  await call(fake, { method: "POST", url: "/v1/jobs/b/pause" });
  fake.control.quarantined = [{ id: "e", problems: [{ pointer: "/schedule", message: "is no schedule" }] }];
  for (const [query, expected] of [
    ["", ["a", "b", "c", "d", "e"]],
    ["group=ops", ["a"]],
    ["group=default", ["b", "c", "d"]],
    ["label=team", ["a", "b"]],
    ["label=team%3Ddb", ["a"]],
    ["label=team&label=env=prod", ["a"]],
    ["label=toString", []],
    ["state=paused", ["b"]],
    ["state=disabled", ["d"]],
    ["state=manual", ["c"]],
    ["state=invalid", ["e"]],
    ["q=report", ["b", "c"]],
    ["q=report&state=manual", ["c"]],
  ] as const) {
    assert.deepEqual(await ids(fake, query), expected, query);
  }
});

test("if no living peer can run a job, writing it warns with the reason, and reading it shows the reason as a problem", async () => {
  const fake = fakeApi();
  const message = "its target nosuch is not a member of the mesh";
  const hindrance = { code: "NO_PEER", pointer: "/target/peers", message } as const;
  fake.control.hindrances = [hindrance];
  const made = await call(fake, { method: "POST", url: "/v1/jobs", body: { id: "a", command: "ls" } });
  assert.equal(made.statusCode, 201);
  assert.deepEqual(made.json().warnings, [`no peer can run it now: ${message}`]);
  const read = (await call(fake, { url: "/v1/jobs/a" })).json();
  assert.deepEqual(read.problems, [hindrance]);
  assert.equal(read.warnings, undefined);
  const edited = await call(fake, { method: "PATCH", url: "/v1/jobs/a", body: { owner: "me" } });
  assert.deepEqual(edited.json().warnings, [`no peer can run it now: ${message}`]);
  const shown = (await call(fake, { url: "/v1/jobs/a" })).json();
  assert.deepEqual([shown.nextTick, shown.nextPeer], [null, null], "nothing will run as things are");
  // A job may be sent back as it was read.
  const { warnings } = edited.json();
  assert.equal(
    (await call(fake, { method: "PUT", url: "/v1/jobs/a", body: { ...read, warnings } })).statusCode,
    200,
  );
});

test("the answer to a write of a job that names a user waits until the hosts have looked for that user, and says what they found", async () => {
  const message = "bravo can't run jobs as the user ada";
  const hindrance = { code: "NO_PEER", pointer: "/user", message } as const;
  const warning = `no peer can run it now: ${message}`;
  const fake = fakeApi();
  fake.control.foundByHosts = [hindrance];
  await create(fake, { id: "of-nobody" });
  assert.deepEqual(fake.control.foundByHosts, [hindrance], "a job without a user is not waited for");
  const made = await call(fake, {
    method: "POST",
    url: "/v1/jobs",
    body: { id: "a", command: "ls", user: "ada" },
  });
  assert.deepEqual(made.json().warnings, [warning]);
  const applied = fakeApi();
  applied.control.foundByHosts = [hindrance];
  const objects = [{ id: "a", command: "ls", user: "ada" }];
  const answer = await call(applied, { method: "POST", url: "/v1/apply", body: { objects } });
  assert.equal(answer.json().warnings[0].message, warning);
});

test("a paused job has no next tick and no peer", async () => {
  const fake = fakeApi();
  await create(fake, { id: "a" });
  assert.notEqual((await call(fake, { url: "/v1/jobs/a" })).json().nextTick, null);
  await call(fake, { method: "POST", url: "/v1/jobs/a/pause" });
  const { nextTick, nextPeer, state } = (await call(fake, { url: "/v1/jobs/a" })).json();
  assert.deepEqual([nextTick, nextPeer, state], [null, null, "paused"]);
});

test("a job shows its last finished tick, even a missed one, and its last success", async () => {
  const fake = fakeApi();
  await create(fake, { id: "a" });
  const job = "a" as JobId;
  const ended = Date.parse("2026-11-20T02:00:05Z");
  fake.control.record({
    job,
    tick: "2026-11-20T02:00:00Z" as TickId,
    startedAt: ended - 1,
    finishedAt: ended,
  });
  fake.control.record({ job, tick: "2026-11-20T03:00:00Z" as TickId, state: "missed", reason: "window" });
  const shown = (await call(fake, { url: "/v1/jobs/a" })).json();
  assert.deepEqual(shown.lastTick, {
    tick: "2026-11-20T03:00:00Z",
    state: "missed",
    reason: "window",
    run: null,
  });
  assert.equal(shown.lastSuccess, "2026-11-20T02:00:05.000Z");
});

test("a job whose last tick could not be started says why until it is edited or a tick starts", async () => {
  const fake = fakeApi();
  await create(fake, { id: "a" });
  const job = "a" as JobId;
  const problems = async () => (await call(fake, { url: "/v1/jobs/a" })).json().problems;
  const refuse = (tick: string): void => {
    const { revision = "" } = fake.control.jobs.get(job) ?? {};
    const reason = "not started: the folder /nope is not there";
    fake.control.record({ job, tick: tick as TickId, state: "failed", reason, revision });
  };
  refuse("2026-11-20T02:00:00Z");
  const message = "the last tick's run was not started: the folder /nope is not there";
  assert.deepEqual(await problems(), [{ code: "NOT_STARTED", pointer: "", message }]);
  await call(fake, { method: "PATCH", url: "/v1/jobs/a", body: { owner: "ann" } });
  assert.deepEqual(await problems(), []);
  refuse("2026-11-20T03:00:00Z");
  assert.equal((await problems()).length, 1);
  fake.control.record({ job, tick: "2026-11-20T04:00:00Z" as TickId, state: "succeeded" });
  assert.deepEqual(await problems(), []);
});

test("a job says from when on its runs are kept", async () => {
  const fake = fakeApi();
  await create(fake, { id: "a" });
  assert.equal((await call(fake, { url: "/v1/jobs/a" })).json().keptFrom, null);
  const keptFrom = "2026-11-01T02:00:00.000Z";
  fake.control.statuses.set("a" as JobId, { keptFrom: Date.parse(keptFrom) });
  assert.equal((await call(fake, { url: "/v1/jobs/a" })).json().keptFrom, keptFrom);
});

test("a stored job that is invalid is shown with its problems and not run", async () => {
  const fake = fakeApi();
  fake.control.quarantined = [{ id: "bad", problems: [{ pointer: "/schedule", message: "is no schedule" }] }];
  const answer = await call(fake, { url: "/v1/jobs/bad" });
  assert.equal(answer.statusCode, 200);
  assert.equal(answer.json().state, "invalid");
  assert.deepEqual(answer.json().problems, [
    { code: "INVALID_JOB", pointer: "/schedule", message: "is no schedule" },
  ]);
  const run = await call(fake, { method: "POST", url: "/v1/jobs/bad/run" });
  assert.equal(run.statusCode, 404);
});

test("pages hold every job once, in order, with Link and count", async () => {
  const fake = fakeApi();
  const names = ["m", "c", "x", "a", "k", "b", "z", "d", "j", "e", "y"];
  for (const id of names) await create(fake, { id });
  const seen: string[] = [];
  let url = "/v1/jobs?limit=3&group=default";
  for (let pages = 0; ; pages++) {
    assert.ok(pages < 5, "the last page says that it is the last");
    const answer = await call(fake, { url });
    const { items, nextCursor } = answer.json();
    assert.equal(answer.headers["x-total-count"], "11");
    seen.push(...items.map(({ id }: { id: string }) => id));
    if (nextCursor === null) {
      assert.equal(answer.headers["link"], undefined);
      break;
    }
    const [, next = ""] = /^<(.*)>; rel="next"$/.exec(String(answer.headers["link"])) ?? [];
    assert.ok(next.includes(encodeURIComponent(nextCursor)) && next.includes("group=default"));
    url = next;
  }
  assert.deepEqual(seen, names.toSorted());
});

test("a page of 100 out of 100,000 jobs looks up only those 100, and is fast", async () => {
  const fake = fakeApi();
  await create(fake);
  const [one] = fake.control.jobs.values();
  assert.ok(one !== undefined);
  for (let i = 0; i < 100_000; i++) {
    const id = `job-${(i * 7_919) % 100_000}` as JobId;
    fake.control.jobs.set(id, { ...one, id, spec: { ...one.spec, id } });
  }
  const asked = { next: 0, history: 0 };
  const { control } = fake;
  const next = control.next.bind(control);
  const history = control.history.bind(control);
  control.next = (id, count) => {
    asked.next += 1;
    return next(id, count);
  };
  control.history = async (query) => {
    asked.history += 1;
    return history(query);
  };
  const answer = await call(fake, { url: "/v1/jobs" });
  assert.equal(answer.headers["x-total-count"], "100001");
  assert.deepEqual(asked, { next: 100, history: 0 });
});

test("the next ticks name the runner first and then the peers that step in", async () => {
  const fake = fakeApi();
  await create(fake, { schedule: "@hourly" });
  const answer = await call(fake, { url: "/v1/jobs/backup/next?count=3" });
  const { items, nextCursor } = answer.json();
  assert.equal(items.length, 3);
  assert.equal(nextCursor, null);
  assert.equal(new Date(items[0].startsAt).getTime(), Date.parse(items[0].tick));
  assert.deepEqual(items[0].peers, [
    { id: selfId, name: "alpha", rank: 0 },
    { id: otherId, name: "bravo", rank: 1 },
  ]);
});

test("a tick that a job leaves out is among its next ones, and is marked", async () => {
  const fake = fakeApi();
  await create(fake, { schedule: "0 2 * * *", except: ["0 2 * * *"] });
  const { items } = (await call(fake, { url: "/v1/jobs/backup/next?count=3" })).json();
  assert.deepEqual(
    items.map(({ skipped, peers }: { skipped?: string; peers: unknown[] }) => [skipped, peers.length]),
    [
      ["except", 0],
      ["except", 0],
      ["except", 0],
    ],
  );
});

test("a preview lists apart what is left out, and refuses what can't be with its pointer", async () => {
  const fake = fakeApi();
  const body = { schedule: "0 2 * * *", from: "2026-12-23T00:00:00Z", count: 2 };
  const preview = (except: string[]) =>
    call(fake, { method: "POST", url: "/v1/schedules/preview", body: { ...body, except } });
  const { ticks, skipped } = (await preview(["2026-12-24"])).json();
  assert.deepEqual(ticks, ["2026-12-23T02:00:00Z", "2026-12-25T02:00:00Z"]);
  assert.deepEqual(skipped, ["2026-12-24T02:00:00Z"]);
  const refused = (await preview(["2026-12-24", "calendar:x"])).json();
  assert.deepEqual([refused.code, refused.errors[0].pointer], ["INVALID_SCHEDULE", "/except/1"]);
});

test("a past tick is shown with its runs and the reason for its outcome", async () => {
  const fake = fakeApi();
  await create(fake);
  const tick = "2026-11-20T01:00:00Z" as TickId;
  fake.control.record({ job: "backup" as JobId, tick });
  fake.control.record({ job: "backup" as JobId, tick, peer: otherId, rank: 1 });
  fake.control.record({ job: "backup" as JobId, tick: "2026-11-19T01:00:00Z" as TickId });
  const listed = (await call(fake, { url: "/v1/jobs/backup/ticks?limit=1" })).json();
  assert.equal(listed.items.length, 1);
  const { obstacles, ...story } = (await call(fake, { url: `/v1/jobs/backup/why?tick=${tick}` })).json();
  assert.deepEqual(story, listed.items[0]);
  assert.deepEqual(obstacles, []);
  assert.equal(story.state, "succeeded");
  assert.equal(story.duplicate, true);
  assert.deepEqual(
    story.runs.map(({ peerName, duplicate }: { peerName: string; duplicate: boolean }) => [
      peerName,
      duplicate,
    ]),
    [
      ["alpha", true],
      ["bravo", true],
    ],
  );
  assert.equal(story.why.length, 2);
  const rest = (await call(fake, { url: `/v1/jobs/backup/ticks?cursor=${listed.nextCursor}` })).json();
  assert.equal(rest.items[0].tick, "2026-11-19T01:00:00Z");
  assert.equal(rest.nextCursor, null);
});

test("why without a tick explains the last one that went wrong, and what keeps the next one from running", async () => {
  const fake = fakeApi();
  await create(fake);
  fake.control.obstacles = ["The job is paused."];
  const nothing = (await call(fake, { url: "/v1/jobs/backup/why" })).json();
  assert.deepEqual(nothing, { tick: null, obstacles: ["The job is paused."] });
  const [failed, fine] = ["2026-11-19T01:00:00Z", "2026-11-20T01:00:00Z"] as TickId[];
  assert.ok(failed !== undefined && fine !== undefined);
  fake.control.record({ job: "backup" as JobId, tick: failed, state: "failed", exitCode: 28 });
  fake.control.record({ job: "backup" as JobId, tick: fine });
  const story = (await call(fake, { url: "/v1/jobs/backup/why" })).json();
  assert.deepEqual([story.tick, story.state], [failed, "failed"]);
  assert.deepEqual(story.obstacles, ["The job is paused."]);
});

test("why refuses an invalid tick and a tick that the job doesn't have", async () => {
  const fake = fakeApi();
  await create(fake);
  const words = await call(fake, { url: "/v1/jobs/backup/why?tick=yesterday" });
  assert.match(words.json().detail, /such as 2026-11-20T02:00:00Z/);
  const none = await call(fake, { url: "/v1/jobs/backup/why?tick=2026-01-01T00:00:00Z" });
  assert.equal(none.statusCode, 404);
  assert.equal(none.json().code, "TICK_NOT_FOUND");
});

for (const call404 of ["next", "ticks", "runs", "why?tick=2026-01-01T00:00:00Z"]) {
  test(`GET /v1/jobs/{id}/${call404} of an unknown job is JOB_NOT_FOUND`, async () => {
    const answer = await call(fakeApi(), { url: `/v1/jobs/nope/${call404}` });
    assert.equal(answer.statusCode, 404);
    assert.equal(answer.json().code, "JOB_NOT_FOUND");
  });
}

test("a preview lists ticks and marks those that daylight saving moves", async () => {
  const fake = fakeApi();
  const body = { schedule: "30 2 * * *", timezone: "Europe/Berlin", from: "2026-03-28T12:00:00Z", count: 2 };
  const answer = await call(fake, { method: "POST", url: "/v1/schedules/preview", body });
  assert.deepEqual(answer.json().ticks, ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
  assert.equal(answer.json().marks.length, 1);
  assert.equal(answer.json().marks[0].mark, "moved");
  assert.deepEqual(answer.json().skipped, []);
  const bad = { schedule: ["0 0 * * *", "61 2 * * *"] };
  const refused = await call(fake, { method: "POST", url: "/v1/schedules/preview", body: bad });
  assert.equal(refused.json().code, "INVALID_SCHEDULE");
  assert.equal(refused.json().errors[0].pointer, "/schedule/1");
});

describe("POST /v1/jobs/{id}/backfill", () => {
  const hour = 3_600_000;
  const to = Math.floor(Date.now() / hour) * hour - hour;
  const at = (hours: number) => new Date(to - hours * hour).toISOString().replace(".000", "");
  const span = { from: at(3), to: at(0) };
  const url = "/v1/jobs/hourly/backfill";
  const hourly = { id: "hourly", schedule: "0 * * * *", command: "true" };

  test("a dry run says which ticks would run and which are left out, and asks for nothing", async () => {
    const fake = fakeApi();
    await call(fake, { method: "POST", url: "/v1/jobs", body: hourly });
    fake.control.record({ job: "hourly" as JobId, tick: at(2) as TickId, state: "failed" });
    const shown = await call(fake, { method: "POST", url, body: { ...span, dryRun: true } });
    assert.equal(shown.statusCode, 200);
    const { ticks, leftOut, dryRun } = shown.json();
    assert.deepEqual([dryRun, ticks], [true, [at(3), at(1)]]);
    assert.deepEqual(
      leftOut.map(({ tick, why, state }: { tick: string; why: string; state: string }) => [tick, why, state]),
      [[at(2), "has-run", "failed"]],
    );
    assert.ok(fake.control.commands.every(({ kind }) => kind !== "backfill-job"));
  });

  test("without it the ticks are asked for (202); forced, those that have run, too", async () => {
    const fake = fakeApi();
    await call(fake, { method: "POST", url: "/v1/jobs", body: hourly });
    fake.control.record({ job: "hourly" as JobId, tick: at(2) as TickId, state: "succeeded" });
    const asked = await call(fake, { method: "POST", url, body: span });
    assert.equal(asked.statusCode, 202);
    assert.deepEqual(asked.json().ticks, [at(3), at(1)]);
    const forced = await call(fake, { method: "POST", url, body: { ...span, force: true } });
    assert.deepEqual(forced.json().ticks, [at(3), at(2), at(1)]);
  });

  const refused: readonly [title: string, body: object, status: number, code: string][] = [
    ["a span that ends before it begins", { from: at(0), to: at(3) }, 422, "UNPROCESSABLE"],
    ["an instant that is none", { from: "yesterday", to: at(0) }, 400, "BAD_REQUEST"],
    ["no end", { from: at(3) }, 400, "BAD_REQUEST"],
    ["too many ticks", { from: at(2_000), to: at(0) }, 422, "TOO_MANY_TICKS"],
  ];
  for (const [title, body, status, code] of refused) {
    test(`${title} is refused`, async () => {
      const fake = fakeApi();
      await call(fake, { method: "POST", url: "/v1/jobs", body: hourly });
      const answer = await call(fake, { method: "POST", url, body });
      assert.deepEqual([answer.statusCode, answer.json().code], [status, code]);
    });
  }

  test("of a job that isn't there is 404, and of one without a schedule 409", async () => {
    const fake = fakeApi();
    assert.equal((await call(fake, { method: "POST", url, body: span })).statusCode, 404);
    await call(fake, { method: "POST", url: "/v1/jobs", body: { id: "hourly", command: "true" } });
    const answer = await call(fake, { method: "POST", url, body: span });
    assert.deepEqual([answer.statusCode, answer.json().code], [409, "NO_SCHEDULE"]);
  });
});
