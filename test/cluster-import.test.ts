/** Jobs of other schedulers on two real peers: they are made once, run as they did there, and go with their source. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Cluster, items, until, type RunningPeer } from "./kit/cluster.ts";

function dkron(name: string, more: object): object {
  return {
    name,
    executor: "shell",
    executor_config: { command: "echo $ENV_JOB_NAME", shell: "true" },
    ...more,
  };
}

describe("imports on two real peers", () => {
  let cluster: Cluster;
  let ada: RunningPeer;
  let bob: RunningPeer;

  before(async () => {
    cluster = new Cluster();
    [ada, bob] = await cluster.mesh(["ada", "bob"]);
  });
  after(() => cluster[Symbol.asyncDispose]());

  const put = (name: string, text: string): string => {
    const file = path.join(cluster.folder, name);
    writeFileSync(file, text);
    return file;
  };
  const ended = (job: string, count: number) =>
    until(`${job} has ${count} ends`, 40_000, async () => {
      const runs = await items<{ state: string; peerName: string }>(bob, `/v1/jobs/${job}/runs`);
      const done = runs.filter(({ state }) => state === "succeeded");
      return done.length >= count && done;
    });

  test("a job of dkron's without tags runs on every peer, and one after it when they have ended", async () => {
    const jobs = [
      dkron("report", { parent_job: "load", tags: { none: "such:1" } }),
      dkron("load", { schedule: "@every 2s" }),
    ];
    const file = put("dkron.json", JSON.stringify(jobs));
    const made = await ada.command("import", "dkron", file, "--tz", "UTC");
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stderr, /warning: report: no peer can run it now/);
    const peers = new Set((await ended("load", 4)).map(({ peerName }) => peerName));
    assert.deepEqual([...peers].toSorted(), ["ada", "bob"]);
    const again = await bob.command("import", "dkron", file, "--tz", "UTC");
    assert.match(again.stdout, /2 unchanged\./);
    const fewer = put("dkron.json", JSON.stringify(jobs.slice(1)));
    const pruned = await ada.command("import", "dkron", fewer, "--tz", "UTC", "--prune");
    assert.match(pruned.stdout, /stands any more for:\n {2}report: [^]*1 unchanged, 1 removed\./);
  });

  test("a chain of Cronicle's, a timer, and a CronJob's command run; what asks for a day AND a weekday doesn't", async () => {
    const script = { plugin: "shellplug", params: { script: "#!/bin/sh\necho hi\n" }, timezone: "UTC" };
    const file = put(
      "events.json",
      JSON.stringify({
        rows: [
          { ...script, id: "a", title: "First", timing: false, chain: "b" },
          { ...script, id: "b", title: "Second", timing: false },
          { ...script, id: "c", title: "Friday 13th", timing: { days: [13], weekdays: [5], minutes: [0] } },
        ],
      }),
    );
    assert.equal((await ada.command("import", "cronicle", file)).code, 0);
    await ada.ask("POST", "/v1/jobs/first/run", {});
    await ended("second", 1);
    const friday = (await ada.ask("GET", "/v1/jobs/friday-13th")) as { state: string; except: string[] };
    assert.deepEqual([friday.state, friday.except], ["disabled", ["0 * * * 0-4,6"]]);

    put(
      "poll.service",
      `[Service]\nUser=${userInfo().username}\nType=oneshot\nExecStart=/bin/echo one\nExecStart=-/bin/false\n`,
    );
    const timer = put("poll.timer", "[Timer]\nOnUnitActiveSec=2s\n");
    assert.equal((await ada.command("import", "systemd", timer)).code, 0);
    await ended("poll", 1);

    const manifest = put(
      "hello.yaml",
      `apiVersion: batch/v1
kind: CronJob
metadata: {name: hello}
spec:
  schedule: "@every 2s"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers: [{name: hello, image: "busybox:1.28", command: [/bin/sh, -c, "date; echo Hello"]}]
`,
    );
    assert.equal((await ada.command("import", "k8s", manifest)).code, 0);
    await ended("hello", 1);
    const exported = await ada.command("export", "--format", "crontab", "--user", "root");
    assert.match(exported.stdout, /# NOT EXPORTED: a crontab can't express the schedule @every 2s/);
  });
});
