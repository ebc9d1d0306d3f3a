/** Whatever a file holds, an importer makes valid jobs of it, refuses, or says that the file can't be read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { checkJob } from "../src/core/checks/job.ts";
import { CicadaError } from "../src/errors.ts";
import { parseCronicle } from "../src/cli/import/cronicle.ts";
import { parseCrontab } from "../src/cli/import/crontab.ts";
import { parseDkron } from "../src/cli/import/dkron.ts";
import { parseCronJobs } from "../src/cli/import/kubernetes.ts";
import { parseTimers } from "../src/cli/import/systemd.ts";
import type { Reading } from "../src/cli/import/reading.ts";

const options = { prefix: "", host: "web1", zone: "UTC", zoneIsNamed: false };

/** Fields that the importers know, with values of any shape. */
function anyFields(names: string): fc.Arbitrary<Record<string, unknown>> {
  const value = fc.oneof(
    fc.constantFrom(
      "x",
      "@daily",
      "0 3 * * *",
      "0 0 3 * * *",
      "UTC",
      "shell",
      "http",
      "shellplug",
      "urlplug",
      "1",
      "",
    ),
    fc.jsonValue({ maxDepth: 2 }),
  );
  return fc.dictionary(fc.constantFrom(...names.split(" ")), value, { maxKeys: 12 });
}

function check(read: () => Pick<Reading, "jobs">): void {
  let jobs: Reading["jobs"];
  try {
    ({ jobs } = read());
  } catch (error) {
    assert.ok(error instanceof CicadaError && error.code === "BAD_FILE", String(error));
    return;
  }
  for (const { spec } of jobs) assert.ok(checkJob(spec).ok);
  const ids = jobs.map(({ spec }) => spec.id);
  assert.equal(new Set(ids).size, ids.length);
}

const dkron = anyFields(
  "name schedule timezone tags metadata retries parent_job concurrency executor executor_config disabled starts_at processors",
);
const shell = anyFields("command shell env cwd timeout su method url headers body expectCode expectBody");
const event = anyFields(
  "id title enabled category target timezone timing plugin params timeout retries max_children catch_up multiplex chain notes",
);
const timing = anyFields("years months days weekdays hours minutes");
const pod = anyFields("containers initContainers restartPolicy nodeSelector activeDeadlineSeconds volumes");
const container = anyFields("name image command args env envFrom workingDir");
const cronSpec = anyFields("schedule timeZone concurrencyPolicy suspend startingDeadlineSeconds");
const unitLine = fc.tuple(
  fc.constantFrom(
    ..."OnCalendar OnUnitActiveSec RandomizedDelaySec Persistent ExecStart ExecStartPre Environment User Nice Type".split(
      " ",
    ),
  ),
  fc.oneof(
    fc.constantFrom(
      "daily",
      "Mon *-*-1 3:00",
      "*:0/5",
      "oneshot",
      "/bin/a $X 'b c'",
      "-/bin/a ; /bin/b",
      "10min",
      "A=1",
    ),
    fc.string({ maxLength: 30 }),
  ),
);

test("jobs of dkron's", () => {
  const property = fc.property(fc.array(fc.tuple(dkron, shell), { maxLength: 4 }), (all) => {
    const jobs = all.map(([job, config]) => ({ ...job, executor_config: job["executor_config"] ?? config }));
    check(() => parseDkron(JSON.stringify(jobs), "x", options));
  });
  fc.assert(property, { numRuns: 400 });
});

test("events of Cronicle's", () => {
  const property = fc.property(fc.array(fc.tuple(event, timing), { maxLength: 4 }), (all) => {
    const rows = all.map(([one, times]) => ({ timing: times, ...one }));
    check(() => parseCronicle(JSON.stringify({ rows }), "x", options));
  });
  fc.assert(property, { numRuns: 400 });
});

test("CronJobs of Kubernetes", () => {
  const property = fc.property(cronSpec, pod, container, (spec, inPod, one) => {
    const template = { spec: { containers: [one], ...inPod } };
    const object = {
      kind: "CronJob",
      metadata: { name: "x" },
      spec: { ...spec, jobTemplate: { spec: { template } } },
    };
    check(() => parseCronJobs(JSON.stringify(object), "x", options));
  });
  fc.assert(property, { numRuns: 400 });
});

test("timers of systemd", () => {
  const property = fc.property(fc.array(unitLine, { maxLength: 12 }), (lines) => {
    const text = lines.map(([name, value]) => `${name}=${value}`).join("\n");
    const file = { name: "x.timer", serviceName: "x.service", isUsers: false };
    check(() =>
      parseTimers([{ ...file, timer: `[Timer]\n${text}`, service: `[Service]\n${text}` }], options),
    );
  });
  fc.assert(property, { numRuns: 400 });
});

test("any text at all", () => {
  const crontab = { system: false, prefix: "", zone: "UTC", home: "/", user: "shop", host: "web1" };
  const property = fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), (text) => {
    check(() => parseDkron(text, "x", options));
    check(() => parseCronicle(text, "x", options));
    check(() => parseCronJobs(text, "x", options));
    const { jobs } = parseCrontab(`@daily ${text}\n* * * * * ${text}\n${text}`, crontab);
    for (const { spec } of jobs) assert.ok(checkJob(spec).ok);
  });
  fc.assert(property, { numRuns: 400 });
});
