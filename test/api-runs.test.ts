/** Runs and their output over HTTP. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { loopbackHosts, type ApiOptions } from "../src/api/options.ts";
import { instantOf, runId, tickAt, type JobId, type RunId, type TickId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { call, fakeApi, token, type FakeApi } from "./kit/fake-api.ts";
import { otherId, selfId, type FakeControl } from "./kit/fake-control.ts";

const job = "backup" as JobId;
const tick = "2026-11-20T01:00:00Z" as TickId;

function history(control: FakeControl): void {
  const at = (minutes: number) => tickAt(instantOf(tick) + minutes * 60_000);
  control.record({ job, tick: at(0), exitCode: 0, finishedAt: instantOf(tick) + 1_500, logBytes: 7 });
  control.record({ job, tick: at(1), state: "failed", exitCode: 3, peer: otherId, rank: 1 });
  control.record({ job: "other" as JobId, tick: at(2), state: "timeout" });
  control.record({ job, tick: at(3), state: "running" });
}

async function states(fake: FakeApi, query: string): Promise<string[]> {
  const answer = await call(fake, { url: `/v1/runs?${query}` });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json().items.map(({ state }: { state: string }) => state);
}

test("the list can be narrowed to the jobs that are in a group now", async () => {
  const fake = fakeApi();
  history(fake.control);
  for (const spec of [
    { id: "backup", command: "true", group: "db" },
    { id: "other", command: "true" },
  ]) {
    const { statusCode } = await call(fake, { method: "POST", url: "/v1/jobs", body: spec });
    assert.equal(statusCode, 201);
  }
  assert.deepEqual(await states(fake, "group=db"), ["running", "failed", "succeeded"]);
  assert.deepEqual(await states(fake, "group=default"), ["timeout"]);
  assert.deepEqual(await states(fake, "group=db&state=failed"), ["failed"]);
  assert.deepEqual(await states(fake, "group=none"), []);
});

test("a run shows its instants in RFC 3339, and null for unknown values", async () => {
  const fake = fakeApi();
  history(fake.control);
  const run = (await call(fake, { url: "/v1/runs/backup@2026-11-20T01:00:00Z~1@lpha0001" })).json();
  assert.equal(run.id, "backup@2026-11-20T01:00:00Z~1@lpha0001");
  assert.equal(run.startedAt, "2026-11-20T01:00:00.000Z");
  assert.equal(run.finishedAt, "2026-11-20T01:00:01.500Z");
  assert.equal(run.claimedAt, null);
  assert.equal(run.exitCode, 0);
  assert.equal(run.peer, selfId);
  assert.equal(run.peerName, "alpha");
  assert.equal(run.duplicate, false);
});

test("the list is newest first, and filtered by job, state, peer and time", async () => {
  const fake = fakeApi();
  history(fake.control);
  for (const [query, expected] of [
    ["", ["running", "timeout", "failed", "succeeded"]],
    ["job=backup", ["running", "failed", "succeeded"]],
    ["job=NOT+AN+ID", []],
    ["state=failed,timeout", ["timeout", "failed"]],
    ["state=failed&state=running", ["running", "failed"]],
    ["peer=bravo", ["failed"]],
    [`peer=${otherId}`, ["failed"]],
    [`peer=${otherId.slice(-8)}`, ["failed"]],
    ["peer=12D3KooWForgotten0001", []],
    ["from=2026-11-20T01:02:00Z", ["running", "timeout"]],
    ["to=2026-11-20T02:02:00%2B01:00", ["failed", "succeeded"]],
  ] as const) {
    assert.deepEqual(await states(fake, query), expected, query);
  }
  const typo = await call(fake, { url: "/v1/runs?peer=brvo" });
  assert.deepEqual([typo.statusCode, typo.json().code], [404, "PEER_NOT_FOUND"]);
  const own = await call(fake, { url: "/v1/jobs/backup/runs?state=failed" });
  assert.equal(own.json().items.length, 1);
});

test("an invalid state, instant, cursor or limit is refused by name", async () => {
  const fake = fakeApi();
  const cursor = (await call(fake, { url: "/v1/jobs" })).json().nextCursor ?? "WyJqb2JzIiwiYSJd";
  for (const [query, pointer] of [
    ["state=blue", "/state"],
    ["from=yesterday", "/from"],
    ["cursor=x", "/cursor"],
    [`cursor=${cursor}`, "/cursor"],
    ["limit=0", "/limit"],
    ["limit=1.5", "/limit"],
    ["limit=1001", "/limit"],
    ["limit=1&limit=2", "/limit"],
    ["jbo=x", "/jbo"],
  ] as const) {
    const answer = await call(fake, { url: `/v1/runs?${query}` });
    assert.ok([400, 422].includes(answer.statusCode), query);
    assert.equal(answer.json().errors[0].pointer, pointer, query);
  }
});

test("a job's id also names a run whose precheck or exit code said that there was nothing to do, but no attempt that never began", async () => {
  const fake = fakeApi();
  const at = (hours: number) => tickAt(instantOf(tick) + hours * 3_600_000);
  const read = async () => (await call(fake, { url: "/v1/runs/backup" })).json().id;
  fake.control.record({ job, tick });
  for (const [hours, reason] of [
    [1, "precheck"],
    [2, "exit-code"],
  ] as const) {
    const startedAt = instantOf(at(hours));
    fake.control.record({ job, tick: at(hours), state: "skipped", reason, startedAt });
    assert.equal(await read(), `backup@${at(hours)}~1@lpha0001`);
  }
  fake.control.record({ job, tick: at(3), state: "failed" });
  fake.control.records.push({
    ...fake.control.record({ job, tick: at(3), attempt: 2, state: "skipped" }),
    attempt: 3,
    state: "cancelled",
  });
  assert.equal(await read(), `backup@${at(3)}~1@lpha0001`);
});

test("pages of the history hold every run once", async () => {
  const fake = fakeApi();
  history(fake.control);
  const first = (await call(fake, { url: "/v1/runs?limit=3" })).json();
  const second = await call(fake, { url: `/v1/runs?limit=3&cursor=${first.nextCursor}` });
  assert.equal(second.headers["x-total-count"], "4");
  assert.equal(second.json().items.length, 1);
  assert.equal(second.json().nextCursor, null);
});

test("two runs of one order are both marked as duplicates, even on a page that shows only one of them", async () => {
  const fake = fakeApi();
  fake.control.record({ job, tick });
  fake.control.record({ job, tick, peer: otherId, state: "failed" });
  const answer = await call(fake, { url: "/v1/runs?state=failed" });
  assert.equal(answer.json().items[0].duplicate, true);
});

test("a run can be named by its job and tick, which shows the tick's story", async () => {
  const fake = fakeApi();
  fake.control.record({ job, tick, state: "failed" });
  fake.control.record({ job, tick, attempt: 2, state: "succeeded" });
  const run = await call(fake, { url: `/v1/runs/backup@${tick}` });
  assert.equal(run.json().attempt, 2);
  const first = await call(fake, { url: `/v1/runs/backup@${tick}~1` });
  assert.equal(first.json().state, "failed");
});

test("a job's id names its last run, JOB~failed its last failed one, in every call that takes a run", async () => {
  const fake = fakeApi();
  const at = (hours: number) => tickAt(instantOf(tick) + hours * 3_600_000);
  fake.control.record({ job, tick, state: "failed" });
  fake.control.record({ job, tick: at(1), state: "running" });
  fake.control.record({ job, tick: at(2), state: "missed" });
  const read = async (name: string) => (await call(fake, { url: `/v1/runs/${name}` })).json().id;
  assert.equal(await read("backup"), `backup@${at(1)}~1@lpha0001`);
  assert.equal(await read("backup~failed"), `backup@${tick}~1@lpha0001`);
  const cancelled = await call(fake, { method: "POST", url: "/v1/runs/backup/cancel" });
  assert.equal(cancelled.json().run, `backup@${at(1)}~1@lpha0001`);
  assert.equal(fake.control.records[1]?.state, "cancelled");
  const none = await call(fake, { url: "/v1/runs/other~failed" });
  assert.equal(none.json().code, "RUN_NOT_FOUND");
  assert.equal(none.json().detail, 'there is no run "other~failed"');
});

test("where a job has no run, the answer says whether it never ran, none failed, or older ones were removed", async () => {
  const fake = fakeApi();
  await call(fake, { method: "POST", url: "/v1/jobs", body: { id: "backup", command: "true" } });
  const said = async (run: string): Promise<unknown> => {
    const answers = await Promise.all(
      ["", "/log", "/log/stream"].map((part) => call(fake, { url: `/v1/runs/${run}${part}` })),
    );
    const cancelled = await call(fake, { method: "POST", url: `/v1/runs/${run}/cancel` });
    const [detail, ...others] = [...answers, cancelled].map((answer) => {
      assert.deepEqual([answer.statusCode, answer.json().code], [404, "RUN_NOT_FOUND"]);
      assert.doesNotMatch(answer.json().hint, /keep|removed/);
      return answer.json().detail;
    });
    for (const other of others) assert.equal(other, detail);
    return detail;
  };
  assert.equal(await said("backup"), 'the job "backup" has not run yet');
  assert.equal(await said("backup~failed"), 'no run of the job "backup" has failed');
  fake.control.statuses.set(job, { keptFrom: instantOf(tick) });
  const since = new Date(instantOf(tick)).toISOString();
  assert.equal(
    await said("backup"),
    `the job "backup" has no run since ${since}, and what was before is removed`,
  );
  assert.equal(
    await said("backup~failed"),
    `no run of the job "backup" has failed since ${since}, and what was before is removed`,
  );
});

test("an unknown run is RUN_NOT_FOUND, and the answer says how runs are named", async () => {
  const fake = fakeApi();
  for (const [name, words] of [
    ["gar bage", /JOB@TICK/],
    [`backup@${tick}`, /there is no run/],
    [`backup@${tick}~1@lpha0001`, /there is no run/],
  ] as const) {
    for (const part of ["", "/log", "/log/stream"]) {
      const answer = await call(fake, { url: `/v1/runs/${encodeURIComponent(name)}${part}` });
      assert.equal(answer.statusCode, 404, name + part);
      assert.equal(answer.json().code, "RUN_NOT_FOUND");
      assert.match(answer.json().detail, words);
    }
  }
});

test("cancel is accepted with 202, passes on who asked and why, and is refused for an ended run", async () => {
  const fake = fakeApi();
  fake.control.record({ job, tick, state: "running" });
  const url = `/v1/runs/backup@${tick}~1@lpha0001/cancel`;
  const answer = await call(fake, { method: "POST", url, body: { reason: "too slow" } });
  assert.equal(answer.statusCode, 202);
  assert.equal(fake.control.records[0]?.state, "cancelled");
  assert.deepEqual(fake.control.commands.at(-1), {
    kind: "cancel-run",
    run: `backup@${tick}~1@lpha0001`,
    reason: "too slow",
    by: "admin@alpha",
  });
  const again = await call(fake, { method: "POST", url });
  assert.equal(again.json().code, "RUN_ENDED");
  const none = await call(fake, { method: "POST", url: "/v1/runs/gar%20bage/cancel" });
  assert.equal(none.json().code, "RUN_NOT_FOUND");
});

// ---------------------------------------------------------------------------------------------------------
// Output

const log = `/v1/runs/backup@${tick}/log`;

function withOutput(text: string | Uint8Array, change: Partial<RunRecord> = {}): FakeApi {
  const fake = fakeApi();
  fake.control.print(runId(fake.control.record({ job, tick, ...change })), text, true);
  return fake;
}

test("the whole output comes as plain text, however long it is", async () => {
  const text = "0123456789".repeat(50_000);
  const answer = await call(withOutput(text, { logTruncated: true }), { url: log });
  assert.equal(answer.statusCode, 200);
  assert.equal(answer.headers["content-type"], "text/plain; charset=utf-8");
  assert.equal(answer.headers["content-length"], "500000");
  assert.equal(answer.headers["x-cicada-log-truncated"], "true");
  assert.equal(answer.headers["x-cicada-log-complete"], "true");
  assert.ok(answer.body === text);
});

for (const [range, status, contentRange, body] of [
  ["bytes=0-3", 206, "bytes 0-3/10", "0123"],
  ["bytes=7-", 206, "bytes 7-9/10", "789"],
  ["bytes=-2", 206, "bytes 8-9/10", "89"],
  ["bytes=-99", 206, "bytes 0-9/10", "0123456789"],
  ["bytes=8-99", 206, "bytes 8-9/10", "89"],
  ["bytes=10-", 416, "bytes */10", undefined],
  ["bytes=-0", 416, "bytes */10", undefined],
  ["bytes=3-1", 200, undefined, "0123456789"],
  ["bytes=0-1,3-4", 200, undefined, "0123456789"],
  ["lines=0-1", 200, undefined, "0123456789"],
] as const) {
  test(`Range: ${range} of ten bytes of output is answered with ${status}`, async () => {
    const answer = await call(withOutput("0123456789"), { url: log, headers: { range } });
    assert.equal(answer.statusCode, status);
    assert.equal(answer.headers["content-range"], contentRange);
    if (body !== undefined) assert.equal(answer.body, body);
  });
}

