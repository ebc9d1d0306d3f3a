/** What waits for neighbours that don't read: each queue is bounded, and so are all together. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Stream } from "@libp2p/interface";
import { Counters } from "../src/real/mesh/counters.ts";
import { toFrame } from "../src/real/mesh/frames.ts";
import { Outgoing, WaitingBytes, type QueueLimit } from "../src/real/mesh/outgoing.ts";

const message = new Uint8Array(1_000);
const frameBytes = toFrame(message).length;

/** Queues to neighbours with one limit for all together. A neighbour reads once `reads` is called. */
function stage(capFrames: number) {
  const waiting = new WaitingBytes(capFrames * frameBytes);
  const counters = new Counters();
  const neighbour = (limit: Partial<QueueLimit> = {}) => {
    const listeners = new Map<string, () => void>();
    const stream = {
      status: "open",
      writeStatus: "writable",
      writableNeedsDrain: true,
      sent: 0,
      send: () => ++stream.sent > 0,
      abort: () => undefined,
      addEventListener: (kind: string, listener: () => void) => void listeners.set(kind, listener),
    };
    const outgoing = new Outgoing(
      async () => stream as Partial<Stream> as Stream, // the part of a stream that a queue uses
      { frames: 100, bytes: 1_000_000, drop: "newest", ...limit },
      counters,
      waiting,
    );
    const reads = (): void => {
      stream.writableNeedsDrain = false;
      listeners.get("drain")?.();
    };
    return { outgoing, stream, reads };
  };
  const dropped = (): number => counters.snapshot()["mesh_frames_dropped"] ?? 0;
  return { waiting, neighbour, dropped };
}

function send(outgoing: Outgoing, frames: number): void {
  for (let frame = 0; frame < frames; frame++) outgoing.send(message);
}

test("however many neighbours read nothing, what waits for all of them is bounded", async () => {
  const { waiting, neighbour, dropped } = stage(20);
  const deaf = Array.from({ length: 10 }, () => neighbour());
  for (const { outgoing } of deaf) send(outgoing, 50);
  await Promise.resolve();
  // One frame may wait for each, whatever waits for the others.
  assert.ok(waiting.sum <= (20 + 10) * frameBytes);
  assert.equal(dropped(), 500 - waiting.sum / frameBytes);
});

test("a neighbour that reads gets everything, however much waits for others", async () => {
  const { neighbour, dropped } = stage(20);
  send(neighbour().outgoing, 20);
  const { outgoing, stream, reads } = neighbour();
  send(outgoing, 1);
  await new Promise((resolve) => setImmediate(resolve));
  reads();
  send(outgoing, 50);
  assert.deepEqual([stream.sent, dropped()], [51, 0]);
});

test("what has left a queue, was dropped from it or went with its connection makes room for others", async () => {
  const { waiting, neighbour } = stage(20);
  const [first, second, third] = [neighbour(), neighbour({ frames: 3, drop: "oldest" }), neighbour()];
  send(first.outgoing, 15);
  send(second.outgoing, 9);
  assert.equal(waiting.sum, 18 * frameBytes);
  await new Promise((resolve) => setImmediate(resolve));
  first.reads();
  second.outgoing.close();
  assert.equal(waiting.sum, 0);
  send(third.outgoing, 20);
  assert.equal(waiting.sum, 20 * frameBytes);
});
