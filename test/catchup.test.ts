import assert from "node:assert/strict";
import { test } from "node:test";
import { catchUp } from "../src/core/job/catchup.ts";

const minute = 60_000;
const now = 1_000 * minute;
/** Ticks of the last minutes: 5, 4, 3 … minutes ago. */
const ago = (...minutes: number[]): number[] => minutes.map((m) => now - m * minute);

function verdicts(
  policy: "none" | "latest" | "all",
  overdue: number[],
  options: { limit?: number; newest?: number } = {},
) {
  const newest = options.newest ?? overdue.at(-1) ?? now;
  const rule = { policy, windowMs: 60 * minute, limit: options.limit ?? 100 };
  return catchUp(rule, overdue, newest, now).map((verdict) => (verdict.run ? "run" : verdict.reason));
}

test("under `none` no overdue tick runs, and each gets the reason", () => {
  assert.deepEqual(verdicts("none", ago(3, 2, 1)), ["policy", "policy", "policy"]);
});

test("under `latest` only the newest tick runs, and the others are superseded", () => {
  assert.deepEqual(verdicts("latest", ago(3, 2, 1)), ["superseded", "superseded", "run"]);
});

test("under `latest` an overdue tick doesn't run if a newer one has come due meanwhile", () => {
  assert.deepEqual(verdicts("latest", ago(2, 1), { newest: now - 5_000 }), ["superseded", "superseded"]);
});

test("under `all` every tick of the window runs", () => {
  assert.deepEqual(verdicts("all", ago(3, 2, 1)), ["run", "run", "run"]);
});

test("under `all` the newest ticks run, up to the limit", () => {
  assert.deepEqual(verdicts("all", ago(4, 3, 2, 1), { limit: 2 }), ["limit", "limit", "run", "run"]);
});

test("a tick older than the window is missed under every policy that catches up", () => {
  assert.deepEqual(verdicts("latest", ago(61)), ["window"]);
  assert.deepEqual(verdicts("all", ago(90, 61, 59)), ["window", "window", "run"]);
});
