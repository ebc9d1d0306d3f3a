/**
 * The short form of `npm run test:faults`: a mesh of three real peers, each in its own network namespace, goes through
 * four faults. It is judged from outside, by what the jobs wrote and what was done to the peers.
 *
 * Jobs of both policies run side by side. The tests share one lab, in this order; together they take about 90 s.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Evidence, Knowledge } from "../src/sim/world/truth.ts";
import { until } from "./kit/cluster.ts";
import { count, judge, type Injection } from "./kit/fault/judge.ts";
import { Lab } from "./kit/fault/lab.ts";
import { labProblem } from "./kit/fault/net.ts";
import { keepsMajority, labJobs } from "./kit/fault/run.ts";
import { startTwice } from "./kit/fault/scenarios.ts";
import { faultLastsFor, quietFor } from "./kit/fault/times.ts";

/** The promised limits for a process that died, and for a host that fell silent. */
const deadLimitMs = 6_000;
const silentLimitMs = 12_000;
/** From the end of one fault to the beginning of the next. */
const betweenMs = 3_000;
/** After the last fault: the 15 s after which all ticks must be on time, and some ticks that show it. */
const quietMs = 19_000;

const problem = await labProblem();

function describeKnowledge({ jobs, records }: Knowledge): string {
  const lines = [...jobs, ...[...records].map(([id, { writing }]) => [id, writing])].map((pair) =>
    pair.join(" "),
  );
  return lines.toSorted((a, b) => (a < b ? -1 : 1)).join("\n");
}

describe("three peers on a network of their own", { skip: problem ?? false }, () => {
  let lab: Lab;
  const jobs = labJobs();
  const injections: Injection[] = [];

  before(async () => {
    lab = await Lab.open({ peers: 3 });
    await lab.make(jobs);
    if (keepsMajority()) await lab.untilVoters();
  });
  after(() => lab[Symbol.asyncDispose]());

  async function inject(what: string, fault: () => Promise<void>): Promise<void> {
    const from = Date.now();
    await fault();
    injections.push({ what, from, to: Date.now() });
    await quietFor(betweenMs);
  }

  /** The longest that a tick due during the last fault waited for its start. */
  function longestWaitMs(): number {
    return count(lab.evidence([], []), jobs, injections).waitsMs.at(-1) ?? Infinity;
  }

  test("after kill -9 of one peer the others start its ticks within 6 s", async () => {
    await inject("kill one", async () => {
      await lab.kill(lab.peer(0));
      await faultLastsFor(deadLimitMs);
      await lab.restart(lab.peer(0));
    });
    assert.ok(longestWaitMs() <= deadLimitMs);
  });

  test("with all wires of one peer cut for 8 s every tick starts within 12 s", async () => {
    await inject("cut one off", async () => {
      const mend = await lab.split([lab.peer(1)], [lab.peer(0), lab.peer(2)]);
      await faultLastsFor(8_000);
      await mend();
    });
    assert.ok(longestWaitMs() <= silentLimitMs);
  });

  test("with one peer stopped for 7 s (SIGSTOP) every tick starts within 12 s", async () => {
    await inject("pause", async () => {
      const resume = lab.pause(lab.peer(0));
      await faultLastsFor(7_000);
      resume();
    });
    assert.ok(longestWaitMs() <= silentLimitMs);
  });

  test("a second peer on the data folder of a running one is refused, and the first keeps running", async () => {
    await startTwice(lab.peer(2));
  });

  test("after kill -9 of all peers at once and a restart they find each other again", async () => {
    await inject("kill all", async () => {
      await lab.kill(...lab.peers);
      await lab.restart(...lab.peers);
    });
    await lab.untilWhole();
  });

  describe("afterwards, from outside", () => {
    let evidence: Evidence;
    before(async () => {
      await quietFor(quietMs);
      const final = await until("all peers hold the same jobs and records", 30_000, async () => {
        const known = await lab.knowledge();
        const texts = known.map(describeKnowledge);
        return texts.every((text) => text === texts[0]) && known;
      });
      evidence = lab.evidence([], final);
    });

    test("no tick of an available job was missed, and no tick of a majority job ran twice", (context) => {
      const figures = count(evidence, jobs, injections);
      context.diagnostic(JSON.stringify(figures));
      assert.equal(figures.available.missed, 0);
      assert.equal(figures.majority.doubled, 0);
      assert.ok(figures.available.due > 100, `only ${figures.available.due} ticks were judged`);
    });

    test("every rule of the simulator's checkers holds", () => {
      assert.deepEqual(judge(evidence, jobs, injections), []);
    });
  });
});