test("HEAD gives the output's length without fetching it", async () => {
  const fake = withOutput("0123456789");
  const asked: number[] = [];
  const real = fake.control.log.bind(fake.control);
  fake.control.log = async (run, offset, length) => {
    asked.push(length);
    return real(run, offset, length);
  };
  const answer = await call(fake, { method: "HEAD", url: log });
  assert.equal(answer.headers["content-length"], "10");
  assert.equal(answer.body, "");
  assert.deepEqual(asked, [0]);
});

test("an empty output is an empty answer even if no peer keeps it; any other output that no peer keeps is LOG_NOT_FOUND", async () => {
  const silent = fakeApi();
  silent.control.record({ job, tick, logBytes: 0 });
  for (const fake of [withOutput(""), silent]) {
    const empty = await call(fake, { url: log });
    assert.equal(empty.statusCode, 200);
    assert.equal(empty.body, "");
    assert.equal(empty.headers["x-cicada-log-complete"], "true");
  }
  for (const logBytes of [7, undefined]) {
    const fake = fakeApi();
    fake.control.record({ job, tick, ...(logBytes === undefined ? {} : { logBytes }) });
    assert.equal((await call(fake, { url: log })).json().code, "LOG_NOT_FOUND");
  }
});

// ---------------------------------------------------------------------------------------------------------
// Streams: these need a socket

