/**
 * The micro bench: the cost of each inner loop, on one core.
 *
 *   npm run bench:micro [-- --json FILE]
 *
 * Each figure is the median of fifteen rounds after a warm-up round. A round is long enough (≥ 20 ms) to average out
 * the clock and the garbage collector. A second table shows how the cost of an event grows with what a peer holds
 * (growth.ts).
 */
import { parseArgs } from "node:util";
import { rank, memberHashesOf } from "../src/core/job/rank.ts";
import { nextTick, parseSchedule, ticksBetween } from "../src/core/time/schedule.ts";
import type { PeerId } from "../src/schema/ids.ts";
import { tickAt, type JobId } from "../src/schema/ids.ts";
import type { Heartbeat } from "../src/schema/heartbeat.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { decode, encode } from "../src/wire/codec.ts";
import { signedBytes } from "../src/wire/records.ts";
import { growthFigures } from "./growth.ts";
import { LonePeer, minutelyJobs } from "./lone-peer.ts";
import { lastResult, medianMicroseconds } from "./measure.ts";
import { printTable, writeJson } from "./report.ts";

const start = Date.UTC(2026, 10, 20, 2);
const dayMs = 86_400_000;

interface Figure {
  what: string;
  microseconds: number;
}

/** Measures the median cost of one call. Each call gets a different number. */
function measure(what: string, work: (number: number) => unknown): Figure {
  return { what, microseconds: medianMicroseconds(work) };
}

function scheduleOf(expression: string, timezone: string) {
  const parsed = parseSchedule(expression, timezone, "bench");
  if (!parsed.ok) throw new Error(parsed.problems[0]?.message);
  return parsed.schedule;
}

function rankFigures(): Figure[] {
  const job = "nightly-backup" as JobId;
  const ticks = Array.from({ length: 1_024 }, (_, i) => tickAt(start + i * 60_000));
  return [3, 100].map((count) => {
    const hashes = memberHashesOf(
      Array.from({ length: count }, (_, i) => `12D3KooWbenchmarkpeer${i}` as PeerId),
    );
    return measure(`rank of ${count} members`, (i) => rank(job, ticks[i % 1_024] ?? tickAt(start), hashes));
  });
}

function tickFigures(): Figure[] {
  const nightly = scheduleOf("30 2 * * 1-5", "Europe/Berlin");
  const everyMinute = scheduleOf("* * * * *", "America/New_York");
  const period = scheduleOf("@every 90s", "UTC");
  return [
    measure("30 2 * * 1-5, Berlin, read", () => scheduleOf("30 2 * * 1-5", "Europe/Berlin")),
    measure("next tick of 30 2 * * 1-5, Berlin", (i) => nextTick(nightly, start + i * 60_000)),
    measure("next tick of * * * * *, New York", (i) => nextTick(everyMinute, start + i * 60_000)),
    measure("next tick of @every 90s", (i) => nextTick(period, start + i * 60_000)),
    perTick("one tick of a day of * * * * *", 1_440, (i) => {
      return ticksBetween(everyMinute, start + i * dayMs, start + (i + 1) * dayMs).length;
    }),
  ];
}

/** The median cost of one thing, where each call makes many. */
function perTick(what: string, things: number, work: (number: number) => unknown): Figure {
  const figure = measure(what, work);
  return { ...figure, microseconds: figure.microseconds / things };
}

function wireFigures(): Figure[] {
  const sender = "12D3KooWbenchmarkpeer0" as PeerId;
  const cluster = "0123456789abcdef";
  const heartbeat: Heartbeat = {
    kind: "heartbeat",
    incarnation: 7,
    name: "cron1.example",
    version: "0.1.0",
    sentAt: start,
    clock: { count: 0, synchronised: true },
    echo: { incarnation: 6, count: 0, sentAt: start - 1_000, heardAt: start - 990 },
    load: 3,
    capacity: 20,
    role: "worker",
    tags: { disk: "ssd" },
    draining: false,
    warmingUp: false,
    table: "0".repeat(64),
    open: { count: 3, digest: "0".repeat(16) },
    tzdata: "2026b",
    hears: Array.from({ length: 9 }, (_, i) => `12D3KooWbenchmarkpeer${i + 1}` as PeerId),
    addresses: ["/ip4/192.0.2.1/tcp/7401"],
  };
  const bytes = encode({ cluster, sender, seq: 1 }, heartbeat);
  return [
    measure(`encode a heartbeat (10 peers, ${bytes.length} B)`, (seq) =>
      encode({ cluster, sender, seq }, heartbeat),
    ),
    measure("decode and check it", () => decode("heartbeat", bytes, sender, cluster)),
    measure("bytes of a run record to sign", (i) =>
      signedBytes({ ...startedRecord(sender), version: 1 + i }),
    ),
  ];
}

function startedRecord(peer: PeerId): RunRecord {
  return {
    job: "nightly-backup" as JobId,
    tick: tickAt(start),
    attempt: 1,
    slot: "0",
    peer,
    state: "running",
    version: 2,
    revision: "0".repeat(16),
    trigger: "schedule",
    rank: 1,
    due: start,
    claimedAt: start - 2_000,
    startedAt: start + 10,
    view: 3,
    passed: [{ peer: "12D3KooWbenchmarkpeer1" as PeerId, why: "dead" }],
    signature: "",
  };
}

function stepFigures(): Figure[] {
  return [100, 10_000].map((jobs) => {
    const peer = new LonePeer({ jobs: minutelyJobs(jobs, start), startedAt: start, capacity: jobs });
    return measure(`step, per event (one peer, ${jobs} jobs)`, () => peer.takeOne());
  });
}

const { values } = parseArgs({ options: { json: { type: "string" } } });
const figures = [...rankFigures(), ...tickFigures(), ...wireFigures(), ...stepFigures()];
printTable(
  ["", "µs"],
  figures.map(({ what, microseconds }) => [what, microseconds.toPrecision(3)]),
);

const growth = growthFigures();
console.log("");
printTable(
  ["as what a peer holds grows", "n", "µs at n", "2n", "4n", "4n / n"],
  growth.map(({ what, base, microseconds: [one = 0, two = 0, four = 0] }) => [
    what,
    base,
    ...[one, two, four].map((cost) => cost.toPrecision(3)),
    (four / one).toFixed(1),
  ]),
);
if (values.json !== undefined) writeJson(values.json, { figures, growth, last: typeof lastResult() });
