/** The law of cost, in short: some inputs to each decoder whose steps are counted, the same in every run. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseSchedule, ticksBetween } from "../src/core/time/schedule.ts";
import { costDoor, costDoors } from "./kit/fuzz/costs.ts";
import { runRound } from "./kit/fuzz/door.ts";

/** Counting takes some time for each. */
const inputs = 60;

describe("a message costs in proportion to its bytes, whatever it says", () => {
  for (const door of costDoors()) {
    test(`at the door "${door.name}"`, async () => {
      const { finding, ...result } = await runRound(door, "short", inputs);
      assert.equal(finding, undefined, JSON.stringify(finding, undefined, 2));
      assert.equal(result.inputs, inputs);
    });
  }
});

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
