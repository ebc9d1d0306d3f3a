/**
 * Chains with real peers and processes: outputs reach the job that runs after another, and a job runs once, elsewhere, when the
 * peer that ran its parent is killed just after the end. Judged by what the jobs themselves write.
 */
import assert from "node:assert/strict";
import { appendFileSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Cluster, until, type RunningPeer } from "./kit/cluster.ts";

const names = ["ada", "bob", "cyd"] as const;

interface Run {
  tick: string;
  state: string;
  trigger: string;
  outputs: Record<string, string> | null;
  notes: string[];
}

async function runsOf(peer: RunningPeer, job: string): Promise<Run[]> {
  const { items } = (await peer.ask("GET", `/v1/jobs/${job}/runs?limit=100`)) as { items: Run[] };
  return items;
}

describe("three peers and jobs that run after others", () => {
  let cluster: Cluster;
  let peers: RunningPeer[] = [];
  let file = "";
  const lines = (job: string): string[] =>
    readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line.startsWith(`${job} `));
  const line = (job: string) => `echo "${job} $CICADA_TICK $CICADA_PEER_NAME" >> ${file}`;

  before(async () => {
    cluster = new Cluster();
    file = path.join(cluster.folder, "lines");
    appendFileSync(file, "");
    peers = await cluster.mesh(names);
  });
  after(() => cluster[Symbol.asyncDispose]());

  const named = (name: string): RunningPeer => {
    const peer = peers.find((one) => one.name === name);
    assert.ok(peer);
    return peer;
  };

  async function make(...specs: { id: string }[]): Promise<void> {
    for (const spec of specs) await peers[0]?.ask("POST", "/v1/jobs", spec);
    for (const peer of peers) {
      await until(`${peer.name} knows the jobs`, 10_000, async () => {
        const replies = await Promise.all(specs.map(({ id }) => peer.call("GET", `/v1/jobs/${id}`)));
        return replies.every(({ status }) => status === 200);
      });
    }
  }

  test("each tick of the parent runs the child once, with what the parent has written to $CICADA_OUTPUT", async () => {
    await make(
      {
        id: "load",
        schedule: "@every 2s",
        command: `${line("load")}; echo "OF=$CICADA_TICK" >> "$CICADA_OUTPUT"; echo nonsense >> "$CICADA_OUTPUT"`,
      } as { id: string },
      {
        id: "report",
        command: `echo "report $CICADA_TICK $CICADA_TRIGGER $(cat "$CICADA_PARENTS")" >> ${file}`,
        after: { jobs: ["load"] },
      } as { id: string },
    );
    const observer = named("bob");
    await until("five reports are written", 60_000, () => lines("report").length >= 5);
    const { items } = (await observer.ask("GET", "/v1/jobs?state=manual")) as { items: unknown[] };
    assert.deepEqual(items, [], "its parent gives it a next tick");
    const planned = (await observer.ask("GET", "/v1/jobs/report")) as Record<string, unknown>;
    assert.ok(planned["nextTick"] !== null && planned["nextPeer"] !== null, JSON.stringify(planned));
    await observer.ask("POST", "/v1/jobs/load/pause", {});
    const ticks = await until("each parent's tick has its report", 20_000, () => {
      const [ofParent, ofChild] = ["load", "report"].map((job) => lines(job).map((one) => one.split(" ")[1]));
      return ofParent?.toSorted().join() === ofChild?.toSorted().join() ? ofParent : undefined;
    });
    assert.equal(new Set(ticks).size, ticks.length, "each once");
    for (const written of lines("report")) {
      const [, tick, trigger, ...rest] = written.split(" ");
      const { load } = JSON.parse(rest.join(" ")) as Record<string, { state: string; outputs: object }>;
      assert.equal(trigger, "chain");
      assert.deepEqual(load?.outputs, { OF: tick });
      assert.equal(load.state, "succeeded");
    }
    const shown = (await runsOf(observer, "load")).find(({ state }) => state === "succeeded");
    assert.ok(shown);
    assert.deepEqual(shown.outputs, { OF: shown.tick });
    assert.match(shown.notes.join(), /line 2 of \$CICADA_OUTPUT is left out/);
  });

  test("the peer that ran the parent is killed just after its end: the child runs once, on another peer", async () => {
    const gate = path.join(cluster.folder, "gate");
    await make(
      {
        id: "first",
        command: `while [ ! -e ${gate} ]; do sleep 0.05; done; ${line("first")}`,
        target: { peers: ["ada"] },
      } as { id: string },
      {
        id: "then",
        command: line("then"),
        after: { jobs: ["first"] },
        target: { peers: ["bob", "cyd"] },
      } as {
        id: string;
      },
    );
    const [ada, others] = [named("ada"), [named("bob"), named("cyd")]];
    const { tick } = (await ada.ask("POST", "/v1/jobs/first/run", {})) as { tick: string };
    for (const peer of others) {
      await until(`${peer.name} knows that it runs`, 10_000, async () =>
        (await runsOf(peer, "first")).some(({ state }) => state === "running"),
      );
    }
    appendFileSync(gate, "");
    // The child can't run there, and its peers know no more than that the parent has ended.
    await until("another peer has heard of the parent's end", 10_000, async () =>
      (await runsOf(named("bob"), "first")).some(({ state }) => state === "succeeded"),
    );
    await ada.crash();
    await until("the child has run", 30_000, () => lines("then").length > 0);
    await ada.restart();
    await until("all three say that it succeeded", 30_000, async () => {
      const stories = await Promise.all(peers.map((peer) => runsOf(peer, "then")));
      return stories.every((runs) => runs.some(({ state }) => state === "succeeded"));
    });
    const [written, ...more] = lines("then");
    assert.deepEqual(more, [], "once");
    assert.match(written ?? "", new RegExp(`^then ${tick} (bob|cyd)$`));
  });

  test("the cycle that an edit would make is refused with its path, and a deleted parent is a problem of the child", async () => {
    await make(
      { id: "one", command: "true" } as { id: string },
      { id: "two", command: "true", after: { jobs: ["one"] } } as { id: string },
    );
    const cyd = named("cyd");
    const refused = await cyd.call("PATCH", "/v1/jobs/one", { after: { jobs: ["two"] } });
    assert.equal(refused.status, 422);
    assert.match(refused.text, /it would run after itself: one → two → one/);
    const said = await cyd.command(
      "jobs",
      "create",
      "three",
      "--after",
      "two,nosuch",
      "--after-on",
      "always",
      "-c",
      "true",
    );
    assert.equal(said.code, 0, said.stderr);
    assert.match(said.stderr, /warning: it runs after "nosuch", and there is no such job/);
    assert.match(said.stdout, /three created, to run after two, nosuch \(always\)/);
    await cyd.ask("DELETE", "/v1/jobs/one");
    const { problems } = (await cyd.ask("GET", "/v1/jobs/two")) as { problems: { code: string }[] };
    assert.deepEqual(
      problems.map(({ code }) => code),
      ["NO_PARENT"],
    );
  });
});