const open: FakeApi[] = [];
after(async () => {
  for (const { api } of open) await api.close();
});

interface Listening extends FakeApi {
  get(path: string, headers?: Record<string, string>): Promise<Response>;
}

async function listening(change: Partial<ApiOptions> = {}): Promise<Listening> {
  let port = 0;
  const fake = fakeApi({ hosts: () => loopbackHosts(port), ...change });
  open.push(fake);
  const url = await fake.api.listen({ host: "127.0.0.1", port: 0 });
  port = Number(new URL(url).port);
  return {
    ...fake,
    get: (path, headers = {}) =>
      fetch(url + path, { headers: { authorization: `Bearer ${token}`, ...headers } }),
  };
}

interface Event {
  id?: string;
  event?: string;
  data?: unknown;
}

/** Reads server-sent events until `enough` says so, or the stream ends. */
async function events(response: Response, enough: (events: Event[]) => boolean): Promise<Event[]> {
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  assert.ok(response.body !== null);
  const found: Event[] = [];
  let text = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const lines = block.split("\n").flatMap((line): [string, string][] => {
        const at = line.indexOf(": ");
        return at < 1 ? [] : [[line.slice(0, at), line.slice(at + 2)]];
      });
      const { data, ...rest } = Object.fromEntries(lines);
      // What has no data is no event (WHATWG HTML, server-sent events).
      if (data !== undefined) found.push({ ...rest, data: JSON.parse(data) });
    }
    if (enough(found)) break;
  }
  return found;
}

