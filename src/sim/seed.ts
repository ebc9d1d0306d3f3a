/**
 * One seed, from its first draw to the verdict.
 *
 * First the peers start, and jobs are made while there are no faults. In the safety phase faults come and clients ask
 * for changes. Then all faults end for good, and in the liveness phase of the last minutes everything must converge.
 * Then the checkers read the evidence.
 */
import { checkAll } from "./checkers/all.ts";
import { drawWork, editJobs, makeJobs, withRetries, type Work } from "./client/client.ts";
import { withChains, withJoin } from "./client/chains.ts";
import {
  drawAllPeers,
  drawFailurePauses,
  drawFields,
  drawNotices,
  drawPools,
  setPool,
  sideOf,
} from "./client/job-fields.ts";
import { drawLaterJobs, makeLaterJobs } from "./client/later-jobs.ts";
import { askForPast } from "./client/backfills.ts";
import { askAsPerson, undrainAll } from "./client/person.ts";
import { askForShared, drawCalendar, drawGroup, drawSecret, type Shared } from "./client/shared.ts";
import { skipTicks } from "./client/skips.ts";
import type { ChildSettings } from "./executor.ts";
import type { Mark } from "../core/probes/marks.ts";
import type { PlantedBug } from "../core/probes/planted.ts";
import {
  injectFaults,
  injectWideFaults,
  drawNetwork,
  drawPlan,
  drawWidePlan,
  noFaults,
  type DrawnFault,
  type FaultKind,
} from "./faults/faults.ts";
import { calmNetwork } from "./mesh/wires.ts";
import { Dice } from "./random.ts";
import type { PeerId } from "../schema/ids.ts";
import type { ClientRequest } from "./world/requests.ts";
import type { Breach, Evidence, Knowledge } from "./world/truth.ts";
import { changeVersions, drawMixed } from "./faults/mixed.ts";
import { drawWide, plain } from "./faults/wide.ts";
import type { MakePeer, WorldSettings } from "./world/settings.ts";
import { World } from "./world/world.ts";

export interface SeedOptions {
  seed: string;
  peers: number;
  /** about how many ticks come each minute */
  jobs: number;
  hours: number;
  faults: "none" | "swarm";
  makePeer: MakePeer;
  onLine?: WorldSettings["onLine"];
  /** with majority jobs, witnesses, joins, old disks, garbage and everything else that `wide.ts` draws */
  wide?: boolean;
  /** a wide world of two versions (`mixed.ts`) */
  mixed?: boolean;
  /** with a person who drains, promotes and forgets peers and cancels runs */
  person?: boolean;
  /** some of the jobs repeat what fails */
  retries?: boolean;
  /** some of the jobs run after others */
  chains?: boolean;
  /** a person asks for past ticks again */
  backfills?: boolean;
  /** half of the jobs share a pool, in two of five worlds */
  pools?: boolean;
  /** some of the jobs name a secret, belong to a group, or leave out what is in a calendar; each is changed once */
  secrets?: boolean;
  groups?: boolean;
  calendars?: boolean;
  planted?: PlantedBug;
  /** collects the names of the rare branches that were taken */
  marks?: Set<Mark>;
  /** in a wide world: which of the drawn faults happen; absent = all */
  keepFault?: (number: number) => boolean;
  /** which kinds of fault there are; absent = as the seed draws */
  kinds?: readonly FaultKind[];
}

