/** What dkron's jobs become. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseDkron } from "../src/cli/import/dkron.ts";

const options = { prefix: "", host: "web1", zone: "Europe/Berlin" };
const read = (jobs: unknown) => parseDkron(JSON.stringify(jobs), "jobs.json", options);

const job = (more: object = {}) => ({
  id: "x",
  name: "x",
  displayname: "",
  timezone: "",
  schedule: "0 30 3 * * *",
  owner: "",
  owner_email: "",
  success_count: 4,
  error_count: 0,
  last_success: "2026-11-01T00:00:00Z",
  last_error: null,
  disabled: false,
  tags: null,
  metadata: null,
  retries: 0,
  dependent_jobs: null,
  parent_job: "",
  processors: {},
  concurrency: "allow",
  executor: "shell",
  executor_config: { command: "/bin/true" },
  status: "success",
  next: "2026-11-02T00:00:00Z",
  ephemeral: false,
  expires_at: null,
  ...more,
});

function only(more: object) {
  const { jobs, refused, notes } = read([job(more)]);
  assert.deepEqual(refused, []);
  assert.ok(jobs[0] !== undefined);
  return { spec: jobs[0].spec, notes: notes.join("\n") };
}

test("a job of dkron's is a job", () => {
  const { spec, notes } = only({
    name: "nightly_backup",
    displayname: "Nightly backup",
    timezone: "America/New_York",
    owner: "ops",
    tags: { role: "db:1", disk: "ssd" },
    metadata: { team: "a" },
    retries: 3,
    concurrency: "forbid",
    processors: { files: { forward: "true" } },
    executor_config: {
      shell: "true",
      command: "backup | mail x",
      env: "A=1,B=2",
      cwd: "/srv",
      timeout: "30m",
    },
  });
  assert.deepEqual(spec, {
    id: "nightly_backup",
    schedule: "30 3 * * *",
    timezone: "America/New_York",
    command: "backup | mail x",
    env: { ENV_JOB_NAME: "nightly_backup", A: "1", B: "2" },
    cwd: "/srv",
    timeout: "30m",
    target: { tags: { role: "db", disk: "ssd" }, count: 1 },
    overlap: "skip",
    catchUp: { policy: "none" },
    retry: { attempts: 3, backoff: "1s", factor: 1 },
    owner: "ops",
    labels: { team: "a", "imported-from": "dkron", file: "jobs.json" },
    description: "Nightly backup",
  });
  assert.match(notes, /only peers that were started with --tag role=db --tag disk=ssd/);
  assert.match(notes, /in dkron its output goes to files/);
});

describe("on how many nodes it runs", () => {
  for (const [tags, target] of [
    [null, { count: "all" }],
    [{}, { count: "all" }],
    [{ role: "web" }, { tags: { role: "web" }, count: "all" }],
    [{ role: "web:2" }, { tags: { role: "web" }, count: 2 }],
    [
      { role: "web:3", disk: "ssd:2" },
      { tags: { role: "web", disk: "ssd" }, count: 2 },
    ],
  ] as const) {
    test(JSON.stringify(tags), () => assert.deepEqual(only({ tags }).spec.target, target));
  }
  test("a job without tags says that it runs on every peer", () => {
    assert.match(only({}).notes, /it has no tags, so it runs on every peer/);
  });
});

describe("schedules", () => {
  for (const [written, schedule] of [
    ["0 */5 * * * *", "*/5 * * * *"],
    ["30 0 12 ? * MON", "30 0 12 * * MON"],
    ["0 5/10 * * * *", "5-59/10 * * * *"],
    ["0 ~ 3 * * *", "H 3 * * *"],
    ["@every 1h30m0s", "@every 1h30m"],
    ["@minutely", "@minutely"],
    ["@at 2030-01-02T15:04:05Z", "@at 2030-01-02T15:04:05Z"],
  ] as const) {
    test(written, () => assert.equal(only({ schedule: written }).spec.schedule, schedule));
  }
  test("@manually is a job that runs by hand", () => {
    assert.equal(only({ schedule: "@manually" }).spec.schedule, undefined);
  });
  test("a job without a timezone takes --tz or this host's, and says so", () => {
    const { spec, notes } = only({});
    assert.equal(spec.timezone, "Europe/Berlin");
    assert.match(notes, /taken to be Europe\/Berlin; --tz/);
  });
});

