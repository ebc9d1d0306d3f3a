/** How copies of outputs go from a runner to their keepers, and when an output counts as copied. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { test } from "node:test";
import { LogCopies } from "../src/peer/outputs/log-copies.ts";
import { tickAt, type JobId, type PeerId, type RunId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { HostClock, SimClock } from "../src/sim/clock.ts";
import { Dice } from "../src/sim/random.ts";
import { Process } from "../src/sim/world/process.ts";
import { Queue } from "../src/sim/world/queue.ts";

const latencyMs = 10;
const runner = "runner-1" as PeerId;
const keeper = "keeper-1" as PeerId;
const record: RunRecord = {
  job: "backup" as JobId,
  tick: tickAt(Date.parse("2026-11-20T12:00:00Z")),
  attempt: 1,
  slot: "0",
  peer: runner,
  state: "succeeded",
  version: 3,
  revision: "r1",
  trigger: "schedule",
  rank: 0,
  due: 0,
  view: 2,
  logBytes: 1,
  signature: "",
};

/** A runner with an output of this size, and a keeper, with a wire between them that counts what is on its way. */
function stage(outputBytes: number) {
  const queue = new Queue();
  const host = new HostClock(queue, 0, 0, 0);
  const clock = new SimClock(queue, host, new Process(runner, queue), new Dice("copies"));
  const output = randomBytes(outputBytes);
  const kept = new Map<RunId, Uint8Array>();
  const counted: string[] = [];
  const charged = new Map<PeerId, number>();
  const wire = { underWay: 0, most: 0, cut: false };
  const records = { areInMemory: true, areStored: true };
  const peers = new Map<PeerId, LogCopies>();
  const join = (self: PeerId) => {
    const copies = new LogCopies({
      clock,
      executor: {
        packLog: (_run, capBytes, done) =>
          queue.after(1, undefined, () => done(output.length > capBytes ? "too-large" : output)),
        keepLog: (run, gzip) => void kept.set(run, gzip),
      },
      send(to, message) {
        if (wire.cut) return;
        wire.most = Math.max(wire.most, ++wire.underWay);
        queue.after(latencyMs, undefined, () => {
          wire.underWay--;
          assert.ok(message.kind === "log-copy" || message.kind === "log-copy-next");
          peers.get(to)?.heard(self, message);
        });
      },
      living: () => [runner, keeper].filter((peer) => peer !== self),
      count: (name) => void counted.push(name),
      charge: (peer, steps) => void charged.set(peer, (charged.get(peer) ?? 0) + steps),
      remembersRun: () => records.areInMemory,
      isRunStored: (_run, _peer, done) => done(records.areStored),
    });
    peers.set(self, copies);
    return copies;
  };
  join(keeper);
  return {
    queue,
    copies: join(runner),
    keeper: peers.get(keeper),
    output,
    kept,
    counted,
    charged,
    wire,
    records,
  };
}

test("an output of eight MiB is copied whole, with never more than one piece of it on its way", () => {
  const { queue, copies, output, kept, counted, wire } = stage(8_388_608);
  copies.copy(record);
  queue.runUntil(60_000);
  const [copy] = kept.values();
  assert.ok(copy !== undefined && output.equals(copy));
  assert.deepEqual(counted, ["logs_copied"]);
  assert.equal(wire.most, 1);
});

test("an output that fits into one message is copied in one message", () => {
  const { queue, copies, output, kept, counted } = stage(1_000);
  copies.copy(record);
  queue.runUntil(1_000);
  const [copy] = kept.values();
  assert.ok(copy !== undefined && output.equals(copy));
  assert.deepEqual(counted, ["logs_copied"]);
});

test("an output that is too large to be copied is counted as such", () => {
  const { queue, copies, kept, counted } = stage(8_388_609);
  copies.copy(record);
  queue.runUntil(60_000);
  assert.equal(kept.size, 0);
  assert.deepEqual(counted, ["logs_too_large_to_copy"]);
});

test("a copy whose keeper falls silent on the way does not count as copied", () => {
  const { queue, copies, kept, counted, wire } = stage(8_388_608);
  copies.copy(record);
  queue.runUntil(5 * latencyMs);
  wire.cut = true;
  queue.runUntil(120_000);
  assert.equal(kept.size, 0);
  assert.deepEqual(counted, ["logs_not_copied"]);
});

for (const [how, outputBytes] of [
  ["small", 1_000],
  ["large", 1_000_000],
] as const) {
  test(`a ${how} copy of a run of which there is no record is not kept: nothing would ever remove it`, () => {
    const { queue, copies, kept, counted, records } = stage(outputBytes);
    records.areInMemory = records.areStored = false;
    copies.copy(record);
    queue.runUntil(60_000);
    assert.equal(kept.size, 0);
    assert.deepEqual(counted, ["logs_copied", "log_copies_refused"]);
  });

  test(`a ${how} copy that comes before the record of its run is kept`, () => {
    const { queue, copies, output, kept, records } = stage(outputBytes);
    records.areInMemory = records.areStored = false;
    copies.copy(record);
    queue.runUntil(5_000);
    assert.equal(kept.size, 0);
    records.areInMemory = true;
    queue.runUntil(60_000);
    const [copy] = kept.values();
    assert.ok(copy !== undefined && output.equals(copy));
  });
}

test("a copy of a run whose record is on the disk only is kept", () => {
  const { queue, copies, output, kept, records } = stage(1_000);
  records.areInMemory = false;
  copies.copy(record);
  queue.runUntil(60_000);
  const [copy] = kept.values();
  assert.ok(copy !== undefined && output.equals(copy));
});

test("a peer gets no pieces of an output that it was not offered", () => {
  const { queue, copies, wire } = stage(8_388_608);
  copies.copy(record);
  queue.runUntil(2);
  assert.equal(wire.underWay, 1);
  for (const piece of [2, 5, 64]) copies.heard(keeper, { kind: "log-copy-next", run: "x", piece });
  for (const piece of [2, 5, 64]) {
    copies.heard(keeper, { kind: "log-copy-next", run: `backup@${record.tick}~1@${runner}`, piece });
  }
  assert.equal(wire.underWay, 1);
});

test("a copy costs its sender what it unpacks to, and no more than its bytes can stand for", () => {
  const { keeper: at, charged, kept } = stage(1_000);
  const send = (tick: number, gzip: Uint8Array): number => {
    const before = charged.get(runner) ?? 0;
    const run = `backup@${tickAt(tick)}~1@${runner}`;
    const bytes = Buffer.from(gzip).toString("base64");
    at?.heard(runner, { kind: "log-copy", run, piece: 0, pieces: 1, bytes });
    return (charged.get(runner) ?? 0) - before;
  };
  const bomb = gzipSync(Buffer.alloc(60_000_000));
  assert.ok(send(1_000, bomb) > 100_000, "a tenth of a second for 60 MB");
  assert.ok(send(2_000, gzipSync(randomBytes(60_000))) < 1_000);
  assert.ok(send(3_000, Buffer.alloc(1_000, 255)) < 3_000, "whatever the last bytes state");
  assert.equal(kept.size, 3);
});
