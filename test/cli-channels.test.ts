/** `cicada channels`, against an API whose answers the test sets. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { cicada, StubPeer } from "./kit/cli-stage.ts";

const ops = { name: "ops", type: "slack", usedBy: ["backup"], lastMessage: null, problems: [] };

async function set(stub: StubPeer, ...flags: string[]) {
  return cicada(["channels", "set", "ops", "--data", stub.data, ...flags]);
}

/** What a peer answers that has a secret of that name. */
function secretsNamed(name: string) {
  const peers = [{ id: "1", name: "alder", has: true, from: "own", problem: null }];
  return { body: { items: [{ name, sealedAt: null, peers, forgotten: [], jobs: [] }], nextCursor: null } };
}

test("a secret that is given in place of its name is refused before it is written anywhere", async () => {
  await using stub = await StubPeer.open();
  stub.on("GET /v1/secrets", secretsNamed("HOOK"));
  stub.on("PUT /v1/channels/ops", { status: 201, body: ops });
  const flags = ["--type", "webhook", "--url", "https://hooks.example", "--secret"];
  const pasted = await set(stub, ...flags, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLjSw");
  assert.equal(pasted.code, 3);
  assert.match(pasted.stderr, /the name of a secret.*the secret itself goes into --secret-file/);
  const address = await set(stub, "--type", "slack", "--url-secret", "https://hooks.example/T0/B0/x");
  assert.equal(address.code, 3);
  assert.match(address.stderr, /the name of a secret.*an address goes into --url/);
  const writes = () => stub.asked.filter(({ method }) => method === "PUT").length;
  assert.equal(writes(), 0);
  assert.equal((await set(stub, ...flags, "HOOK")).code, 0);
  assert.equal(writes(), 1);
});

test("flags make a channel that names secrets, subscribes to the mesh and has a link", async () => {
  await using stub = await StubPeer.open();
  stub.on("PUT /v1/channels/ops", { status: 201, body: ops });
  stub.on("GET /v1/secrets", secretsNamed("SLACK_URL"));
  const flags = ["--type", "slack", "--url-secret", "SLACK_URL", "--link", "https://c.example"];
  const said = await set(stub, ...flags, "--mesh", "peer-dead", "--mesh", "disk");
  assert.equal(said.code, 0, said.stderr);
  assert.deepEqual(stub.asked.at(-1)?.body, {
    type: "slack",
    url: { name: "SLACK_URL" },
    mesh: ["peer-dead", "disk"],
    link: "https://c.example",
  });
});

test("a secret is read from a file, or named, not both", async () => {
  await using stub = await StubPeer.open();
  stub.on("PUT /v1/channels/ops", { status: 201, body: ops });
  const file = path.join(stub.folder, "token");
  writeFileSync(file, "A-token\n");
  const flags = ["--type", "gotify", "--url", "https://push.example.org"];
  assert.equal((await set(stub, ...flags, "--secret-file", file)).code, 0);
  assert.deepEqual(stub.asked.at(-1)?.body, {
    type: "gotify",
    url: "https://push.example.org",
    secret: "A-token",
  });
  const both = await set(stub, ...flags, "--secret-file", file, "--secret", "TOKEN");
  assert.equal(both.code, 2);
  assert.match(both.stderr, /give --secret-file or --secret, not both/);
});

test("the list shows a refused message as the channel's failure", async () => {
  await using stub = await StubPeer.open();
  const lastMessage = { at: "2026-11-20T11:59:00.000Z", ok: false, error: "hooks.example answered 404" };
  const items = [{ ...ops, lastMessage }];
  stub.on("GET /v1/channels", { body: { items, nextCursor: null, total: 1 } });
  const said = await cicada(["channels", "ls", "--data", stub.data]);
  assert.equal(said.code, 0, said.stderr);
  assert.match(said.stdout, /ops\s+slack\s+1\s+.*ago\s+hooks\.example answered 404/);
});
