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

test("a warning that holds for many things is given once", async () => {
  await using stub = await StubPeer.open();
  const why = "no peer can run it now: no peer of the mesh has its tags (disk=ssd)";
  const warnings = [
    ...Array.from({ length: 8 }, (_, index) => ({ job: `j${index}`, message: why })),
    { kind: "pool", name: "db", message: "it has no slots" },
  ];
  const counts = { create: 0, update: 0, delete: 0, unchanged: 9 };
  stub.on("POST /v1/apply", { body: { applied: true, items: [], counts, warnings } });
  const file = path.join(stub.folder, "jobs.yaml");
  writeFileSync(file, "id: y\n");
  const said = await stub.cicada("apply", "-f", file);
  assert.equal(
    said.stderr,
    `warning: j0, j1, j2, j3, j4 and 3 more: ${why}\nwarning: pool db: it has no slots\n`,
  );
});
