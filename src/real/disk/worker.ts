/**
 * What the two threads of the disk have in common: they open the database or refuse, answer batch after batch, and
 * close. node:sqlite is synchronous and an fsync takes milliseconds, which would delay heartbeats in the peer's own
 * thread.
 *
 * The entries are writer.ts and reader.ts. Neither loads a schema or a package, which would take more memory than
 * everything else. The peer's thread checks the answers.
 */
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../../errors.ts";
import { asCicadaError } from "./file.ts";
import type { DiskResult, FromDiskThread, ToDiskThread } from "./protocol.ts";

/** What a thread does with its database. */
export interface Work<Request> {
  answer(requests: readonly Request[]): DiskResult[];
  close(): void;
}

const port = parentPort;
assert(port !== null, "the disk's code runs in a worker thread");
const folder: unknown = workerData;
assert(typeof folder === "string", "the disk's thread is given its folder");
const path = join(folder, "cicada.db");

/** Opens the database and answers requests until it is told to close. */
export function serve<Request>(open: (folder: string, path: string) => Work<Request>): void {
  let work: Work<Request>;
  try {
    work = open(String(folder), path);
  } catch (error) {
    const { code, detail } = asCicadaError(error, path);
    return post({ kind: "refused", code, detail });
  }
  port?.on("message", (message: ToDiskThread<Request>) => {
    if (message.kind === "batch") return post({ kind: "results", results: work.answer(message.requests) });
    work.close();
    port.close();
  });
  post({ kind: "opened" });
}

/** Returns the answer, or the failure to make it. */
export function attempt(answer: () => DiskResult): DiskResult {
  try {
    return answer();
  } catch (error) {
    return failed(error);
  }
}

export function failed(error: unknown): DiskResult {
  const { code, detail } = asCicadaError(error, path);
  return { kind: "failed", code, detail };
}

function post(message: FromDiskThread): void {
  port?.postMessage(message);
}
