/** Whose clock is right (core/members/clock-judge.ts). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { rightClocks, type ClockReading } from "../src/core/members/clock-judge.ts";
import type { PeerId } from "../src/schema/ids.ts";

/** `+600`, `+600s` (synchronised) or `+600j` (jumped), in seconds ahead of the first peer. */
function readings(...texts: string[]): ClockReading[] {
  return texts.map((text, index) => ({
    peer: "abcdefgh".charAt(index) as PeerId,
    offsetMs: Number.parseFloat(text) * 1_000,
    synchronised: text.endsWith("s"),
    jumped: text.endsWith("j"),
  }));
}

const table: [title: string, clocks: string[], right: string][] = [
  ["a peer that is alone trusts its own clock", ["0"], "a"],
  ["two that agree are both right", ["0", "+1"], "ab"],
  ["of two, the one that follows a time server is right", ["0", "+600s"], "b"],
  ["of two, the one that jumped is wrong, even if it is slower", ["0j", "+600"], "b"],
  ["of two that both follow a time server, the one that jumped is wrong", ["0s", "+600j"], "a"],
  ["of two without further knowledge, the slower is right: early is worse than late", ["0", "+600"], "a"],
  ["of three, two that agree overrule a third that follows a time server", ["0", "+0.2", "+7200s"], "ab"],
  ["of three, one that is behind is overruled as well", ["-600", "0", "+0.1"], "bc"],
  ["of three that all differ, the middle one is right", ["-600", "0", "+600"], "b"],
  ["of three that all differ, the one that follows a time server is right", ["-600", "0", "+600s"], "c"],
  ["of two pairs, the pair with a time server is right", ["0", "0", "+600s", "+600"], "cd"],
  ["of two pairs, the pair in which one jumped is wrong", ["0", "0j", "+600", "+600"], "cd"],
  [
    "of five, the largest group is right even if it is not a majority",
    ["0", "+0.5", "+90", "+200", "-300"],
    "ab",
  ],
];

describe("whose clock is right", () => {
  for (const [title, clocks, right] of table) {
    test(title, () => assert.equal([...rightClocks(readings(...clocks))].toSorted().join(""), right));
  }

  test("gets the same answer on every peer, whichever clock the offsets are measured from", () => {
    const clock = fc.record({
      at: fc.constantFrom(0, 300, 1_500, 600_000, 600_200, -7_200_000),
      synchronised: fc.boolean(),
      jumped: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(clock, { minLength: 1, maxLength: 7 }), (clocks) => {
        const asSeenBy = (from: number): string => {
          const seen = clocks.map(({ at, ...rest }, index) => ({
            peer: `${index}` as PeerId,
            offsetMs: at - from,
            ...rest,
          }));
          return [...rightClocks(seen)].toSorted().join(" ");
        };
        const [first, ...others] = clocks.map(({ at }) => asSeenBy(at));
        for (const other of others) assert.equal(other, first);
        assert.notEqual(first, "");
      }),
      { numRuns: 500 },
    );
  });
});
