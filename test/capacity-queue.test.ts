/** Claims that wait for a place (core/claims/capacity-queue.ts). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { enqueueAsk, flushAsks } from "../src/core/claims/asking.ts";
import { claim, closeWithout } from "../src/core/claims/claims.ts";
import { admitTick } from "../src/core/claims/order-book.ts";
import { CapacityQueue } from "../src/core/claims/capacity-queue.ts";
import type { JobId, OrderKey } from "../src/schema/ids.ts";
import { Cores } from "./kit/cores.ts";

function waiting(job: string, due: number, stage = "claimed") {
  return { key: `${job}@${due}` as OrderKey, job: job as JobId, due, local: { stage } };
}

/** Gives out places one by one, as a peer does when its runs end. */
function served(queue: CapacityQueue<ReturnType<typeof waiting>>): string {
  const order: string[] = [];
  for (let next = queue.first(Infinity); next !== undefined; next = queue.first(Infinity)) {
    order.push(next.key);
    queue.delete(next);
    queue.served(next.job);
  }
  return order.join(" ");
}

test("jobs take turns, and each job's orders start in the order in which they were due", () => {
  const queue = new CapacityQueue<ReturnType<typeof waiting>>();
  for (const due of [3, 1, 2, 4]) queue.add(waiting("long", due));
  queue.add(waiting("short", 9));
  assert.equal(queue.size, 5);
  assert.equal(served(queue), "long@1 short@9 long@2 long@3 long@4");
  assert.equal(queue.size, 0);
});

test("a claim that is still on its way to the disk delays no other job", () => {
  const queue = new CapacityQueue<ReturnType<typeof waiting>>();
  queue.add(waiting("slow", 1, "claiming"));
  queue.add(waiting("ready", 2));
  assert.equal(queue.first(Infinity)?.key, "ready@2");
});

test("a claim made ahead of its tick delays nothing that is due", () => {
  const queue = new CapacityQueue<ReturnType<typeof waiting>>();
  queue.add(waiting("early", 9));
  queue.add(waiting("due", 2));
  assert.equal(queue.first(5)?.key, "due@2");
  assert.equal(queue.first(1), undefined);
  assert.equal(queue.first(9)?.key, "early@9");
});

test("a peer with more ticks a second than places starts each as soon as a place is free, not a second later", () => {
  const cores = new Cores(["a"], { capacity: 2, runMs: 50 });
  for (let number = 0; number < 25; number++) {
    cores.put({ id: `job-${number}`, schedule: `${number % 5}-59/5 * * * * *`, command: "true" });
  }
  cores.pass(60_000);
  const lateness = cores.starts.map(({ at, tick }) => cores.wall(at) - Date.parse(tick));
  assert.ok(lateness.length > 290, `${lateness.length} starts`);
  // Five runs of 50 ms, two at a time.
  assert.ok(Math.max(...lateness) < 200, `up to ${Math.max(...lateness)} ms late`);
});

test("a withdrawn order leaves the queue, even if it was entered several times", () => {
  const queue = new CapacityQueue<ReturnType<typeof waiting>>();
  const order = waiting("a", 1);
  queue.add(order);
  queue.add(order);
  assert.deepEqual([queue.size, queue.has(order), [...queue].length], [1, true, 1]);
  queue.delete(order);
  queue.delete(order);
  assert.deepEqual([queue.size, queue.has(order), queue.first(Infinity)], [0, false, undefined]);
});

test("no question is sent about an order that is claimed or closed in the same step", () => {
  for (const change of ["claim", "close"] as const) {
    const cores = new Cores(["a", "b"]);
    cores.put({ id: "full", command: "true" });
    const state = cores.state("a");
    const plan = state.jobs.plans.get("full" as JobId);
    assert.ok(plan !== undefined);
    admitTick(state, plan, cores.wall(60_000));
    const [order] = state.book.orders.values();
    assert.ok(order !== undefined);
    state.effects = [];
    enqueueAsk(state, order, { rank: 0 });
    if (change === "claim") claim(state, plan, order, { rank: 0, skippedPeers: [] }, { waiting: "capacity" });
    else closeWithout(state, order, "out-claimed");
    flushAsks(state);
    assert.equal(order.local.stage, change === "claim" ? "claiming" : "none");
    assert.deepEqual(
      state.effects.filter((effect) => effect.kind === "send"),
      [],
    );
    assert.equal(state.book.asks.size, 0);
  }
});
