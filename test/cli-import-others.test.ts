/** `cicada import systemd | k8s | dkron | cronicle` at the command line: files in, and what is said about them. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { readDocuments } from "../src/cli/terminal/documents.ts";
import { cicada, jobAnswer, problem, StubPeer } from "./kit/cli-stage.ts";

/** A peer that has no jobs and takes all. */
async function emptyPeer(): Promise<{ stub: StubPeer; made: Record<string, unknown>[] }> {
  const stub = await StubPeer.open();
  const made: Record<string, unknown>[] = [];
  stub.on("GET /v1/peers/self", { body: { id: "12D3KooWalder", name: "alder", addresses: [] } });
  stub.on("GET /v1/jobs", { body: { items: [], nextCursor: null } });
  stub.on("POST /v1/jobs", ({ body }) => {
    made.push(body as Record<string, unknown>);
    return { status: 201, body: jobAnswer(body as { id: string }) };
  });
  stub.otherwise(() => problem(404, "JOB_NOT_FOUND", "there is no such job"));
  return { stub, made };
}

function put(stub: StubPeer, place: string, text: string): string {
  const file = path.join(stub.folder, place);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

test("a dry run shows the jobs as apply takes them, and says on standard error what becomes no job", async () => {
  const { stub, made } = await emptyPeer();
  await using _ = stub;
  const [good, bad] = [
    put(stub, "a.timer", "[Timer]\nOnCalendar=daily\n"),
    put(stub, "b.timer", "[Timer]\n"),
  ];
  put(stub, "a.service", "[Service]\nExecStart=/bin/true\n");
  const line = ["import", "systemd", good, bad, "--tz", "UTC"];
  for (const form of ["json", "yaml"]) {
    const shown = await stub.cicada(...line, "--dry-run", "-o", form);
    assert.equal(shown.code, 1, shown.stderr);
    assert.match(shown.stderr, /b\.timer/);
    const [object] = readDocuments(put(stub, `jobs.${form}`, shown.stdout));
    assert.equal(object?.value["kind"], "job");
    assert.deepEqual([object.value["id"], object.value["argv"]], ["a", ["/bin/true"]]);
  }
  assert.equal((await stub.cicada(...line, "-o", "yaml")).code, 2);
  assert.deepEqual(made, []);
});

test("a timer's service is looked for beside it, or given, and drop-ins are named", async () => {
  const { stub, made } = await emptyPeer();
  await using _ = stub;
  const timer = put(stub, "units/backup.timer", "[Timer]\nOnCalendar=daily\n");
  const alone = await stub.cicada("import", "systemd", timer, "--tz", "UTC");
  assert.equal(alone.code, 1);
  assert.match(alone.stdout, /backup\.service, which it starts, was not found/);
  assert.deepEqual(made, []);
  const service = "[Service]\nExecStart=/bin/true\n";
  const elsewhere = put(stub, "other/backup.service", service);
  const given = await stub.cicada(
    "import",
    "systemd",
    timer,
    elsewhere,
    "--tz",
    "Asia/Tokyo",
    "--prefix",
    "w1-",
  );
  assert.equal(given.code, 0, given.stderr);
  put(stub, "units/backup.service", service);
  put(stub, "units/backup.service.d/override.conf", "[Service]\nUser=shop\n");
  const beside = await stub.cicada("import", "systemd", timer, "--tz", "UTC");
  assert.match(
    beside.stdout,
    /Please check:\n {2}backup\.timer: .*backup\.service\.d is not read: `systemctl cat` would include it/,
  );
  assert.deepEqual(
    made.map(({ id, timezone, user }) => [id, timezone, user]),
    [
      ["w1-backup", "Asia/Tokyo", "root"],
      ["backup", "UTC", "root"],
    ],
  );
});

test("what is neither timer nor service is refused before anything is made (2)", async () => {
  const { stub, made } = await emptyPeer();
  await using _ = stub;
  for (const [file, says] of [
    ["x.socket", /neither a \.timer nor a \.service/],
    ["x.service", /give the \.timer file as well/],
  ] as const) {
    const refused = await stub.cicada("import", "systemd", put(stub, file, ""));
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, says);
  }
  assert.deepEqual(made, []);
});

test("each of the others reads its file, says who the jobs run as, and makes nothing in a dry run", async () => {
  const { stub, made } = await emptyPeer();
  await using _ = stub;
  const files = {
    k8s: put(
      stub,
      "job.yaml",
      'kind: CronJob\nmetadata: {name: a}\nspec: {schedule: "@daily", jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: i, command: [/bin/true]}]}}}}}\n',
    ),
    dkron: put(
      stub,
      "dkron.json",
      '[{"name":"a","schedule":"@daily","executor":"shell","executor_config":{"command":"x"}}]',
    ),
    cronicle: put(
      stub,
      "events.json",
      '{"rows":[{"id":"e","title":"A","timing":{},"plugin":"shellplug","params":{"script":"x"}}]}',
    ),
  };
  for (const [name, file] of Object.entries(files)) {
    const dry = await cicada(["import", name, file, "--dry-run", "--tz", "UTC"], {
      CICADA_DATA: path.join(stub.folder, "none"),
    });
    assert.equal(dry.code, 0, dry.stderr);
    assert.match(dry.stdout, /1 to create\.\nNothing was created/);
    const done = await stub.cicada("import", name, file, "--tz", "UTC");
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stdout, /Jobs without a user run as the user of the peer/);
    assert.match(done.stdout, /is still active/);
    const asShop = await stub.cicada("import", name, file, "--tz", "UTC", "--user", "shop");
    assert.doesNotMatch(asShop.stdout, /Jobs without a user/);
    const wrong = await stub.cicada("import", name, file, "--tz", "Mars");
    assert.equal(wrong.code, 2);
  }
  assert.deepEqual(
    made.map(({ id, user }) => [id, user]),
    Object.keys(files).flatMap(() => [
      ["a", undefined],
      ["a", "shop"],
    ]),
  );
});
