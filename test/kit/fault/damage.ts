/**
 * Damage to the files of a data folder, as from a bad disk or a careless person: one bit is flipped, or the end is cut
 * off.
 *
 * A lone peer makes jobs and a history, and is ended. Each trial damages a copy of its folder and starts a peer on it.
 * No other peer could restore what is lost. So the peer must run without loss, or refuse with a coded error and leave
 * the damaged file as it is. And nothing may run wrongly.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { errorTable } from "../../../src/errors/table.ts";
import type { JobId, PeerId } from "../../../src/schema/ids.ts";
import { checkDuplicates } from "../../../src/sim/checkers/duplicates.ts";
import { checkPhantoms } from "../../../src/sim/checkers/phantoms.ts";
import type { Dice } from "../../../src/sim/random.ts";
import { everySeconds } from "../../../src/sim/client/schedules.ts";
import type { JobRules, Operation } from "../../../src/sim/world/requests.ts";
import type { Evidence, Knowledge, Outage } from "../../../src/sim/world/truth.ts";
import { items, until, type Cluster, type RunningPeer } from "../cluster.ts";
import { knowledgeOf, readTruth, truthfulCommand } from "./truth.ts";

/**
 * Relative to the jobs' folder (`work/` in the data folder), so that each copy of the folder has its own truth file.
 */
const truthFromWork = "../../truth";
const keptRuns = 3;
const readyLimitMs = 30_000;

const beat: JobRules = {
  id: "beat" as JobId,
  schedule: everySeconds(1),
  overlap: "allow",
  catchUp: { policy: "all", windowMs: 600_000 },
  peers: undefined,
};

/** A folder that an ended peer has left, and everything that the peer knew. */
export interface Left {
  how: "kill -9" | "SIGTERM";
  folder: string;
  peer: PeerId;
  knowledge: Knowledge;
  operations: readonly Operation[];
  startedAt: number;
  endedAt: number;
}

/** Runs a peer until it has a history, and ends it. */
export async function leaveFolder(cluster: Cluster, how: Left["how"]): Promise<Left> {
  const folder = path.join(cluster.folder, how === "SIGTERM" ? "stopped" : "killed");
  mkdirSync(folder);
  writeFileSync(path.join(folder, "truth"), "");
  const startedAt = Date.now();
  const running = await cluster.start({ name: "lone", data: path.join(folder, "data") });
  // The peer's own file says so.
  const peer = running.ready.peerId as PeerId;
  const askedAt = Date.now();
  await running.ask("POST", "/v1/jobs", {
    id: beat.id,
    schedule: beat.schedule.text,
    command: truthfulCommand(truthFromWork, 0),
    overlap: beat.overlap,
    catchUp: { policy: beat.catchUp.policy, window: `${beat.catchUp.windowMs}ms` },
  });
  for (const id of ["by-hand-1", "by-hand-2"]) {
    await running.ask("POST", "/v1/jobs", { id, command: "true", description: `a job called ${id}` });
  }
  const knownAt = Date.now();
  await until(`${keptRuns} runs are on record`, 20_000, async () => {
    const runs = await items<{ state: string }>(running, "/v1/runs");
    return runs.filter(({ state }) => state === "succeeded").length >= keptRuns;
  });
  const knowledge = await knowledgeOf(running);
  const endedAt = Date.now();
  await (how === "SIGTERM" ? running.stop() : running.crash());
  const operation = { peer, askedAt, answeredAt: knownAt, accepted: true, knownAt, tick: undefined };
  const operations: Operation[] = [{ ...operation, request: { kind: "put", rules: beat } }];
  return { how, folder, peer, knowledge, operations, startedAt, endedAt };
}

export interface Damage {
  /** in the data folder */
  file: string;
  how: "flip" | "cut";
  /** the bit that is flipped, or how many bytes are left */
  at: number;
}

/** One damage of each kind for every file that is not empty, at drawn places. */
export function drawDamages({ folder }: Left, dice: Dice): Damage[] {
  const data = path.join(folder, "data");
  const files = readdirSync(data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(data, path.join(entry.parentPath, entry.name)))
    .toSorted();
  return files.flatMap((file): Damage[] => {
    const { size } = statSync(path.join(data, file));
    if (size === 0) return [];
    return [
      { file, how: "flip", at: dice.below(size * 8) },
      { file, how: "cut", at: dice.below(size) },
    ];
  });
}

export function describeDamage({ file, how, at }: Damage): string {
  return how === "flip"
    ? `bit ${at % 8} of byte ${Math.floor(at / 8)} of ${file}`
    : `${file} cut to ${at} bytes`;
}

function apply(data: string, { file, how, at }: Damage): void {
  const whole = path.join(data, file);
  if (how === "cut") return truncateSync(whole, at);
  const bytes = readFileSync(whole);
  const place = Math.floor(at / 8);
  bytes.writeUInt8(bytes.readUInt8(place) ^ (1 << (at % 8)), place);
  writeFileSync(whole, bytes);
}

