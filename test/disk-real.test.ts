/** The real disk: the contract of every disk, and what only real files and killed processes can show. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { test, type TestContext } from "node:test";
import type { Worker } from "node:worker_threads";
import { bucketMs } from "../src/core/records/buckets.ts";
import { CicadaError } from "../src/errors.ts";
import type { Log } from "../src/ports.ts";
import { loadedOrdersBytes, type Disk, type Loaded, type Pruned, type Write } from "../src/ports/disk.ts";
import { openDisk } from "../src/real/disk.ts";
import { DiskThread } from "../src/real/disk/thread.ts";
import { tickAt, type JobId, type PeerId } from "../src/schema/ids.ts";
import type { RequestedOrder } from "../src/schema/run.ts";
import { diskContract, load, noon, pruneRule, someRecord, store, type DiskBed } from "./kit/contract/disk.ts";

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "cicada-disk-"));
}

const wait: DiskBed["wait"] = (start) => new Promise(start);

async function bedIn(folder: string): Promise<DiskBed> {
  let disk: Disk = await openDisk({ folder, log: quiet });
  const close = () => wait<void>((done) => disk.close(() => done()));
  return {
    disk: () => disk,
    wait,
    async restart() {
      await close();
      disk = await openDisk({ folder, log: quiet });
    },
    end: close,
  };
}

diskContract("the real disk", async () => {
  const folder = temporaryFolder();
  const bed = await bedIn(folder);
  return {
    ...bed,
    async end() {
      await bed.end();
      rmSync(folder, { recursive: true });
    },
  };
});

function folderFor(context: TestContext): string {
  const folder = temporaryFolder();
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("a record of a newer version is read back with all its fields", async (context) => {
  const bed = await bedIn(folderFor(context));
  const newer = { ...someRecord(), chain: { parent: "dump", depth: 2 } };
  await store(bed, [{ kind: "record", record: newer }]);
  await bed.restart();
  assert.deepEqual((await load(bed, 0)).records, [newer]);
  await bed.end();
});

test("a tick of which a member has written thousands of records is pruned some thousands at a time, for claims wait meanwhile", async (context) => {
  const bed = await bedIn(folderFor(context));
  const records = Array.from({ length: 5_000 }, (_, index) =>
    someRecord({ peer: `stranger-${index}` as PeerId, state: "failed" }),
  );
  await store(
    bed,
    [someRecord({ tick: tickAt(noon + 1_000) }), ...records].map((record) => ({ kind: "record", record })),
  );
  const end = noon + 3_600_000;
  const rule = pruneRule({ before: end, olderThan: end, countedBefore: end });
  const runs = new Set<string>();
  for (let more = true; more;) {
    const pruned = await wait<Pruned | CicadaError>((done) => bed.disk().prune([rule], done));
    assert.ok(!(pruned instanceof CicadaError));
    assert.ok(pruned.runs.length > 0 && pruned.runs.length <= 2_000, `${pruned.runs.length} at once`);
    for (const run of pruned.runs) runs.add(run);
    ({ more } = pruned);
  }
  assert.equal(runs.size, 5_000);
  const left = (await load(bed, 0)).records;
  assert.deepEqual(
    left.map(({ tick }) => tick),
    [tickAt(noon + 1_000)],
    "the job's last tick stays",
  );
  await bed.end();
});

/** A child that stores records until it is killed, and prints each one's number once it is acknowledged. */
const writerSource = `
  import { openDisk } from ${JSON.stringify(new URL("../src/real/disk.ts", import.meta.url).href)};
  import { someRecord, noon } from ${JSON.stringify(new URL("./kit/contract/disk.ts", import.meta.url).href)};
  import { tickAt } from ${JSON.stringify(new URL("../src/schema/ids.ts", import.meta.url).href)};
  import { writeSync } from "node:fs";
  const [folder, first] = process.argv.slice(1);
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const disk = await openDisk({ folder, log });
  let next = Number(first);
  const storeNext = () => {
    const n = next++;
    const tick = tickAt(noon + n * 1000);
    const pair = ["backup", "report"].map((job) => ({ kind: "record", record: someRecord({ job, tick }) }));
    disk.store(pair, (error) => {
      writeSync(1, (error ? "failed" : n) + "\\n");
      storeNext();
    });
  };
  for (let i = 0; i < 8; i++) storeNext();
`;

