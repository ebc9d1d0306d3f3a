/**
 * Runs the simulator by hand.
 *
 *   npm run sim -- --seed N [--peers P] [--jobs J] [--hours H] [--faults none|swarm] [--trace]
 *     replays one seed; prints a summary and the trace hash; ends with 1 if a rule was broken
 *   npm run sim -- --seeds COUNT [--from N] [--parallel W] [--hours H] …
 *     runs many; prints the first broken rule of each failing seed, and the speed
 *
 * --world wide: with majority jobs, witnesses, joins, old disks and garbage; --world mixed: also with two versions;
 * --world long: weeks with few ticks; --world long-mixed: weeks with two versions. --planted NAME gives every peer a
 * known bug (src/core/probes/planted.ts); --kinds "old disk,kill" draws the faults from these kinds; --person has a
 * person drain, promote and forget peers and cancel runs; --retries has some jobs repeat what fails; --chains has some run
 * after others; --pools has half of them share a pool in two of five worlds; --backfills has a person ask for past ticks; --secrets,
 * --groups and --calendars have some of them name a secret, belong to a group, or leave out what is in a calendar; --boots has
 * hosts of a long world boot with wrong clocks; --kept 3,8 lets only these faults happen.
 */
import { parseArgs } from "node:util";
import { isFaultKind } from "../src/sim/faults/faults.ts";
import { isLongKind } from "../src/sim/faults/long.ts";
import { runSeeds } from "../test/kit/seed/pool.ts";
import { plantedBugOf, worldKinds, type SeedJob, type WorldKind } from "../test/kit/seed/job.ts";
import { summarise, type SeedSummary } from "../test/kit/seed/summary.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seeds: { type: "string" },
    from: { type: "string", default: "1" },
    parallel: { type: "string", default: "2" },
    peers: { type: "string", default: "5" },
    jobs: { type: "string", default: "50" },
    hours: { type: "string", default: "1" },
    faults: { type: "string", default: "swarm" },
    world: { type: "string", default: "plain" },
    person: { type: "boolean", default: false },
    retries: { type: "boolean", default: false },
    chains: { type: "boolean", default: false },
    pools: { type: "boolean", default: false },
    backfills: { type: "boolean", default: false },
    secrets: { type: "boolean", default: false },
    groups: { type: "boolean", default: false },
    calendars: { type: "boolean", default: false },
    boots: { type: "boolean", default: false },
    planted: { type: "string" },
    kept: { type: "string" },
    kinds: { type: "string" },
    trace: { type: "boolean", default: false },
  },
});

const hourMs = 3_600_000;
const planted = plantedBugOf(values.planted);

function jobOf(seed: string): SeedJob {
  return {
    seed,
    peers: Number(values.peers),
    jobs: Number(values.jobs),
    hours: Number(values.hours),
    faults: values.faults === "none" ? "none" : "swarm",
    world: worldOf(values.world),
    person: values.person,
    retries: values.retries,
    chains: values.chains,
    pools: values.pools,
    backfills: values.backfills,
    secrets: values.secrets,
    groups: values.groups,
    calendars: values.calendars,
    boots: values.boots,
    ...(planted === undefined ? {} : { planted }),
    ...(values.kinds === undefined
      ? {}
      : {
          kinds: values.kinds.split(",").filter(isFaultKind),
          longKinds: values.kinds.split(",").filter(isLongKind),
        }),
    ...(values.kept === undefined
      ? {}
      : {
          keptFaults: values.kept
            .split(",")
            .map(Number)
            .filter((number) => number >= 0),
        }),
  };
}

function worldOf(name: string): WorldKind {
  const world = worldKinds.find((one) => one === name);
  if (world === undefined) throw new Error(`there is no such world; give one of ${worldKinds.join(", ")}`);
  return world;
}

function sentence({ rule, at, what }: SeedSummary["breaches"][number]): string {
  return `${rule} at ${new Date(at).toISOString()}: ${what}`;
}

function speed(tookMs: number, hours: number): string {
  return `${Math.round((hours * hourMs) / tookMs).toLocaleString("en")} × real time`;
}

function printLine(at: number, peer: string | undefined, line: string): void {
  console.log(
    `${new Date(at).toISOString().slice(values.world.startsWith("long") ? 0 : 11, 23)} ${(peer ?? "").padEnd(8)} ${line}`,
  );
}

function replay(seed: string): void {
  const summary = summarise(jobOf(seed), values.trace ? printLine : undefined);
  console.log(`seed       ${seed}: ${values.peers} peers, ${values.jobs} jobs, ${values.hours} hours`);
  console.log(`faults     ${summary.faults.join(", ") || "none"}`);
  console.log(`starts     ${summary.starts}`);
  console.log(`messages   ${summary.messages}, ${summary.bytes} bytes; ${summary.events} events`);
  console.log(`logged     ${JSON.stringify(summary.logged)}`);
  console.log(`took       ${Math.round(summary.tookMs)} ms, ${speed(summary.tookMs, Number(values.hours))}`);
  console.log(`broken     ${summary.broken}`);
  for (const breach of summary.breaches) console.log(`  ${sentence(breach)}`);
  console.log(`trace hash ${summary.traceHash}`);
  process.exitCode = summary.broken > 0 ? 1 : 0;
}

async function hunt(count: number): Promise<void> {
  const began = performance.now();
  const first = Number(values.from);
  let given = 0;
  let starts = 0;
  const failed: string[] = [];
  await runSeeds(
    Number(values.parallel),
    () => (given < count ? jobOf(String(first + given++)) : undefined),
    (summary) => {
      starts += summary.starts;
      const [breach] = summary.breaches;
      if (breach === undefined) return;
      failed.push(summary.seed);
      console.log(`seed ${summary.seed}: ${summary.broken} broken, first ${sentence(breach)}`);
    },
  );
  const tookMs = performance.now() - began;
  const hours = count * Number(values.hours);
  console.log(`${count} seeds × ${values.hours} h, ${starts} starts, ${Math.round(tookMs / 1_000)} s`);
  console.log(`${speed(tookMs, hours)} with ${values.parallel} workers`);
  console.log(failed.length === 0 ? "all clean" : `${failed.length} failed: ${failed.join(" ")}`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}

if (values.seeds === undefined) replay(values.seed);
else await hunt(Number(values.seeds));
