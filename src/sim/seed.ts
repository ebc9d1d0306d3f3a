/**
 * One seed, from its first draw to the verdict.
 *
 * First the peers start, and jobs are made while there are no faults. In the safety phase faults come and clients ask
 * for changes. Then all faults end for good, and in the liveness phase of the last minutes everything must converge.
 * Then the checkers read the evidence.
 */
import {
  behaviourOf,
  byVersion,
  probesOf,
  resultOf,
  runToEnd,
  share,
  viewsAt,
  type SeedOptions,
  type SeedResult,
} from "./any-world.ts";
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
import { skipTicks } from "./client/skips.ts";
import {
  injectFaults,
  injectWideFaults,
  drawNetwork,
  drawPlan,
  drawWidePlan,
  noFaults,
  type DrawnFault,
} from "./faults/faults.ts";
import { calmNetwork } from "./mesh/wires.ts";
import { Dice } from "./random.ts";
import type { ClientRequest } from "./world/requests.ts";
import { changeVersions, drawMixed, type Mixed } from "./faults/mixed.ts";
import { drawWide, plain, type Wide } from "./faults/wide.ts";
import { World } from "./world/world.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const beginning = Date.parse("2026-11-20T00:00:00Z");

/** When each phase begins, ms after the beginning. */
const startWithinMs = 5 * second;
const jobsFromMs = 15 * second;
const jobsWithinMs = 10 * second;
const safetyFromMs = 75 * second;
const livenessMs = 6 * minute;
/** the last stop may still be draining */
const stopsWithinMs = 45 * second;
const comparedAfterMs = 30 * second;
/** What gossip has lost arrives with the next comparison of records, a little more than half a minute later. */
const onItsWayMs = 45 * second;

interface Span {
  from: number;
  to: number;
}

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
  const world = new World({
    seed: options.seed,
    peers: options.peers,
    epoch,
    children: {
      spawnMs: { least: 2, most: calm ? 10 : dice.pick([10, 50, 300]) },
      behaviour: behaviourOf(() => work, options),
    },
    network: calm ? calmNetwork : drawNetwork(dice),
    disk: { fsyncMs: { least: 0.5, most: calm ? 5 : dice.pick([5, 30, 200]) } },
    skewMs: calm ? 5 : dice.pick([5, 50, 300]),
    driftPpm: calm ? 0 : (dice.pick([0, 100, 400]) / lengthMs) * 1_000_000,
    makePeer: options.makePeer,
    traits: (peer, life) => ({
      role: wide.witnesses.has(peer) ? "witness" : "worker",
      capacity: wide.capacity,
      ...(isWide ? { tags: { side: sideOf(peer) } } : {}),
      ...mixed?.versionOf(peer, life),
      ...probesOf(options),
    }),
    ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
  });
  const wide = isWide ? drawWide(world.peers, dice.fork("wide")) : plain;
  const [steady] = world.peers.filter((peer) => !wide.witnesses.has(peer) && !wide.joins.has(peer));
  const mixed =
    isMixed && steady !== undefined ? drawMixed(world.peers, steady, dice.fork("mixed")) : undefined;
  work = drawJobs(world, options, { wide, mixed, isWide }, dice);
  const healedAt = epoch + lengthMs - livenessMs;
  const safety = { from: epoch + safetyFromMs, to: healedAt - stopsWithinMs };
  startPeers(world, wide, epoch, safety, dice);
  if (steady !== undefined) world.at(epoch + jobsFromMs, () => setPool(world, work, steady));
  work = share(world, work, options, { epoch, safety, steady, longestMs: 3 * minute }, dice);
  const maintained = isWide ? drawMaintenance(safety, dice.fork("maintenance")) : undefined;
  if (maintained !== undefined && steady !== undefined)
    world.at(epoch + jobsFromMs, () => void world.ask(steady, maintained));
  askForJobs(world, work, epoch + jobsFromMs);
  askForChanges(world, work, options, { editEveryMs: wide.editEveryMs, safety, healedAt });
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
  const views = viewsAt(
    world,
    [0, onItsWayMs].map((laterMs) => healedAt + comparedAfterMs + laterMs),
  );
  const crash = runToEnd(world, () => world.runUntil(epoch + lengthMs));
  const evidence = { ...world.evidence(healedAt, views), crowded: wide.capacity < weightOf(work) };
  return { ...resultOf(world, options, evidence, crash, checkAll), kinds: plan.kinds, drawn };
}

