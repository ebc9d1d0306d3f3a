/** The short form of `npm run fuzz`: one round of hostile inputs to each door, the same in every run. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseSchedule, ticksBetween } from "../src/core/time/schedule.ts";
import { Fault, runRound, type Door } from "./kit/fuzz/door.ts";
import { costDoor } from "./kit/fuzz/costs.ts";
import { doors } from "./kit/fuzz/doors.ts";

/** Inputs per round at some doors; together all rounds take a few seconds of a core. */
const inputsOf: Readonly<Record<string, number>> = { decode: 4_000, folder: 20, disk: 2, api: 300 };
const usualInputs = 800;
/** … at those whose steps are counted, which takes some time for each. */
const countedInputs = 60;

describe("no input makes a peer crash, hang or grow, or changes anything that its sender may not change", () => {
  for (const door of doors) {
    test(`at the door "${door.name}"`, async (context) => {
      const inputs = inputsOf[door.name] ?? (door.name.startsWith("cost/") ? countedInputs : usualInputs);
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

const everySecond = parseSchedule("@every 1s", "UTC", "");
assert.ok(everySecond.ok);

const schedule = everySecond.schedule;

/** So many turns of a loop in this program. */
function work(turns: number): void {
  ticksBetween(schedule, 0, 1_000 * turns);
}

function hundredBytes(): Uint8Array {
  return new Uint8Array(100).fill(200);
}

describe("the law that a message costs in proportion to its bytes", () => {
  for (const [what, take, breaks] of [
    ["holds for a decoder that looks at each byte", ({ length }: Uint8Array) => work(length), false],
    ["is broken by one that does what a byte says", ([byte = 0]: Uint8Array) => work(100 * byte), true],
    [
      "is broken by one that compares each byte with all",
      ({ length }: Uint8Array) => work(length ** 2),
      true,
    ],
  ] as const) {
    test(what, async () => {
      const { finding } = await runRound(
        costDoor("planted", () => ({ name: "planted", draw: hundredBytes, take, base: 100, perByte: 10 })),
        "short",
        3,
      );
      assert.equal(finding?.kind, breaks ? "fault" : undefined);
    });
  }
});

async function drawn(name: string, seed: string): Promise<string[]> {
  const door = doors.find((one) => one.name === name);
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
