/**
 * Runs the same jobs under cicada and under other schedulers, one scheduler after the other, on this machine.
 *
 *   npm run bench:beside -- --with dkron=BINARY --with cron[=BINARY] [--jobs 100] [--every 1m] [--minutes 2] [--agents 3]
 *     [--kill] [--json FILE]
 *
 * Each start of a job appends a line to a file. Starts and lateness are judged by these lines alone, which the bench reads a few
 * ms after they were written. With `--every 1m` all jobs are due at the whole minute, as in crontabs. With a shorter period they are
 * spread over its seconds, and cron is left out, because it knows only minutes. With `--kill` one agent gets SIGKILL half-way: the
 * leader, if there is one. CPU and memory (PSS, at the end) are those of all agents that lived to the end, together with their
 * helpers, but without the jobs.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as passes } from "node:timers/promises";
import { parseArgs } from "node:util";
import { matchStarts } from "../test/kit/start-match.ts";
import { startCicada } from "./beside/cicada.ts";
import { startCron, whyNoCron } from "./beside/cron.ts";
import { startDkron } from "./beside/dkron.ts";
import type { BenchJob, Rival } from "./beside/rival.ts";
import { duesOf, everySecondsOf } from "./period.ts";
import { printTable, spreadOf, writeJson, type Spread } from "./report.ts";
import { Tail } from "./tail.ts";
import { pssOf, usageOf } from "./usage.ts";

/** How long after the last job was created the first tick counts, ms. */
const countedAfterMs = 5_000;
/** How late a start may come, ms. A later one counts as missed. */
const graceMs = 30_000;

interface Figures {
  name: string;
  expected: number;
  missed: number;
  doubled: number;
  lateMs: Spread;
  cpuPercent: number;
  pssMiB: number;
}

const { values } = parseArgs({
  options: {
    with: { type: "string", multiple: true, default: [] },
    jobs: { type: "string", default: "100" },
    every: { type: "string", default: "1m" },
    minutes: { type: "string", default: "2" },
    agents: { type: "string", default: "3" },
    kill: { type: "boolean", default: false },
    json: { type: "string" },
  },
});
const everySeconds = everySecondsOf(values.every);
const [jobCount, minutes, agents] = [values.jobs, values.minutes, values.agents].map(Number) as [
  number,
  number,
  number,
];

const figures: Figures[] = [];
for (const [name, start] of starters()) {
  console.log(`${name} …`);
  figures.push(await measure(start));
}
printTable(
  [
    "scheduler",
    "starts",
    "missed",
    "doubled",
    "late p50 ms",
    "p99 ms",
    "max ms",
    "CPU % of a core",
    "PSS MiB",
  ],
  figures.map(({ name, expected, missed, doubled, lateMs, cpuPercent, pssMiB }) => [
    name,
    expected,
    missed,
    doubled,
    ...[lateMs.p50, lateMs.p99, lateMs.max].map((ms) => ms.toFixed(0)),
    cpuPercent.toFixed(1),
    pssMiB.toFixed(0),
  ]),
);
if (values.json !== undefined)
  writeJson(values.json, { jobs: jobCount, everySeconds, minutes, agents, kill: values.kill, figures });

function starters(): [name: string, start: () => Promise<Rival>][] {
  const found: [string, () => Promise<Rival>][] = [["cicada", () => startCicada(agents)]];
  for (const given of values.with) {
    const [name = "", binary] = given.split("=", 2);
    if (name === "dkron" && binary !== undefined) {
      found.push([name, () => startDkron(binary, agents)]);
    } else if (name === "cron") {
      const program = binary ?? "/usr/sbin/cron";
      const only = everySeconds === 60 ? undefined : "it knows only whole minutes (--every 1m)";
      const dies = values.kill ? "there is only one of it to kill" : undefined;
      const why = only ?? dies ?? whyNoCron(program);
      if (why === undefined) found.push([name, async () => startCron(program)]);
      else console.log(`cron is left out: ${why}`);
    } else {
      throw new Error(`--with ${given}: give dkron=BINARY, cron or cron=BINARY`);
    }
  }
  return found;
}

async function measure(start: () => Promise<Rival>): Promise<Figures> {
  const folder = mkdtempSync(path.join(tmpdir(), "beside-"));
  const file = path.join(folder, "starts");
  const tail = new Tail(file);
  try {
    await using rival = await start();
    const jobs = Array.from({ length: jobCount }, (_, number): BenchJob => {
      const id = `job-${number}`;
      const offsetSeconds = everySeconds === 60 ? 0 : number % everySeconds;
      return { id, everySeconds, offsetSeconds, command: `echo "${id} -" >> ${file}` };
    });
    await rival.makeJobs(jobs);
    // The span begins with a whole period, so that each job is due equally often.
    const periodMs = everySeconds * 1_000;
    const from = Math.ceil((Date.now() + countedAfterMs) / periodMs) * periodMs - countedAfterMs / 5;
    const to = from + minutes * 60_000;
    await passes(from - Date.now());
    const before = cpuOf(rival);
    if (values.kill) {
      await passes((from + to) / 2 - Date.now());
      await rival.kill();
    }
    await passes(to - Date.now());
    const after = cpuOf(rival);
    const shares = rival.pids().map(pssOf);
    const pssBytes = sumOf(shares.map(({ own, children }) => own + children));
    await untilQuiet(tail, from, to, jobs);
    const cpuMs = sumOf([...after].map(([pid, ms]) => ms - (before.get(pid) ?? 0)));
    return {
      name: rival.name,
      ...judge(tail, from, to, jobs),
      cpuPercent: cpuMs / (minutes * 600),
      pssMiB: pssBytes / 2 ** 20,
    };
  } finally {
    tail.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Waits until every job that was due has started, or until it is too late for that. */
async function untilQuiet(tail: Tail, from: number, to: number, jobs: readonly BenchJob[]): Promise<void> {
  while (Date.now() < to + graceMs && judge(tail, from, to, jobs).missed > 0) await passes(100);
}

function judge(
  tail: Tail,
  from: number,
  to: number,
  jobs: readonly BenchJob[],
): Pick<Figures, "expected" | "missed" | "doubled" | "lateMs"> {
  const late: number[] = [];
  let [expected, missed, doubled] = [0, 0, 0];
  for (const job of jobs) {
    const dues = duesOf(job.everySeconds, job.offsetSeconds, from, to);
    // Starts that belong to earlier or later due times are left out.
    const end = (dues.at(-1) ?? to) + job.everySeconds * 1_000;
    const starts = (tail.seen.get(job.id) ?? []).map(({ at }) => at).filter((at) => at >= from && at < end);
    const found = matchStarts(dues, starts, graceMs);
    expected += dues.length;
    missed += found.missed;
    doubled += found.doubled;
    late.push(...found.late);
  }
  return { expected, missed, doubled, lateMs: spreadOf(late) };
}

/** The CPU time of each agent, with its helpers, by process id. Unit: ms. */
function cpuOf(rival: Rival): Map<number, number> {
  return new Map(rival.pids().map((pid) => [pid, usageOf(pid).cpuMs]));
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0);
}
