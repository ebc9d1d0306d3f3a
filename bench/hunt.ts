/**
 * The hunt: `npm run hunt -- --minutes M --jobs 2 [--world wide|long|mixed|long-mixed] [--peers P] [--hours H]
 * [--from NAME] [--planted NAME] [--seeds N]`, or `--name SEED` for one seed alone. `--world mended` runs all seeds that once
 * broke a rule (test/kit/seed/mended.ts), including those that take too long for `npm test`.
 *
 * Runs wide worlds (or long or mixed ones) of fresh seeds and varying sizes until the time is up, `--jobs` of them side
 * by side. For each seed that breaks a rule it prints the seed and the commit, makes the world smaller, and prints what
 * happened around the first breach on all peers. At the end it prints how much it has run, and which rare branches it
 * never reached. Ends with 1 if a rule was broken.
 */
import { fail } from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { marks, type Mark } from "../src/core/probes/marks.ts";
import { runSeeds } from "../test/kit/seed/pool.ts";
import {
  longMixedSizeOf,
  longSizeOf,
  mixedSizeOf,
  plantedBugOf,
  sizeOf,
  type SeedJob,
} from "../test/kit/seed/job.ts";
import { mendedWorlds } from "../test/kit/seed/mended.ts";
import type { SeedSummary } from "../test/kit/seed/summary.ts";
import { shrink } from "./shrink.ts";
import { timeline } from "./timeline.ts";

const { values } = parseArgs({
  options: {
    world: { type: "string", default: "wide" },
    minutes: { type: "string", default: "10" },
    jobs: { type: "string", default: "2" },
    peers: { type: "string" },
    hours: { type: "string" },
    /** about how many ticks a minute */
    ticks: { type: "string" },
    /** names the first seed; the same name gives the same seeds */
    from: { type: "string", default: String(Date.now()) },
    seeds: { type: "string", default: "Infinity" },
    /** only the seed of this name */
    name: { type: "string" },
    planted: { type: "string" },
    /** the most worlds that are run to make a failing seed smaller */
    shrink: { type: "string", default: "60" },
  },
});

const minuteMs = 60_000;
const hoursOfAYear = 365 * 24;
const isMended = values.world === "mended";
let endAt = isMended ? Infinity : performance.now() + Number(values.minutes) * minuteMs;
// After Ctrl-C the hunt finishes the seeds that are running and prints the figures so far.
process.once("SIGINT", () => (endAt = 0));
const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();

const sizes: ReadonlyMap<string, (seed: string) => SeedJob> = new Map([
  ["wide", sizeOf],
  ["long", longSizeOf],
  ["mixed", mixedSizeOf],
  ["long-mixed", longMixedSizeOf],
]);

const planted = plantedBugOf(values.planted);

function jobOf(seed: string): SeedJob {
  const size = sizes.get(values.world)?.(seed) ?? fail(`no such world; ${[...sizes.keys()].join(", ")}`);
  return {
    ...size,
    peers: Number(values.peers ?? size.peers),
    jobs: Number(values.ticks ?? size.jobs),
    hours: Number(values.hours ?? size.hours),
    ...(planted === undefined ? {} : { planted }),
  };
}

function commandOf({
  seed,
  peers,
  jobs,
  hours,
  keptFaults,
  planted: bug,
  world = "plain",
  person,
  retries,
  chains,
  pools,
  secrets,
  groups,
  calendars,
  boots,
}: SeedJob): string {
  const switches = Object.entries({ person, retries, chains, pools, secrets, groups, calendars, boots })
    .filter(([, is]) => is === true)
    .map(([name]) => ` --${name}`)
    .join("");
  const kept = keptFaults === undefined ? "" : ` --kept ${keptFaults.join(",") || "none"}`;
  const plant = bug === undefined ? "" : ` --planted ${bug}`;
  return `npm run sim -- --world ${world} --seed ${seed} --peers ${peers} --jobs ${jobs} --hours ${hours}${switches}${kept}${plant}`;
}

function report(job: SeedJob, failed: SeedSummary): void {
  const [first] = failed.breaches;
  console.log(
    `\nseed ${job.seed} at commit ${commit}: ${failed.broken} broken, the first: ${first?.rule} ${first?.what}`,
  );
  console.log(`  ${commandOf(job)}`);
  const small = shrink(job, failed, Number(values.shrink));
  const breach = small.summary.breaches.find(({ rule }) => rule === first?.rule);
  const faults = small.summary.drawn.filter(({ number }) => small.job.keptFaults?.includes(number) ?? true);
  console.log(`  made smaller by ${small.runs} worlds: ${commandOf(small.job)}`);
  console.log(`  faults left: ${faults.map(({ kind }) => kind).join(", ") || "none"}`);
  if (breach === undefined) return;
  console.log(`  ${breach.rule} at ${new Date(breach.at).toISOString()}: ${breach.what}`);
  for (const line of timeline(small.job, breach)) console.log(line);
}

const reached = new Set<Mark>();
const sum = { seeds: 0, hours: 0, starts: 0, faults: 0, failed: 0 };
const began = performance.now();
const most = values.name === undefined ? Number(values.seeds) : 1;
const mended = isMended ? mendedWorlds() : undefined;
let begun = 0;

function nextJob(): SeedJob | undefined {
  if (performance.now() >= endAt || begun >= most) return undefined;
  begun++;
  return mended === undefined ? jobOf(values.name ?? `${values.from}-${begun}`) : mended[begun - 1];
}

await runSeeds(Number(values.jobs), nextJob, (summary, job) => {
  sum.seeds++;
  sum.hours += job.hours;
  sum.starts += summary.starts;
  sum.faults += summary.drawn.length;
  for (const mark of summary.marks) reached.add(mark);
  if (summary.broken === 0) return;
  sum.failed++;
  report(job, summary);
});

const tookMs = performance.now() - began;
const unreached = marks.filter((mark) => !reached.has(mark));
const speed = Math.round((sum.hours * 60 * minuteMs) / tookMs).toLocaleString("en");
const years = (sum.hours / hoursOfAYear).toFixed(2);
console.log(
  `\n${sum.seeds} ${mended === undefined ? `seeds from ${values.from}` : `of ${mended.length} mended seeds`}, commit ${commit}: ${Math.round(sum.hours)} simulated hours (${years} years), ` +
    `${sum.starts} starts, ${sum.faults} faults, ${sum.failed} seeds with a broken rule`,
);
console.log(`${Math.round(tookMs / 1_000)} s, ${speed} × real time with ${values.jobs} workers`);
console.log(`branches never reached: ${unreached.join(", ") || "none"}`);
process.exitCode = sum.failed > 0 ? 1 : 0;
