/**
 * The history bench: how long it takes to list, filter and page through a million run records, and whether these reads delay the
 * storing of a claim.
 *
 *   npm run bench:history [-- --records N --json FILE]
 *
 * The records are stored through the Disk door, as a peer stores them. They are of 200 jobs in turn; one run in a hundred has
 * failed, one job in a hundred belongs to the group `rare`, and one peer has run only the oldest thousandth. Each query runs a
 * hundred times; a query with a cursor continues from another place in the list each time.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { CicadaError } from "../src/errors.ts";
import type { Disk, RunQuery, Write } from "../src/ports/disk.ts";
import { openDisk } from "../src/real/disk.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { endedRecord } from "./ended-record.ts";
import { percentile, printTable, writeJson } from "./report.ts";

const start = Date.UTC(2026, 0, 1);
const jobs = 200;
const batch = 2_000;
const asked = 100;
const pageLimit = 50;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

const peers = ["a", "b", "c"].map((name) => `12D3KooWbenchhistorypeer${name}` as PeerId);
const rarePeer = "12D3KooWbenchhistorypeergone" as PeerId;
const jobName = (number: number): JobId => `job-${number % jobs}` as JobId;

function recordOf(number: number, records: number): RunRecord {
  return endedRecord({
    job: jobName(number),
    instant: start + Math.floor(number / jobs) * 60_000,
    peer: number < records / 1_000 ? rarePeer : (peers[number % 3] ?? rarePeer),
    failed: number % 100 === 7,
    tookMs: 747,
  });
}

function store(disk: Disk, writes: readonly Write[]): Promise<number> {
  const from = performance.now();
  return new Promise((done, fail) =>
    disk.store(writes, (error) => (error === undefined ? done(performance.now() - from) : fail(error))),
  );
}

/** MiB */
function memory(): number {
  return Math.round(process.memoryUsage.rss() / 1_048_576);
}

interface Page {
  records: RunRecord[];
  next: string | null;
}

function history(disk: Disk, query: RunQuery): Promise<Page & { ms: number }> {
  const from = performance.now();
  return new Promise((done, fail) =>
    disk.history(query, (page) =>
      page instanceof CicadaError ? fail(page) : done({ ...page, ms: performance.now() - from }),
    ),
  );
}

/** Asks for one page after the other, and begins again with the first page after the last one. */
async function measure(disk: Disk, query: Omit<RunQuery, "limit">): Promise<number[]> {
  const times: number[] = [];
  let after: string | undefined;
  for (let i = 0; i < asked; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one question after the other
    const { ms, next } = await history(disk, {
      ...query,
      limit: pageLimit,
      ...(after === undefined ? {} : { after }),
    });
    times.push(ms);
    after = next ?? undefined;
  }
  return times.toSorted((a, b) => a - b);
}

const { values } = parseArgs({ options: { records: { type: "string" }, json: { type: "string" } } });
const records = Number(values.records ?? 1_000_000);
const folder = mkdtempSync(path.join(tmpdir(), "cicada-history-"));
try {
  const disk = await openDisk({
    folder,
    log: quiet,
    lost: () => {
      throw new Error("the disk thread has ended");
    },
  });
  for (let number = 0; number < records; number += batch) {
    const writes = Array.from(
      { length: Math.min(batch, records - number) },
      (_, i) => ({ kind: "record", record: recordOf(number + i, records) }) as const,
    );
    // oxlint-disable-next-line no-await-in-loop -- one batch after the other
    await store(disk, writes);
  }
  const middle = start + (records / jobs / 2) * 60_000;
  const cases: readonly [what: string, query: Omit<RunQuery, "limit">][] = [
    ["all", {}],
    ["one job", { job: jobName(7) }],
    ["failed", { states: ["failed"] }],
    ["failed, timed out or lost", { states: ["failed", "timeout", "lost"] }],
    ["a state that no run is in", { states: ["cancelled"] }],
    ["one peer of three", { peer: peers[1] ?? rarePeer }],
    ["a peer of long ago", { peer: rarePeer }],
    ["failed, of one peer", { states: ["failed"], peer: peers[1] ?? rarePeer }],
    ["a day in the middle", { from: middle, to: middle + 86_400_000 }],
    ["until long ago", { to: start + 3_600_000 }],
    ["one job, failed", { job: jobName(7), states: ["failed"] }],
    ["a group of two jobs", { jobs: [jobName(5), jobName(105)] }],
    ["a group of all but two", { jobs: Array.from({ length: jobs - 2 }, (_, i) => jobName(i)) }],
  ];
  const before = memory();
  const figures = [];
  for (const [what, query] of cases) {
    // oxlint-disable-next-line no-await-in-loop -- one case after the other
    const times = await measure(disk, query);
    figures.push({ what, p50: percentile(times, 50), p99: percentile(times, 99) });
  }
  const claims: Record<string, number[]> = { "nothing else": [], "lists all the while": [] };
  for (const [what, times] of Object.entries(claims)) {
    let isOver = false;
    const listing = (async () => {
      // oxlint-disable-next-line no-await-in-loop, no-unmodified-loop-condition -- it is set below
      while (!isOver && what !== "nothing else")
        await history(disk, { states: ["succeeded"], limit: pageLimit });
    })();
    for (let i = 0; i < asked; i++) {
      const record = { ...recordOf(records + i, 0), state: "claimed" as const, version: 1, attempt: 2 };
      // oxlint-disable-next-line no-await-in-loop -- one claim after the other
      times.push(await store(disk, [{ kind: "record", record }]));
    }
    isOver = true;
    // oxlint-disable-next-line no-await-in-loop -- the next case begins when this one is over
    await listing;
    times.sort((a, b) => a - b);
  }
  console.log(`${records.toLocaleString("en-GB")} records; pages of ${pageLimit}; ms`);
  printTable(
    ["list", "p50", "p99"],
    figures.map(({ what, p50, p99 }) => [what, p50.toFixed(1), p99.toFixed(1)]),
  );
  printTable(
    ["a claim is stored beside", "p50", "p99"],
    Object.entries(claims).map(([what, times]) => [
      what,
      percentile(times, 50).toFixed(1),
      percentile(times, 99).toFixed(1),
    ]),
  );
  console.log(`memory: ${before} MiB before the lists, ${memory()} MiB after`);
  if (values.json !== undefined) writeJson(values.json, { records, figures, claims });
  await new Promise<void>((done) => disk.close(done));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
