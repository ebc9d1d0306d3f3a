/** What CronJob manifests of Kubernetes become. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseCronJobs } from "../src/cli/import/kubernetes.ts";
import { nextTicks } from "./kit/preview.ts";

const options = { prefix: "", host: "web1", zone: "UTC", zoneIsNamed: false };
const read = (text: string, more: object = {}) => parseCronJobs(text, "jobs.yaml", { ...options, ...more });

const manifest = `
apiVersion: batch/v1
kind: CronJob
metadata:
  name: report
  namespace: shop
spec:
  schedule: "*/10 1 * * *"
  timeZone: Europe/Berlin
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 600
  successfulJobsHistoryLimit: 3
  jobTemplate:
    spec:
      backoffLimit: 2
      activeDeadlineSeconds: 3600
      template:
        spec:
          restartPolicy: OnFailure
          nodeSelector: {disk: ssd}
          volumes: [{name: data, emptyDir: {}}]
          containers:
            - name: report
              image: registry.example.org/report:1.4
              command: [/bin/report, "--to=$(TO)"]
              args: ["$(NONE)", "$$x"]
              workingDir: /srv
              resources: {limits: {memory: 64Mi}}
              env:
                - {name: TO, value: ops}
                - name: TOKEN
                  valueFrom: {secretKeyRef: {name: report, key: token}}
`;

test("a CronJob is a job, and everything that the pod gave it is named", () => {
  const { jobs, refused, notes } = read(manifest);
  assert.deepEqual(refused, []);
  assert.deepEqual(jobs[0]?.spec, {
    id: "report",
    schedule: "*/10 1 * * *",
    timezone: "Europe/Berlin",
    overlap: "skip",
    catchUp: { policy: "latest", window: "10m" },
    retry: { attempts: 2, backoff: "10s", factor: 2, maxBackoff: "6m" },
    timeout: "1h",
    killGrace: "30s",
    argv: ["/bin/report", "--to=ops", "$(NONE)", "$x"],
    env: { TO: "ops" },
    secrets: ["TOKEN"],
    cwd: "/srv",
    target: { tags: { disk: "ssd" } },
    labels: { "imported-from": "k8s", file: "jobs.yaml", namespace: "shop" },
    description: "CronJob shop/report",
  });
  const said = notes.join("\n");
  assert.match(said, /the image registry\.example\.org\/report:1\.4 is not used/);
  assert.match(said, /TOKEN is from a secret: `cicada secrets set TOKEN/);
  assert.match(said, /not carried over of pod: volumes/);
  assert.match(said, /not carried over of container: resources/);
  assert.match(said, /activeDeadlineSeconds bounds all attempts together/);
});

const small = (spec: string, container = "command: [/bin/true]", pod = "") =>
  `kind: CronJob
metadata: {name: x}
spec:
  ${spec}
  jobTemplate: {spec: {template: {spec: {containers: [{name: a, image: i, ${container.replace(/^(\w+): /, "$1: ")}}]${pod}}}}}
`;

test("suspend, Replace, and the defaults of Kubernetes", () => {
  const { jobs } = read(small('schedule: "0 3 * * *"\n  suspend: true\n  concurrencyPolicy: Replace'));
  const { enabled, overlap, retry, catchUp, timezone } = jobs[0]?.spec ?? {};
  assert.deepEqual(
    { enabled, overlap, attempts: retry?.attempts, catchUp, timezone },
    {
      enabled: false,
      overlap: "replace",
      attempts: 6,
      catchUp: { policy: "latest", window: "30d" },
      timezone: "UTC",
    },
  );
  assert.equal(read(small('schedule: "0 3 * * *"')).jobs[0]?.spec.overlap, "allow");
});

test("a time without a timeZone is said to be taken for UTC, unless --tz names its zone", () => {
  const text = small('schedule: "0 3 * * *"');
  assert.match(read(text).notes.join("\n"), /taken to be UTC/);
  const named = read(text, { zone: "Asia/Tokyo", zoneIsNamed: true });
  assert.equal(named.jobs[0]?.spec.timezone, "Asia/Tokyo");
  assert.doesNotMatch(named.notes.join("\n"), /taken to be/);
});