test("kill -9 at any moment loses nothing acknowledged and leaves nothing half written", async (context) => {
  const folder = folderFor(context);
  let acknowledged: number[] = [];
  for (let round = 0; round < 5; round++) {
    const first = String(round * 100_000);
    const writer = spawn(process.execPath, ["--input-type=module", "-e", writerSource, folder, first], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const enough = 40 + round * 67;
    let seen = 0;
    for await (const line of createInterface(writer.stdout)) {
      assert.notEqual(line, "failed");
      acknowledged = [...acknowledged, Number(line)];
      seen++;
      if (seen === enough) writer.kill("SIGKILL");
    }
    if (writer.exitCode === null && writer.signalCode === null) await once(writer, "exit");
    assert.equal(writer.signalCode, "SIGKILL");
  }
  const bed = await bedIn(folder);
  const { records } = await load(bed, 0);
  await bed.end();
  const ticksOf = (job: string) =>
    new Set(records.filter((record) => record.job === job).map(({ tick }) => tick));
  assert.deepEqual(ticksOf("backup"), ticksOf("report"), "a batch is kept whole or not at all");
  for (const n of acknowledged)
    assert.ok(ticksOf("backup").has(tickAt(noon + n * 1_000)), `record ${n} is lost`);
});

test("a write to a full disk fails with that reason, and writes work again once there is room", async (context) => {
  const folder = folderFor(context);
  const source = `
    import { openDisk } from ${JSON.stringify(new URL("../src/real/disk.ts", import.meta.url).href)};
    import { execFileSync } from "node:child_process";
    const disk = await openDisk({ folder: process.argv[1], log: { debug() {}, info() {}, warn() {}, error() {} } });
    const store = (bytes) => new Promise((done) =>
      disk.store([{ kind: "update", update: new Uint8Array(bytes).fill(1) }], (error) => done(error?.code ?? "stored")));
    const limit = (bytes) => execFileSync("prlimit", ["--pid", String(process.pid), "--fsize=" + bytes + ":unlimited"]);
    console.log(await store(1000));
    limit(200_000);
    console.log(await store(1_000_000));
    console.log(await store(1_000));
    limit("unlimited");
    console.log(await store(1_000_000));
    disk.close(() => {});
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source, folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) lines.push(line);
  assert.deepEqual(lines, ["stored", "DISK_FAILED", "stored", "stored"]);
  const bed = await bedIn(folder);
  const { updates } = await load(bed, 0);
  await bed.end();
  assert.deepEqual(
    updates.map((update) => update.length),
    [1_000, 1_000, 1_000_000],
  );
});

test("a damaged, empty or foreign database is refused by name and left as it is", async (context) => {
  const folder = folderFor(context);
  const path = join(folder, "cicada.db");
  const bed = await bedIn(folder);
  const many = Array.from({ length: 400 }, (_, n) =>
    someRecord({ tick: tickAt(noon + n * 1_000), reason: "x".repeat(200) }),
  );
  await store(
    bed,
    many.map((record) => ({ kind: "record", record })),
  );
  await bed.end();
  const good = join(folder, "good");
  copyFileSync(path, good);

  const damages: Record<string, () => void> = {
    "not a database": () => writeFileSync(path, "#!/bin/sh\necho this is something else\n".repeat(200)),
    "cut off": () => truncateSync(path, 3 * 4_096 + 100),
    empty: () => truncateSync(path, 0),
    "overwritten in the middle": () => {
      const bytes = readFileSync(path);
      bytes.fill(0xee, 4_096, bytes.length);
      writeFileSync(path, bytes);
    },
    "of another program": () => {
      rmSync(path);
      const foreign = new DatabaseSync(path);
      foreign.exec("CREATE TABLE bookmarks (url)");
      foreign.close();
    },
  };
  for (const [what, damage] of Object.entries(damages)) {
    copyFileSync(good, path);
    damage();
    const before = readFileSync(path);
    await assert.rejects(openDisk({ folder, log: quiet }), (error) => {
      assert.ok(error instanceof CicadaError, what);
      assert.equal(error.code, "DATA_FOLDER_DAMAGED", what);
      assert.match(error.message, /cicada\.db/);
      return true;
    });
    assert.ok(readFileSync(path).equals(before), `${what}: the file is untouched`);
  }
});

test("a corrupted row is reported as damage when it is loaded", async (context) => {
  const folder = folderFor(context);
  const bed = await bedIn(folder);
  await store(bed, [{ kind: "record", record: someRecord() }]);
  await bed.end();
  const database = new DatabaseSync(join(folder, "cicada.db"));
  database.exec("UPDATE record SET body = replace(body, 'claimed', 'clbimed')");
  database.close();
  const again = await bedIn(folder);
  await assert.rejects(load(again, 0), { code: "DATA_FOLDER_DAMAGED" });
  await again.end();
});

test("unreadable data is an error for every reader, never an empty answer", async (context) => {
  const folder = folderFor(context);
  const bed = await bedIn(folder);
  context.after(() => bed.end());
  await store(bed, [{ kind: "record", record: someRecord({ state: "succeeded" }) }]);
  const database = new DatabaseSync(join(folder, "cicada.db"));
  database.exec("UPDATE record SET body = replace(body, 'succeeded', 'succeedee')");
  database.exec("DROP TABLE bucket");
  database.close();
  const disk = bed.disk();
  const page = { buckets: [noon / bucketMs], after: undefined, upTo: undefined, limit: 10 };
  const job = "backup" as JobId;
  const answers = [
    await wait<unknown>((done) => disk.things(page, done)),
    await wait<unknown>((done) => disk.digests(0, Number.MAX_SAFE_INTEGER, done)),
    await wait<unknown>((done) => disk.history({ limit: 1 }, done)),
    await wait<unknown>((done) =>
      disk.prune(
        [pruneRule({ job, olderThan: noon + 3_600_000, before: noon + 3_600_000, keepsLast: false })],
        done,
      ),
    ),
  ];
  for (const answer of answers) assert.ok(answer instanceof CicadaError, JSON.stringify(answer));
});

test("corrupted content is reported as damage even if it still makes sense", async (context) => {
  const folder = folderFor(context);
  const bed = await bedIn(folder);
  await store(bed, [{ kind: "update", update: Buffer.from("rm -r /tmp/a") }]);
  await bed.end();
  const database = new DatabaseSync(join(folder, "cicada.db"));
  database.prepare("UPDATE job_update SET body = ?").run(Buffer.from("rm -r /tmp/c"));
  database.close();
  const again = await bedIn(folder);
  await assert.rejects(load(again, 0), { code: "DATA_FOLDER_DAMAGED" });
  await again.end();
});

test("acknowledged commits that are missing from the log are noticed, and the log is left as it is", async (context) => {
  const folder = folderFor(context);
  const writer = spawn(process.execPath, ["--input-type=module", "-e", writerSource, folder, "0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface(writer.stdout)) if (Number(line) > 100) writer.kill("SIGKILL");
  const log = join(folder, "cicada.db-wal");
  const whole = readFileSync(log);
  const damages: Record<string, () => void> = {
    "a flipped bit": () => {
      const bytes = Buffer.from(whole);
      bytes.writeUInt8(bytes.readUInt8(whole.length / 2) ^ 4, whole.length / 2);
      writeFileSync(log, bytes);
    },
    "cut off": () => truncateSync(log, whole.length / 2),
    gone: () => rmSync(log),
  };
  for (const [what, damage] of Object.entries(damages)) {
    writeFileSync(log, whole);
    damage();
    const before = what === "gone" ? undefined : readFileSync(log);
    await assert.rejects(openDisk({ folder, log: quiet }), { code: "DATA_FOLDER_DAMAGED" }, what);
    if (before !== undefined) assert.ok(readFileSync(log).equals(before), `${what}: the log is untouched`);
  }
  writeFileSync(log, whole);
  await (await bedIn(folder)).end();
});

test("a database from a newer version is refused with a message about versions", async (context) => {
  const folder = folderFor(context);
  await (await bedIn(folder)).end();
  const database = new DatabaseSync(join(folder, "cicada.db"));
  database.exec("PRAGMA user_version = 99");
  database.close();
  await assert.rejects(openDisk({ folder, log: quiet }), { code: "DATA_FOLDER_NEWER" });
});

/** 40,000 records of one bucket, each of about 500 bytes: to read them all takes a while. */
const heavy: readonly Write[] = Array.from({ length: 40_000 }, (_, n) => ({
  kind: "record",
  record: someRecord({
    job: `job-${Math.floor(n / 300)}` as JobId,
    tick: tickAt(noon + (n % 300) * 1_000),
    reason: "x".repeat(250),
  }),
}));

test("a long read doesn't delay a write that is requested after it", async (context) => {
  const bed = await bedIn(folderFor(context));
  context.after(() => bed.end());
  await store(bed, heavy);
  const page = { buckets: [noon / bucketMs], after: undefined, upTo: undefined, limit: heavy.length };
  const order = await wait<string[]>((done) => {
    const seen: string[] = [];
    const saw = (what: string) => seen.push(what) === 3 && done(seen);
    bed
      .disk()
      .things(page, (found) =>
        saw(found instanceof CicadaError ? found.code : `read ${found.records.length}`),
      );
    bed.disk().store([{ kind: "meta", key: "a", value: "1" }], () => saw("stored"));
    bed.disk().store([{ kind: "meta", key: "a", value: "2" }], () => saw("stored"));
  });
  assert.deepEqual(order, ["stored", "stored", `read ${heavy.length}`]);
});

test("a read that takes too much memory fails alone: writes and later reads still work", async (context) => {
  const said: string[] = [];
  const log: Log = { ...quiet, error: (message) => void said.push(message) };
  const disk = await openDisk({ folder: folderFor(context), log, readerHeapMb: 16 });
  const close = () => wait<void>((done) => disk.close(() => done()));
  const bed: DiskBed = { disk: () => disk, wait, restart: close, end: close };
  context.after(() => bed.end());
  await store(bed, heavy);
  const loaded = await wait<Loaded | CicadaError>((done) => disk.load(0, done));
  assert.ok(loaded instanceof CicadaError && loaded.code === "DISK_FAILED");
  assert.match(said.join(), /the next read starts a new one/);
  await store(bed, [{ kind: "meta", key: "a", value: "1" }]);
  const page = await wait<{ total: number } | CicadaError>((done) => disk.history({ limit: 1 }, done));
  assert.partialDeepStrictEqual(page, { total: heavy.length });
});

function orderAt(second: number): RequestedOrder {
  const tick = tickAt(noon + second * 1_000);
  return { job: "backup" as JobId, tick, trigger: "manual", requestedAt: noon, by: "ann" };
}

test("a member that has stored many long orders keeps no peer from starting: the shortest are loaded", async (context) => {
  const bed = await bedIn(folderFor(context));
  const env = { A: "x".repeat(32_000), B: "x".repeat(32_000), C: "x".repeat(32_000) };
  const honest = Array.from({ length: 100 }, (_, second) => orderAt(second));
  const long = Array.from({ length: 800 }, (_, second) => ({ ...orderAt(1_000 + second), env }));
  const all = [...long, ...honest];
  for (let at = 0; at < all.length; at += 50) {
    await store(
      bed,
      all.slice(at, at + 50).map((one) => ({ kind: "order", order: one })),
    );
  }
  const { orders, ordersLeftOut } = await load(bed, 0);
  const bytes = orders.reduce((sum, one) => sum + JSON.stringify(one).length, 0);
  assert.ok(bytes <= loadedOrdersBytes && bytes > loadedOrdersBytes - 100_000, `${bytes} bytes`);
  assert.equal(orders.length + ordersLeftOut, all.length);
  const ticks = new Set(orders.map(({ tick }) => tick));
  assert.ok(honest.every(({ tick }) => ticks.has(tick)));
  await bed.end();
});

test("a reader without questions is ended, and the next question starts another one", async (context) => {
  const ends: Promise<unknown>[] = [];
  const note = (worker: Worker) => void ends.push(once(worker, "exit"));
  process.on("worker", note);
  context.after(() => process.off("worker", note));
  const disk = await openDisk({ folder: folderFor(context), log: quiet, readerIdleMs: 1 });
  const close = () => wait<void>((done) => disk.close(() => done()));
  context.after(close);
  await store({ disk: () => disk, wait, restart: close, end: close }, [
    { kind: "meta", key: "a", value: "1" },
  ]);
  for (const reader of [1, 2]) {
    const loaded = await wait<Loaded | CicadaError>((done) => disk.load(0, done));
    assert.ok(!(loaded instanceof CicadaError));
    assert.equal(loaded.meta.get("a"), "1");
    assert.equal(ends.length, 1 + reader);
    await ends[reader];
  }
});

/** A disk thread that opens and then never answers. */
const hungProgram = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from "node:worker_threads";
    parentPort.on("message", () => undefined);
    parentPort.postMessage({ kind: "opened" });
  `)}`,
);

test("a disk thread that hangs is treated as dead: its requests fail", async () => {
  const answered: string[] = [];
  const error = await wait<CicadaError | undefined>((done) => {
    const limits = {};
    const options = {
      name: "writer",
      program: hungProgram,
      folder: "/data",
      batchMax: 10,
      silentMs: 1_000,
      limits,
    } as const;
    const thread = new DiskThread<string>(options, { opened: () => undefined, ended: done });
    thread.ask("first", ({ kind }) => answered.push(kind));
    thread.ask("second", ({ kind }) => answered.push(kind));
  });
  assert.match(error?.detail ?? "", /the disk's writer .* does not answer/);
  assert.deepEqual(answered, ["failed", "failed"]);
});

test("records that are stored in bursts share their commits, and each is stored before it is answered", async (context) => {
  const folder = folderFor(context);
  const bed = await bedIn(folder);
  const count = 6_000;
  await new Promise<void>((done) => {
    let left = count;
    const oneDone = () => void (--left === 0 && done());
    let n = 0;
    const burst = () => {
      for (let i = 0; i < 200 && n < count; i++, n++) {
        const record = someRecord({
          job: `job-${n % 500}` as JobId,
          tick: tickAt(noon + Math.floor(n / 500) * 1_000),
        });
        bed.disk().store([{ kind: "record", record }], oneDone);
      }
      if (n < count) setImmediate(burst);
    };
    burst();
  });
  await bed.end();
  const [, commits] = /(\d+)/.exec(readFileSync(join(folder, "cicada.mark"), "utf8")) ?? [];
  assert.ok(Number(commits) > 0 && Number(commits) < count / 20, `${commits} commits`);
});
