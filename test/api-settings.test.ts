/** Settings over the API and the command line: every kind is listed, read, set and removed alike. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
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

  test("PUT warns of a group that no job is in, with the nearest one that there is", async () => {
    const fake = fakeApi();
    const job = { id: "a", command: "true", group: "billing" };
    await call(fake, { method: "POST", url: "/v1/jobs", body: job });
    const mistyped = await call(fake, { method: "PUT", url, body: { ...nightly, group: "biling" } });
    assert.equal(mistyped.statusCode, 201);
    assert.deepEqual(mistyped.json().warnings, [
      'no job is in the group "biling" yet: did you mean "billing"?',
    ]);
    const known = await call(fake, { method: "PUT", url, body: { ...nightly, group: "billing" } });
    assert.equal(known.json().warnings, undefined);
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
      assert.equal(answer.statusCode, 422);
      assert.equal(answer.json().errors[0].pointer, pointer);
      assert.equal(fake.control.settings("maintenance").size, 0);
    });
  }

  test("a name that can't be one is refused", async () => {
    const fake = fakeApi();
    const answer = await call(fake, { method: "PUT", url: "/v1/maintenance/A%20B", body: nightly });
    assert.equal(answer.statusCode, 422);
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

  test("a refused value is named by its flag", async () => {
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

describe("calendars over the API", () => {
  const url = "/v1/calendars/holidays";
  const dates = ["2026-12-24/2026-12-26", "2027-01-01"];

  test("PUT takes dates, GET shows them with the jobs that name the calendar, the list is short", async () => {
    const fake = fakeApi();
    const made = await call(fake, { method: "PUT", url, body: { dates, note: "office closed" } });
    assert.equal(made.statusCode, 201);
    const job = { id: "report", schedule: "@daily", command: "true", except: ["calendar:holidays"] };
    assert.equal((await call(fake, { method: "POST", url: "/v1/jobs", body: job })).statusCode, 201);
    const shown = { name: "holidays", dates, note: "office closed" };
    assert.deepEqual((await call(fake, { url })).json(), { ...shown, jobs: ["report"] });
    assert.deepEqual((await call(fake, { url: "/v1/calendars" })).json().items, [shown]);
  });

  test("DELETE of one that jobs name is 409 and names them", async () => {
    const fake = fakeApi();
    await call(fake, { method: "PUT", url, body: { dates } });
    const job = { id: "report", schedule: "@daily", command: "true", except: ["calendar:holidays"] };
    await call(fake, { method: "POST", url: "/v1/jobs", body: job });
    const refused = await call(fake, { method: "DELETE", url });
    assert.equal(refused.statusCode, 409);
    assert.equal(refused.json().code, "SETTING_IN_USE");
    assert.match(refused.json().detail, /used by report/);
    assert.equal((await call(fake, { method: "DELETE", url: "/v1/jobs/report" })).statusCode, 204);
    assert.equal((await call(fake, { method: "DELETE", url })).statusCode, 204);
  });

  test("a job that names one that isn't there is 422 with the entry's place", async () => {
    const fake = fakeApi();
    const job = { id: "x", schedule: "@daily", command: "true", except: ["2026-12-24", "calendar:none"] };
    const answer = await call(fake, { method: "POST", url: "/v1/jobs", body: job });
    assert.equal(answer.statusCode, 422);
    assert.equal(answer.json().errors[0].pointer, "/except/1");
  });

  test("the preview leaves its days out", async () => {
    const fake = fakeApi();
    await call(fake, { method: "PUT", url, body: { dates } });
    const body = {
      schedule: "@daily",
      except: ["calendar:holidays"],
      from: "2026-12-23T12:00:00Z",
      count: 3,
    };
    const preview = (await call(fake, { method: "POST", url: "/v1/schedules/preview", body })).json();
    assert.equal(preview.ticks[0], "2026-12-27T00:00:00Z");
    assert.equal(preview.skipped.length, 3);
  });
});

describe("cicada calendars", () => {
  test("set sends dates, or the text of a file; ls and get show it", async () => {
    await using stub = await StubPeer.open();
    const dates = ["2026-12-24/2026-12-26", "2027-01-01"];
    const expanded = { days: dates, floating: [], spans: [], until: "2047-01-01T00:00:00Z" };
    const shown = { name: "holidays", ical: "BEGIN:VCALENDAR", expanded, jobs: ["report"], note: "closed" };
    stub
      .on("PUT /v1/calendars/holidays", { body: { name: "holidays", dates, jobs: [] } })
      .on("PUT /v1/calendars/others", { body: shown })
      .on("GET /v1/calendars", { body: { items: [{ name: "holidays", dates }], nextCursor: null } })
      .on("GET /v1/calendars/holidays", { body: shown });
    const set = await stub.cicada(
      "calendars",
      "set",
      "holidays",
      "--dates",
      "2026-12-24/2026-12-26",
      "--dates",
      "2027-01-01",
    );
    assert.equal(set.code, 0, set.stderr);
    assert.match(set.stdout, /calendar holidays covers 2026-12-24\/2026-12-26, 2027-01-01/);
    assert.deepEqual(stub.asked.at(-1)?.body, { dates });
    const file = path.join(stub.folder, "holidays.ics");
    writeFileSync(file, "BEGIN:VCALENDAR");
    const ofFile = await stub.cicada("calendars", "set", "others", "--ical", file);
    assert.equal(ofFile.code, 0, ofFile.stderr);
    assert.match(ofFile.stdout, /covers 2 times: .*expanded up to 2047-01-01/);
    assert.deepEqual(stub.asked.at(-1)?.body, { ical: "BEGIN:VCALENDAR" });
    assert.match((await stub.cicada("calendars", "ls")).stdout, /holidays +2026-12-24/);
    assert.match((await stub.cicada("calendars", "get", "holidays")).stdout, /jobs +report/);
  });
});