describe("schedules are read as Kubernetes reads them", () => {
  for (const [written, schedule] of [
    ["5/15 * * * *", "5-59/15 * * * *"],
    ["0 0 ? * MON-FRI", "0 0 * * MON-FRI"],
    ["@every 1h30m", "@every 1h30m"],
    ["@daily", "@daily"],
    ["*/1 * * * *", "* * * * *"],
  ] as const) {
    test(written, () => assert.equal(read(small(`schedule: "${written}"`)).jobs[0]?.spec.schedule, schedule));
  }
  test("a star with a step in one day field, and a value in the other, are an OR there", () => {
    const { jobs } = read(small('schedule: "0 0 */16 * 1"'));
    assert.ok(jobs[0] !== undefined);
    assert.deepEqual(
      nextTicks(jobs[0].spec, 4).map((tick) => tick.slice(0, 10)),
      ["2026-12-07", "2026-12-14", "2026-12-17", "2026-12-21"],
    );
  });
  test("CRON_TZ in the schedule is its zone", () => {
    assert.equal(
      read(small('schedule: "CRON_TZ=Asia/Tokyo 0 3 * * *"')).jobs[0]?.spec.timezone,
      "Asia/Tokyo",
    );
  });
});

describe("what can't be said is refused", () => {
  const daily = 'schedule: "@daily"';
  const table: [text: string, reason: RegExp][] = [
    [small(daily, "command: [/bin/a]").replace("image: i", "image: i}, {name: b, image: j"), /2 containers/],
    [small(daily, "command: [/bin/a]", ", initContainers: [{name: i, image: k}]"), /1 initContainers/],
    [small(daily, "args: [a]"), /it has no command, so it runs what the image i says/],
    [small('schedule: "0 0 3 * * *"'), /a schedule has 5 fields there/],
    [small('schedule: "0 3 * * *"\n  timeZone: Mars'), /no time zone is called/],
    [small("suspend: false"), /spec.schedule is missing/],
    [small(`${daily}\n  concurrencyPolicy: Maybe`), /concurrencyPolicy Maybe/],
    [
      small(daily).replace("spec: {template", "spec: {parallelism: 3, template"),
      /parallelism: 3 asks for several pods/,
    ],
  ];
  for (const [text, reason] of table) {
    test(reason.source, () => {
      const { jobs, refused } = read(text);
      assert.deepEqual(jobs, []);
      assert.match(refused[0]?.reasons.join("\n") ?? "", reason);
    });
  }
  test("envFrom, and a value from elsewhere, make it disabled", () => {
    for (const more of [
      "envFrom: [{configMapRef: {name: c}}]",
      "env: [{name: A, valueFrom: {fieldRef: {fieldPath: x}}}]",
    ]) {
      const { jobs, notes } = read(small(daily, `command: [/bin/a], ${more}`));
      assert.equal(jobs[0]?.spec.enabled, false);
      assert.match(notes.join("\n"), /DISABLED/);
    }
  });
});

test("a CronJob that is refused says everything that keeps it from becoming a job", () => {
  const { jobs, refused } = read(`kind: CronJob
metadata: {}
spec:
  schedule: "61 * * * *"
  concurrencyPolicy: Sometimes
  jobTemplate:
    spec:
      parallelism: 3
      template:
        spec:
          initContainers: [{ name: first }]
          containers: [{ name: a }, { name: b }]
`);
  assert.deepEqual(jobs, []);
  const said = refused[0]?.reasons.join("\n") ?? "";
  for (const reason of [
    /metadata\.name/,
    /61/,
    /Sometimes/,
    /parallelism: 3/,
    /1 initContainers/,
    /2 containers/,
  ])
    assert.match(said, reason);
});

test("a file that holds something else than manifests is refused, and an empty one holds no job", () => {
  for (const text of ["root:x:0:0", "- 1", "kind: ConfigMap\n---\n5"])
    assert.throws(() => read(text), /jobs\.yaml, document \d: expected a manifest of Kubernetes/);
  for (const text of ["", "# nothing\n", "---\n---\n"]) assert.deepEqual(read(text).jobs, []);
});

test("a list, several documents and other kinds: each is named", () => {
  const list = `kind: List\nitems:\n- ${small('schedule: "@daily"').trim().replaceAll("\n", "\n  ")}\n---\nkind: ConfigMap\n---\n${small('schedule: "@hourly"')}`;
  const { jobs, refused, notes } = read(list);
  assert.equal(jobs.length, 1);
  assert.match(refused[0]?.reasons.join("\n") ?? "", /another job here has the id x/);
  assert.match(notes.join("\n"), /the kind ConfigMap is not imported/);
});

test("an object without a kind is named as one", () => {
  const { notes } = read("hello: world");
  assert.match(notes.join("\n"), /document 1: an object without a kind is not imported/);
});
