/** The checker of jobs that run on all peers (sim/checkers/all-peers.ts) must be able to fail, and must not cry wolf. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkAllPeers } from "../src/sim/checkers/all-peers.ts";
import { everyMinute } from "../src/sim/client/schedules.ts";
import type { JobRules, Operation } from "../src/sim/world/requests.ts";
import { pairOf, type Evidence, type Run } from "../src/sim/world/truth.ts";
import { tickAt, type JobId, type PeerId } from "../src/schema/ids.ts";

const minute = 60_000;
const beginning = Date.parse("2026-11-20T00:00:00Z");
const due = beginning + 10 * minute;
const job = "upgrade" as JobId;
const [ann, ben, cyd] = ["ann", "ben", "cyd"] as [PeerId, PeerId, PeerId];

type Rolling = NonNullable<NonNullable<JobRules["onAll"]>["rolling"]>;

/** A run of the tick that began so many seconds after it, and took ten. */
function run(peer: PeerId, s: number, changes: Partial<Run> = {}): Run {
  const start = due + s * 1_000;
  const ended = { start, end: start + 10_000, outcome: "succeeded" } as const;
  return { job, tick: tickAt(due), attempt: 1, slot: peer, peer, life: 1, ...ended, ...changes };
}

function found(
  runs: readonly Run[],
  rolling: Partial<Rolling> | undefined,
  changes: Partial<Evidence> = {},
): string[] {
  const rules: JobRules = {
    id: job,
    schedule: everyMinute,
    overlap: "allow",
    catchUp: { policy: "latest", windowMs: 10 * minute },
    peers: undefined,
    onAll: {
      offlineMs: 0,
      ...(rolling === undefined ? {} : { rolling: { max: 1, pauseMs: 0, stopAfter: 1, ...rolling } }),
    },
  };
  const operation: Operation = {
    request: { kind: "put", rules },
    peer: ann,
    askedAt: beginning,
    answeredAt: beginning + 20,
    accepted: true,
    tick: undefined,
  };
  const evidence: Evidence = {
    peers: [ann, ben, cyd],
    from: beginning,
    to: beginning + 30 * minute,
    healedAt: beginning + 25 * minute,
    runs,
    operations: [operation],
    outages: [],
    cuts: [],
    faultWindows: [],
    clockErrorMs: new Map(),
    convergedViews: [],
    final: [],
    ...changes,
  };
  return checkAllPeers(evidence).map(({ rule }) => rule);
}

/** How far each of their clocks may be off. */
function offBy(ms: number): ReadonlyMap<PeerId, number> {
  return new Map([ann, ben, cyd].map((peer) => [peer, ms]));
}

/** The three knew each other from the beginning, except cyd, which joined so many seconds after the tick. */
function joinedAfter(s: number): Partial<Evidence> {
  const at = due + s * 1_000;
  return {
    introduced: new Map([
      [pairOf(ann, ben), beginning],
      [pairOf(ann, cyd), at],
      [pairOf(ben, cyd), at],
    ]),
  };
}

describe("the checker of jobs that run on all peers", () => {
  const inTurn = [run(ann, 0), run(ben, 11), run(cyd, 22)];
  const cases: [what: string, found: string[], expected: string[]][] = [
    ["a run on each peer breaks nothing", found([run(ann, 0), run(ben, 0), run(cyd, 0)], undefined), []],
    [
      "a peer that runs another's part is found",
      found([run(ann, 0), run(ben, 0, { slot: "cyd" })], undefined),
      ["I4"],
    ],
    [
      "a peer that joined later and runs it is found",
      found([run(ann, 0), run(cyd, 40)], undefined, joinedAfter(5)),
      ["I4"],
    ],
    [
      "one that had joined before is not",
      found([run(ann, 0), run(cyd, 40)], undefined, joinedAfter(-60)),
      [],
    ],
    ["one after the other breaks nothing", found(inTurn, {}), []],
    ["a run beside another one is found", found([run(ann, 0), run(ben, 5), run(cyd, 16)], {}), ["I10"]],
    ["with two places it is not", found([run(ann, 0), run(ben, 5), run(cyd, 11)], { max: 2 }), []],
    ["three with two places are found", found([run(ann, 0), run(ben, 1), run(cyd, 2)], { max: 2 }), ["I10"]],
    [
      "of a part and its repeat, whose pauses aren't over, only one is counted",
      found([run(ann, 0, { outcome: "failed" }), run(ann, 12, { attempt: 2 }), run(ben, 25)], {
        max: 2,
        pauseMs: 30_000,
        stopAfter: 2,
      }),
      [],
    ],
    [
      "a run within the pause is found",
      found([run(ann, 0), run(ben, 15)], { pauseMs: 30_000 }),
      ["I10", "I1"],
    ],
    [
      "a run that is within it by the sum of what both clocks are off is not",
      found([run(ann, 0), run(ben, 39)], { pauseMs: 30_000 }, { clockErrorMs: offBy(600) }).filter(
        (rule) => rule === "I10",
      ),
      [],
    ],
    [
      "… and by more than that it is",
      found([run(ann, 0), run(ben, 38)], { pauseMs: 30_000 }, { clockErrorMs: offBy(600) }).filter(
        (rule) => rule === "I10",
      ),
      ["I10"],
    ],
    [
      "a run after too many failures is found",
      found([run(ann, 0, { outcome: "failed" }), run(ben, 20)], {}),
      ["I10"],
    ],
    [
      "with more failures allowed it is not",
      found([run(ann, 0, { outcome: "failed" }), run(ben, 20)], { stopAfter: 2 }),
      [],
    ],
    ["a tick that doesn't go on is found", found([run(ann, 0), run(ben, 11)], {}), ["I1"]],
    [
      "but not while a peer is away",
      found(
        [run(ann, 0), run(ben, 11)],
        {},
        {
          outages: [{ peer: cyd, kind: "down", from: due - minute, to: due + 2 * minute }],
        },
      ),
      [],
    ],
    [
      "runs on two sides of a split are not compared",
      found(
        [run(ann, 0), run(ben, 5)],
        {},
        {
          cuts: [ann, cyd].flatMap((sender) => [
            { sender, receiver: ben, from: due - minute, to: due + minute },
            { sender: ben, receiver: sender, from: due - minute, to: due + minute },
          ]),
        },
      ),
      [],
    ],
  ];
  for (const [what, rules, expected] of cases) it(what, () => assert.deepEqual(rules, expected));
});