const ended = (found: Event[]) => found.at(-1)?.event === "end";
const textOf = (found: Event[]) =>
  found.flatMap(({ event, data }) => (event === "output" ? [(data as { text: string }).text] : [])).join("");

test("a live output is streamed as it is written, up to its end, with no character split", async () => {
  const fake = await listening();
  const run: RunId = runId(fake.control.record({ job, tick, state: "running" }));
  const bytes = Buffer.from("first ü\nsecond €😀 line\n");
  fake.control.print(run, bytes.subarray(0, 7));
  const stream = events(await fake.get(`${log}/stream`), (found) => {
    // Each piece is written when the previous one has arrived, and ends within a character.
    const seen = Buffer.byteLength(textOf(found));
    const written = fake.control.outputs.get(run)?.bytes.length ?? 0;
    if (seen >= written - 3 && written < bytes.length) {
      const next = Math.min(written + 5, bytes.length);
      fake.control.print(run, bytes.subarray(written, next), next === bytes.length);
    }
    return ended(found);
  });
  const found = await stream;
  assert.equal(textOf(found), bytes.toString());
  assert.ok(!textOf(found).includes("\u{fffd}"));
  assert.deepEqual(found.at(-1), { id: String(bytes.length), event: "end", data: { size: bytes.length } });
});

