/** Memory that only the start of a peer needed (real/memory.ts). */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { setImmediate as otherEvents } from "node:timers/promises";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext, runInThisContext } from "node:vm";
import { giveBackMemory } from "../src/real/memory.ts";

const { gc } = globalThis;
afterEach(() => (globalThis.gc = gc));

test("what nothing needs any more is given back, and a program without V8's function for that goes on", async () => {
  globalThis.gc = undefined;
  giveBackMemory();
  setFlagsFromString("--expose-gc");
  globalThis.gc = runInNewContext("gc") as NodeJS.GCFunction;
  const left = new WeakRef({ read: "at the start" });
  // V8 holds what a WeakRef was made of until the present event is over.
  await otherEvents();
  giveBackMemory();
  assert.equal(left.deref(), undefined);
});

test("code that ran only at the start is given back, and can run again", () => {
  setFlagsFromString("--expose-gc");
  globalThis.gc = runInNewContext("gc") as NodeJS.GCFunction;
  const code = `() => { let sum = 0; ${"sum += Math.random() < 2 ? 1 : 0;".repeat(10_000)} return sum; }`;
  const before = codeBytes();
  const startsOnce = runInThisContext(code) as () => number;
  startsOnce();
  const most = codeBytes();
  assert.ok(most - before > 100_000, `${most - before} bytes of code`);
  giveBackMemory();
  assert.ok(codeBytes() - before < (most - before) / 2, `${codeBytes() - before} of ${most - before} bytes`);
  assert.equal(startsOnce(), 10_000);
});

/** What V8 holds where it keeps the code of functions. */
function codeBytes(): number {
  const spaces = getHeapSpaceStatistics().filter(({ space_name: name }) => name.startsWith("trusted"));
  return spaces.reduce((sum, { space_used_size: used }) => sum + used, 0);
}
