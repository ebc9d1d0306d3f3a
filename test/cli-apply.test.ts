/** `cicada apply`, against an API whose answers the test sets. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { problem, StubPeer } from "./kit/cli-stage.ts";

test("what is wrong with a file is said with its document and field, not with a place in the request", async () => {
  await using stub = await StubPeer.open();
  const errors = [
    { pointer: "/objects/1/retry/attemps", message: "unknown field" },
    { pointer: "/objects/0", message: "has neither kind nor id" },
  ];
  stub.on("POST /v1/apply", problem(422, "INVALID_OBJECT", "see errors", errors));
  const file = path.join(stub.folder, "jobs.yaml");
  writeFileSync(file, "name: x\n---\nid: y\nretry: {attemps: 2}\n");
  const said = await stub.cicada("apply", "-f", file);
  assert.equal(said.code, 2);
  assert.ok(said.stderr.includes(`${file}, document 2: retry.attemps: unknown field`), said.stderr);
  assert.ok(said.stderr.includes(`${file}, document 1: has neither kind nor id`), said.stderr);
});
