/** `cicada import crontab` against a peer's API: what it creates, what it leaves alone, and what it prints. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { cicada, jobAnswer, problem, StubPeer, type Said } from "./kit/cli-stage.ts";

/** A peer that keeps the jobs it is sent. */
class KeepingPeer implements AsyncDisposable {
  readonly jobs = new Map<string, Record<string, unknown>>();
  readonly stub: StubPeer;

  constructor(stub: StubPeer) {
    this.stub = stub;
    stub.on("GET /v1/peers/self", { body: { id: "12D3KooWalder", name: "alder", addresses: [] } });
    stub.on("POST /v1/jobs", ({ body }) => {
      const job = body as { id: string };
      this.jobs.set(job.id, job);
      const { id } = job;
      stub.on(`GET /v1/jobs/${id}`, () => ({ body: jobAnswer({ id, ...this.jobs.get(id) }) }));
      stub.on(`PUT /v1/jobs/${id}`, (asked) => {
        this.jobs.set(id, asked.body as Record<string, unknown>);
        return { body: jobAnswer(job) };
      });
      return { status: 201, body: jobAnswer(job) };
    });
    stub.on("GET /v1/jobs", ({ query }) => {
      const wanted = [query["label"] ?? []].flat().map((label) => label.split("="));
      const items = [...this.jobs.values()].filter((job) => {
        const labels = (job["labels"] ?? {}) as Record<string, string>;
        return wanted.every(([name = "", value]) => labels[name] === value);
      });
      return { body: { items: items.map((job) => jobAnswer(job as { id: string })), nextCursor: null } };
    });
    const unknown = problem(404, "JOB_NOT_FOUND", "there is no such job");
    stub.otherwise((asked) => (asked.path.startsWith("/v1/jobs/") ? unknown : undefined));
  }

  static async open(): Promise<KeepingPeer> {
    return new KeepingPeer(await StubPeer.open());
  }

  async import(crontab: string | Buffer, ...flags: string[]): Promise<Said> {
    const file = path.join(this.stub.folder, "crontab");
    writeFileSync(file, crontab);
    return this.stub.cicada("import", "crontab", file, ...flags);
  }

  writes(): string[] {
    return this.stub.asked.filter(({ method }) => method !== "GET").map(({ method }) => method);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stub[Symbol.asyncDispose]();
  }
}

const crontab = "MAILTO=ada@example.com\n0 3 * * * /usr/local/bin/backup --full\n*/5 * * * * poll\n";

test("each line becomes a job, in a table with line, schedule and command", async () => {
  await using peer = await KeepingPeer.open();
  const said = await peer.import(crontab);
  assert.equal(said.code, 0, said.stderr);
  const [backup] = peer.jobs.values();
  assert.equal(backup?.["schedule"], "0 3 * * *");
  assert.equal(backup?.["overlap"], "allow");
  assert.match(
    said.stdout,
    /^2 +backup-full-\w+ +created +0 3 \* \* \* .*\/usr\/local\/bin\/backup --full$/m,
  );
  assert.match(said.stdout, /2 created\./);
});

test("the import always says that the old crontab is still active, and that any peer may run the jobs", async () => {
  await using peer = await KeepingPeer.open();
  const said = await peer.import(crontab);
  assert.match(said.stdout, /crontab .* is still active/);
  assert.match(said.stdout, /Any peer may run these jobs/);
  assert.match(said.stdout, /line 1: MAILTO=ada@example\.com is not carried over/);
});

test("--pin keeps the jobs on the peer that takes the import", async () => {
  await using peer = await KeepingPeer.open();
  const said = await peer.import(crontab, "--pin");
  assert.ok(peer.jobs.size > 0, said.stderr);
  for (const job of peer.jobs.values()) assert.deepEqual(job["target"], { peers: ["12D3KooWalder"] });
  assert.match(said.stdout, /Only alder may run these jobs/);
  assert.doesNotMatch(said.stdout, /any peer/);
});

test("--group says the group of the jobs, and must be one", async () => {
  await using peer = await KeepingPeer.open();
  assert.equal((await peer.import(crontab, "--group", "No Group")).code, 2);
  assert.deepEqual(peer.writes(), []);
  assert.equal((await peer.import(crontab, "--group", "etl")).code, 0);
  assert.ok(peer.jobs.size > 0);
  for (const job of peer.jobs.values()) assert.equal(job["group"], "etl");
});

test("importing twice changes nothing", async () => {
  await using peer = await KeepingPeer.open();
  await peer.import(crontab);
  const again = await peer.import(crontab);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stdout, /2 unchanged\./);
  assert.deepEqual(peer.writes(), ["POST", "POST"]);
});

test("--update says which jobs no line stands for any more, and --prune removes them, and no other's", async () => {
  await using peer = await KeepingPeer.open();
  peer.stub.otherwise((asked) => {
    const id = asked.path.replace("/v1/jobs/", "");
    if (asked.method === "DELETE" && peer.jobs.delete(id)) return { status: 204 };
    return problem(404, "JOB_NOT_FOUND", "there is no such job");
  });
  await peer.import(crontab);
  await peer.import("0 5 * * * root clean\n", "--system");
  const edited = crontab.replace("--full", "--full --verbose");
  const updated = await peer.import(edited, "--update");
  assert.equal(updated.code, 0, updated.stderr);
  assert.match(updated.stdout, /stands any more for:\n  backup-full-\w+: 0 3 \* \* \* .*--full\n/);
  assert.match(updated.stdout, /--prune removes it/);
  assert.doesNotMatch(updated.stdout, /any more for:[^]*clean/);
  assert.equal(peer.jobs.size, 4);
  const dry = await peer.import(edited, "--prune", "--dry-run");
  assert.match(dry.stdout, /1 to remove/);
  assert.equal(peer.jobs.size, 4);
  const pruned = await peer.import(edited, "--prune");
  assert.match(pruned.stdout, /2 unchanged, 1 removed\./);
  assert.deepEqual(
    [...peer.jobs.keys()].map((id) => id.slice(0, -7)),
    ["poll", "clean", "backup-full-verbose"],
  );
  const emptied = await peer.import("# nothing\n", "--prune");
  assert.equal(emptied.code, 2);
  assert.equal(peer.jobs.size, 3);
});

