/**
 * `npm run traces -- --seeds N [--from NAME] [--jobs 2]`: prints what wide worlds do, as one hash for each seed.
 *
 * The canonical trace of a world contains what an observer outside of cicada could have seen, by virtual time: starts
 * and ends of the jobs' own processes, answers to clients, and each peer's records and jobs at the end. It contains no
 * names of the code, so a change that only moves or renames code keeps every hash. Compare two lists with diff.
 */
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { sizeOf } from "../test/kit/seed/job.ts";
import { runSeeds } from "../test/kit/seed/pool.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "trace" },
    jobs: { type: "string", default: "2" },
  },
});

const most = Number(values.seeds);
const hashes = new Map<string, string>();
let given = 0;

await runSeeds(
  Number(values.jobs),
  () =>
    given >= most
      ? undefined
      : {
          ...sizeOf(`${values.from}-${++given}`),
          person: false,
          retries: false,
          chains: false,
          pools: false,
        },
  (summary) =>
    hashes.set(summary.seed, `${summary.canonicalHash} ${summary.starts} starts, ${summary.broken} broken`),
);

const lines = [...hashes].map(([seed, text]) => `${seed} ${text}`).toSorted();
for (const line of lines) console.log(line);
console.log(`all ${createHash("sha256").update(lines.join("\n")).digest("hex").slice(0, 16)}`);
