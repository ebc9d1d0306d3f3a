/** A real peer's figures: each that the dashboard or an alert asks for is there, and promtool finds nothing, if it is installed. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Cluster, type RunningPeer } from "./kit/cluster.ts";
import { metricsIn, queries, selectorsIn } from "./kit/promql.ts";

const archive = ["--archive", "s3://outputs", "--syslog", "tcp://127.0.0.1:1"];
const env = {
  AWS_ACCESS_KEY_ID: "none",
  AWS_SECRET_ACCESS_KEY: "none",
  AWS_REGION: "us-east-1",
  AWS_ENDPOINT_URL: "http://127.0.0.1:1",
};
const promtool = spawnSync("promtool", ["--version"], { stdio: "ignore" }).status === 0;
const skip = promtool ? false : "promtool is not installed";

describe("a real peer", () => {
  const cluster = new Cluster();
  let peer: RunningPeer;
  before(async () => {
    peer = await cluster.start({ name: "ada", flags: archive, env });
  });
  after(() => cluster[Symbol.asyncDispose]());

  const metrics = async () => (await peer.call("GET", "/metrics")).text;

  test("has every metric that the dashboard and the alerts ask for", async () => {
    const found = metricsIn(await metrics());
    const asked = queries().flatMap(({ name, expr }) =>
      selectorsIn(expr).map(({ metric }) => ({ name, metric })),
    );
    assert.ok(asked.length > 20, `${asked.length} metrics are asked for`);
    for (const { name, metric } of asked) assert.ok(found.has(metric), `${name}: no ${metric}`);
  });

  test("promtool finds nothing to say about the metrics", { skip }, async () => {
    const input = await metrics();
    const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
      input,
      encoding: "utf8",
    });
    assert.deepEqual({ status, said: stdout + stderr }, { status: 0, said: "" });
  });

  test("prints alert rules that promtool takes", { skip }, async () => {
    const { stdout } = await peer.command("service", "--alerts");
    const file = path.join(cluster.folder, "rules.yaml");
    writeFileSync(file, stdout);
    const checked = spawnSync("promtool", ["check", "rules", file], { encoding: "utf8" });
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  });
});
