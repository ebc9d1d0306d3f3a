/**
 * How many lists a peer answers in a second, and how long each takes, while jobs run.
 *
 *   npm run bench:reads -- --jobs 2000 --starts 20 --connections 8 --seconds 10 [--only LIST …] [--json FILE]
 *
 * One peer has `--jobs` jobs, of which some start each second and append a line to a file. For `--seconds` the bench asks for one
 * list over `--connections` connections; each connection asks again as soon as it has its answer. The first row asks for nothing.
 * CPU is that of the peer and its launcher, less what the jobs alone cost (the first row). Lateness is read from the file, as in
 * `bench:load`.
 */
import path from "node:path";
import { setTimeout as passes } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Client } from "undici";
import { Cluster, until, type RunningPeer } from "../test/kit/cluster.ts";
import { printTable, spreadOf, writeJson, type Spread } from "./report.ts";
import { Tail } from "./tail.ts";
import { usageOf } from "./usage.ts";

/** How often a busy job starts, s: this times `--starts` jobs are busy. */
const everySeconds = 5;
const jobsAtOnce = 500;
/** How many runs are in the history before anything is measured. */
const runsBefore = 500;

interface Figures {
  list: string;
  perSecond: number;
  ms: Spread;
  cpuMs: number;
  lateMs: Spread;
  starts: number;
}

const { values } = parseArgs({
  options: {
    jobs: { type: "string", default: "2000" },
    starts: { type: "string", default: "20" },
    connections: { type: "string", default: "8" },
    seconds: { type: "string", default: "10" },
    only: { type: "string", multiple: true },
    json: { type: "string" },
  },
});
const [jobs, starts, connections, seconds] = [
  values.jobs,
  values.starts,
  values.connections,
  values.seconds,
].map(Number) as [number, number, number, number];

const lists: readonly (readonly [what: string, target: string | undefined])[] = [
  ["none", undefined],
  ["jobs", "/v1/jobs?limit=50"],
  ["runs", "/v1/runs?limit=50"],
  ["failed runs", "/v1/runs?limit=50&state=failed,succeeded"],
  ["runs of a job", "/v1/jobs/busy-0/runs?limit=50"],
  ["one job", "/v1/jobs/busy-0"],
];

await using cluster = new Cluster();
const file = path.join(cluster.folder, "starts");
const tail = new Tail(file);
try {
  const peer = await cluster.start({ name: "alone", flags: ["--log-level=warn"] });
  await makeJobs(peer);
  await until(`${runsBefore} runs`, 120_000, async () => {
    const { headers } = await peer.call("GET", "/v1/runs?limit=1");
    return Number(headers["x-total-count"]) >= runsBefore;
  });
  const figures: Figures[] = [];
  for (const [list, target] of lists.filter(isWanted)) figures.push(await measure(peer, list, target));
  const idleCpuMs = figures[0]?.cpuMs ?? 0;
  printTable(
    ["list", "per s", "p50 ms", "p99 ms", "CPU ms each", "ticks late p50 ms", "p99 ms"],
    figures.map(({ list, perSecond, ms, cpuMs, lateMs }) => [
      list,
      perSecond.toFixed(0),
      ms.p50.toFixed(1),
      ms.p99.toFixed(1),
      perSecond === 0 ? "" : ((cpuMs - idleCpuMs) / (perSecond * seconds)).toFixed(2),
      lateMs.p50.toFixed(0),
      lateMs.p99.toFixed(0),
    ]),
  );
  console.log(`what the jobs alone cost: ${(idleCpuMs / seconds / 10).toFixed(1)} % of a core`);
  await peer.stop();
  if (values.json !== undefined) writeJson(values.json, { jobs, starts, connections, seconds, figures });
} finally {
  tail.close();
}

/** `--only LIST` (repeatable) limits the bench to these lists and the row without reads. */
function isWanted([list, target]: (typeof lists)[number]): boolean {
  return target === undefined || values.only === undefined || values.only.includes(list);
}

async function makeJobs(peer: RunningPeer): Promise<void> {
  const busy = starts * everySeconds;
  const command = `echo "$CICADA_JOB@$CICADA_TICK $CICADA_PEER_NAME" >> ${file}`;
  const objects = Array.from({ length: jobs }, (_, number) =>
    number < busy
      ? {
          kind: "job",
          id: `busy-${number}`,
          schedule: `${number % everySeconds}-59/${everySeconds} * * * * *`,
          command,
        }
      : { kind: "job", id: `job-${number}`, schedule: `${number % 60} 3 * * *`, command: "true" },
  );
  for (let from = 0; from < jobs; from += jobsAtOnce) {
    await peer.ask("POST", "/v1/apply", { objects: objects.slice(from, from + jobsAtOnce) });
  }
}

async function measure(peer: RunningPeer, list: string, target: string | undefined): Promise<Figures> {
  const { pid } = peer.started;
  const from = Date.now();
  const to = from + seconds * 1_000;
  const before = usageOf(pid).cpuMs;
  const times: number[] = [];
  if (target === undefined) await passes(to - from);
  else await Promise.all(Array.from({ length: connections }, () => askUntil(to, peer, target, times)));
  const cpuMs = usageOf(pid).cpuMs - before;
  // By then the last ticks of the span have started.
  await passes(1_000);
  const late = latenessOf(from, to);
  return {
    list,
    perSecond: times.length / seconds,
    ms: spreadOf(times),
    cpuMs,
    lateMs: spreadOf(late),
    starts: late.length,
  };
}

async function askUntil(to: number, peer: RunningPeer, target: string, times: number[]): Promise<void> {
  const client = new Client(peer.ready.http);
  const headers = { authorization: `Bearer ${peer.token}` };
  while (Date.now() < to) {
    const from = performance.now();
    const { statusCode, body } = await client.request({ method: "GET", path: target, headers });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`${target}: ${statusCode} ${text}`);
    times.push(performance.now() - from);
  }
  await client.close();
}

/** The lateness of the ticks that were due in the span and have started, ms. */
function latenessOf(from: number, to: number): number[] {
  const late: number[] = [];
  for (const [start, [first]] of tail.seen) {
    const due = Date.parse(start.slice(start.indexOf("@") + 1));
    if (first !== undefined && due >= from && due < to) late.push(first.at - due);
  }
  return late;
}
