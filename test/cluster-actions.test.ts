/** Real peers that run requests and scripts: what their API and command line take and show. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Cluster, items, until, type RunningPeer } from "./kit/cluster.ts";

interface Run {
  id: string;
  state: string;
  reason: string | null;
  peerName: string;
  exitCode: number | null;
}

async function lastRun(peer: RunningPeer, job: string): Promise<Run | undefined> {
  const [run] = await items<Run>(peer, `/v1/jobs/${job}/runs`);
  return run !== undefined && ["claimed", "running"].includes(run.state) ? undefined : run;
}

async function ran(peer: RunningPeer, job: string): Promise<Run> {
  return until(`${job} has run`, 30_000, () => lastRun(peer, job));
}

async function output(peer: RunningPeer, run: Run): Promise<string> {
  return (await peer.call("GET", `/v1/runs/${encodeURIComponent(run.id)}/log`)).text;
}

describe("two real peers", () => {
  let cluster: Cluster;
  let ada: RunningPeer;
  let bob: RunningPeer;

  before(async () => {
    cluster = new Cluster();
    [ada, bob] = await cluster.mesh(["ada", "bob"]);
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("a job sends its request, and the answer is the run's output at every peer", async () => {
    const heard: IncomingHttpHeaders[] = [];
    const server = createServer((request, response) => {
      heard.push(request.headers);
      response.writeHead(heard.length === 1 ? 200 : 503, { "content-type": "text/plain" }).end("pong\n");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/ping`;
      const made = await ada.command("jobs", "create", "ping", "--http-url", url, "--http-header", "X-Key=k");
      assert.equal(made.code, 0, made.stderr);
      const first = await ada.command("jobs", "run", "ping", "--wait");
      assert.equal(first.code, 0, first.stderr);
      const run = await ran(bob, "ping");
      assert.equal(run.state, "succeeded");
      assert.match(await output(bob, run), /^HTTP\/1\.1 200 OK\n[^]*\n\npong\n$/);
      assert.equal(heard[0]?.["x-cicada-run"], run.id);
      assert.equal(heard[0]?.["x-key"], "k");
      const second = await ada.command("jobs", "run", "ping", "--wait");
      assert.notEqual(second.code, 0);
      assert.match((await ran(ada, "ping")).reason ?? "", /^status: 503 Service Unavailable is not one of/);
      assert.equal(heard.length, 2, "nothing is sent twice");
    } finally {
      server.close();
    }
  });

  test("a script that is uploaded at one peer runs at the other, which fetches it again after it has lost it", async () => {
    const file = path.join(cluster.folder, "report.py");
    writeFileSync(file, "import sys\nprint('report', sys.argv[1:])\n");
    const flags = ["--script", file, "--interpreter", "python3", "--target-peer", "bob"];
    const made = await ada.command("jobs", "create", "report", ...flags, "--", "today");
    assert.equal(made.code, 0, made.stderr);
    const runs = async (): Promise<void> => {
      const said = await ada.command("jobs", "run", "report", "--wait");
      assert.equal(said.code, 0, said.stderr);
      const run = await ran(ada, "report");
      assert.deepEqual([run.peerName, await output(ada, run)], ["bob", "report ['today']\n"]);
    };
    await until("bob has the script", 20_000, async () => {
      const { items: peers } = (await ada.ask("GET", "/v1/peers")) as {
        items: { name: string; lacks: string[] }[];
      };
      const bobs = peers.find(({ name }) => name === "bob");
      return bobs?.lacks.every((item) => !item.startsWith("script")) === true;
    });
    await runs();
    await bob.stop();
    rmSync(path.join(bob.data, "scripts"), { recursive: true });
    await bob.restart();
    await runs();
    const { script } = (await bob.ask("GET", "/v1/jobs/report")) as { script: { sha256: string } };
    const read = await ada.call("GET", `/v1/scripts/${script.sha256}`);
    assert.match(read.text, /^import sys\n/);
  });

  test("a job whose interpreter no peer has is blocked, and the answer that creates it names the reason", async () => {
    const file = path.join(cluster.folder, "job.cob");
    writeFileSync(file, "DISPLAY 'HI'.\n");
    const made = await ada.command(
      "jobs",
      "create",
      "cobol",
      "--script",
      file,
      "--interpreter",
      "cobol-of-1959",
    );
    assert.equal(made.code, 0, made.stderr);
    await until("its problem names the interpreter", 20_000, async () => {
      const { state, problems } = (await ada.ask("GET", "/v1/jobs/cobol")) as {
        state: string;
        problems: { message: string }[];
      };
      return (
        state === "blocked" &&
        /(ada and bob|bob and ada) don't have the interpreter cobol-of-1959/.test(problems[0]?.message ?? "")
      );
    });
  });
});
