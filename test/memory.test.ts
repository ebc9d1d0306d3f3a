/** Memory that only the start of a peer needed (real/memory.ts). */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
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

test("a start has much room for young objects, which a burst of work has no more once the peer is ready", () => {
  const [before, ready, afterBurst] = youngMib(flagsOfPeers());
  assert.ok(before !== undefined && before > 8, `${before} MiB during the start`);
  assert.ok(ready !== undefined && ready <= 2, `${ready} MiB when ready`);
  assert.ok(afterBurst !== undefined && afterBurst <= 2, `${afterBurst} MiB after a burst`);
});

test("a peer that somebody has started with settings of their own for V8 keeps them", () => {
  const [before, ready, afterBurst] = youngMib(["--max-semi-space-size=16"]);
  assert.ok(before !== undefined && before > 8, `${before} MiB during the start`);
  assert.ok(ready !== undefined && ready > 8, `${ready} MiB when ready`);
  assert.ok(afterBurst !== undefined && afterBurst > 8, `${afterBurst} MiB after a burst`);
});

/** The flags of V8 with which cicada.mjs starts a peer. */
function flagsOfPeers(): string[] {
  const program = readFileSync(new URL("../src/cicada.mjs", import.meta.url), "utf8");
  const limit = /const limit = "(--[a-z-]+)";/.exec(program)?.[1] ?? "";
  const list = /const small = \[(.*)\];/.exec(program)?.[1] ?? "";
  const flags = [...list.matchAll(/--[a-z0-9=-]+|\$\{limit\}=\d+/g)];
  assert.equal(flags.length, 4, list);
  return flags.map(([flag]) => flag.replace(`\${limit}`, limit));
}

/**
 * How much room V8 keeps for young objects after a burst of work with these flags, once it is to stay small, and after further bursts:
 * the least of five, because now and then pages are only given back after the next one.
 */
function youngMib(flags: readonly string[]): number[] {
  const code = `
    import { getHeapSpaceStatistics } from "node:v8";
    import { staySmall } from ${JSON.stringify(new URL("../src/real/memory.ts", import.meta.url).href)};
    const young = () => getHeapSpaceStatistics().find((one) => one.space_name === "new_space").space_size / 2 ** 20;
    const burst = () => {
      let kept = [];
      for (let i = 0; i < 1_000_000; i++) if (kept.push({ i }) > 50_000) kept = [];
    };
    burst();
    const sizes = [young()];
    staySmall();
    sizes.push(young());
    const later = [1, 2, 3, 4, 5].map(() => (burst(), young()));
    console.log(JSON.stringify([...sizes, Math.min(...later)]));`;
  const printed = execFileSync(process.execPath, [...flags, "--input-type=module", "-e", code], {
    encoding: "utf8",
  });
  return JSON.parse(printed) as number[];
}

/** What V8 holds where it keeps the code of functions. */
function codeBytes(): number {
  const spaces = getHeapSpaceStatistics().filter(({ space_name: name }) => name.startsWith("trusted"));
  return spaces.reduce((sum, { space_used_size: used }) => sum + used, 0);
}
