/** The table as objects: what an export says, apply takes back without a change; a set is one change. */
import assert from "node:assert/strict";
import path from "node:path";
import { after, describe, test } from "node:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import fc from "fast-check";
import { StubPeer } from "./kit/cli-stage.ts";
import { call, fakeApi, type FakeApi } from "./kit/fake-api.ts";
import { readDocuments } from "../src/cli/terminal/documents.ts";

/** Texts that YAML could take for something else, and any others. */
const texts = [
  ["", " ", "~", "null", "yes", "0x1F", "1e3", "007", "2026-12-24", "---", "...", "- a", "a: b", "# no"],
  ["!!str x", "&a", "*a", "%", "@daily", "`x`", "<<", "$HOME", "a\n\nb\n", "\n", "\ttab", "trailing ", "|"],
  ["\u0085\u2028x", "\u202eright", "\u001b[31m", "😀", "é\u0301", "\ufeffmark", "'", '"', "\\n", "a\r\nb"],
  ["x".repeat(300), `${"long words ".repeat(30)}end`],
].flat();
const tricky = fc.constantFrom(...texts);
const anyText = fc.oneof(
  tricky,
  fc.string({ unit: "grapheme", maxLength: 200 }).filter((text) => !text.includes("\0")),
);
const word = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,20}$/);
const optional = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined });

const job = fc
  .record({
    kind: fc.constant("job"),
    schedule: optional(fc.constantFrom("0 3 * * 1-5", "@every 90s", "*/5 * * * * *", "H H * * *", "@daily")),
    timezone: optional(fc.constantFrom("UTC", "Europe/Berlin")),
    command: anyText.filter((text) => text.trim() !== ""),
    stdin: optional(anyText),
    env: optional(fc.dictionary(fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,9}$/), anyText, { maxKeys: 4 })),
    description: optional(anyText),
    owner: optional(anyText.filter(({ length }) => length <= 256)),
    labels: optional(
      fc.dictionary(
        word,
        anyText.filter(({ length }) => length <= 256),
        { maxKeys: 3 },
      ),
    ),
    enabled: optional(fc.boolean()),
    timeout: optional(fc.constantFrom<string | number>("90s", 0)),
    umask: optional(fc.constantFrom("022", "0077")),
    retry: optional(fc.record({ attempts: fc.nat(9), factor: fc.constantFrom(1, 1.5, 2) })),
    success: optional(fc.record({ exitCodes: fc.constantFrom([0], [0, 3]), mustMatch: fc.constant("a|b") })),
    params: optional(fc.record({ DAY: fc.record({ type: fc.constant("string"), default: anyText }) })),
    partition: optional(fc.constantFrom("available", "majority")),
  })
  .map((fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)));

const others = fc.record({
  note: anyText.filter(({ length }) => length <= 256),
  env: fc.dictionary(fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,9}$/), anyText, { maxKeys: 3 }),
  slots: fc.nat(20),
});

async function apply(fake: FakeApi, objects: unknown[], query = "") {
  const answer = await call(fake, { method: "POST", url: `/v1/apply${query}`, body: { objects } });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json() as { counts: Record<string, number>; items: { changes: unknown[] }[] };
}

describe("export, then apply", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "cicada-declared-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  test("plans nothing, for every kind and any value, in each form that export prints", async () => {
    await using stub = await StubPeer.open();
    const property = fc.asyncProperty(
      fc.array(job, { minLength: 1, maxLength: 3 }),
      others,
      async (jobs, { note, env, slots }) => {
        const fake = fakeApi();
        const atTheEnd = { id: "z", command: "x", description: "ends with an empty line\n\n" };
        const objects = [
          atTheEnd,
          ...jobs.map((one, index) => ({ ...one, id: `job-${index}` })),
          { kind: "group", name: "etl", env, description: note, timezone: "Europe/Berlin" },
          { kind: "pool", name: "db", slots, note },
          { kind: "calendar", name: "feasts", dates: ["2026-12-24", "2026-12-31/2027-01-02"], note },
          { kind: "maintenance", name: "sundays", schedule: "0 2 * * 0", duration: "2h", note },
          {
            kind: "channel",
            name: "ops",
            type: "ntfy",
            url: "https://ntfy.example.org/a",
            secret: "tk_hidden",
          },
        ];
        const made = await apply(fake, objects);
        assert.equal(made.counts["create"], objects.length);
        const exported = (await call(fake, { url: "/v1/export" })).json() as { items: unknown[] };
        stub.on("GET /v1/export", { body: exported });
        for (const form of ["table", "yaml", "json"]) {
          const printed = await stub.cicada("export", "-o", form);
          assert.equal(printed.code, 0, printed.stderr);
          assert.ok(!printed.stdout.includes("tk_hidden"));
          const file = path.join(folder, "exported.yaml");
          writeFileSync(file, printed.stdout);
          const planned = await apply(
            fake,
            readDocuments(file).map(({ value }) => value),
            "?dryRun=true",
          );
          assert.deepEqual(planned.counts, { create: 0, update: 0, delete: 0, unchanged: objects.length });
        }
      },
    );
    await fc.assert(property, { numRuns: 25 });
  });

  test("on a screen no text of a job moves the cursor, and what is printed is still the same", async () => {
    await using stub = await StubPeer.open();
    const item = { kind: "job", id: "a", command: "echo \u009b31m\u202e" };
    stub.on("GET /v1/export", { body: { items: [item], leftOut: [] } });
    const said = await stub.onScreen("export");
    assert.doesNotMatch(said.stdout, /[\u009b\u202e]/);
    const file = path.join(folder, "screen.yaml");
    writeFileSync(file, said.stdout);
    assert.deepEqual(
      readDocuments(file).map(({ value }) => value),
      [item],
    );
  });

  test("what this peer can't read is named, on standard error and as a comment", async () => {
    await using stub = await StubPeer.open();
    const leftOut = [{ kind: "job", name: "odd", reason: "/after a cycle\nof two" }];
    stub.on("GET /v1/export", { body: { items: [{ kind: "job", id: "a", command: "x" }], leftOut } });
    const said = await stub.cicada("export");
    assert.match(said.stderr, /left out: job odd: \/after a cycle⏎of two/);
    assert.match(said.stdout, /^# left out: job odd: .*\nkind: job\n/);
  });
});

