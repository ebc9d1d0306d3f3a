/** The dashboard and the alerts that `cicada service` prints fit what `/metrics` answers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NotReady } from "../src/ports/control.ts";
import type { JobId, TickId } from "../src/schema/ids.ts";
import { jobStates } from "../src/schema/job-vocabulary.ts";
import { call, fakeApi } from "./kit/fake-api.ts";
import { alerts, dashboard, groupingsIn, metricsIn, queries, selectorsIn } from "./kit/promql.ts";

const codes: Record<NotReady["code"], true> = {
  starting: true,
  "warming-up": true,
  draining: true,
  drained: true,
  forgotten: true,
  "key-superseded": true,
  "duplicate-identity": true,
  "votes-lost": true,
  "no-quorum": true,
  host: true,
  disk: true,
  sync: true,
  clock: true,
  alone: true,
};

/** Labels that Prometheus itself adds: the address of a peer, and the name of the scrape. */
const ofPrometheus = ["instance", "job"];

/** A peer with a job in each state, a run, and every reason not to be ready. */
async function figures() {
  const fake = fakeApi();
  for (const state of jobStates) {
    // A job that can't be read is no job of the table.
    if (state === "invalid") continue;
    const id = `job-${state}` as JobId;
    await call(fake, { method: "POST", url: "/v1/jobs", body: { id, command: "ls" } });
    fake.control.statuses.set(id, { state });
  }
  await call(fake, { url: "/metrics" });
  const tick = "2026-11-20T01:00:00Z" as TickId;
  fake.control.record({ job: "job-failing" as JobId, tick, finishedAt: Date.parse(tick) + 1_000 });
  fake.control.notReady = (Object.keys(codes) as NotReady["code"][]).map((code) => ({ code, message: code }));
  return metricsIn((await call(fake, { url: "/metrics" })).body);
}

test("the dashboard can be imported: its model, its variables and its panels are complete", () => {
  const { id, uid, title, schemaVersion, templating, panels } = dashboard();
  assert.deepEqual({ id, uid, title }, { id: null, uid: "cicada", title: "cicada" });
  assert.ok(Number.isInteger(schemaVersion) && schemaVersion >= 30);
  const variables = templating.list.map(({ name, type }) => `${name}: ${type}`);
  assert.deepEqual(variables, ["datasource: datasource", "instance: query"]);
  assert.equal(templating.list[0]?.query, "prometheus");
  assert.equal(new Set(panels.map((panel) => panel.id)).size, panels.length);
  assert.equal(new Set(panels.map((panel) => panel.title)).size, panels.length);
  const taken = new Set<string>();
  for (const { title: name, type, gridPos, datasource, targets } of panels) {
    assert.ok(["timeseries", "stat", "table"].includes(type), name);
    assert.ok(targets.length > 0, name);
    assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, name);
    for (const one of [datasource, ...targets.map((target) => target.datasource)]) {
      assert.deepEqual(one, { type: "prometheus", uid: "${datasource}" }, name);
    }
    assert.ok(gridPos.x + gridPos.w <= 24, name);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(!taken.has(`${x},${y}`), `${name} covers another panel`);
        taken.add(`${x},${y}`);
      }
    }
  }
});

test("every query of the dashboard asks only for the chosen peers", () => {
  for (const { title, targets } of dashboard().panels) {
    const selectors = targets.flatMap(({ expr }) => selectorsIn(expr));
    assert.ok(selectors.length > 0, title);
    for (const selector of selectors) {
      const [first] = selector.matchers;
      assert.deepEqual(
        first,
        { label: "instance", operator: "=~", value: "$instance" },
        `${title}: ${selector.metric}`,
      );
    }
  }
});

