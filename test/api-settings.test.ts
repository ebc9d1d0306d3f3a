/** Settings over the API and the command line: every kind is listed, read, set and removed alike. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StubPeer } from "./kit/cli-stage.ts";
import { call, fakeApi } from "./kit/fake-api.ts";

const nightly = {
  schedule: "0 1 * * *",
  timezone: "Europe/Berlin",
  duration: "2h",
  note: "backups of the disks",
};

describe("GET, PUT and DELETE /v1/maintenance/{name}", () => {
  const url = "/v1/maintenance/nightly";

  test("PUT creates it (201), then replaces it (200), and GET shows it with its name", async () => {
    const fake = fakeApi();
    const made = await call(fake, { method: "PUT", url, body: nightly });
    assert.equal(made.statusCode, 201);
    assert.equal(made.headers["location"], url);
    assert.deepEqual(made.json(), { name: "nightly", ...nightly });
    const changed = await call(fake, { method: "PUT", url, body: { ...nightly, duration: "3h" } });
    assert.equal(changed.statusCode, 200);
    assert.equal((await call(fake, { url })).json().duration, "3h");
  });

  test("the list is paged by name", async () => {
    const fake = fakeApi();
    for (const name of ["c", "a", "b"])
      await call(fake, { method: "PUT", url: `/v1/maintenance/${name}`, body: nightly });
    const first = (await call(fake, { url: "/v1/maintenance?limit=2" })).json();
    assert.deepEqual(
      first.items.map(({ name }: { name: string }) => name),
      ["a", "b"],
    );
    const rest = (await call(fake, { url: `/v1/maintenance?limit=2&cursor=${first.nextCursor}` })).json();
    assert.deepEqual(
      rest.items.map(({ name }: { name: string }) => name),
      ["c"],
    );
    assert.equal(rest.nextCursor, null);
  });

  test("DELETE removes it (204); one that isn't there is 404 and says how to list them", async () => {
    const fake = fakeApi();
    await call(fake, { method: "PUT", url, body: nightly });
    assert.equal((await call(fake, { method: "DELETE", url })).statusCode, 204);
    for (const method of ["GET", "DELETE"] as const) {
      const gone = await call(fake, { method, url });
      assert.equal(gone.statusCode, 404);
      assert.equal(gone.json().code, "SETTING_NOT_FOUND");
      assert.match(gone.json().hint, /maintenance ls/);
    }
  });

  const refused: readonly [says: string, body: unknown, pointer: string][] = [
    ["an unknown field", { ...nightly, durration: "1h" }, "/durration"],
    ["a duration that is none", { ...nightly, duration: "long" }, "/duration"],
    ["a schedule that is none", { ...nightly, schedule: ["0 1 * * *", "sometimes"] }, "/schedule/1"],
    ["nothing", {}, ""],
    ["a list", [], ""],
  ];
  for (const [says, body, pointer] of refused) {
    test(`${says} is refused with its place, and nothing is written`, async () => {
      const fake = fakeApi();
      const answer = await call(fake, { method: "PUT", url, body });
      assert.equal(answer.statusCode, 400);
      assert.equal(answer.json().errors[0].pointer, pointer);
      assert.equal(fake.control.settings("maintenance").size, 0);
    });
  }

  test("a name that can't be one is refused", async () => {
    const fake = fakeApi();
    const answer = await call(fake, { method: "PUT", url: "/v1/maintenance/A%20B", body: nightly });
    assert.equal(answer.statusCode, 400);
    assert.match(answer.json().detail, /a name is 1 to 64/);
  });
});

describe("cicada maintenance", () => {
  test("set sends what the flags say, ls and get show it, rm removes it", async () => {
    await using stub = await StubPeer.open();
    const shown = { name: "nightly", ...nightly, group: "db" };
    stub
      .on("PUT /v1/maintenance/nightly", { status: 201, body: shown })
      .on("GET /v1/maintenance", { body: { items: [shown], nextCursor: null } })
      .on("GET /v1/maintenance/nightly", { body: shown })
      .on("DELETE /v1/maintenance/nightly", { status: 204, body: undefined });
    const flags = ["--schedule", "0 1 * * *", "--tz", "Europe/Berlin", "--duration", "2h", "--group", "db"];
    const set = await stub.cicada("maintenance", "set", "nightly", ...flags, "--note", nightly.note);
    assert.equal(set.code, 0, set.stderr);
    assert.match(set.stdout, /maintenance nightly set: 0 1 \* \* \* \(Europe\/Berlin\), each for 2h/);
    assert.deepEqual(stub.asked.at(-1)?.body, { ...nightly, group: "db" });
    assert.match(
      (await stub.cicada("maintenance", "ls")).stdout,
      /nightly .*each for 2h +db +backups of the disks/,
    );
    assert.match((await stub.cicada("maintenance", "get", "nightly")).stdout, /group +db/);
    const removed = await stub.cicada("maintenance", "rm", "nightly");
    assert.equal(removed.code, 0, removed.stderr);
    assert.match(removed.stdout, /maintenance nightly removed/);
  });

  test("a refused value is told by its flag", async () => {
    await using stub = await StubPeer.open();
    stub.on("PUT /v1/maintenance/nightly", {
      status: 400,
      body: {
        type: "about:blank",
        title: "The request is not valid",
        status: 400,
        code: "BAD_REQUEST",
        detail: "see errors",
        errors: [{ pointer: "/duration", message: "is missing" }],
      },
    });
    const set = await stub.cicada("maintenance", "set", "nightly", "--schedule", "@daily");
    assert.notEqual(set.code, 0);
    assert.match(set.stderr, /--duration.*is missing/);
  });
});