test("a file may hold JSON objects one after the other, a line each", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "cicada-lines-"));
  const file = path.join(folder, "jobs.json");
  writeFileSync(file, '\ufeff{"id": "a", "command": "x"}\n\n{"id": "b", "command": "{y}"}\n');
  assert.deepEqual(
    readDocuments(file).map(({ value, where }) => [value["id"], where]),
    [
      ["a", `${file}, line 1`],
      ["b", `${file}, line 3`],
    ],
  );
  rmSync(folder, { recursive: true });
});

describe("apply", () => {
  test("looks at the whole table no more often for many jobs than for some", async () => {
    const looks: number[] = [];
    for (const count of [100, 200]) {
      const fake = fakeApi();
      const view = fake.control.view.bind(fake.control);
      let views = 0;
      fake.control.view = () => {
        views++;
        return view();
      };
      const objects = Array.from({ length: count }, (_, index) => ({ id: `job-${index}`, command: "true" }));
      const answer = await call(fake, { method: "POST", url: "/v1/apply", body: { objects } });
      assert.equal(answer.statusCode, 200, answer.body);
      looks.push(views);
    }
    assert.equal(looks[1], looks[0]);
  });

  test("five hundred jobs are one change", async () => {
    const fake = fakeApi();
    const commands: string[] = [];
    const { control } = fake;
    const ask = control.ask.bind(control);
    control.ask = (command) => {
      commands.push(command.kind);
      return ask(command);
    };
    const objects = Array.from({ length: 500 }, (_, index) => ({ id: `job-${index}`, command: "true" }));
    await apply(fake, objects);
    assert.deepEqual(commands, ["apply"]);
    assert.equal(fake.control.jobs.size, 500);
    await apply(fake, objects);
    assert.equal((await apply(fake, objects)).counts["unchanged"], 500);
  });

  test("/schemas/job.json describes what checkJob takes, and needs no token", async () => {
    const fake = fakeApi();
    const answer = await fake.api.inject({ url: "/schemas/job.json", headers: { host: "127.0.0.1:7400" } });
    assert.equal(answer.statusCode, 200);
    assert.match(String(answer.headers["content-type"]), /^application\/schema\+json/);
    const schema = answer.json() as { properties: Record<string, unknown>; required: string[] };
    assert.deepEqual(schema.required, ["id"]);
    for (const field of ["$schema", "kind", "id", "schedule", "retry"])
      assert.ok(schema.properties[field], field);
  });

  test("$schema, which editors read, is passed over for every kind", async () => {
    const fake = fakeApi();
    const $schema = "http://127.0.0.1:7400/schemas/job.json";
    await apply(fake, [
      { $schema, id: "a", command: "true" },
      { $schema, kind: "pool", name: "db", slots: 2 },
      { $schema, kind: "channel", name: "ops", type: "ntfy", url: "https://ntfy.example.org/a" },
      { $schema, kind: "group", name: "etl", timezone: "UTC" },
      { $schema, kind: "calendar", name: "feasts", dates: ["2026-12-24"] },
      { $schema, kind: "maintenance", name: "m", schedule: "0 2 * * 0", duration: "2h" },
    ]);
    const { items } = (await call(fake, { url: "/v1/export" })).json() as { items: object[] };
    assert.equal(items.length, 6);
    assert.ok(!JSON.stringify(items).includes("$schema"));
  });

  test("an update says what each field holds and would hold, and no hidden value", async () => {
    const fake = fakeApi();
    const channel = { kind: "channel", name: "ops", type: "ntfy", url: "https://ntfy.example.org/a" };
    const before = { id: "a", command: "true", schedule: "@daily" };
    await apply(fake, [before, { ...channel, secret: "tk_before" }]);
    const planned = await apply(
      fake,
      [
        { id: "a", command: "true", timeout: "5m" },
        { ...channel, secret: "tk_after" },
      ],
      "?dryRun=true",
    );
    assert.deepEqual(planned.items[0]?.changes, [
      { field: "schedule", before: "@daily", after: null },
      { field: "timeout", before: null, after: "5m" },
    ]);
    assert.equal(planned.counts["update"], 2);
    assert.doesNotMatch(JSON.stringify(planned), /tk_/);
  });

  test("an unknown kind is refused by its name, with the kinds that there are", async () => {
    const fake = fakeApi();
    for (const [kind, says] of [
      ["CronJob", /import k8s/],
      ["pol", /unknown kind: did you mean \\"pool\\"/],
      ["x".repeat(40), /the kinds are group, calendar/],
      [7, /a kind is a word/],
    ] as const) {
      const refused = await call(fake, {
        method: "POST",
        url: "/v1/apply",
        body: { objects: [{ kind, name: "b" }] },
      });
      assert.equal(refused.statusCode, 422);
      assert.equal(refused.json().code, "INVALID_OBJECT");
      assert.match(refused.body, says);
    }
  });
});
