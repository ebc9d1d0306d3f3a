/** `cicada token`, against an API whose answers the test sets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { problem, StubPeer } from "./kit/cli-stage.ts";

const ci = {
  id: "0123456789ab",
  name: "ci",
  role: "operator",
  groups: ["web"],
  expires: null,
  expired: false,
  createdAt: "2026-11-20T02:00:00.000Z",
  createdBy: "admin@alder",
};

test("token create prints the token alone on standard output, so that it can go into a file", async () => {
  await using stub = await StubPeer.open();
  stub.on("POST /v1/tokens", { status: 201, body: { ...ci, token: "cicada_x" } });
  const done = await stub.cicada("token", "create", "ci", "--role", "operator", "--group", "web,db");
  assert.equal(done.code, 0);
  assert.equal(done.stdout.trim(), "cicada_x");
  assert.match(done.stderr, /shown only once/);
  assert.deepEqual(stub.asked.at(-1)?.body, { name: "ci", role: "operator", groups: ["web", "db"] });
});

test("token ls lists them, and token rm takes a name or an id", async () => {
  await using stub = await StubPeer.open();
  stub.on("GET /v1/tokens", { body: { items: [ci], nextCursor: null } });
  stub.on(`DELETE /v1/tokens/${ci.id}`, { status: 204 });
  assert.match((await stub.cicada("token", "ls")).stdout, /ci\s+0123456789ab\s+operator\s+web\s+never/);
  assert.match((await stub.cicada("token", "rm", "ci")).stdout, /ci revoked/);
  const none = await stub.cicada("token", "rm", "nobody");
  assert.equal(none.code, 3);
  const revoked = () => stub.asked.filter(({ method }) => method === "DELETE").length;
  assert.equal(revoked(), 1);
  assert.equal((await stub.cicada("token", "rm", "ci", "nobody")).code, 3);
  assert.equal(revoked(), 1, "nothing is revoked if one of them is unknown");
  assert.equal((await stub.cicada("token", "rm", "ci", ci.id)).code, 0);
  assert.equal(revoked(), 2, "one token that is named twice is revoked once");
});

test("what the token may not do exits with 7 and says how to get a token that may", async () => {
  await using stub = await StubPeer.open();
  stub.on("GET /v1/tokens", problem(403, "FORBIDDEN", "this needs the role admin; ci is viewer"));
  const done = await stub.cicada("token", "ls");
  assert.equal(done.code, 7);
  assert.match(done.stderr, /this needs the role admin/);
  assert.match(done.stderr, /token create/);
});

test("a time that can't be read as an end is refused with both forms that can", async () => {
  await using stub = await StubPeer.open();
  for (const text of ["yesterday", "10"]) {
    const said = await stub.cicada("token", "create", "ci", "--role", "viewer", "--expires", text);
    assert.equal(said.code, 2);
    assert.ok(
      said.stderr.includes(`--expires ${text}: give a duration from now such as 90d, or an RFC 3339`),
    );
  }
  assert.deepEqual(stub.asked, []);
});

test("audit shows who did what, and which peers it doesn't cover", async () => {
  await using stub = await StubPeer.open();
  const entry = {
    at: "2026-11-20T02:00:00.000Z",
    actor: "ci@alder",
    action: "put-job",
    kind: "job",
    name: "backup",
  };
  const peers = [
    { id: "1", name: "alder", covered: true },
    { id: "2", name: "birch", covered: false },
  ];
  stub.on("GET /v1/audit", {
    body: { items: [{ ...entry, outcome: "done", peer: peers[0] }], nextCursor: null, peers },
  });
  const said = await stub.cicada("audit", "--job", "backup", "--limit", "5");
  assert.match(said.stdout, /ci@alder +put-job +job backup +done/);
  assert.match(said.stderr, /birch/);
  assert.deepEqual(stub.asked.at(-1)?.query, { job: "backup", limit: "5" });
});
