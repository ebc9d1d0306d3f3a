/** What becomes of a record that a full disk has refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CicadaError } from "../src/errors.ts";
import type { Disk, Doors, Write } from "../src/ports.ts";
import { Writer } from "../src/peer/writer.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { someRecord } from "./kit/contract/disk.ts";

test("what a full disk refuses is known to this peer, told to the others every 5 s, and stored once there is room", () => {
  let full = true;
  let mono = 0;
  const stored: Write[] = [];
  const told: RunRecord[][] = [];
  const disk: Pick<Disk, "store"> = {
    store: (writes, done) => {
      if (full) return done(new CicadaError("DISK_FAILED", "no space is left"));
      stored.push(...writes);
      done();
    },
  };
  const own = someRecord({ state: "succeeded", version: 3 });
  const others = { ...own, peer: "somebody else" as typeof own.peer };
  // Only these are asked.
  const doors = {
    disk,
    keys: { self: own.peer },
    clock: { now: () => ({ wall: 0, mono }) },
    log: { error: () => undefined },
  } as unknown as Doors;
  const writer = new Writer(doors, { stored: () => undefined, tell: (records) => told.push([...records]) });

  writer.store(
    [own, others].map((record) => ({ kind: "record", record })),
    undefined,
  );
  assert.equal(writer.refusedOf(own), own);
  for (mono = 0; mono < 10_000; mono += 1_000) writer.retry();
  assert.deepEqual(told, [[own], [own]], "own records, twice in 10 s");

  full = false;
  writer.retry();
  assert.equal(writer.refusedOf(own), undefined);
  assert.deepEqual(
    stored.map((write) => write.kind === "record" && write.record.peer),
    [own.peer, others.peer],
  );
  mono += 10_000;
  writer.retry();
  assert.equal(told.length, 3, "once more with the try that succeeded, and then no more");
});
