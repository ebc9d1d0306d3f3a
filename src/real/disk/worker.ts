/**
 * The disk's thread. node:sqlite is synchronous and an fsync takes milliseconds, which would hold up heartbeats in
 * the peer's own thread; here it holds up nothing but the next batch.
 *
 * In a batch all stores come first, in one transaction, and then what reads: so a read sees every write that was
 * asked for before it.
 */
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../../errors.ts";
import { asCicadaError, closeQuietly, openDatabase } from "./file.ts";
import type { DiskRequest, DiskResult, FromDiskThread, ToDiskThread } from "./protocol.ts";
import { DiskMark } from "./commit-counter.ts";
import { DiskTables } from "./tables.ts";

const port = parentPort;
assert(port !== null, "disk-worker.ts runs as a worker thread");
const folder: unknown = workerData;
assert(typeof folder === "string", "the disk's thread is given its folder");
const path = join(folder, "cicada.db");

function say(message: FromDiskThread): void {
  port?.postMessage(message);
}

function failed(error: unknown): DiskResult {
  const { code, detail } = asCicadaError(error, path);
  return { kind: "failed", code, detail };
}

function answer(tables: DiskTables, request: Exclude<DiskRequest, { kind: "store" }>): DiskResult {
  switch (request.kind) {
    case "load":
      return { kind: "loaded", ...tables.load(request.since) };
    case "history":
      return { kind: "page", ...tables.history(request.query) };
    case "digests":
      return { kind: "digests", digests: tables.digests(request.from, request.to) };
    case "bucket":
      return { kind: "bucket", ...tables.bucket(request.bucket) };
    case "prune":
      return { kind: "pruned", runs: tables.prune(request, request.notAfter, Date.now()) };
  }
}

function answerBatch(tables: DiskTables, requests: readonly DiskRequest[]): DiskResult[] {
  const stores = requests.flatMap((request) => (request.kind === "store" ? [request.writes] : []));
  const stored = (stores.length === 0 ? [] : tables.store(stores, failed)).values();
  return requests.map((request) => {
    if (request.kind === "store") return stored.next().value ?? { kind: "stored" };
    try {
      return answer(tables, request);
    } catch (error) {
      return failed(error);
    }
  });
}

try {
  const mark = new DiskMark(join(folder, "cicada.mark"));
  const database = openDatabase(path, mark);
  const tables = new DiskTables(database, mark);
  port.on("message", (message: ToDiskThread) => {
    if (message.kind === "batch")
      return say({ kind: "results", results: answerBatch(tables, message.requests) });
    closeQuietly(database);
    mark.close();
    port.close();
  });
  say({ kind: "opened" });
} catch (error) {
  const { code, detail } = asCicadaError(error, path);
  say({ kind: "refused", code, detail });
}
