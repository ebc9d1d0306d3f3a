/**
 * The load bench: runs many jobs on real peers, as processes on this machine.
 *
 *   npm run bench:load -- --peers 3 --jobs 200 --every 5s --minutes 2 [--capacity N] [--majority] [--together]
 *     [--json FILE]
 *
 * Each start appends one line to a file (O_APPEND). Starts, duplicates and lateness are read only from that file. The time
 * of a line is when this process reads it, a few ms after it was written. So the lateness includes the start of the job's
 * own process, and is never too small.
 *
 * Jobs are spread evenly over the seconds of the period, as crontabs are spread over the minutes of the hour;
 * `--together` makes all of them due at once. With `--majority` the voters choose each runner. `--capacity` is the
 * number of simultaneous runs on each peer; without it the peer's default applies.
 */
import path from "node:path";
import { setTimeout as passes } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Cluster, until, type RunningPeer } from "../test/kit/cluster.ts";
import { duesOf, everySecondsOf } from "./period.ts";
import { printTable, spreadOf, writeJson, type Spread } from "./report.ts";
import { Tail } from "./tail.ts";
import { usageOf, type Usage } from "./usage.ts";

interface Options {
  peers: number;
  jobs: number;
  everySeconds: number;
  minutes: number;
  together: boolean;
  majority: boolean;
  capacity: number | undefined;
  json: string | undefined;
}

interface Figures extends Omit<Options, "json"> {
  startsPerSecond: number;
  expected: number;
  missed: number;
  doubled: number;
  lateMs: Spread;
  perPeer: { name: string; starts: number; cpuPercent: number; rssMiB: number }[];
}

/** How long after the last job was created the first tick counts, ms. */
const countedAfterMs = 5_000;
/** How long after the last counted tick a start may come, ms. A later one counts as missed. */
const graceMs = 30_000;
/** How many requests run at a time while the jobs are made. */
const creators = 8;

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      peers: { type: "string", default: "3" },
      jobs: { type: "string", default: "200" },
      every: { type: "string", default: "5s" },
      minutes: { type: "string", default: "1" },
      together: { type: "boolean", default: false },
      majority: { type: "boolean", default: false },
      capacity: { type: "string" },
      json: { type: "string" },
    },
  });
  return {
    peers: Number(values.peers),
    jobs: Number(values.jobs),
    everySeconds: everySecondsOf(values.every),
    minutes: Number(values.minutes),
    together: values.together,
    majority: values.majority,
    capacity: values.capacity === undefined ? undefined : Number(values.capacity),
    json: values.json,
  };
}

/** The second of the period at which a job is due. */
function offsetOf(number: number, options: Options): number {
  return options.together ? 0 : number % options.everySeconds;
}

/** Makes all jobs, spread over the peers, and waits until every peer knows them all. */
async function createJobs(peers: readonly RunningPeer[], options: Options, file: string): Promise<void> {
  const command = `echo "$CICADA_JOB@$CICADA_TICK $CICADA_PEER_NAME" >> ${file}`;
  let next = 0;
  const create = async (): Promise<void> => {
    for (let number = next++; number < options.jobs; number = next++) {
      const schedule = `${offsetOf(number, options)}-59/${options.everySeconds} * * * * *`;
      const peer = peers[number % peers.length];
      const partition = options.majority ? "majority" : "available";
      await peer?.ask("POST", "/v1/jobs", { id: `load-${number}`, schedule, command, partition });
    }
  };
  await Promise.all(Array.from({ length: creators }, create));
  for (const peer of peers) {
    await until(`${peer.name} knows all jobs`, 60_000, async () => {
      const reply = await peer.call("GET", "/v1/jobs?limit=1");
      return Number(reply.headers["x-total-count"]) === options.jobs;
    });
  }
}

/** Waits for the voters. A new mesh has one, its founder; two more are chosen once they have been up for a while. */
async function votersAre([founder]: readonly RunningPeer[], count: number): Promise<void> {
  await until(`${count} peers vote`, 120_000, async () => {
    const answer = (await founder?.ask("GET", "/v1/peers")) as { items: { voter: boolean }[] } | undefined;
    return answer?.items.filter(({ voter }) => voter).length === count;
  });
}

