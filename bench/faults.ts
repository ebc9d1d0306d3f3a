/**
 * Real processes, real faults: peers in network namespaces, and everything that can happen to them.
 *
 *   npm run test:faults -- [--only NAME]… [--rounds N] [--seed TEXT] [--json FILE] [--logs DIR]
 *
 * Each scenario is judged by what the jobs themselves wrote and by what was done to the peers, with the simulator's
 * checkers. A figure of 0 of N is printed with its upper bound of 95 % confidence, 3/N. Ends with 1 when a rule
 * was broken, and says which. It takes about two minutes a scenario and round of three.
 */
import { parseArgs } from "node:util";
import type { Breach } from "../src/sim/truth.ts";
import { labProblem } from "../test/fault-net.ts";
import { runScenario, type Outcome } from "../test/fault-run.ts";
import { scenarios, type Scenario } from "../test/fault-scenarios.ts";
import type { Figures } from "../test/fault-judge.ts";
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

// Ctrl-C ends the process by its exit handlers, which clean up.
process.once("SIGINT", () => process.exit(130));

const problem = await labProblem();
if (problem === undefined) await main();
else console.log(`no scenario was run: ${problem}`);

async function main(): Promise<void> {
  const wanted = chosen();
  console.log(`seed ${options.seed}, ${options.rounds} rounds each`);
  const outcomes: Outcome[] = [];
  const failures: string[] = [];
  for (const scenario of wanted) {
    const missing = scenario.problem?.();
    if (missing !== undefined) {
      console.log(`${scenario.name}: skipped, ${missing}`);
      continue;
    }
    try {
      const outcome = await runScenario(scenario, Number(options.rounds), options.seed, options.logs);
      console.log(`${scenario.name}: ${outcome.breaches.length === 0 ? "clean" : tell(outcome.breaches)}`);
      outcomes.push(outcome);
    } catch (error) {
      failures.push(`${scenario.name}: ${error instanceof Error ? error.stack : String(error)}`);
      console.log(failures.at(-1));
    }
  }
  print(outcomes);
  if (options.json !== undefined) writeJson(options.json, forFile(outcomes));
  if (failures.length > 0 || outcomes.some(({ breaches }) => breaches.length > 0)) process.exitCode = 1;
}

function chosen(): readonly Scenario[] {
  const { only } = options;
  if (only === undefined) return scenarios;
  return only.map((name) => {
    const scenario = scenarios.find((one) => one.name === name);
    if (scenario !== undefined) return scenario;
    throw new Error(`there is no fault "${name}"; there are ${scenarios.map((one) => one.name).join(", ")}`);
  });
}

const toldBreaches = 5;

function tell(breaches: readonly Breach[]): string {
  const lines = breaches
    .slice(0, toldBreaches)
    .map(({ rule, at, what }) => `\n  ${rule} ${new Date(at).toISOString()} ${what}`);
  return `${breaches.length} rules broken${lines.join("")}`;
}

function print(outcomes: readonly Outcome[]): void {
  const head =
    "fault,injected,ticks due,missed,cut short,doubled,majority due,no start,doubled,wait max s,resumed p50 s,p99 s";
  const rows = outcomes.map(({ scenario, figures }) => rowOf(scenario, figures));
  console.log();
  printTable(head.split(","), rows);
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

/** None of N: with 95 % confidence fewer than 3/N (the rule of three; Hanley and Lippman-Hand, JAMA 1983). */
function bounded(seen: number, of: number): string {
  return seen > 0 || of === 0 ? String(seen) : `0 (<${((3 / of) * 100).toFixed(2)} %)`;
}

/** Everything but the raw evidence. */
function forFile(outcomes: readonly Outcome[]): unknown {
  return outcomes.map(({ evidence: _evidence, ...rest }) => rest);
}
