/**
 * How much memory one peer takes and how soon it is ready, with many jobs in its table and nothing to run.
 *
 *   npm run bench:memory -- --jobs 0,1000,100000 --times 3 [--peers N]
 *
 * The peer starts twice, so that the second start reads the table from the disk, as after a reboot. Memory is the proportional
 * share (PSS) of the peer and of its launcher, some seconds after the peer was ready for the second time. With `--peers` the mesh
 * has that many peers on this machine. What they send while they have nothing to do is then counted by their sockets (`ss`), and
 * shown for one peer and an hour.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import path from "node:path";
import { setTimeout as passes } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Cluster, type RunningPeer } from "../test/kit/cluster.ts";
import { mib, printTable } from "./report.ts";
import { pssOf } from "./usage.ts";

/** How long it takes until an idle peer has given back the memory that its start needed, ms. */
const calmAfterMs = 10_000;
/** For how long the traffic of an idle mesh is counted, ms: several rounds of everything that it repeats. */
const listenMs = 60_000;
/** How many jobs one request makes, which is one change of the table. */
const jobsAtOnce = 500;

interface Figures {
  jobs: number;
  readyMs: number;
  peerBytes: number;
  launcherBytes: number;
  threads: number;
  /** bytes that one peer sends in an hour; undefined = it is alone */
  sentPerHour: number | undefined;
}

const { values } = parseArgs({
  options: {
    jobs: { type: "string", default: "0,1000" },
    times: { type: "string", default: "3" },
    peers: { type: "string", default: "1" },
  },
});
const rows: Figures[] = [];
for (const jobs of values.jobs.split(",").map(Number)) {
  const figures: Figures[] = [];
  for (let turn = 0; turn < Number(values.times); turn++) figures.push(await measure(jobs));
  // The start whose memory is the median.
  const median = figures.toSorted((a, b) => sumOf(a) - sumOf(b))[figures.length >> 1];
  if (median === undefined) throw new Error("--times: give 1 or more");
  rows.push(median);
}
printTable(
  ["jobs", "ready ms", "peer MiB", "launcher MiB", "together", "threads", "MB sent per hour"],
  rows.map((row) => [
    row.jobs,
    row.readyMs.toFixed(0),
    mib(row.peerBytes),
    mib(row.launcherBytes),
    mib(sumOf(row)),
    row.threads,
    row.sentPerHour === undefined ? "" : (row.sentPerHour / 1e6).toFixed(1),
  ]),
);

async function measure(jobs: number): Promise<Figures> {
  await using cluster = new Cluster();
  // On a real host, too, compiled code is kept from one start to the next.
  const env = { XDG_CACHE_HOME: path.join(cluster.folder, "caches") };
  mkdirSync(env.XDG_CACHE_HOME, { mode: 0o700 });
  const names = Array.from({ length: Number(values.peers) }, (_, index) => `peer-${index + 1}`);
  const [peer] = await cluster.mesh(names, ["--log-level=warn"], env);
  if (peer === undefined) throw new Error("--peers: give 1 or more");
  for (let from = 0; from < jobs; from += jobsAtOnce)
    await makeJobs(peer, from, Math.min(jobs, from + jobsAtOnce));
  await peer.stop();
  const startedAt = performance.now();
  await peer.restart();
  const readyMs = performance.now() - startedAt;
  await passes(calmAfterMs);
  const { pid } = peer.started;
  const { own: peerBytes, children: launcherBytes } = pssOf(pid);
  const threads = readdirSync(`/proc/${pid}/task`).length;
  const sentPerHour = names.length === 1 ? undefined : await sentInAnHour(cluster.peers);
  return { jobs, readyMs, peerBytes, launcherBytes, threads, sentPerHour };
}

async function sentInAnHour(peers: readonly RunningPeer[]): Promise<number> {
  const before = sentBytes(peers);
  await passes(listenMs);
  return ((sentBytes(peers) - before) / peers.length) * (3_600_000 / listenMs);
}

/** How many bytes these peers have sent so far over their open connections, each of which has a mesh port at one end. */
function sentBytes(peers: readonly RunningPeer[]): number {
  const ports = new Set(peers.map(({ address }) => address.split("/tcp/")[1]?.split("/")[0] ?? ""));
  const sockets = execFileSync("ss", ["--tcp", "--info", "--numeric", "--oneline", "--no-header"]);
  return sockets
    .toString()
    .split("\n")
    .filter((line) => [...line.matchAll(/127\.0\.0\.1:(\d+)/g)].some(([, port = ""]) => ports.has(port)))
    .reduce((sum, line) => sum + Number(/bytes_sent:(\d+)/.exec(line)?.[1] ?? 0), 0);
}

/** Jobs that are due once a year. */
async function makeJobs(peer: RunningPeer, from: number, to: number): Promise<void> {
  const objects = Array.from({ length: to - from }, (_, index) => ({
    kind: "job",
    id: `job-${from + index}`,
    schedule: "0 0 1 1 *",
    command: "true",
  }));
  await peer.ask("POST", "/v1/apply", { objects });
}

function sumOf({ peerBytes, launcherBytes }: Figures): number {
  return peerBytes + launcherBytes;
}
