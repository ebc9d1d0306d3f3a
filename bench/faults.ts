/**
 * Real processes and real faults: peers in network namespaces, through every scenario of test/kit/fault/scenarios.ts.
 *
 *   npm run test:faults -- [--only NAME]… [--rounds N] [--seed TEXT] [--json FILE] [--logs DIR]
 *
 * The simulator's checkers judge each scenario by what the jobs themselves wrote and what was done to the peers. A
 * figure of 0 of N is printed with its upper bound at 95 % confidence, 3/N. Ends with 1 if a rule was broken, and says
 * which. A scenario with three rounds takes about two minutes.
 */
import { parseArgs } from "node:util";
import { Dice } from "../src/sim/random.ts";
import type { Breach } from "../src/sim/world/truth.ts";
import { Cluster } from "../test/kit/cluster.ts";
import {
  drawDamages,
  leaveFolder,
  describeDamage,
  tryDamages,
  type Verdict,
} from "../test/kit/fault/damage.ts";
import { labProblem } from "../test/kit/fault/net.ts";
import { runScenario, type Outcome } from "../test/kit/fault/run.ts";
import { scenarios } from "../test/kit/fault/scenarios.ts";
import type { Figures } from "../test/kit/fault/judge.ts";
import { percentile, printTable, writeJson } from "./report.ts";

const { values: options } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    rounds: { type: "string", default: "3" },
    seed: { type: "string", default: String(Date.now()) },
    json: { type: "string" },
    logs: { type: "string" },
  },
});

// Ctrl-C runs the exit handlers, which clean up.
process.once("SIGINT", () => process.exit(130));

/** The only fault that needs no network: a lone peer on damaged copies of its folder. */
const damageName = "damage";
const damagedAfter = ["kill -9", "SIGTERM"] as const;

/** How many broken rules are printed for one scenario; the file has all. */
const shownBreaches = 5;

interface Report {
  seed: string;
  outcomes: Outcome[];
  verdicts: Verdict[];
  /** why something was not done */
  skipped: string[];
  /** what threw */
  failures: string[];
}

const report: Report = { seed: options.seed, outcomes: [], verdicts: [], skipped: [], failures: [] };
const rounds = Number(options.rounds);
const problem = await labProblem();
console.log(`seed ${options.seed}, ${rounds} rounds each`);
for (const name of chosen()) {
  try {
    if (name === damageName) await damage();
    else await inject(name);
  } catch (error) {
    const failure = `${name}: ${error instanceof Error ? error.stack : String(error)}`;
    console.log(failure);
    report.failures.push(failure);
  }
  // Written after each scenario, because a run of hours may be ended early.
  if (options.json !== undefined) writeJson(options.json, forFile(report));
}
print(report);
if (
  report.failures.length > 0 ||
  report.outcomes.some(({ breaches }) => breaches.length > 0) ||
  report.verdicts.some(({ faults }) => faults.length > 0)
) {
  process.exitCode = 1;
}

function chosen(): readonly string[] {
  const known = [...scenarios.map(({ name }) => name), damageName];
  const unknown = options.only?.find((name) => !known.includes(name));
  if (unknown === undefined) return options.only ?? known;
  throw new Error(`there is no fault "${unknown}"; give one of ${known.join(", ")}`);
}

async function inject(name: string): Promise<void> {
  const scenario = scenarios.find((one) => one.name === name);
  if (scenario === undefined) return;
  const missing = problem ?? scenario.problem?.();
  if (missing !== undefined) {
    report.skipped.push(`${name}: skipped, ${missing}`);
    console.log(report.skipped.at(-1));
    return;
  }
  const outcome = await runScenario(scenario, rounds, options.seed, options.logs);
  console.log(`${name}: ${outcome.breaches.length === 0 ? "clean" : describeBreaches(outcome.breaches)}`);
  report.outcomes.push(outcome);
}

async function damage(): Promise<void> {
  await using cluster = new Cluster();
  for (const how of damagedAfter) {
    const left = await leaveFolder(cluster, how);
    const dice = new Dice(`${options.seed} ${how}`);
    const drawn = Array.from({ length: rounds }, () => drawDamages(left, dice)).flat();
    const verdicts = await tryDamages(cluster, left, drawn);
    for (const verdict of verdicts.filter(({ faults }) => faults.length > 0)) {
      console.log(`after ${how}, ${describeDamage(verdict.damage)}: ${verdict.faults.join("; ")}`);
    }
    report.verdicts.push(...verdicts);
  }
}

function describeBreaches(breaches: readonly Breach[]): string {
  const lines = breaches
    .slice(0, shownBreaches)
    .map(({ rule, at, what }) => `\n  ${rule} ${new Date(at).toISOString()} ${what}`);
  return `${breaches.length} rules broken${lines.join("")}`;
}

function print({ outcomes, verdicts }: Report): void {
  const head =
    "fault,injected,ticks due,missed,cut short,doubled,majority due,no start,doubled,wait max s,resumed p50 s,p99 s";
  const rows = outcomes.map(({ scenario, figures }) => rowOf(scenario, figures));
  console.log();
  printTable(head.split(","), rows);
  if (verdicts.length === 0) return;
  console.log();
  const byFile = [...Map.groupBy(verdicts, ({ damage: { file } }) => file)];
  printTable(
    ["damaged file", "trials", "went on", "refused", "wrong"],
    byFile.map(([file, tried]) => [
      file,
      tried.length,
      tried.filter(({ outcome }) => outcome === "went on").length,
      tried.filter(({ outcome }) => outcome === "refused").length,
      bounded(tried.filter(({ faults }) => faults.length > 0).length, tried.length),
    ]),
  );
}

function rowOf(
  name: string,
  { injected, available, majority, resumptionsMs, waitsMs }: Figures,
): (string | number)[] {
  const resumed = resumptionsMs.toSorted((a, b) => a - b);
  return [
    name,
    injected,
    available.due,
    bounded(available.missed, available.due),
    available.cutShort,
    available.doubled,
    majority.due,
    majority.missed + majority.cutShort,
    bounded(majority.doubled, majority.due),
    seconds(Math.max(0, ...waitsMs)),
    seconds(percentile(resumed, 50)),
    seconds(percentile(resumed, 99)),
  ];
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1);
}

/** For none of N: fewer than 3/N with 95 % confidence (the rule of three; Hanley and Lippman-Hand, JAMA 1983). */
function bounded(seen: number, of: number): string {
  return seen > 0 || of === 0 ? String(seen) : `0 (<${((3 / of) * 100).toFixed(2)} %)`;
}

/** Everything but the raw evidence. */
function forFile({ outcomes, ...rest }: Report): unknown {
  return { ...rest, outcomes: outcomes.map(({ evidence: _evidence, ...outcome }) => outcome) };
}
