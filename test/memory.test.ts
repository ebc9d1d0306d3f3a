/** Memory that only the start of a peer needed (real/memory.ts). */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { setImmediate as otherEvents } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
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