test("a reader that returns with Last-Event-ID continues where it was, and learns that the output has ended", async () => {
  const fake = await listening();
  const run = runId(fake.control.record({ job, tick }));
  fake.control.print(run, "0123456789", true);
  const rest = await events(await fake.get(`${log}/stream`, { "last-event-id": "6" }), ended);
  assert.equal(textOf(rest), "6789");
  const over = await fake.get(`${log}/stream`, { "last-event-id": "10" });
  assert.equal(over.status, 204);
  const bad = await fake.get(`${log}/stream`, { "last-event-id": "ten" });
  assert.equal(bad.status, 400);
});

test("a run that has written nothing yet has an empty output, and can be followed from its start", async () => {
  const fake = await listening();
  const run = runId(fake.control.record({ job, tick, state: "claimed" }));
  const whole = await fake.get(log);
  assert.equal(await whole.text(), "");
  assert.equal(whole.headers.get("x-cicada-log-complete"), "false");
  const response = await fake.get(`${log}/stream`);
  fake.control.print(run, "at last", true);
  assert.equal(textOf(await events(response, ended)), "at last");
});

test("the reader of a live output is told when its peer goes out of reach", async () => {
  const fake = await listening();
  const run = runId(fake.control.record({ job, tick, state: "running" }));
  fake.control.print(run, "hello");
  const found = await events(await fake.get(`${log}/stream`), (seen) => {
    fake.control.outputs.delete(run);
    return seen.at(-1)?.event === "gone";
  });
  assert.match(JSON.stringify(found.at(-1)?.data), /LOG_NOT_FOUND/);
});

test("events are sent as CloudEvents, and a reader that leaves is dropped", async () => {
  const fake = await listening();
  const before = fake.control.listeners;
  const response = await fake.get("/v1/events");
  assert.equal(fake.control.listeners, before + 1);
  fake.control.record({ job, tick, state: "running" });
  fake.control.notify({ kind: "job", id: job, change: "written" });
  const [bravo] = fake.control.members.slice(1);
  assert.ok(bravo !== undefined);
  fake.control.notify({ kind: "member", member: { ...bravo, state: "dead" } });
  const found = await events(response, (seen) => seen.length === 3);
  assert.deepEqual(
    found.map(({ event }) => event),
    ["cicada.run.running", "cicada.job.written", "cicada.peer.dead"],
  );
  const first = found[0]?.data as Record<string, unknown>;
  assert.equal(first["specversion"], "1.0");
  assert.equal(first["type"], "cicada.run.running");
  assert.equal(first["subject"], `backup@${tick}~1@lpha0001`);
  assert.equal(first["source"], `/peers/${selfId}`);
  assert.equal((first["data"] as { state: string }).state, "running");
  const limit = AbortSignal.timeout(10_000);
  while (fake.control.listeners > before) {
    limit.throwIfAborted();
    await new Promise((resolve) => setImmediate(resolve));
  }
});

test("a burst of events of one run cuts no reader off, and each reader gets the last of them", async () => {
  const fake = await listening();
  const response = await fake.get("/v1/events");
  for (let version = 1; version <= 1_100; version++)
    fake.control.record({ job, tick, state: "running", reason: `version ${version}` });
  const found = await events(response, (seen) => JSON.stringify(seen).includes("version 1100"));
  assert.ok(found.length < 1_000);
});

