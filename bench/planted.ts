/**
 * Measures how soon each planted bug is found: `node bench/planted.ts [--bug NAME] [--most 1000] [--peers 3] [--ticks 8]
 * [--hours 0.3] [--from 1] [--kinds "old disk,kill"]`; `--world long` with `--hours 96` and kinds of
 * src/sim/faults/long.ts.
 *
 * For each bug of src/core/probes/planted.ts it runs wide worlds (long ones with `--world long`; mixed ones for a bug
 * about versions) with the bug in every peer, seed after seed, until a checker sees a broken rule. It checks that the
 * same seed without the bug breaks none. It prints one line for each bug: how many seeds it took, the last one's name,
 * and which rule was broken.
 */
import { parseArgs } from "node:util";
import { plantedBugs, type PlantedBug } from "../src/core/probes/planted.ts";
import { isFaultKind } from "../src/sim/faults/faults.ts";
import { isLongKind } from "../src/sim/faults/long.ts";
import { summarise } from "../test/kit/seed/summary.ts";
import { printTable } from "./report.ts";
import { worldOfBug, type SeedJob } from "../test/kit/seed/job.ts";

const { values } = parseArgs({
  options: {
    bug: { type: "string" },
    kinds: { type: "string" },
    world: { type: "string", default: "wide" },
    most: { type: "string", default: "1000" },
    peers: { type: "string", default: "3" },
    ticks: { type: "string", default: "8" },
    hours: { type: "string", default: "0.3" },
    from: { type: "string", default: "1" },
  },
});

const bugs = Object.keys(plantedBugs).filter((name) => values.bug === undefined || name === values.bug);

function jobOf(seed: number, bug: PlantedBug): SeedJob {
  return {
    seed: String(seed),
    peers: Number(values.peers),
    jobs: Number(values.ticks),
    hours: Number(values.hours),
    faults: "swarm",
    chains: bug.startsWith("chain-"),
    pools: bug.startsWith("pool-"),
    retries: bug.startsWith("retry-") || bug === "pool-queue-blocked",
    ...worldOf(bug, values.kinds?.split(",")),
  };
}

/** the kinds of fault; undefined = the seed draws them */
function worldOf(
  bug: PlantedBug,
  kinds: string[] | undefined,
): Pick<SeedJob, "world" | "kinds" | "longKinds"> {
  if (values.world === "long")
    return { world: "long", ...(kinds === undefined ? {} : { longKinds: kinds.filter(isLongKind) }) };
  return { world: worldOfBug(bug), ...(kinds === undefined ? {} : { kinds: kinds.filter(isFaultKind) }) };
}

function find(bug: PlantedBug): (string | number)[] {
  const first = Number(values.from);
  for (let seed = first; seed < first + Number(values.most); seed++) {
    const job = jobOf(seed, bug);
    const found = summarise({ ...job, planted: bug });
    const [breach] = found.breaches;
    if (breach === undefined || summarise(job).broken > 0) continue;
    return [bug, seed - first + 1, seed, breach.rule, Math.round(found.tookMs), breach.what.slice(0, 90)];
  }
  return [bug, `none in ${values.most}`];
}

const rows = bugs.map((name) => {
  const row = find(name as PlantedBug); // a key of the table
  console.error(row.join("  "));
  return row;
});
printTable(["bug", "seeds", "seed", "rule", "ms", "seen"], rows);
process.exitCode = rows.some(({ length }) => length === 2) ? 1 : 0;
