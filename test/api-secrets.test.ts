/** Secrets over the API and the command line: a value goes in, and never comes out. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { cicada, StubPeer } from "./kit/cli-stage.ts";
import { call, fakeApi } from "./kit/fake-api.ts";
import type { PeerId } from "../src/schema/ids.ts";
import { otherId, selfId } from "./kit/fake-control.ts";

const value = "hunter2-and-more";
const url = "/v1/secrets/TOKEN";

describe("PUT /v1/secrets/{name}", () => {
  test("keeps a value for this peer alone, and the answer doesn't show it", async () => {
    const fake = fakeApi();
    const answer = await call(fake, { method: "PUT", url, body: { value } });
    assert.equal(answer.statusCode, 200);
    assert.deepEqual(fake.control.secretChanges, [{ name: "TOKEN", value, by: "admin@alpha" }]);
    assert.ok(!answer.body.includes(value));
  });

  test("seals it to named peers, or to all members once a person has confirmed each", async () => {
    const fake = fakeApi();
    await call(fake, { method: "PUT", url, body: { value, peers: ["bravo", otherId] } });
    assert.partialDeepStrictEqual(fake.control.secretChanges, [{ peers: [otherId] }]);
    const all = await call(fake, { method: "PUT", url, body: { value, peers: "all" } });
    assert.equal(all.statusCode, 409);
    assert.equal(all.json().code, "UNCONFIRMED_RECIPIENTS");
    assert.match(all.json().errors[0].message, /bravo .*no person has confirmed it/);
    fake.control.members = fake.control.members.map((one) => ({ ...one, confirmed: true }));
    assert.equal((await call(fake, { method: "PUT", url, body: { value, peers: "all" } })).statusCode, 200);
    assert.partialDeepStrictEqual(fake.control.secretChanges[1], { peers: [selfId, otherId] });
  });

  const refused: [string, object, number, RegExp][] = [
    ["no value", {}, 400, /\/value/],
    ["a value that is no text", { value: 123456 }, 400, /\/value/],
    ["an unknown field", { value, peer: "all" }, 400, /did you mean \\?"peers/],
    ["a peer that isn't there", { value, peers: ["nobody"] }, 404, /there is no peer/],
    ["no peers", { value, peers: [] }, 400, /\/peers/],
  ];
  for (const [title, body, status, says] of refused) {
    test(`refuses ${title}, without showing the value`, async () => {
      const fake = fakeApi();
      const answer = await call(fake, { method: "PUT", url, body });
      assert.equal(answer.statusCode, status);
      assert.match(answer.body, says);
      assert.ok(!answer.body.includes(value));
      assert.deepEqual(fake.control.secretChanges, []);
    });
  }
});

describe("GET /v1/secrets", () => {
  test("says of each secret who has it, who doesn't, and which jobs name it", async () => {
    const fake = fakeApi();
    const sealed = {
      version: Date.parse("2026-11-20T00:00:00Z"),
      box: "AA",
      keys: { [otherId]: "AA", gone: "AA" },
    };
    fake.control.settingValues.set("secrets", new Map([["TOKEN", sealed]]));
    fake.control.forgotten = [{ peer: "gone" as PeerId, by: "x", at: 0, name: "mallory" }];
    const job = { id: "deploy", command: "true", secrets: ["TOKEN", "OTHER"] };
    assert.equal((await call(fake, { method: "POST", url: "/v1/jobs", body: job })).statusCode, 201);
    fake.control.held = { own: new Map(), faults: new Map([["OTHER", "it is a link"]]), unopened: [] };
    const { items } = (await call(fake, { url: "/v1/secrets" })).json();
    assert.deepEqual(
      items.map(({ name }: { name: string }) => name),
      ["OTHER", "TOKEN"],
    );
    assert.partialDeepStrictEqual(items[0], { sealedAt: null, jobs: ["deploy"] });
    assert.match(items[0].peers[0].problem, /its file is not used: it is a link/);
    assert.deepEqual(items[1], {
      name: "TOKEN",
      sealedAt: "2026-11-20T00:00:00.000Z",
      peers: [
        { id: selfId, name: "alpha", has: false, from: null, problem: null },
        { id: otherId, name: "bravo", has: true, from: "sealed", problem: null },
      ],
      forgotten: [{ id: "gone", name: "mallory" }],
      jobs: ["deploy"],
    });
    assert.deepEqual((await call(fake, { url })).json(), items[1]);
    const none = await call(fake, { url: "/v1/secrets/NONE" });
    assert.equal(none.statusCode, 404);
    assert.equal(none.json().code, "SECRET_NOT_FOUND");
  });

  test("DELETE removes one", async () => {
    const fake = fakeApi();
    assert.equal((await call(fake, { method: "DELETE", url })).statusCode, 204);
    assert.deepEqual(fake.control.secretChanges, [{ removed: "TOKEN" }]);
  });
});

describe("cicada secrets", () => {
  const shown = {
    name: "TOKEN",
    sealedAt: null,
    peers: [
      { id: "1", name: "ada", has: true, from: "sealed", problem: null },
      {
        id: "2",
        name: "bob",
        has: false,
        from: "own",
        problem: "its own value is older than the sealed one",
      },
    ],
    forgotten: [{ id: "3", name: "mallory" }],
    jobs: ["deploy"],
  };

  test("set reads the value from a file, without its last line break, and says who has it", async () => {
    await using stub = await StubPeer.open();
    stub.on("PUT /v1/secrets/TOKEN", { status: 200, body: shown });
    const file = path.join(stub.folder, "token");
    writeFileSync(file, `${value}\n`);
    const said = await stub.cicada("secrets", "set", "TOKEN", "--file", file, "--peers", "ada,bob");
    assert.equal(said.code, 0, said.stderr);
    assert.deepEqual(stub.asked[0]?.body, { value, peers: ["ada", "bob"] });
    assert.match(said.stdout, /TOKEN set; ada has it\nbob won't run jobs that name it/);
    await stub.cicada("secrets", "set", "TOKEN", "--file", file, "--peers", "all");
    assert.deepEqual(stub.asked[1]?.body, { value, peers: "all" });
  });

  test("set takes no value as an argument", async () => {
    const said = await cicada(["secrets", "set", "TOKEN", value]);
    assert.equal(said.code, 2);
    assert.match(said.stderr, /too many arguments/);
  });

  test("ls shows who has each, who doesn't, and who may still know it; rm removes", async () => {
    await using stub = await StubPeer.open();
    stub.on("GET /v1/secrets", { status: 200, body: { items: [shown], nextCursor: null } });
    stub.on("DELETE /v1/secrets/TOKEN", { status: 204 });
    const said = await stub.cicada("secrets", "ls");
    assert.match(
      said.stdout,
      /TOKEN +ada +bob +deploy +known to mallory, which was forgotten; bob: its own value is older/,
    );
    assert.match((await stub.cicada("secrets", "rm", "TOKEN")).stdout, /TOKEN removed/);
  });
});