test("a job after another, a disabled one, and one that has an end", () => {
  const { jobs, refused } = read([
    job({
      name: "load",
      disabled: true,
      starts_at: "2026-12-01T00:00:00Z",
      expires_at: "2030-01-01T00:00:00Z",
    }),
    job({ name: "report", schedule: "", parent_job: "load" }),
  ]);
  assert.deepEqual(refused, []);
  assert.deepEqual(jobs[1]?.spec.after, { jobs: ["load"], on: "success" });
  const { enabled, startsAt, endsAt } = jobs[0]?.spec ?? {};
  assert.deepEqual([enabled, startsAt, endsAt], [false, "2026-12-01T00:00:00Z", "2030-01-01T00:00:00Z"]);
});

test("without a shell the command is split into words, and nothing is filled in", () => {
  const { spec } = only({ executor_config: { command: `/bin/echo "a b" 'c $d' e\\ f` } });
  assert.deepEqual(spec.argv, ["/bin/echo", "a b", "c $d", "e f"]);
});

test("an http job is a request", () => {
  const { spec } = only({
    executor: "http",
    executor_config: {
      method: "POST",
      url: "https://example.org/run",
      headers: '["Content-Type: application/json", "X-A: b: c"]',
      body: "{}",
      timeout: "10",
      expectCode: "200,201",
      expectBody: "ok",
      tlsNoVerifyPeer: "true",
    },
  });
  assert.deepEqual(spec.http, {
    method: "POST",
    url: "https://example.org/run",
    headers: { "Content-Type": "application/json", "X-A": "b: c" },
    body: "{}",
    timeout: "10s",
    expectStatus: [200, 201],
    expectBody: "ok",
    followRedirects: true,
    insecureTls: true,
  });
});

describe("what can't be said is refused, or made disabled", () => {
  for (const [more, reason] of [
    [{ schedule: "0 30 3 * *" }, /6 fields there/],
    [{ schedule: "" }, /neither a schedule nor a parent_job/],
    [{ parent_job: "y" }, /a schedule .* and a parent_job/],
    [{ executor: "kafka" }, /the executor "kafka" has no counterpart/],
    [{ executor_config: {} }, /no command/],
    [{ executor_config: { command: 'a "b' } }, /open quote/],
    [{ executor_config: { command: "a", env: "A" } }, /is not NAME=VALUE/],
    [{ executor_config: { command: "a", timeout: "soon" } }, /is not a duration/],
    [{ tags: { role: "web:x" } }, /the tag role/],
    [{ timezone: "Mars" }, /^timezone: /],
  ] as const) {
    test(reason.source, () => {
      const { jobs, refused } = read([job(more)]);
      assert.deepEqual(jobs, []);
      assert.match(refused[0]?.reasons.join("\n") ?? "", reason);
    });
  }
  test("an ephemeral job is made disabled, and fields that dkron doesn't have yet are named", () => {
    const { spec, notes } = only({ ephemeral: true, shiny: 1 });
    assert.equal(spec.enabled, false);
    assert.match(notes, /DISABLED: ephemeral/);
    assert.match(notes, /not carried over: shiny/);
  });
  test("a job that is refused says everything that keeps it from being made", () => {
    const wrong = { schedule: "61 * * * * *", tags: { a: "b:c:d" }, executor: "kafka" };
    const { jobs, refused } = read([job(wrong)]);
    assert.deepEqual(jobs, []);
    const said = refused[0]?.reasons.join("\n") ?? "";
    assert.equal(refused[0]?.reasons.length, 3, said);
    for (const reason of [/61/, /the tag a: b:c:d/, /the executor "kafka"/]) assert.match(said, reason);
  });
  test("a file that is no JSON, or no job, is refused", () => {
    assert.throws(() => parseDkron("{", "jobs.json", options), /jobs\.json: /);
    assert.throws(() => parseDkron('{"name":"a","name":"b"}', "jobs.json", options), /\/name is given twice/);
    assert.throws(() => parseDkron("[1]", "jobs.json", options), /expected a job of dkron/);
  });
});
