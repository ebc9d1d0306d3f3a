/**
 * One scenario from its first peer to its verdict: a lab, jobs that write their own truth, some rounds of the fault
 * with quiet between them, and the judgement.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { checkJob } from "../../../src/core/checks/job.ts";
import type { JobId } from "../../../src/schema/ids.ts";
import { Dice } from "../../../src/sim/random.ts";
import { everySeconds } from "../../../src/sim/client/schedules.ts";
import type { Breach, Evidence, Knowledge } from "../../../src/sim/world/truth.ts";
import { count, judge, type Figures, type Injection } from "./judge.ts";
import { Lab } from "./lab.ts";
import type { Scenario } from "./scenarios.ts";
import { faultLastsFor, quietFor } from "./times.ts";
import type { LabJob } from "./truth.ts";

const minute = 60_000;
/** How long the mesh runs before the first fault, ms. */
const warmMs = 8_000;
/** Quiet between two faults, ms: the 15 s after which every tick must be on time, and some ticks that show it. */
const recoverMs = 25_000;
/** When after the last fault the peers are compared (I8), ms; the second time is the limit of the promise. */
const comparedAfterMs = [27_000, 30_000] as const;
/** Long enough to see that a job deleted in the last fault stays deleted (I5), ms. */
const revokedAfterMs = 10_000;
/** How long after a fault's beginning jobs are edited, ms. */
const editedAfterMs = 1_500;

/** True if this version has majority jobs. */
export function keepsMajority(): boolean {
  return checkJob({ id: "asked", command: "true", partition: "majority" }).ok;
}

function quick(id: string, partition: LabJob["partition"]): LabJob {
  return {
    rules: {
      id: id as JobId,
      schedule: everySeconds(2),
      overlap: "allow",
      catchUp: { policy: "all", windowMs: 10 * minute },
      peers: undefined,
    },
    partition,
    lastsMs: 0,
  };
}

/** Several quick jobs of each policy, and a slow one whose runs must not overlap. */
export function labJobs(): LabJob[] {
  const available = ["open-1", "open-2", "open-3", "open-4"].map((id) => quick(id, "available"));
  const majority = ["strict-1", "strict-2", "strict-3", "strict-4"].map((id) => quick(id, "majority"));
  const { rules, partition } = quick("slow", "available");
  const slow: LabJob = {
    rules: { ...rules, schedule: everySeconds(5), overlap: "queue" },
    partition,
    lastsMs: 2_000,
  };
  return [...available, ...(keepsMajority() ? majority : []), slow];
}

export interface Outcome {
  scenario: string;
  seed: string;
  injections: readonly Injection[];
  figures: Figures;
  breaches: readonly Breach[];
  evidence: Evidence;
}

/** `logFolder` gets the evidence and the peers' logs; undefined = they are not kept. */
export async function runScenario(
  scenario: Scenario,
  rounds: number,
  seed: string,
  logFolder: string | undefined,
): Promise<Outcome> {
  await using lab = await Lab.open(scenario.lab);
  try {
    const jobs = labJobs();
    await lab.make(jobs);
    if (keepsMajority()) await lab.untilVoters();
    const dice = new Dice(`${seed}/${scenario.name}`);
    const injections: Injection[] = [];
    await quietFor(warmMs);
    for (let round = 0; round < rounds; round++) {
      // So that the fault comes at a random moment between two ticks.
      await quietFor((round === 0 ? 0 : recoverMs) + dice.below(2_000));
      const gone = quick(`gone-${round}`, "available");
      await lab.make([gone]);
      const from = Date.now();
      const editing = editMeanwhile(
        lab,
        dice.fork(`edits ${round}`),
        quick(`made-${round}`, "available"),
        gone,
      );
      await scenario.inject(lab, dice);
      injections.push({ what: scenario.name, from, to: Date.now() });
      await editing;
    }
    const views = await convergedViews(lab);
    await quietFor(revokedAfterMs);
    const evidence = lab.evidence(views, views.at(-1) ?? []);
    const breaches = judge(evidence, lab.jobs, injections);
    const figures = count(evidence, jobs, injections);
    if (logFolder !== undefined) leave(logFolder, scenario, lab, evidence, breaches);
    return { scenario: scenario.name, seed, injections, figures, breaches, evidence };
  } catch (error) {
    if (logFolder !== undefined) leave(logFolder, scenario, lab, undefined, []);
    throw error;
  }
}

/** Makes one job and deletes one during a fault, each at a peer that is up. */
async function editMeanwhile(lab: Lab, dice: Dice, made: LabJob, gone: LabJob): Promise<void> {
  await faultLastsFor(editedAfterMs);
  const up = lab.up();
  if (up.length === 0) return;
  await Promise.all([lab.add(dice.pick(up), made), lab.remove(dice.pick(up), gone)]);
}

/** What the peers know some time after the last fault has ended. */
async function convergedViews(lab: Lab): Promise<Knowledge[][]> {
  const healedAt = Date.now();
  const compared: Knowledge[][] = [];
  for (const afterMs of comparedAfterMs) {
    await quietFor(Math.max(0, healedAt + afterMs - Date.now()));
    compared.push(await lab.knowledge());
  }
  return compared;
}

function leave(
  folder: string,
  scenario: Scenario,
  lab: Lab,
  evidence: Evidence | undefined,
  breaches: readonly Breach[],
): void {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, scenario.name);
  writeFileSync(`${file}.log`, lab.said());
  writeFileSync(`${file}.json`, JSON.stringify({ breaches, evidence }, withoutMaps, 1));
}

function withoutMaps(_key: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value;
}