/** The starts that must come in the span: `JOB@TICK` → due (ms). */
function expectedStarts(options: Options, from: number, to: number): Map<string, number> {
  const expected = new Map<string, number>();
  for (let number = 0; number < options.jobs; number++) {
    for (const due of duesOf(options.everySeconds, offsetOf(number, options), from, to)) {
      expected.set(`load-${number}@${new Date(due).toISOString().replace(".000", "")}`, due);
    }
  }
  return expected;
}

async function measure(options: Options): Promise<Figures> {
  await using cluster = new Cluster();
  const file = path.join(cluster.folder, "starts");
  const tail = new Tail(file);
  try {
    const names = Array.from({ length: options.peers }, (_, i) => `peer-${i + 1}`);
    const capacity = options.capacity === undefined ? [] : [`--capacity=${options.capacity}`];
    const peers = await cluster.mesh(names, ["--log-level=warn", ...capacity]);
    if (options.majority) await votersAre(peers, Math.min(3, options.peers));
    await createJobs(peers, options, file);
    const from = Date.now() + countedAfterMs;
    const to = from + options.minutes * 60_000;
    const expected = expectedStarts(options, from, to);
    await passes(from - Date.now());
    const before = peers.map((peer) => usageOf(peer.started.pid));
    await passes(to - Date.now());
    const usages = peers.map((peer) => usageOf(peer.started.pid));
    const giveUpAt = to + graceMs;
    await until("the last starts", graceMs + 1_000, () => {
      return Date.now() > giveUpAt || [...expected.keys()].every((start) => tail.seen.has(start));
    });
    tail.read();
    return judge(options, expected, tail, peers, before, usages);
  } finally {
    tail.close();
  }
}

function judge(
  options: Options,
  expected: ReadonlyMap<string, number>,
  tail: Tail,
  peers: readonly RunningPeer[],
  before: readonly Usage[],
  after: readonly Usage[],
): Figures {
  const late: number[] = [];
  const startsOf = new Map<string, number>();
  let missed = 0;
  let doubled = 0;
  for (const [start, due] of expected) {
    const starts = tail.seen.get(start) ?? [];
    const [first] = starts;
    if (first === undefined) missed++;
    else late.push(first.at - due);
    if (starts.length > 1) doubled++;
    for (const { peer } of starts) startsOf.set(peer, (startsOf.get(peer) ?? 0) + 1);
  }
  const { json: _json, ...asked } = options;
  return {
    ...asked,
    startsPerSecond: options.jobs / options.everySeconds,
    expected: expected.size,
    missed,
    doubled,
    lateMs: spreadOf(late),
    perPeer: peers.map(({ name }, i) => ({
      name,
      starts: startsOf.get(name) ?? 0,
      cpuPercent: (((after[i]?.cpuMs ?? 0) - (before[i]?.cpuMs ?? 0)) / (options.minutes * 60_000)) * 100,
      rssMiB: (after[i]?.rssBytes ?? 0) / (1 << 20),
    })),
  };
}

function print(figures: Figures): void {
  const { lateMs } = figures;
  printTable(
    ["starts", "per s", "missed", "doubled", "late p50 ms", "p99 ms", "max ms"],
    [
      [
        String(figures.expected),
        String(figures.startsPerSecond),
        String(figures.missed),
        String(figures.doubled),
        ...[lateMs.p50, lateMs.p99, lateMs.max].map((ms) => ms.toFixed(0)),
      ],
    ],
  );
  console.log();
  printTable(
    ["peer", "starts", "CPU % of a core", "memory MiB"],
    figures.perPeer.map((peer) => [
      peer.name,
      String(peer.starts),
      peer.cpuPercent.toFixed(1),
      peer.rssMiB.toFixed(0),
    ]),
  );
}

const options = readOptions();
const figures = await measure(options);
print(figures);
if (options.json !== undefined) writeJson(options.json, figures);
if (figures.missed > 0 || figures.doubled > 0) process.exitCode = 1;
