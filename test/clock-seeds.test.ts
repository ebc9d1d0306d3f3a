/**
 * Wrong clocks in short simulated worlds: of one peer, of fewer than half, of most, or of all; from the start, for a
 * while, or for good; ahead or behind by 2 s up to a year.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { instantOf, type JobId } from "../src/schema/ids.ts";
import { everySeconds } from "../src/sim/client/schedules.ts";
import type { Evidence } from "../src/sim/world/truth.ts";
import { World } from "../src/sim/world/world.ts";
import { calmWorld, epoch } from "./kit/calm-world.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const steps = [2 * second, 10 * minute, 12 * hour, day, 365 * day].flatMap((ms) => [ms, -ms]);
/** Worlds of five peers are dear: of the times between a second and a year, they have one. */
const stepsOfFive = steps.filter((ms) => ![10 * minute, day].includes(Math.abs(ms)));
const whens = ["at start", "for a while", "for good"] as const;
/** how many of how many clocks are wrong */
const groups = [
  [1, 1],
  [1, 2],
  [2, 2],
  [1, 3],
  [2, 3],
  [3, 3],
  [2, 5],
  [3, 5],
] as const;

interface Case {
  wrong: number;
  peers: number;
  stepMs: number;
  when: (typeof whens)[number];
}

/** The span in which the clocks are wrong, ms; `for good` never ends. */
const wrongFrom = minute;
const wrongTo = 2 * minute;
const endsAt = 3.5 * minute;
const everyMs = 4 * second;

function worldOf({ wrong, peers, stepMs, when }: Case): Evidence {
  const world = new World({
    ...calmWorld,
    seed: `clocks ${wrong} of ${peers} ${stepMs} ${when}`,
    peers,
    skewMs: 20,
    driftPpm: 10,
  });
  const some = world.peers.slice(peers - wrong);
  const set = (ms: number): void => some.forEach((peer) => world.hosts.get(peer).clock.step(ms));
  if (when === "at start") set(stepMs);
  for (const peer of world.peers) world.at(epoch, () => world.hosts.start(peer));
  const rules = {
    id: "beat" as JobId,
    schedule: everySeconds(everyMs / second),
    overlap: "allow",
    catchUp: { policy: "none", windowMs: 0 },
    peers: undefined,
  } as const;
  // A peer whose clock seems to be far ahead refuses, so all are asked.
  for (const peer of world.peers)
    world.at(epoch + 10 * second, () => world.ask(peer, { kind: "put", rules }));
  if (when !== "at start") world.at(epoch + wrongFrom, () => set(stepMs));
  if (when !== "for good") world.at(epoch + wrongTo, () => set(-stepMs));
  world.runUntil(epoch + endsAt);
  return world.evidence(epoch + wrongTo, []);
}

/** The ticks of the span (ms after the beginning) that did not start exactly once and at most a second late. */
function misses({ runs }: Evidence, from: number, to: number): string[] {
  const missed: string[] = [];
  for (let at = Math.ceil(from / everyMs) * everyMs; at < to; at += everyMs) {
    const starts = runs.filter(({ tick }) => instantOf(tick) === epoch + at).map(({ start }) => start);
    const offMs = (starts[0] ?? Infinity) - epoch - at;
    if (starts.length === 1 && Math.abs(offMs) <= 1_100) continue;
    missed.push(`${at / second} s: ${starts.map((start) => (start - epoch) / second).join(", ") || "never"}`);
  }
  return missed;
}

/** How long it may take until the others notice a wrong clock, and until ticks are on time again, ms. */
const findsOutMs = 7 * second;

describe("clocks that are wrong", () => {
  for (const [wrong, peers] of groups) {
    for (const when of whens) {
      test(`${wrong} of ${peers}, ${when}`, () => {
        for (const stepMs of peers === 5 ? stepsOfFive : steps) {
          const evidence = worldOf({ wrong, peers, stepMs, when });
          const what = `by ${stepMs / second} s`;
          // Of two clocks without further knowledge the slower counts as right; of more, the majority does, even if it
          // is wrong.
          const mayDoubtRight =
            2 * wrong > peers || (2 * wrong === peers && stepMs < 0 && when === "at start");
          const isMended = when !== "for good";
          if (!mayDoubtRight) {
            const from = when === "at start" ? 30 * second : 20 * second;
            assert.deepEqual(misses(evidence, from, endsAt - 5 * second), [], what);
          } else if (isMended) {
            assert.deepEqual(misses(evidence, wrongTo + findsOutMs, endsAt - 5 * second), [], what);
          }
          const starts = Map.groupBy(evidence.runs, ({ tick }) => tick);
          assert.ok(starts.size > 10, `${what}: ${starts.size} ticks started`);
          const doubled = [...starts].filter(([, runs]) => runs.length > 1).map(([tick]) => tick);
          assert.deepEqual(doubled, [], `${what}: started twice`);
        }
      });
    }
  }
});
