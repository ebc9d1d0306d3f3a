/**
 * A long world leaps over quiet stretches. Here short ones are simulated both ways, heartbeat by heartbeat and with
 * leaps. The starts of ticks, the ends of runs and the records of all peers must be the same. Milliseconds differ,
 * because other heartbeats draw other delays. So it may also differ which of two peers reports a tick that did not run,
 * and whether it does so before or after it learns that the job was changed.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { retainedTicks } from "../src/sim/checkers/retained.ts";
import type { LongKind } from "../src/sim/faults/long.ts";
import { runLongSeed } from "../src/sim/long.ts";
import { startRealPeer } from "../src/sim/world/real-peer.ts";
import type { SeedResult } from "../src/sim/any-world.ts";
import type { Run } from "../src/sim/world/truth.ts";

/** Two of each number of peers. */
const seeds = 6;
/** The states of ticks that did not run. */
const decisions: ReadonlySet<string> = new Set(["missed", "skipped", "withdrawn"]);
const longKinds: readonly LongKind[] = ["short absence", "all away", "suspend", "long split", "restart"];

function run(number: number, leaps: boolean): SeedResult {
  const seed = `leap-${number}`;
  const peers = 1 + (number % 3);
  return runLongSeed({
    seed,
    peers,
    jobs: 3,
    hours: 8,
    faults: "swarm",
    longKinds,
    makePeer: startRealPeer,
    leaps,
  });
}

/**
 * Leaves out what may differ. A manual tick has its millisecond in its name, which chooses its runner; and whether a
 * child fails is drawn in the order in which its host starts children.
 */
function outlineOf({ job, tick, peer }: Pick<Run, "job" | "tick" | "peer">, end: string): string {
  if (tick.startsWith("manual-")) return `${job} by hand`;
  return [job, tick, peer, end === "failed" ? "succeeded" : end].join(" ");
}

function outline({ evidence }: SeedResult): unknown {
  const isRetained = retainedTicks(evidence);
  const runs = evidence.runs.map((one) => outlineOf(one, one.outcome ?? "running"));
  const records = evidence.final.map(({ peer, jobs, records: all }) => {
    const kept = [...all.values()].filter(
      ({ job, tick, state }) => isRetained(job, tick) && !decisions.has(state),
    );
    const seen = kept.map((record) => outlineOf(record, record.state));
    return { peer, jobs: [...jobs.keys()].toSorted(), records: seen.toSorted() };
  });
  return { runs: runs.toSorted(), records };
}

describe("a world with leaps has the same history as one without", () => {
  const events = { full: 0, leapt: 0 };
  for (let number = 1; number <= seeds; number++) {
    test(`in world leap-${number}`, () => {
      const [full, leapt] = [run(number, false), run(number, true)];
      assert.deepEqual(outline(leapt), outline(full));
      events.full += full.events;
      events.leapt += leapt.events;
    });
  }

  test("with fewer than half of the events", () => {
    assert.ok(events.leapt < events.full / 2, `${events.leapt} of ${events.full}`);
  });
});
