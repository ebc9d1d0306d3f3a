/**
 * Ticks that run on each of three real peers: all at once, and from peer to peer while one of them is killed in its turn. Judged by
 * what the jobs themselves write.
 */
import assert from "node:assert/strict";
import { appendFileSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Cluster, until, type RunningPeer } from "./kit/cluster.ts";

const names = ["ada", "bob", "cyd"] as const;

interface Run {
  id: string;
  tick: string;
  state: string;
  reason: string | null;
  slot: string;
  peer: { id: string; name: string } | string;
}

async function runsOf(peer: RunningPeer, job: string): Promise<Run[]> {
  const { items } = (await peer.ask("GET", `/v1/jobs/${job}/runs?limit=100`)) as { items: Run[] };
  return items;
}

async function stateOf(peer: RunningPeer, job: string, tick: string): Promise<string> {
  const { items } = (await peer.ask("GET", `/v1/jobs/${job}/ticks`)) as {
    items: { tick: string; state: string }[];
  };
  return items.find((one) => one.tick === tick)?.state ?? "unknown";
}

describe("three peers and jobs that run on all of them", () => {
  let cluster: Cluster;
  let peers: RunningPeer[] = [];
  const first = (): RunningPeer => {
    const [peer] = peers;
    assert.ok(peer);
    return peer;
  };
  let file = "";

  before(async () => {
    cluster = new Cluster();
    file = path.join(cluster.folder, "lines");
    appendFileSync(file, "");
    peers = await cluster.mesh(names);
  });
  after(() => cluster[Symbol.asyncDispose]());

  const lines = (job: string): string[][] =>
    readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line.startsWith(`${job} `))
      .map((line) => line.split(" "));
  const namesIn = (job: string): string[] =>
    lines(job)
      .map(([, , name = ""]) => name)
      .toSorted((a, b) => a.localeCompare(b));
  const write = (job: string, what: string) => `echo "${job} ${what} $CICADA_PEER_NAME" >> ${file}`;

  async function make(spec: { id: string }): Promise<void> {
    await first().ask("POST", "/v1/jobs", spec);
    for (const peer of peers)
      await until(`${peer.name} knows the job`, 10_000, async () => {
        return (await peer.call("GET", `/v1/jobs/${spec.id}`)).status === 200;
      });
  }

  test("a run by hand runs once on each peer, and all tell one story of it", async () => {
    await make({ id: "everywhere", command: write("everywhere", "ran"), target: { count: "all" } } as {
      id: string;
    });
    const { tick } = (await first().ask("POST", "/v1/jobs/everywhere/run", {})) as { tick: string };
    for (const peer of peers)
      await until(`${peer.name} says that it succeeded`, 20_000, async () => {
        return (await stateOf(peer, "everywhere", tick)) === "succeeded";
      });
    assert.deepEqual(namesIn("everywhere"), [...names]);
    const runs = await runsOf(first(), "everywhere");
    assert.equal(new Set(runs.map(({ slot }) => slot)).size, 3);
    for (const { id, slot } of runs) assert.ok(id.endsWith(`@${slot}#${slot}`), id);
  });

  test("a peer is killed in its turn: the others carry the tick on, never two at once", async () => {
    await make({
      id: "upgrade",
      command: `${write("upgrade", "begins")}; sleep 2; ${write("upgrade", "ends")}`,
      target: { count: "all", rolling: { max: 1, stopAfter: 0 } },
    } as { id: string });
    const { tick } = (await first().ask("POST", "/v1/jobs/upgrade/run", {})) as { tick: string };
    const victim = await until("the first has its turn", 20_000, () => lines("upgrade")[0]?.[2]);
    const killed = peers.find(({ name }) => name === victim);
    assert.ok(killed);
    const others = peers.filter((peer) => peer !== killed);
    for (const peer of others)
      await until(`${peer.name} knows that it runs`, 10_000, async () => {
        return (await runsOf(peer, "upgrade")).some(({ state }) => state === "running");
      });
    await killed.crash();
    for (const peer of others)
      await until(`${peer.name} says how the tick ended`, 60_000, async () => {
        return (await stateOf(peer, "upgrade", tick)) === "lost";
      });
    const written = lines("upgrade").map(([, what, name]) => `${what} ${name}`);
    const [begun, ...rest] = written;
    assert.equal(begun, `begins ${victim}`);
    const [second, third] = others.map(({ name }) => name);
    const order = rest[0] === `begins ${second}` ? [second, third] : [third, second];
    assert.deepEqual(
      rest,
      order.flatMap((name) => [`begins ${name}`, `ends ${name}`]),
      "one after the other, and each once",
    );
    await killed.restart();
    await until("the killed one tells the same story", 30_000, async () => {
      return (await stateOf(killed, "upgrade", tick)) === "lost";
    });
    assert.equal(lines("upgrade").length, written.length, "it runs nothing of it again");
  });

  test("the part of a peer that is away is skipped, and with target.offline it is made up for", async () => {
    await make({
      id: "later",
      command: write("later", "ran"),
      target: { count: "all", offline: "10m" },
    } as { id: string });
    const [ada, bob, cyd] = peers as [RunningPeer, RunningPeer, RunningPeer];
    await cyd.crash();
    const { tick } = (await ada.ask("POST", "/v1/jobs/later/run", {})) as { tick: string };
    await until("the two that are there have run it", 30_000, () => lines("later").length === 2);
    assert.equal(await stateOf(bob, "later", tick), "pending");
    await until("bob says what the tick waits for", 20_000, async () => {
      const { why } = (await bob.ask("GET", `/v1/jobs/later/why?tick=${tick}`)) as { why: string[] };
      return /cyd is away; its run is skipped unless it is back by/.test(why.join("\n"));
    });
    await cyd.restart();
    await until("the third has run it", 30_000, () => lines("later").length === 3);
    for (const peer of peers)
      await until(`${peer.name} says that it succeeded`, 20_000, async () => {
        return (await stateOf(peer, "later", tick)) === "succeeded";
      });
    assert.deepEqual(namesIn("later"), [...names]);
  });
});
