/**
 * The partition bench: `npm run bench [-- --json FILE] [--seeds N] [--peers P] [--only NAME]`.
 *
 * Runs every named scenario of `src/sim/faults/scenarios.ts` in the simulator, with several seeds, and prints what
 * happened to the ticks: as a table, and with `--json` into a file. Broken rules are printed too, and make the bench
 * end with 1.
 */
import { parseArgs } from "node:util";
import { checkAll } from "../src/sim/checkers/all.ts";
import { combineMeasures, measure, type Measures } from "../src/sim/world/measures.ts";
import { runScenario, scenarios } from "../src/sim/faults/scenarios.ts";
import { startRealPeer } from "../src/sim/world/real-peer.ts";
import { printTable, writeJson } from "./report.ts";

const { values } = parseArgs({
  options: {
    json: { type: "string" },
    seeds: { type: "string", default: "3" },
    peers: { type: "string", default: "5" },
    only: { type: "string" },
  },
});
const seeds = Number(values.seeds);
const peers = Number(values.peers);
const results: { name: string; says: string; measures: Measures; breaches: string[] }[] = [];

for (const scenario of scenarios.filter(({ name }) => values.only === undefined || name === values.only)) {
  const measured: Measures[] = [];
  const breaches: string[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    const run = runScenario(scenario, { seed: String(seed), peers, makePeer: startRealPeer });
    measured.push(measure(run));
    for (const { rule, at, what } of checkAll(run.evidence)) {
      breaches.push(`seed ${seed}: ${rule} at ${new Date(at).toISOString()}: ${what}`);
    }
  }
  results.push({ name: scenario.name, says: scenario.says, measures: combineMeasures(measured), breaches });
}

const head = [
  "scenario",
  "ticks",
  "missed",
  "doubled",
  "late p50",
  "p99",
  "max",
  "step-in",
  "resumption",
  "msg/tick",
  "bytes/tick",
];
const rows = results.map(({ name, measures }) => [
  name,
  measures.ticks,
  measures.missed,
  measures.doubled,
  Math.round(measures.latenessMs.p50),
  Math.round(measures.latenessMs.p99),
  Math.round(measures.latenessMs.max),
  Math.round(measures.stepInMs),
  Math.round(measures.resumptionMs),
  measures.messagesPerTick.toFixed(1),
  Math.round(measures.bytesPerTick),
]);
console.log(
  `${peers} peers, ${seeds} seeds a scenario, two ticks a second, trouble for 2 minutes; times in ms\n`,
);
printTable(head, rows);
for (const { name, breaches } of results) {
  if (breaches.length > 0) console.log(`\n${name}: ${breaches.length} breaches, such as\n  ${breaches[0]}`);
}
if (values.json !== undefined) writeJson(values.json, { peers, seeds, scenarios: results });
process.exitCode = results.some(({ breaches }) => breaches.length > 0) ? 1 : 0;
