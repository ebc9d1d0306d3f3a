/** The simulated disk: the contract of every disk, and what a kill leaves of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SimDisk } from "../src/sim/disk.ts";
import { StableStorage } from "../src/sim/disk/storage.ts";
import { Process } from "../src/sim/world/process.ts";
import { Queue } from "../src/sim/world/queue.ts";
import { Dice } from "../src/sim/random.ts";
import { diskContract, load, noon, someRecord, store, type DiskBed } from "./kit/contract/disk.ts";
import { waiting } from "./kit/contract/waiting.ts";

interface SimBed extends DiskBed {
  queue: Queue;
  storage: StableStorage;
  kill(): void;
}

function simBed(name: string): SimBed {
  const queue = new Queue();
  const storage = new StableStorage();
  let lives = 0;
  const live = () => {
    const process = new Process("ann", queue);
    const dice = new Dice(`${name} ${++lives}`);
    return {
      process,
      disk: new SimDisk(queue, process, storage, { fsyncMs: { least: 1, most: 20 } }, dice),
    };
  };
  let life = live();
  return {
    queue,
    storage,
    disk: () => life.disk,
    wait: waiting(queue),
    kill() {
      life.process.kill();
      life.disk.lost();
      life = live();
    },
    async restart() {
      await waiting(queue)<void>((done) => life.disk.close(() => done()));
      life = live();
    },
    end: () => Promise.resolve(),
  };
}

diskContract("the simulated disk", () => Promise.resolve(simBed("disk")));

test("a kill may lose unacknowledged writes, the latest first, but never acknowledged ones", async () => {
  const left = new Set<number>();
  for (let seed = 0; seed < 40; seed++) {
    const bed = simBed(`kill ${seed}`);
    await store(bed, [{ kind: "meta", key: "count", value: "0" }]);
    for (let i = 1; i <= 5; i++) {
      bed.disk().store([{ kind: "meta", key: "count", value: String(i) }], () => assert.fail("acknowledged"));
    }
    bed.kill();
    const { meta } = await load(bed, noon);
    left.add(Number(meta.get("count")));
  }
  assert.deepEqual(
    [...left].toSorted((a, b) => a - b),
    [0, 1, 2, 3, 4, 5],
  );
});

test("while the disk is full every write fails as a whole, and existing data stays", async () => {
  const bed = simBed("full");
  await store(bed, [{ kind: "record", record: someRecord() }]);
  bed.storage.full = true;
  await assert.rejects(store(bed, [{ kind: "meta", key: "a", value: "b" }]), { code: "DISK_FAILED" });
  bed.storage.full = false;
  const loaded = await load(bed, noon);
  assert.deepEqual(loaded.records, [someRecord()]);
  assert.equal(loaded.meta.size, 0);
});