interface CloudEvent {
  id: string;
  subject: string;
}

function subjects(found: readonly Event[]): string[] {
  return found.map(({ data }) => (data as CloudEvent).subject);
}

test("a reader of the events that comes back gets those that it has missed, once each, and then the next ones", async () => {
  const fake = await listening();
  const first = await fake.get("/v1/events");
  fake.control.notify({ kind: "job", id: "one" as JobId, change: "written" });
  const [heard] = await events(first, (seen) => seen.length === 1);
  fake.control.notify({ kind: "job", id: "two" as JobId, change: "written" });
  fake.control.record({ job, tick, state: "running" });
  const back = await fake.get("/v1/events", {
    "last-event-id": (heard?.data as CloudEvent | undefined)?.id ?? "",
  });
  fake.control.notify({ kind: "job", id: "three" as JobId, change: "deleted" });
  const found = await events(back, (seen) => seen.length === 3);
  assert.deepEqual(subjects(found), ["two", `backup@${tick}~1@lpha0001`, "three"]);
  assert.equal(new Set(found.map(({ data }) => (data as CloudEvent).id)).size, 3);
});

test("a reader that comes back before it has heard of anything names where its stream began", async () => {
  const fake = await listening();
  fake.control.notify({ kind: "job", id: "before" as JobId, change: "written" });
  const { body } = await fake.get("/v1/events");
  const { value } = (await body?.getReader().read()) ?? {};
  const [, id = ""] = /^id: (.+)\n\n/.exec(new TextDecoder().decode(value)) ?? [];
  fake.control.notify({ kind: "job", id: "after" as JobId, change: "written" });
  const back = await fake.get("/v1/events", { "last-event-id": id });
  assert.deepEqual(subjects(await events(back, (seen) => seen.length === 1)), ["after"]);
});

/** The id of the only event that this peer has told so far. */
async function firstId(fake: Listening): Promise<string> {
  const response = await fake.get("/v1/events");
  fake.control.notify({ kind: "job", id: "one" as JobId, change: "written" });
  const [heard] = await events(response, (seen) => seen.length === 1);
  assert.ok(heard !== undefined);
  return (heard.data as CloudEvent).id;
}

/** Who comes back with this id is told that events were missed, and can go on from there. */
async function missesSome(fake: Listening, last: string): Promise<void> {
  const back = await fake.get("/v1/events", { "last-event-id": last });
  fake.control.notify({ kind: "job", id: "later" as JobId, change: "written" });
  const [missed] = await events(back, (seen) => seen.length > 0);
  assert.equal(missed?.event, "cicada.events.missed", last);
  const again = await fake.get("/v1/events", { "last-event-id": (missed.data as CloudEvent).id });
  assert.deepEqual(subjects(await events(again, (seen) => seen.length === 1)), ["later"]);
}

test("a reader is told that it has missed events if they are not kept any more, or if its id is invalid", async () => {
  const fake = await listening();
  const id = await firstId(fake);
  for (let number = 0; number < 30_000; number++)
    fake.control.notify({ kind: "job", id: `job-${number}` as JobId, change: "written" });
  for (const last of [id, "10", "-"]) await missesSome(fake, last);
});

test("a reader that comes back to another life of the peer, or to another peer, is told that it has missed events", async () => {
  const startedAt = Date.parse("2026-11-20T00:00:00Z");
  const before = await listening({ startedAt });
  const id = await firstId(before);
  const later = await listening({ startedAt: startedAt + 1 });
  const other = await listening({ startedAt, self: { id: otherId, name: "bravo" } });
  for (const fake of [later, other]) {
    // The same number stands here for an event that is kept.
    const own = await firstId(fake);
    assert.equal(own.split("-").at(-1), id.split("-").at(-1));
    await missesSome(fake, id);
  }
});

test("a peer that stops ends its streams, and does not wait for their readers", async () => {
  const fake = await listening();
  const response = await fake.get("/v1/events");
  await fake.api.close();
  assert.deepEqual(await events(response, () => false), []);
});