test("every label, and every value of one, that the dashboard and the alerts name is in /metrics", async () => {
  const metrics = await figures();
  for (const { name, expr, shown } of queries()) {
    const selectors = selectorsIn(expr);
    assert.ok(selectors.length > 0, `${name}: ${expr}`);
    const known = new Set(ofPrometheus);
    for (const { metric, matchers } of selectors) {
      const labels = metrics.get(metric)?.labels ?? new Map<string, Set<string>>();
      for (const label of labels.keys()) known.add(label);
      for (const { label, operator, value } of matchers.filter((one) => one.label !== "instance")) {
        const values = labels.get(label);
        assert.ok(values !== undefined, `${name}: ${metric} has no label ${label}`);
        for (const one of operator.endsWith("~") ? value.split("|") : [value]) {
          assert.ok(values.has(one), `${name}: ${metric} is never ${label}="${one}"`);
        }
      }
    }
    for (const label of [...groupingsIn(expr), ...shown]) {
      assert.ok(known.has(label), `${name}: nothing in it has the label ${label}`);
    }
    // What a text shows has to survive the adding up.
    if (/ by \(/.test(expr)) {
      for (const label of shown)
        assert.ok(groupingsIn(expr).includes(label), `${name}: ${label} is added up`);
    }
  }
});

test("each reason not to be ready has an alert, except that a person has drained the peer", () => {
  const conditions = alerts()
    .flatMap(({ expr }) => selectorsIn(expr))
    .filter(({ metric }) => metric === "cicada_not_ready")
    .flatMap(({ matchers }) => matchers);
  const silent = Object.keys(codes).filter(
    (code) =>
      !conditions.some(({ operator, value }) =>
        operator === "=" ? value === code : !value.split("|").includes(code),
      ),
  );
  assert.deepEqual(silent, ["drained"]);
});

test("each alert has a name of its own, a severity, and a text that says what to do", () => {
  const rules = alerts();
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
  for (const { alert, labels, annotations, for: lasting } of rules) {
    assert.match(alert, /^Cicada[A-Z][A-Za-z]+$/);
    assert.match(labels.severity, /^(critical|warning)$/, alert);
    assert.match(lasting, /^\d+m$/, alert);
    assert.ok(annotations.summary.length > 10 && annotations.description.length > 10, alert);
  }
});

test("metrics are named as Prometheus wants it: only counters end in _total, and no name says its type", async () => {
  const fake = fakeApi();
  const { body } = await call(fake, { url: "/metrics" });
  const types = [...body.matchAll(/^# TYPE (\w+) (\w+)$/gm)];
  assert.ok(types.length > 40);
  for (const [, name = "", type] of types) {
    assert.equal(name.endsWith("_total"), type === "counter", `${name} is a ${type}`);
    assert.doesNotMatch(name, /counter|gauge|histogram|summary|[A-Z]/, name);
    assert.match(body, new RegExp(String.raw`^# HELP ${name} \S`, "m"), name);
  }
});

test("lateness counts scheduled first attempts, and free space is that of the data folder's disk, or nothing", async () => {
  const fake = fakeApi();
  const tick = "2026-11-20T01:00:00Z" as TickId;
  const startedAt = Date.parse(tick) + 3_000;
  const job = "a" as JobId;
  await call(fake, { url: "/metrics" });
  fake.control.record({ job, tick, startedAt });
  fake.control.record({ job, tick, startedAt, attempt: 2, trigger: "retry" });
  fake.control.record({ job, tick, startedAt, trigger: "catch-up" });
  const { body } = await call(fake, { url: "/metrics" });
  assert.match(body, /^cicada_run_lateness_seconds_count\{group="default"\} 1$/m);
  assert.match(body, /^cicada_run_lateness_seconds_sum\{group="default"\} 3$/m);
  assert.match(body, /^cicada_run_lateness_seconds_bucket\{le="1",group="default"\} 0$/m);
  const [, free] = /^cicada_disk_free_bytes (\d\S*)$/m.exec(body) ?? [];
  const [, size] = /^cicada_disk_size_bytes (\d\S*)$/m.exec(body) ?? [];
  assert.ok(Number(size) > 0 && Number(free) <= Number(size), `${free} of ${size}`);
  const without = await call(fakeApi({ dataFolder: "/nowhere/at/all" }), { url: "/metrics" });
  assert.doesNotMatch(without.body, /^cicada_disk_\w+ /m);
});
