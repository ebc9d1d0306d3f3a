/** Claims that wait for a place (core/claims/capacity-queue.ts). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CapacityQueue } from "../src/core/claims/capacity-queue.ts";
import type { JobId, OrderKey } from "../src/schema/ids.ts";

function waiting(job: string, due: number, stage = "claimed") {
  return { key: `${job}@${due}` as OrderKey, job: job as JobId, due, local: { stage } };
}

/** Gives places one by one, as a peer does when its runs end. */
function served(queue: CapacityQueue<ReturnType<typeof waiting>>): string {
  const order: string[] = [];
  for (let next = queue.first(); next !== undefined; next = queue.first()) {
    order.push(next.key);
    queue.delete(next);
    queue.served(next.job);
  }
  return order.join(" ");
}

test("jobs are served in turn, and the orders of a job by when they were due", () => {
  const queue = new CapacityQueue<ReturnType<typeof waiting>>();
  for (const due of [3, 1, 2, 4]) queue.add(waiting("long", due));
  queue.add(waiting("short", 9));
  assert.equal(queue.size, 5);
  assert.equal(served(queue), "long@1 short@9 long@2 long@3 long@4");
  assert.equal(queue.size, 0);
});

test("a claim that is still on its way to the disk holds up no other job", () => {
  const queue = new CapacityQueue<ReturnType<typeof waiting>>();
  queue.add(waiting("slow", 1, "claiming"));
  queue.add(waiting("ready", 2));
  assert.equal(queue.first()?.key, "ready@2");
});

test("an order that is withdrawn leaves the queue, and counts once however often it was entered", () => {
  const queue = new CapacityQueue<ReturnType<typeof waiting>>();
  const order = waiting("a", 1);
  queue.add(order);
  queue.add(order);
  assert.deepEqual([queue.size, queue.has(order), [...queue].length], [1, true, 1]);
  queue.delete(order);
  queue.delete(order);
  assert.deepEqual([queue.size, queue.has(order), queue.first()], [0, false, undefined]);
});
