/**
 * The short form of `npm run fuzz`: one round of hostile inputs to each door, the same in every run. The doors whose steps are
 * counted are in fuzz-costs.test.ts.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault, runRound, type Door } from "./kit/fuzz/door.ts";
import { plainDoors } from "./kit/fuzz/doors.ts";

/** Inputs per round at some doors; together all rounds take a few seconds of a core. */
const inputsOf: Readonly<Record<string, number>> = { decode: 4_000, folder: 20, disk: 2, api: 300 };
const usualInputs = 800;

describe("no input makes a peer crash, hang or grow, or changes anything that its sender may not change", () => {
  for (const door of plainDoors) {
    test(`at the door "${door.name}"`, async (context) => {
      const inputs = inputsOf[door.name] ?? usualInputs;
      const { finding, ...result } = await runRound(door, "short", inputs);
      assert.equal(finding, undefined, JSON.stringify(finding, undefined, 2));
      assert.equal(result.inputs, inputs);
      context.diagnostic(`${inputs} inputs, the slowest took ${Math.round(result.slowestMs)} ms`);
    });
  }
});

function doorThat(one: (input: number) => void): Door {
  return {
    name: "a door",
    share: 1,
    round: 100,
    limitMs: 100,
    open: () => {
      let input = 0;
      return { one: () => one(input++), last: () => `input ${input - 1}` };
    },
  };
}

/** Keeps the core busy. */
function busy(ms: number): void {
  const began = process.threadCpuUsage();
  let usedMs = 0;
  while (usedMs < ms) usedMs = process.threadCpuUsage(began).user / 1_000;
}

async function drawn(name: string, seed: string): Promise<string[]> {
  const door = plainDoors.find((one) => one.name === name);
  assert.ok(door !== undefined);
  const open = await door.open(seed);
  const inputs: string[] = [];
  for (let input = 0; input < 30; input++) {
    // oxlint-disable-next-line no-await-in-loop -- one input after the other
    await open.one();
    inputs.push(open.last());
  }
  await open.close?.();
  return inputs;
}

describe("the fuzzer itself", () => {
  test("reports exceptions, inputs that take too long and faults that a door found, with the input", async () => {
    const cases: [string, (input: number) => void][] = [
      [
        "crash",
        (input) => {
          if (input === 7) throw new TypeError("planted");
        },
      ],
      [
        "fault",
        (input) => {
          if (input === 7) throw new Fault("planted");
        },
      ],
      [
        "hang",
        (input) => {
          if (input === 7) busy(150);
        },
      ],
    ];
    for (const [kind, one] of cases) {
      const { finding } = await runRound(doorThat(one), "planted");
      assert.deepEqual([finding?.kind, finding?.input, finding?.last], [kind, 7, "input 7"]);
    }
  });

  test("draws the same inputs for one seed, and others for another seed", async () => {
    for (const name of ["peer/vote", "table", "schedule", "authority"]) {
      assert.deepEqual(await drawn(name, "a"), await drawn(name, "a"), name);
      assert.notDeepEqual(await drawn(name, "a"), await drawn(name, "b"), name);
    }
  });
});
