/**
 * The contract of every executor, run against the real and the simulated one.
 *
 * An `ExecutorBed` gives the suite an executor and the world around it: `wait` starts something and lets the world run
 * until it has answered; `spec` makes a run that succeeds soon, succeeds and prints more than the database takes, fails
 * soon with exit code 3, or lasts until it is stopped. `files` names the runs whose output is a file, own or copied.
 */
import assert from "node:assert/strict";
import type { ChildOutcome, Executor, LogPiece, RunSpec } from "../../../src/ports.ts";
import { smallOutputBytes, type Disk } from "../../../src/ports/disk.ts";
import type { CicadaError } from "../../../src/errors.ts";
import type { RunId } from "../../../src/schema/ids.ts";
import { testOnBeds } from "./bed.ts";

export interface ExecutorBed {
  executor: Executor;
  wait: <Value>(start: (done: (value: Value) => void) => void) => Promise<Value>;
  /** what the executor was given */
  disk: Disk;
  files(): RunId[];
  spec(what: "succeeds" | "prints much" | "fails" | "lasts", fields?: Partial<RunSpec>): RunSpec;
  /** wall clock, ms */
  wall(): number;
  end(): Promise<void>;
}

/** What an executor has reported, and a way to wait for it. */
export class Reports {
  readonly said: string[] = [];
  readonly outcomes = new Map<RunId, ChildOutcome>();
  private listeners: (() => void)[] = [];

  constructor(executor: Executor) {
    executor.start({
      childStarted: (run) => this.hear(`started ${run}`),
      childStuck: (run, reason) => this.hear(`stuck ${run}: ${reason}`),
      childEnded: (run, outcome) => {
        this.outcomes.set(run, outcome);
        this.hear(`ended ${run}`);
      },
    });
  }

  /** Calls `done` once, when the report has come. */
  when(text: string, done: () => void): void {
    const check = () => {
      if (!this.said.includes(text)) return void this.listeners.push(check);
      done();
    };
    check();
  }

  private hear(text: string): void {
    this.said.push(text);
    const listeners = this.listeners;
    this.listeners = [];
    for (const listener of listeners) listener();
  }
}

export async function ended(bed: ExecutorBed, reports: Reports, spec: RunSpec): Promise<ChildOutcome> {
  await bed.wait<void>((done) => reports.when(`ended ${spec.run}`, () => done()));
  const outcome = reports.outcomes.get(spec.run);
  assert.ok(outcome !== undefined);
  return outcome;
}

export async function started(bed: ExecutorBed, reports: Reports, spec: RunSpec): Promise<void> {
  await bed.wait<void>((done) => reports.when(`started ${spec.run}`, () => done()));
}

export async function launchToEnd(bed: ExecutorBed, reports: Reports, spec: RunSpec): Promise<ChildOutcome> {
  bed.executor.launch(spec);
  return ended(bed, reports, spec);
}

export function readAll(bed: ExecutorBed, run: RunId): Promise<LogPiece | undefined> {
  return bed.wait((done) => bed.executor.readLog(run, 0, 1_000_000, done));
}

