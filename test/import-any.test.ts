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

/** Some of these fields, mostly with one of the values that are usual for them, and now and then with one of any shape. */
function anyFields(
  usual: Readonly<Record<string, readonly unknown[]>>,
): fc.Arbitrary<Record<string, unknown>> {
  const fields = Object.entries(usual).map(([name, values]) => [
    name,
    fc.oneof({ weight: 19, arbitrary: fc.constantFrom(...values) }, fc.jsonValue({ maxDepth: 2 })),
  ]);
  return fc.record(Object.fromEntries(fields), { requiredKeys: [] });
}

/** Returns how many jobs were made. */
function check(read: () => Pick<Reading, "jobs">): number {
  let jobs: Reading["jobs"];
  try {
    ({ jobs } = read());
  } catch (error) {
    assert.ok(error instanceof CicadaError && error.code === "BAD_FILE", String(error));
    return 0;
  }
  for (const { spec } of jobs) assert.ok(checkJob(spec).ok);
  const ids = jobs.map(({ spec }) => spec.id);
  assert.equal(new Set(ids).size, ids.length);
  return jobs.length;
}

const zones = ["UTC", "Europe/Berlin", ""];
const urls = ["https://example.org/", "x"];
const dkron = anyFields({
  name: ["load", "Load all", "report"],
  schedule: ["@daily", "0 0 3 * * *", "@every 90s", "@manually", "0 3 * * *"],
  timezone: zones,
  tags: [{}, { role: "db" }, { role: "db:1" }],
  metadata: [{}, { team: "data" }],
  retries: [0, 3],
  parent_job: ["", "", "load"],
  concurrency: ["allow", "forbid"],
  executor: ["shell", "http"],
  disabled: [true, false],
  starts_at: ["2026-11-20T02:00:00Z"],
  processors: [{}, { log: {} }],
});
const config = anyFields({
  command: ["/bin/load -x", "echo 'b c'"],
  shell: ["true", "false", true],
  env: ["A=1,B=2", ""],
  cwd: ["/tmp"],
  timeout: ["10m", "30"],
  su: ["shop", "shop:web"],
  method: ["GET", "POST"],
  url: urls,
  headers: ['["Accept: text/plain"]', ""],
  body: [""],
  expectCode: ["200", "200, 204"],
  expectBody: ["ok", ""],
});
const event = anyFields({
  id: ["e1", "e2", "e3"],
  title: ["Load", "Report"],
  enabled: [1, 0, true],
  category: ["general"],
  target: ["allgrp", "maingrp", "web1"],
  timezone: zones,
  plugin: ["shellplug", "urlplug"],
  params: [{ script: "#!/bin/sh\nls" }, { method: "GET", url: "https://example.org/" }],
  timeout: [0, 3_600],
  retries: [0, 2],
  max_children: [1, 2],
  catch_up: [0, 1],
  multiplex: [0, 1],
  chain: ["", "e1"],
  notes: ["", "x"],
});
const timing = anyFields({
  years: [[]],
  months: [[], [1, 6]],
  days: [[], [1]],
  weekdays: [[], [0, 6]],
  hours: [[], [3], ["4"]],
  minutes: [[0, 30], [61]],
});
const pod = anyFields({
  initContainers: [[]],
  restartPolicy: ["OnFailure", "Never"],
  nodeSelector: [{ disk: "ssd" }],
  activeDeadlineSeconds: [600],
  volumes: [[]],
});
const container = anyFields({
  name: ["x"],
  image: ["busybox"],
  command: [["/bin/sh", "-c", "ls"], ["/bin/a"]],
  args: [[], ["$(A)", "$$"]],
  env: [[{ name: "A", value: "1" }]],
  envFrom: [[{}]],
  workingDir: ["/tmp"],
});
const cronSpec = anyFields({
  schedule: ["0 3 * * *", "@daily", "*/5 * * * *"],
  timeZone: zones,
  concurrencyPolicy: ["Allow", "Forbid", "Replace"],
  suspend: [true, false],
  startingDeadlineSeconds: [200],
});
const unitLine = fc.oneof(
  ...Object.entries({
    OnCalendar: ["daily", "Mon *-*-1 3:00", "*:0/5"],
    OnUnitActiveSec: ["10min"],
    RandomizedDelaySec: ["5min"],
    Persistent: ["true", "false"],
    ExecStart: ["/bin/a $X 'b c'", "-/bin/a ; /bin/b"],
    ExecStartPre: ["/bin/true"],
    Environment: ["A=1"],
    User: ["shop"],
    Nice: ["10"],
    Type: ["oneshot", "simple"],
  }).map(([name, values]) =>
    fc.tuple(
      fc.constant(name),
      fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...values) }, fc.string({ maxLength: 30 })),
    ),
  ),
);

test("jobs of dkron's", () => {
  let made = 0;
  const property = fc.property(fc.array(fc.tuple(dkron, config), { maxLength: 4 }), (all) => {
    const jobs = all.map(([job, how]) => ({ ...job, executor_config: how }));
    made += check(() => parseDkron(JSON.stringify(jobs), "x", options));
  });
  fc.assert(property, { numRuns: 400 });
  assert.ok(made > 10, `only ${made} jobs were made`);
});

test("events of Cronicle", () => {
  let made = 0;
  const property = fc.property(fc.array(fc.tuple(event, timing), { maxLength: 4 }), (all) => {
    const rows = all.map(([one, times]) => ({ timing: times, ...one }));
    made += check(() => parseCronicle(JSON.stringify({ rows }), "x", options));
  });
  fc.assert(property, { numRuns: 400 });
  assert.ok(made > 10, `only ${made} jobs were made`);
});

test("CronJobs of Kubernetes", () => {
  let made = 0;
  const property = fc.property(cronSpec, pod, container, (spec, inPod, one) => {
    const template = { spec: { containers: [one], ...inPod } };
    const object = {
      kind: "CronJob",
      metadata: { name: "x" },
      spec: { ...spec, jobTemplate: { spec: { template } } },
    };
    made += check(() => parseCronJobs(JSON.stringify(object), "x", options));
  });
  fc.assert(property, { numRuns: 400 });
  assert.ok(made > 10, `only ${made} jobs were made`);
});

test("timers of systemd", () => {
  let made = 0;
  const property = fc.property(fc.array(unitLine, { maxLength: 12 }), (lines) => {
    const text = lines.map(([name, value]) => `${name}=${value}`).join("\n");
    const file = { name: "x.timer", serviceName: "x.service", isUsers: false };
    made += check(() =>
      parseTimers([{ ...file, timer: `[Timer]\n${text}`, service: `[Service]\n${text}` }], options),
    );
  });
  fc.assert(property, { numRuns: 400 });
  assert.ok(made > 10, `only ${made} jobs were made`);
});

test("any text at all", () => {
  const crontab = { system: false, prefix: "", zone: "UTC", home: "/", user: "shop", host: "web1" };
  let made = 0;
  const property = fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), (text) => {
    check(() => parseDkron(text, "x", options));
    check(() => parseCronicle(text, "x", options));
    check(() => parseCronJobs(text, "x", options));
    const { jobs } = parseCrontab(`@daily ${text}\n* * * * * ${text}\n${text}`, crontab);
    for (const { spec } of jobs) assert.ok(checkJob(spec).ok);
    made += jobs.length;
  });
  fc.assert(property, { numRuns: 400 });
  assert.ok(made > 10, `only ${made} jobs were made`);
});
