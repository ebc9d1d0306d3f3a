/** The simulated executor: the contract of every executor, and what happens to children when their peer dies. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunSpec } from "../src/ports.ts";
import type { JobId, PeerId, RunId } from "../src/schema/ids.ts";
import { HostClock } from "../src/sim/clock.ts";
import { SimDisk } from "../src/sim/disk.ts";
import { StableStorage } from "../src/sim/disk/storage.ts";
import { Children, SimExecutor } from "../src/sim/executor.ts";
import { Process } from "../src/sim/world/process.ts";
import { Queue } from "../src/sim/world/queue.ts";
import { Dice } from "../src/sim/random.ts";
import { smallOutputBytes } from "../src/ports/disk.ts";
import type { Run } from "../src/sim/world/truth.ts";
import { executorContract, type ExecutorBed } from "./kit/contract/executor.ts";
import { waiting } from "./kit/contract/waiting.ts";
import { runSpecOf } from "./kit/run-spec.ts";

const epoch = Date.parse("2026-11-20T00:00:00Z");
const peer = "ann" as PeerId;

interface SimBed extends ExecutorBed {
  executor: SimExecutor;
  disk: SimDisk;
  storage: StableStorage;
  /** an executor of the peer's next life on the same host */
  nextLife(): SimExecutor;
  process: Process;
  queue: Queue;
  truth: Run[];
}

function simBed(): SimBed {
  const queue = new Queue();
  const storage = new StableStorage();
  const children = new Children();
  const host = new HostClock(queue, epoch, 0, 0);
  const process = new Process(peer, queue);
  const truth: Run[] = [];
  const parts = {
    peer,
    queue,
    host,
    children,
    settings: {
      spawnMs: { least: 2, most: 10 },
      behaviour: ({ job }: RunSpec) => ({
        lastsMs: job === ("lasts" as JobId) ? 3_600_000 : 20,
        exitCode: job === ("fails" as JobId) ? 3 : 0,
        printsBytes: job === ("prints much" as JobId) ? smallOutputBytes + 1 : 0,
      }),
    },
    dice: new Dice("executor"),
    record: (run: Run) => truth.push(run),
    ended: () => undefined,
    trueTime: () => epoch + queue.now,
  };
  const executorOf = (life: Process, number: number) => {
    const disk = new SimDisk(queue, life, storage, { fsyncMs: { least: 1, most: 20 } }, new Dice("disk"));
    return { disk, executor: new SimExecutor({ ...parts, process: life, disk, life: number }) };
  };
  const { disk, executor } = executorOf(process, 1);
  let made = 0;
  return {
    executor,
    disk,
    storage,
    nextLife: () => executorOf(new Process(peer, queue), 2).executor,
    files: () => [...children.logs.keys()],
    process,
    queue,
    truth,
    wait: waiting(queue),
    wall: () => host.wall(),
    spec: (what, fields = {}) => runSpecOf(what as JobId, epoch + ++made * 60_000, peer, fields),
    end: () => Promise.resolve(),
  };
}

executorContract("the simulated executor", () => Promise.resolve(simBed()));

test("the children of a dead peer end soon after it, and the evidence shows it", () => {
  const bed = simBed();
  bed.executor.start({
    childStarted: () => undefined,
    childStuck: () => undefined,
    childEnded: () => assert.fail("a dead peer heard"),
  });
  for (let i = 0; i < 5; i++) bed.executor.launch(bed.spec("lasts"));
  bed.queue.runUntil(100);
  assert.equal(bed.truth.length, 5);
  bed.process.kill();
  bed.executor.orphaned(false);
  bed.queue.runUntil(1_000);
  assert.ok(bed.truth.every(({ end }) => end !== undefined && end > epoch + 100 && end < epoch + 1_000));
});

test("a child may start while its peer is paused, and the peer learns of it when it is resumed", () => {
  const bed = simBed();
  const heard: string[] = [];
  bed.executor.start({
    childStarted: () => heard.push("started"),
    childStuck: () => heard.push("stuck"),
    childEnded: () => heard.push("ended"),
  });
  bed.executor.launch(bed.spec("succeeds"));
  bed.process.pause();
  bed.queue.runUntil(1_000);
  assert.deepEqual([bed.truth.length, heard], [1, []]);
  bed.process.resume();
  bed.queue.runUntil(1_000);
  assert.deepEqual(heard, ["started", "ended"]);
});

test("a request that follows a precheck is a request in the evidence, too", () => {
  const bed = simBed();
  const request = bed.spec("succeeds", {
    action: {
      kind: "http",
      method: "GET",
      url: "http://service.example/",
      headers: {},
      body: "",
      expectStatus: [200],
      followRedirects: false,
      insecureTls: false,
    },
  });
  bed.executor.start({
    childStarted: () => undefined,
    childStuck: () => undefined,
    childEnded: (_run, outcome) => {
      if (outcome.kind === "exited" && outcome.exitCode === 0) bed.executor.launch(request);
    },
  });
  bed.executor.launch({ ...bed.spec("succeeds"), run: request.run, isPrecheck: true });
  bed.queue.runUntil(5_000);
  assert.deepEqual(
    bed.truth.map(({ asks, outcome }) => ({ asks, outcome })),
    [{ asks: true, outcome: "succeeded" }],
  );
});

test("a peer that dies while an output moves to the database loses nothing of it, whatever has reached the disk", async () => {
  const places = new Set<string>();
  for (let atMs = 20; atMs < 60; atMs++) {
    const bed = simBed();
    bed.executor.start({ childStarted() {}, childStuck() {}, childEnded() {} });
    const spec = bed.spec("succeeds");
    const { run } = spec;
    bed.executor.launch(spec);
    bed.queue.runUntil(atMs);
    bed.process.kill();
    bed.disk.lost();
    bed.queue.runUntil(1_000);
    const next = bed.nextLife();
    const started = await bed.wait<ReadonlySet<RunId>>((done) => next.findStarted([run], done));
    bed.queue.runUntil(2_000);
    const isFile = bed.files().includes(run);
    const isStored = bed.storage.outputs.has(run);
    assert.deepEqual([...started], isFile || isStored ? [run] : []);
    assert.ok(!isFile || !isStored, `killed at ${atMs} ms, it is in both places`);
    places.add(isFile ? "file" : isStored ? "database" : "not started");
  }
  assert.ok(places.has("file") && places.has("database"));
});