/** Draws the jobs: those of every world, and what the options and a wide or mixed world add to them. */
function drawJobs(
  world: World,
  options: SeedOptions,
  { wide, mixed, isWide }: { wide: Wide; mixed: Mixed | undefined; isWide: boolean },
  dice: Dice,
): readonly Work[] {
  let work = drawWork(options.jobs, world.peers, dice.fork("work"), wide.majority);
  if (options.retries === true) work = withRetries(work, dice.fork("retries"));
  if (mixed !== undefined) work = drawLaterJobs(work, mixed.later, dice.fork("later jobs"));
  if (options.chains === true) work = withChains(work, dice.fork("chains"));
  if (options.chains === true && options.backfills === true) work = withJoin(work);
  if (isWide) {
    work = drawFields(work, world.peers, dice.fork("job fields"));
    work = drawAllPeers(work, dice.fork("all peers"));
    work = drawFailurePauses(work, dice.fork("pauses after failures"));
    work = drawNotices(work, dice.fork("notices"));
  }
  return options.pools === true ? drawPools(work, dice.fork("pools")) : work;
}

/** Starts the peers at the beginning, except those that join in the safety phase. */
function startPeers(world: World, { joins }: Wide, epoch: number, safety: Span, dice: Dice): void {
  for (const peer of world.peers) {
    const usual = epoch + dice.between(0, startWithinMs);
    const joinsAt = joins.get(peer);
    if (joinsAt !== undefined) world.joinsLater(peer);
    const at = joinsAt === undefined ? usual : safety.from + joinsAt * (safety.to - safety.from);
    world.at(at, () => world.hosts.start(peer));
  }
}

/** Has the jobs made from that instant on, and the channel that they notify. */
function askForJobs(world: World, work: readonly Work[], at: number): void {
  if (work.some(({ rules }) => rules.notifies === true)) {
    world.at(at, () => {
      for (const peer of world.inService().slice(0, 1)) world.ask(peer, { kind: "channel" });
    });
  }
  const jobs = byVersion(work);
  world.at(at, () => makeJobs(world, jobs.plain, jobsWithinMs));
  world.at(at, () => makeLaterJobs(world, jobs.later, jobsWithinMs));
}

/** Has clients, and a person, ask for changes in the safety phase. */
function askForChanges(
  world: World,
  work: readonly Work[],
  options: SeedOptions,
  { editEveryMs, safety, healedAt }: { editEveryMs: number; safety: Span; healedAt: number },
): void {
  if (options.faults !== "none") {
    skipTicks(world, work, { ...safety, everyMs: 40 * second });
    editJobs(world, work, { ...safety, everyMs: editEveryMs, betweenMs: 3 * minute });
  }
  if (options.backfills === true) askForPast(world, work, { ...safety, everyMs: 20 * second });
  if (options.person !== true) return;
  const jobs = work.map(({ rules }) => rules.id);
  askAsPerson(world, jobs, { ...safety, everyMs: editEveryMs });
  for (const laterMs of [-10 * second, 5 * second]) world.at(healedAt + laterMs, () => undrainAll(world));
}

/** A quarter of the wide worlds have a maintenance in the middle of their faults. */
function drawMaintenance(safety: { from: number; to: number }, dice: Dice): ClientRequest | undefined {
  if (!dice.chance(0.25)) return undefined;
  const from = Math.round(safety.from + dice.between(0, 0.8) * (safety.to - safety.from));
  return { kind: "maintain", from, to: from + dice.pick([20_000, 120_000, 300_000]) };
}

/** How much capacity one tick of each job takes, all together. */
function weightOf(work: readonly Work[]): number {
  return work.reduce((sum, { rules: { weight = 1, count = 1 } }) => sum + weight * count, 0);
}