export interface Verdict {
  damage: Damage;
  outcome: "went on" | "refused";
  /** the title of the coded error with which it refused */
  error: string | undefined;
  /** what is wrong with the outcome; empty = nothing */
  faults: readonly string[];
}

/** Tries all damages, two at a time. */
export async function tryDamages(
  cluster: Cluster,
  left: Left,
  damages: readonly Damage[],
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  const waiting = damages.values();
  const worker = async (): Promise<void> => {
    for (const damage of waiting) verdicts.push(await tryDamage(cluster, left, damage));
  };
  await Promise.all([worker(), worker()]);
  return verdicts;
}

/** Damages a copy, starts a peer on it and judges the outcome. */
async function tryDamage(cluster: Cluster, left: Left, damage: Damage): Promise<Verdict> {
  const folder = mkdtempSync(path.join(cluster.folder, "trial-"));
  cpSync(left.folder, folder, { recursive: true });
  const data = path.join(folder, "data");
  apply(data, damage);
  const before = readFileSync(path.join(data, damage.file));
  const startedAt = Date.now();
  const running = await cluster.begin({ name: "lone", data });
  try {
    await until("it is ready or has ended", readyLimitMs, async () => {
      return running.started.hasEnded || (await isReady(running));
    });
    if (running.started.hasEnded) {
      const { error, faults } = await judgeRefusal(running);
      const file = path.join(data, damage.file);
      const kept = existsSync(file) && readFileSync(file).equals(before);
      return {
        damage,
        outcome: "refused",
        error,
        faults: kept ? faults : [...faults, `it changed ${damage.file}, which it refused`],
      };
    }
    return {
      damage,
      outcome: "went on",
      error: undefined,
      faults: await judgeLife(left, folder, running, startedAt),
    };
  } finally {
    if (!running.started.hasEnded) await running.crash();
  }
}

async function isReady(running: RunningPeer): Promise<boolean> {
  try {
    await running.untilReady();
    return true;
  } catch {
    // The peer ended instead; the caller notices that.
    return false;
  }
}

async function judgeRefusal({
  started,
}: RunningPeer): Promise<{ error: string | undefined; faults: string[] }> {
  const { code, signal } = await started.ended;
  const error = Object.values(errorTable).find(({ title }) => started.stderr.includes(title))?.title;
  const faults: string[] = [];
  if (code === 0 || code === null) faults.push(`it ended with ${code ?? signal}`);
  if (error === undefined) faults.push(`no coded error: ${started.said.slice(-500)}`);
  if (/^\s+at .*:\d+:\d+/m.test(started.said)) faults.push("it shows its stack to a person");
  return { error, faults };
}

/** How many ticks the peer is watched for. */
const watchedTicks = 2;

async function judgeLife(
  left: Left,
  folder: string,
  running: RunningPeer,
  startedAt: number,
): Promise<string[]> {
  const faults: string[] = [];
  const { peerId } = running.ready;
  if (peerId !== left.peer) faults.push(`it has become another peer, ${peerId}`);
  const truth = path.join(folder, "truth");
  const ticksBy = Date.now() + watchedTicks * beat.schedule.periodMs;
  const lives = new Map([[left.peer, [left.startedAt, startedAt]]]);
  const outages: Outage[] = [{ peer: left.peer, kind: "down", from: left.endedAt, to: startedAt }];
  try {
    await until("its next ticks", 15_000, () =>
      readTruth(truth, lives, outages).some(({ tick }) => Date.parse(tick) >= ticksBy),
    );
  } catch {
    faults.push("it runs no ticks");
  }
  faults.push(...(await lost(left, running)));
  const evidence = evidenceOf(left, lives, outages, truth);
  return [...faults, ...[...checkDuplicates(evidence), ...checkPhantoms(evidence)].map(({ what }) => what)];
}

async function lost({ knowledge }: Left, running: RunningPeer): Promise<string[]> {
  const now = await knowledgeOf(running);
  const jobs = [...knowledge.jobs].filter(([id, revision]) => now.jobs.get(id) !== revision);
  const records = [...knowledge.records].filter(([id, { writing, state }]) => {
    // Open runs have continued since.
    const isOpen = state === "claimed" || state === "running";
    return isOpen ? !now.records.has(id) : now.records.get(id)?.writing !== writing;
  });
  return [
    ...jobs.map(([id]) => `job ${id} is lost or changed`),
    ...(records.length > 0
      ? [`${records.length} of ${knowledge.records.size} records are lost or changed`]
      : []),
  ];
}

function evidenceOf(
  left: Left,
  lives: ReadonlyMap<PeerId, readonly number[]>,
  outages: readonly Outage[],
  truth: string,
): Evidence {
  return {
    peers: [left.peer],
    from: left.startedAt,
    to: Date.now(),
    healedAt: Date.now(),
    runs: readTruth(truth, lives, outages),
    operations: left.operations,
    outages,
    cuts: [],
    faultWindows: [],
    clockErrorMs: new Map(),
    convergedViews: [],
    final: [],
  };
}
