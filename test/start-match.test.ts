/** How starts that don't name their tick are judged. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { matchStarts } from "./kit/start-match.ts";

const dues = [0, 5_000, 10_000];

test("each time has one start, and what is late, missing or one too many is counted", () => {
  for (const [what, starts, late, missed, doubled] of [
    ["all on time", [40, 5_030, 10_050], [40, 30, 50], 0, 0],
    ["one missing", [40, 10_050], [40, 50], 1, 0],
    ["one twice", [40, 60, 5_030, 10_050], [40, 30, 50], 0, 1],
    ["one so late that the next one came with it", [40, 10_010, 10_050], [40, 10, 5_050], 0, 0],
    ["one before the first", [-20, 40, 5_030, 10_050], [40, 30, 50], 0, 0],
    ["one long after the last", [40, 5_030, 10_050, 90_000], [40, 30, 50], 0, 0],
    ["none at all", [], [], 3, 0],
  ] as const) {
    const found = matchStarts(dues, starts, 30_000);
    assert.deepEqual(
      { ...found, late: found.late.toSorted((a, b) => a - b) },
      { late: [...late].toSorted((a, b) => a - b), missed, doubled },
      what,
    );
  }
});