test("a job that differs from its line stays as it is (4), unless --update replaces it", async () => {
  await using peer = await KeepingPeer.open();
  await peer.import(crontab);
  const edited = crontab.replace("0 3", "30 4");
  const left = await peer.import(edited);
  assert.equal(left.code, 4);
  assert.match(left.stdout, /differs: schedule/);
  assert.match(left.stdout, /--update replaces them/);
  assert.deepEqual(peer.writes(), ["POST", "POST"]);
  const updated = await peer.import(edited, "--update");
  assert.equal(updated.code, 0);
  assert.match(updated.stdout, /1 updated, 1 unchanged\./);
  assert.equal([...peer.jobs.values()][0]?.["schedule"], "30 4 * * *");
});

test("a line that can't be imported is named with its number and reason (1), and the others are imported", async () => {
  await using peer = await KeepingPeer.open();
  const said = await peer.import(`@reboot start-me\n99 * * * * never\n${crontab}`);
  assert.equal(said.code, 1);
  assert.match(said.stdout, /line 1: @reboot start-me\n +@reboot is not carried over/);
  assert.match(said.stdout, /line 2: 99 \* \* \* \* never\n/);
  assert.match(said.stdout, /2 created, 2 not imported\./);
  assert.equal(peer.jobs.size, 2);
});

test("a job that the peer refuses is named, and the others are imported", async () => {
  await using peer = await KeepingPeer.open();
  peer.stub.on("POST /v1/jobs", ({ body }) => {
    const job = body as { id: string };
    if (!job.id.startsWith("poll")) return { status: 201, body: jobAnswer(job) };
    return problem(422, "INVALID_JOB", "/user: no such user");
  });
  const said = await peer.import(crontab);
  assert.equal(said.code, 1);
  assert.match(said.stdout, /refused: \/user: no such user/);
  assert.match(said.stdout, /1 created, 1 not imported\./);
});

describe("--dry-run", () => {
  test("creates nothing, and says which jobs exist already", async () => {
    await using peer = await KeepingPeer.open();
    await peer.import("*/5 * * * * poll\n");
    const said = await peer.import(crontab, "--dry-run");
    assert.equal(said.code, 0);
    assert.match(said.stdout, /1 to create, 1 unchanged\./);
    assert.match(said.stdout, /Nothing was created/);
    assert.deepEqual(peer.writes(), ["POST"]);
  });

  test("needs no peer", async () => {
    await using peer = await KeepingPeer.open();
    const file = path.join(peer.stub.folder, "crontab");
    writeFileSync(file, crontab);
    const nobody = { CICADA_DATA: path.join(peer.stub.folder, "nobody") };
    const said = await cicada(["import", "crontab", file, "--dry-run"], nobody);
    assert.equal(said.code, 0, said.stderr);
    assert.match(said.stdout, /2 to create\./);
    assert.equal((await cicada(["import", "crontab", file], nobody)).code, 5);
  });
});

test("a file of /etc/cron.d without --system is refused before anything is created (2)", async () => {
  await using peer = await KeepingPeer.open();
  const said = await peer.import(
    "0 3 * * * root /usr/bin/backup\n5 * * * * root run-parts /etc/cron.hourly\n",
  );
  assert.equal(said.code, 2);
  assert.match(said.stderr, /every line begins with the name of a user: use --system/);
  assert.ok(!peer.stub.asked.some(({ method }) => method === "POST"));
});

test("--system reads the user field, and --prefix is put before every id", async () => {
  await using peer = await KeepingPeer.open();
  const said = await peer.import(
    "17 * * * * root run-parts /etc/cron.hourly\n",
    "--system",
    "--prefix",
    "web1-",
  );
  assert.equal(said.code, 0, said.stderr);
  const [[id, job]] = [...peer.jobs] as [[string, Record<string, unknown>]];
  assert.match(id, /^web1-run-parts/);
  assert.equal(job["user"], "root");
  assert.match(said.stdout, /USER/);
});

test("a missing file is named (2), and an empty one creates nothing", async () => {
  await using peer = await KeepingPeer.open();
  const missing = await peer.stub.cicada("import", "crontab", "/nonexistent/crontab");
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /\/nonexistent\/crontab: there is no such file/);
  const empty = await peer.import("# nothing\n");
  assert.equal(empty.code, 0);
  assert.match(empty.stdout, /It contains no jobs/);
});

test("a crontab that is not UTF-8 is refused with the place of the fault, and none of its lines is imported", async () => {
  await using peer = await KeepingPeer.open();
  const said = await peer.import(Buffer.from("0 3 * * * backup\n0 4 * * * mail caf\xe9\n", "latin1"));
  assert.equal(said.code, 2);
  assert.match(said.stderr, /crontab: line 2, byte 19 is not UTF-8/);
  assert.deepEqual(peer.writes(), []);
});

test("an argument that is not UTF-8 is refused before the peer is asked", async () => {
  await using peer = await StubPeer.open();
  const said = await peer.cicada("jobs", "create", "a", "--schedule", "@daily", "--", "echo", "caf\ufffd");
  assert.equal(said.code, 2);
  assert.match(said.stderr, /argument 8 is not UTF-8/);
  assert.deepEqual(peer.asked, []);
});