export function executorContract(name: string, make: () => Promise<ExecutorBed>): void {
  const onAnyBed = testOnBeds(name, make);
  const onBed = (title: string, body: (bed: ExecutorBed, reports: Reports) => Promise<void>) => {
    onAnyBed(title, (bed) => body(bed, new Reports(bed.executor)));
  };

  onBed("a run is reported as started, then as ended with its exit code, each once", async (bed, reports) => {
    const good = bed.spec("succeeds");
    const bad = bed.spec("fails");
    bed.executor.launch(good);
    bed.executor.launch(bad);
    assert.equal(reports.said.length, 0, "nothing is reported within the call");
    assert.partialDeepStrictEqual(await ended(bed, reports, good), { kind: "exited", exitCode: 0 });
    assert.partialDeepStrictEqual(await ended(bed, reports, bad), { kind: "exited", exitCode: 3 });
    for (const { run } of [good, bad]) {
      assert.deepEqual(
        reports.said.filter((text) => text.endsWith(run)),
        [`started ${run}`, `ended ${run}`],
      );
    }
  });

  onBed("a run that is stopped ends as cancelled", async (bed, reports) => {
    const spec = bed.spec("lasts");
    bed.executor.launch(spec);
    await started(bed, reports, spec);
    bed.executor.stop(spec.run);
    assert.partialDeepStrictEqual(await ended(bed, reports, spec), { kind: "cancelled" });
  });

  onBed("a run that lasts longer than its timeout ends as timed out", async (bed, reports) => {
    const spec = bed.spec("lasts", { timeoutMs: 50 });
    assert.partialDeepStrictEqual(await launchToEnd(bed, reports, spec), { kind: "timeout" });
  });

  onBed("a run is not started after its `notAfter`", async (bed, reports) => {
    const spec = bed.spec("succeeds", { notAfter: bed.wall() - 1 });
    assert.partialDeepStrictEqual(await launchToEnd(bed, reports, spec), {
      kind: "not-started",
      why: "late",
    });
    assert.deepEqual(reports.said, [`ended ${spec.run}`]);
    assert.equal(await readAll(bed, spec.run), undefined);
  });

  onBed("stopping a run that is unknown or has ended does nothing", async (bed, reports) => {
    const spec = bed.spec("succeeds");
    bed.executor.stop(spec.run);
    await launchToEnd(bed, reports, spec);
    bed.executor.stop(spec.run);
    const next = bed.spec("succeeds");
    assert.partialDeepStrictEqual(await launchToEnd(bed, reports, next), { kind: "exited", exitCode: 0 });
    assert.equal(reports.said.length, 4);
  });

  onBed("output can be read in pieces, and the last one says that it is complete", async (bed, reports) => {
    const spec = bed.spec("succeeds");
    await launchToEnd(bed, reports, spec);
    const whole = await readAll(bed, spec.run);
    assert.ok(whole !== undefined && whole.size > 2 && whole.complete);
    const middle = await bed.wait<LogPiece | undefined>((done) => bed.executor.readLog(spec.run, 1, 2, done));
    assert.deepEqual([...(middle?.bytes ?? [])], [...whole.bytes.subarray(1, 3)]);
    assert.equal(middle?.size, whole.size);
    const pastEnd = await bed.wait<LogPiece | undefined>((done) =>
      bed.executor.readLog(spec.run, whole.size + 5, 10, done),
    );
    assert.equal(pastEnd?.bytes.length, 0);

    const lasting = bed.spec("lasts");
    bed.executor.launch(lasting);
    await started(bed, reports, lasting);
    assert.equal((await readAll(bed, lasting.run))?.complete, false);
  });

  onBed("a copy of another peer's output is read like the output itself", async (bed, reports) => {
    const spec = bed.spec("succeeds");
    await launchToEnd(bed, reports, spec);
    const packed = await pack(bed, spec.run, 1_000);
    assert.ok(packed instanceof Uint8Array);
    const elsewhere = bed.spec("succeeds").run;
    assert.equal(await readAll(bed, elsewhere), undefined);
    bed.executor.keepLog(elsewhere, packed);
    const copy = await untilThere(bed, elsewhere);
    assert.deepEqual([...copy.bytes], [...((await readAll(bed, spec.run))?.bytes ?? [])]);
    assert.equal(copy.complete, true);
  });

  for (const size of ["succeeds", "prints much"] as const) {
    onBed(`output whose packed form exceeds the cap is not packed (${size})`, async (bed, reports) => {
      const spec = bed.spec(size);
      await launchToEnd(bed, reports, spec);
      assert.equal(await pack(bed, spec.run, 1), "too-large");
    });
  }

  onBed("a small output lies in the database when its run has ended, own or copied", async (bed, reports) => {
    const lasting = bed.spec("lasts");
    bed.executor.launch(lasting);
    await started(bed, reports, lasting);
    assert.deepEqual(bed.files(), [lasting.run]);
    const spec = bed.spec("succeeds");
    await launchToEnd(bed, reports, spec);
    const whole = await readAll(bed, spec.run);
    const packed = await pack(bed, spec.run, 1_000);
    assert.ok(whole !== undefined && packed instanceof Uint8Array);
    const elsewhere = bed.spec("succeeds").run;
    bed.executor.keepLog(elsewhere, packed);
    await untilThere(bed, elsewhere);
    bed.executor.stop(lasting.run);
    await ended(bed, reports, lasting);
    while (bed.files().length > 0 || (await storedOutput(bed, elsewhere)) === undefined) await turn(bed);
    for (const run of [spec.run, elsewhere]) {
      assert.deepEqual(await storedOutput(bed, run), [...whole.bytes]);
      assert.deepEqual([...((await readAll(bed, run))?.bytes ?? [])], [...whole.bytes]);
    }
  });

  onBed("a large output stays a file, and reads and packs like a small one", async (bed, reports) => {
    const spec = bed.spec("prints much");
    await launchToEnd(bed, reports, spec);
    const whole = await readAll(bed, spec.run);
    assert.ok(whole !== undefined && whole.size > smallOutputBytes && whole.complete);
    const packed = await pack(bed, spec.run, 10_000);
    assert.ok(packed instanceof Uint8Array);
    const elsewhere = bed.spec("succeeds").run;
    bed.executor.keepLog(elsewhere, packed);
    assert.deepEqual([...(await untilThere(bed, elsewhere)).bytes], [...whole.bytes]);
    assert.deepEqual(bed.files().toSorted(), [spec.run, elsewhere].toSorted());
    assert.equal(await storedOutput(bed, spec.run), undefined);
  });

  onBed("a file of an output is gone when it is dropped, own or copied", async (bed, reports) => {
    const spec = bed.spec("prints much");
    await launchToEnd(bed, reports, spec);
    const packed = await pack(bed, spec.run, 10_000);
    assert.ok(packed instanceof Uint8Array);
    const elsewhere = bed.spec("succeeds").run;
    bed.executor.keepLog(elsewhere, packed);
    await untilThere(bed, elsewhere);
    bed.executor.dropLogs([spec.run, elsewhere, bed.spec("succeeds").run]);
    for (const run of [spec.run, elsewhere]) await untilGone(bed, run);
    assert.equal(await pack(bed, spec.run, 10_000), undefined);
    assert.deepEqual(bed.files(), []);
  });

  onBed("the oldest files go when room is needed, and none of a run in progress", async (bed, reports) => {
    const lasts = bed.spec("lasts");
    bed.executor.launch(lasts);
    await started(bed, reports, lasts);
    const ones = [bed.spec("prints much"), bed.spec("prints much")];
    for (const spec of ones) await launchToEnd(bed, reports, spec);
    const [oldest, newest] = ones.map(({ run }) => run);
    assert.ok(oldest !== undefined && newest !== undefined);
    const size = (await readAll(bed, oldest))?.size;
    const free = (bytes: number): Promise<number> =>
      bed.wait<number>((done) => bed.executor.freeLogs(bytes, done));
    assert.equal(await free(0), 0);
    assert.equal(await free(1), size);
    assert.equal(await readAll(bed, oldest), undefined);
    assert.equal((await readAll(bed, newest))?.size, size);
    await free(1_000_000_000);
    assert.equal(await readAll(bed, newest), undefined);
    assert.deepEqual(bed.files(), [lasts.run]);
  });

  onBed(
    "after a restart it says which runs had been started and which had not, wherever their output is",
    async (bed, reports) => {
      const runs = [bed.spec("succeeds"), bed.spec("prints much"), bed.spec("lasts")];
      for (const spec of runs) bed.executor.launch(spec);
      for (const spec of runs) await started(bed, reports, spec);
      for (const spec of runs.slice(0, 2)) await ended(bed, reports, spec);
      while (bed.files().length > 2) await turn(bed);
      const ids = runs.map(({ run }) => run);
      const never = bed.spec("succeeds").run;
      const found = await bed.wait<ReadonlySet<RunId>>((done) =>
        bed.executor.findStarted([...ids, never], done),
      );
      assert.deepEqual([...found].toSorted(), ids.toSorted());
    },
  );

  onBed("closing ends every run, reports each, and is done afterwards", async (bed, reports) => {
    const runs = [bed.spec("lasts"), bed.spec("lasts")];
    for (const spec of runs) bed.executor.launch(spec);
    for (const spec of runs) await started(bed, reports, spec);
    await bed.wait<void>((done) => bed.executor.close(() => done()));
    for (const { run } of runs) assert.equal(reports.outcomes.get(run)?.kind, "cancelled");
  });
}

function pack(bed: ExecutorBed, run: RunId, capBytes: number): Promise<Uint8Array | "too-large" | undefined> {
  return bed.wait((done) => bed.executor.packLog(run, capBytes, done));
}

/** What the database holds of a run's output. */
async function storedOutput(bed: ExecutorBed, run: RunId): Promise<number[] | undefined> {
  const output = await bed.wait<Uint8Array | undefined | CicadaError>((done) => bed.disk.output(run, done));
  return output instanceof Uint8Array ? [...output] : undefined;
}

/** Lets the world go on for a moment. */
async function turn(bed: ExecutorBed): Promise<void> {
  await bed.wait<number>((done) => bed.executor.logBytes(done));
}

async function untilThere(bed: ExecutorBed, run: RunId): Promise<LogPiece> {
  for (;;) {
    const piece = await readAll(bed, run);
    if (piece !== undefined) return piece;
  }
}

async function untilGone(bed: ExecutorBed, run: RunId): Promise<void> {
  while ((await readAll(bed, run)) !== undefined);
}
