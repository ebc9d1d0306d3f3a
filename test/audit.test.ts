/** The audit: every change and every refusal by rights, with who, what, before and after; no secret in it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { writeCursor } from "../src/api/http/paging.ts";
import { CicadaError } from "../src/errors.ts";
import { auditActions } from "../src/schema/audit.ts";
import { accessStage, type Stage } from "./kit/access-stage.ts";
import { call } from "./kit/fake-api.ts";
import { otherId } from "./kit/fake-control.ts";

interface Entry {
  actor: string;
  action: string;
  kind: string;
  name: string;
  job?: string;
  group?: string;
  outcome: string;
  code?: string;
  before?: Record<string, unknown>;
  after?: Record<string, unknown>;
}

async function audit(stage: Stage, query = ""): Promise<Entry[]> {
  const answer = await call(stage, { url: `/v1/audit${query}` });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json().items;
}

test("each change of a job is there, with the fields that are others, also when the job is deleted", async () => {
  const stage = await accessStage();
  const editor = stage.tokenFor("editor", ["a"], { name: "ed" }).text;
  const send = (method: "POST" | "PATCH" | "PUT" | "DELETE", url: string, body?: unknown) =>
    stage.as(editor, { method, url, body });
  await send("POST", "/v1/jobs", { id: "new", command: "one", group: "a" });
  await send("PATCH", "/v1/jobs/new", { command: "two", description: "x" });
  await send("PUT", "/v1/jobs/new", { command: "two", group: "a" });
  await send("PUT", "/v1/jobs/new", { command: "two", group: "a" });
  await send("POST", "/v1/jobs/new/run", { env: { PASSWORD: "hush-hush" } });
  await send("DELETE", "/v1/jobs/new");
  const entries = (await audit(stage, "?job=new")).toReversed();
  assert.deepEqual(
    entries.map(({ actor, action, outcome, group }) => [actor, action, outcome, group]),
    [
      ["ed@alpha", "put-job", "done", "a"],
      ["ed@alpha", "patch-job", "done", "a"],
      ["ed@alpha", "put-job", "done", "a"],
      ["ed@alpha", "run-job", "done", "a"],
      ["ed@alpha", "delete-job", "done", "a"],
    ],
    "and the write that changed nothing is not there",
  );
  assert.deepEqual(entries[1]?.before, { command: "one", description: null });
  assert.deepEqual(entries[1]?.after, { command: "two", description: "x" });
  assert.deepEqual(entries[2]?.before, { description: "x" });
  assert.deepEqual(entries[3]?.after?.["env"], ["PASSWORD"]);
  assert.equal(entries[4]?.before?.["command"], "two");
  assert.ok(!JSON.stringify(entries).includes("hush-hush"));
});

test("settings, channels, secrets, tokens, peers and the key are there, without what is secret", async () => {
  const stage = await accessStage();
  const admin = stage.tokenFor("admin", undefined, { name: "boss" }).text;
  const send = (method: "POST" | "PUT" | "PATCH" | "DELETE", url: string, body?: unknown) =>
    stage.as(admin, { method, url, body });
  await send("PUT", "/v1/pools/db", { slots: 3 });
  await send("PUT", "/v1/channels/hook", {
    type: "webhook",
    url: "https://hooks.example/hidden-part",
    secret: `whsec_${"A".repeat(32)}`,
  });
  await send("PUT", "/v1/secrets/DB", { value: "very-secret-value" });
  await send("DELETE", "/v1/secrets/DB");
  const { id, token } = (await send("POST", "/v1/tokens", { name: "ci", role: "viewer" })).json();
  await send("PATCH", `/v1/tokens/${id}`, { role: "operator" });
  await send("DELETE", `/v1/tokens/${id}`);
  await send("POST", `/v1/peers/${otherId}/drain`);
  await send("POST", `/v1/peers/${otherId}/undrain`);
  await send("POST", "/v1/key/rotate");
  const entries = (await audit(stage, "?actor=boss@alpha")).toReversed();
  assert.deepEqual(
    entries.map(({ action, kind, name }) => [action, kind, name]),
    [
      ["put-setting", "pool", "db"],
      ["put-channel", "channel", "hook"],
      ["set-secret", "secret", "DB"],
      ["remove-secret", "secret", "DB"],
      ["create-token", "token", "ci"],
      ["change-token", "token", "ci"],
      ["revoke-token", "token", "ci"],
      ["drain-peer", "peer", otherId],
      ["undrain-peer", "peer", otherId],
      ["rotate-key", "key", "cluster key"],
    ],
  );
  assert.deepEqual([entries[0]?.before, entries[0]?.after], [{ slots: 1 }, { slots: 3 }]);
  const text = JSON.stringify(entries);
  for (const secret of ["very-secret", "whsec_AAA", "hidden-part", token, '"hash"']) {
    assert.ok(!text.includes(secret), secret);
  }
});

test("apply has an entry for each object, and none where nothing changed", async () => {
  const stage = await accessStage();
  const objects = [
    { kind: "pool", name: "db", slots: 5 },
    { kind: "pool", name: "other", slots: 1 },
    { kind: "job", id: "in-a", command: "changed", group: "a" },
  ];
  await call(stage, { method: "POST", url: "/v1/apply", body: { objects } });
  await call(stage, { method: "POST", url: "/v1/apply", body: { objects } });
  const entries = (await audit(stage)).toReversed();
  assert.deepEqual(
    entries.map(({ action, name }) => [action, name]),
    [
      ["put-setting", "db"],
      ["put-setting", "other"],
      ["put-job", "in-a"],
    ],
  );
});

test("refusals by rights are there; what the peer refused by itself, and what was only read, is not", async () => {
  const stage = await accessStage();
  const viewer = stage.tokenFor("viewer", ["a"], { name: "eve" }).text;
  await stage.as(viewer, { url: "/v1/jobs" });
  await stage.as(viewer, { method: "DELETE", url: "/v1/jobs/in-a" });
  await stage.as(viewer, { method: "DELETE", url: "/v1/jobs/in-b" });
  const editor = stage.tokenFor("editor", ["a"], { name: "ed" }).text;
  await stage.as(editor, { method: "PATCH", url: "/v1/jobs/in-a", body: { group: "b" } });
  await call(stage, { method: "POST", url: "/v1/jobs", body: { id: "in-a", command: "x" } });
  const entries = await audit(stage);
  assert.deepEqual(
    entries.map(({ actor, action, name, outcome, code }) => [actor, action, name, outcome, code]),
    [
      ["ed@alpha", "patch-job", "in-a", "refused", "FORBIDDEN"],
      ["eve@alpha", "DELETE /v1/jobs/:id", "/v1/jobs/in-b", "refused", "JOB_NOT_FOUND"],
      ["eve@alpha", "DELETE /v1/jobs/:id", "/v1/jobs/in-a", "refused", "FORBIDDEN"],
    ],
  );
});

test("what was noted before it was done, and then failed for any reason, is there as failed, too", async () => {
  const stage = await accessStage();
  const error = new CicadaError("TICK_BEGUN", "the tick had begun");
  for (const isNoted of [true, false]) {
    stage.control.ask = async () => ({ kind: "refused", error, isNoted });
    await call(stage, { method: "POST", url: `/v1/jobs/${otherId}/skip`, body: { next: 1 } });
  }
  const entries = await audit(stage);
  assert.deepEqual(
    entries.map(({ action, outcome, code }) => [action, outcome, code]),
    [["skip-ticks", "failed", "TICK_BEGUN"]],
  );
});

test("the audit is found by a part of the actor, and an action that doesn't exist is refused with those that do", async () => {
  const stage = await accessStage();
  await call(stage, { method: "POST", url: "/v1/jobs/in-a/pause" });
  await stage.as(stage.tokenFor("viewer", undefined, { name: "eve" }).text, {
    method: "DELETE",
    url: "/v1/jobs/in-a",
  });
  const found = async (query: string): Promise<string[]> =>
    (await audit(stage, query)).map(({ action }) => action);
  assert.deepEqual(await found("?actor=admin"), ["pause-job"]);
  assert.deepEqual(await found("?actor=eve@"), ["DELETE /v1/jobs/:id"]);
  assert.deepEqual(await found("?action=DELETE+/v1/jobs/:id"), ["DELETE /v1/jobs/:id"]);
  assert.deepEqual(await found("?action=delete-job"), []);
  const unknown = await call(stage, { url: "/v1/audit?action=delete" });
  assert.equal(unknown.json().code, "UNPROCESSABLE");
  assert.deepEqual(unknown.json().errors, [
    {
      pointer: "/action",
      message: `there is no action "delete"; the actions are ${auditActions.join(", ")}`,
    },
  ]);
});

test("one token's refusals fill at most its share of the audit", async () => {
  const stage = await accessStage();
  const viewer = stage.tokenFor("viewer").text;
  for (let i = 0; i < 150; i++) await stage.as(viewer, { method: "DELETE", url: "/v1/jobs/in-a" });
  assert.ok(stage.control.audited.length <= 120, "60 in each minute that the test has touched");
});

test("the audit goes page by page, says which peers it covers, and shows an admin of a group its group alone", async () => {
  const stage = await accessStage();
  for (const slots of [2, 3, 4]) await call(stage, { method: "PUT", url: "/v1/pools/db", body: { slots } });
  await call(stage, { method: "POST", url: "/v1/jobs/in-a/pause" });
  const page = (await call(stage, { url: "/v1/audit?limit=3" })).json();
  assert.deepEqual(
    page.peers.map(({ name, covered }: { name: string; covered: boolean }) => [name, covered]),
    [
      ["alpha", true],
      ["bravo", false],
    ],
  );
  const rest = (await call(stage, { url: `/v1/audit?limit=3&cursor=${page.nextCursor}` })).json();
  assert.equal(page.items.length + rest.items.length, 4);
  assert.equal(rest.nextCursor, null);
  const own = await stage.as(stage.tokenFor("admin", ["a"]).text, { url: "/v1/audit" });
  assert.deepEqual(
    own.json().items.map((one: Entry) => one.action),
    ["pause-job"],
  );
});

test("a change is answered although its entry could not be stored, and the log has it", async () => {
  const stage = await accessStage();
  stage.control.noteAudit = async () => {
    throw new Error("no space");
  };
  assert.equal((await call(stage, { method: "POST", url: "/v1/jobs/in-a/pause" })).statusCode, 200);
  assert.match(stage.errors[0]?.message ?? "", /audit could not be stored/);
});

test("a long cursor, as a large mesh gives it, is taken", async () => {
  const stage = await accessStage();
  const long = writeCursor("audit", "1".padStart(5_000, "0"));
  assert.equal((await call(stage, { url: `/v1/audit?cursor=${long}` })).statusCode, 200);
});