export interface SeedResult {
  seed: string;
  breaches: readonly Breach[];
  evidence: Evidence;
  traceHash: string;
  events: number;
  messages: number;
  bytes: number;
  /** which kinds of fault it had */
  kinds: readonly string[];
  /** the single faults of a wide or long world */
  drawn: readonly { number: number; at: number; lastsMs: number; kind: string }[];
  /** what the peers logged, by level */
  logged: Readonly<Record<string, number>>;
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const beginning = Date.parse("2026-11-20T00:00:00Z");

/** When each phase begins, ms after the beginning. */
const startWithinMs = 5 * second;
const sharedFromMs = 11 * second;
const jobsFromMs = 15 * second;
const jobsWithinMs = 10 * second;
const safetyFromMs = 75 * second;
const livenessMs = 6 * minute;
/** the last stop may still be draining */
const stopsWithinMs = 45 * second;
const comparedAfterMs = 30 * second;
/** What gossip has lost arrives with the next comparison of records, a little more than half a minute later. */
const onItsWayMs = 45 * second;

export function runSeed(options: SeedOptions): SeedResult {
  const dice = new Dice(options.seed).fork("plan");
  const calm = options.faults === "none";
  const isMixed = options.mixed ?? false;
  const isWide = (options.wide ?? false) || isMixed;
  const drawnPlan = calm ? noFaults : isWide ? drawWidePlan(dice) : drawPlan(dice);
  const plan = options.kinds === undefined ? drawnPlan : { ...drawnPlan, kinds: options.kinds };
  const lengthMs = options.hours * hour;
  const epoch = beginning + dice.below(28) * 24 * hour + dice.below(86_400) * second;
  let work: readonly Work[] = [];
  const children: ChildSettings = {
    spawnMs: { least: 2, most: calm ? 10 : dice.pick([10, 50, 300]) },
    behaviour: (spec, chance) => {
      const item = work.find(({ rules }) => rules.id === spec.job);
      const { least, most, fails } = item?.lasting ?? { least: 10, most: 100, fails: 0 };
      const writes = options.chains === true ? { writes: `RUN=${spec.run}\n` } : {};
      return { lastsMs: chance.between(least, most), exitCode: chance.chance(fails) ? 1 : 0, ...writes };
    },
  };
  const world = new World({
    seed: options.seed,
    peers: options.peers,
    epoch,
    network: calm ? calmNetwork : drawNetwork(dice),
    disk: { fsyncMs: { least: 0.5, most: calm ? 5 : dice.pick([5, 30, 200]) } },
    children,
    skewMs: calm ? 5 : dice.pick([5, 50, 300]),
    driftPpm: calm ? 0 : (dice.pick([0, 100, 400]) / lengthMs) * 1_000_000,
    makePeer: options.makePeer,
    traits: (peer, life) => ({
      role: wide.witnesses.has(peer) ? "witness" : "worker",
      capacity: wide.capacity,
      ...(isWide ? { tags: { side: sideOf(peer) } } : {}),
      ...mixed?.versionOf(peer, life),
      ...(options.planted === undefined ? {} : { planted: options.planted }),
      ...(options.marks === undefined ? {} : { marks: options.marks }),
    }),
    ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
  });
  const wide = isWide ? drawWide(world.peers, dice.fork("wide")) : plain;
  const [steady] = world.peers.filter((peer) => !wide.witnesses.has(peer) && !wide.joins.has(peer));
  const mixed =
    isMixed && steady !== undefined ? drawMixed(world.peers, steady, dice.fork("mixed")) : undefined;
  work = drawWork(options.jobs, world.peers, dice.fork("work"), wide.majority);
  if (options.retries === true) work = withRetries(work, dice.fork("retries"));
  if (mixed !== undefined) work = drawLaterJobs(work, mixed.later, dice.fork("later jobs"));
  if (options.chains === true) work = withChains(work, dice.fork("chains"));
  if (options.chains === true && options.backfills === true) work = withJoin(work);
  if (isWide) work = drawFields(work, world.peers, dice.fork("job fields"));
  if (isWide) work = drawAllPeers(work, dice.fork("all peers"));
  if (isWide) work = drawFailurePauses(work, dice.fork("pauses after failures"));
  if (isWide) work = drawNotices(work, dice.fork("notices"));
  const healedAt = epoch + lengthMs - livenessMs;
  const safety = { from: epoch + safetyFromMs, to: healedAt - stopsWithinMs };
  for (const peer of world.peers) {
    const usual = epoch + dice.between(0, startWithinMs);
    const joins = wide.joins.get(peer);
    if (joins !== undefined) world.joinsLater(peer);
    world.at(joins === undefined ? usual : safety.from + joins * (safety.to - safety.from), () =>
      world.hosts.start(peer),
    );
  }
  if (options.pools === true) work = drawPools(work, dice.fork("pools"));
  if (steady !== undefined) world.at(epoch + jobsFromMs, () => setPool(world, work, steady));
  work = share(world, work, options, { epoch, safety, steady, longestMs: 3 * minute }, dice);
  const maintained = isWide ? drawMaintenance(safety, dice.fork("maintenance")) : undefined;
  if (maintained !== undefined) {
    if (steady !== undefined) world.at(epoch + jobsFromMs, () => void world.ask(steady, maintained));
  }
  const [later, plainWork] = [true, false].map((is) =>
    work.filter(({ rules }) => (rules.isLater ?? false) === is),
  );
  if (work.some(({ rules }) => rules.notifies === true)) {
    world.at(epoch + jobsFromMs, () => {
      for (const peer of world.inService().slice(0, 1)) world.ask(peer, { kind: "channel" });
    });
  }
  world.at(epoch + jobsFromMs, () => makeJobs(world, plainWork ?? [], jobsWithinMs));
  world.at(epoch + jobsFromMs, () => makeLaterJobs(world, later ?? [], jobsWithinMs));
  if (!calm) skipTicks(world, work, { ...safety, everyMs: 40 * second });
  if (!calm) editJobs(world, work, { ...safety, everyMs: wide.editEveryMs, betweenMs: 3 * minute });
  if (options.backfills === true) askForPast(world, work, { ...safety, everyMs: 20 * second });
  if (options.person === true) {
    const jobs = work.map(({ rules }) => rules.id);
    askAsPerson(world, jobs, { ...safety, everyMs: wide.editEveryMs });
    for (const laterMs of [-10 * second, 5 * second]) world.at(healedAt + laterMs, () => undrainAll(world));
  }
  if (mixed !== undefined) changeVersions(world, mixed, { ...safety, everyMs: dice.pick([60_000, 180_000]) });
  let drawn: DrawnFault[] = [];
  world.at(safety.from, () => {
    if (!isWide) injectFaults(world, plan, safety.from, safety.to);
    else drawn = injectWideFaults(world, plan, safety.from, safety.to, options.keepFault ?? (() => true));
  });
  if (isWide)
    for (let at = epoch + minute; at < epoch + lengthMs; at += minute) world.at(at, () => world.measure());
  world.at(healedAt, () => {
    for (const peer of world.peers) {
      world.hosts.resume(peer);
      world.hosts.start(peer);
    }
  });
  const convergedViews: Knowledge[][] = [];
  for (const laterMs of [0, onItsWayMs]) {
    world.at(healedAt + comparedAfterMs + laterMs, () => convergedViews.push(world.knowledge()));
  }
  const crash = runToEnd(world, () => world.runUntil(epoch + lengthMs));
  const evidence = { ...world.evidence(healedAt, convergedViews), crowded: wide.capacity < weightOf(work) };
  return {
    seed: options.seed,
    breaches: crash === undefined ? checkAll(evidence) : [crash],
    evidence,
    traceHash: world.traceHash(),
    events: world.queue.count,
    messages: world.wires.messages,
    bytes: world.wires.bytes,
    kinds: plan.kinds,
    drawn,
    logged: world.hosts.logCounts,
  };
}

/** A quarter of the wide worlds have a maintenance in the middle of their faults. */
function drawMaintenance(safety: { from: number; to: number }, dice: Dice): ClientRequest | undefined {
  if (!dice.chance(0.25)) return undefined;
  const from = Math.round(safety.from + dice.between(0, 0.8) * (safety.to - safety.from));
  return { kind: "maintain", from, to: from + dice.pick([20_000, 120_000, 300_000]) };
}

/** Where shared things are written before the jobs are made, and when else; `longestMs`: how long a calendar's time lasts. */
export interface SharingParts {
  epoch: number;
  safety: { from: number; to: number };
  steady: PeerId | undefined;
  longestMs: number;
}

/** Has some of the jobs share a secret, a group and a calendar, as the options say. */
export function share(
  world: World,
  all: readonly Work[],
  { secrets, groups, calendars }: Pick<SeedOptions, "secrets" | "groups" | "calendars">,
  { epoch, safety, steady, longestMs }: SharingParts,
  dice: Dice,
): readonly Work[] {
  if (steady === undefined) return all;
  let work = all;
  const drawn: [is: boolean | undefined, name: string, draw: (of: Dice) => Shared][] = [
    [secrets, "secrets", (of) => drawSecret(work, world.peers, steady, of)],
    [groups, "groups", (of) => drawGroup(work, of)],
    [calendars, "calendars", (of) => drawCalendar(work, safety, longestMs, of)],
  ];
  for (const [is, name, draw] of drawn) {
    if (is !== true) continue;
    const shared = draw(dice.fork(name));
    work = shared.work;
    askForShared(world, shared, steady, epoch + sharedFromMs, safety, dice.fork(`${name} asked for`));
  }
  return work;
}

/** Of one tick of each job. */
function weightOf(work: readonly Work[]): number {
  return work.reduce((sum, { rules: { weight = 1, count = 1 } }) => sum + weight * count, 0);
}

/** Runs the world. If the code under test throws, that is a breach. */
export function runToEnd(world: World, run: () => void): Breach | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { rule: "crash", at: world.now(), what };
  }
}
