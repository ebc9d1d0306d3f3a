/**
 * A long world: weeks of virtual time on few peers with few ticks. It has everything that takes long: pruned history,
 * absences of days, suspends, wrong clocks, old and copied folders, and changes of schedules and windows. Quiet
 * stretches are leapt over. Then all faults end, and in the last hour everything must converge, as in the other worlds.
 *
 * A mixed long world has two versions of the program as well (faults/mixed.ts): over the weeks peers are upgraded and
 * downgraded, and jobs of the later version are edited, run and pruned.
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
import { checkLong } from "./checkers/all.ts";
import { withRetries, type Work } from "./client/client.ts";
import { withChains } from "./client/chains.ts";
import { drawLaterJobs, makeLaterJobs } from "./client/later-jobs.ts";
import { drawPools, setPool } from "./client/job-fields.ts";
import { drawLongWork, editForLong, makeLongJobs } from "./client/long-work.ts";
import { askAsPerson, undrainAll } from "./client/person.ts";
import { skipTicks } from "./client/skips.ts";
import { inviteAll, startInvited } from "./faults/key-rotation.ts";
import { injectLongFaults, drawLongPlan, type LongFault, type LongKind } from "./faults/long.ts";
import { changeVersions, drawMixed } from "./faults/mixed.ts";
import { calmNetwork } from "./mesh/wires.ts";
import { Dice } from "./random.ts";
import { World } from "./world/world.ts";

export interface LongOptions extends Omit<SeedOptions, "kinds" | "faults"> {
  faults: "none" | "swarm";
  longKinds?: readonly LongKind[];
  /** hosts may boot with wrong clocks */
  boots?: boolean;
  /** false = every heartbeat is simulated */
  leaps?: boolean;
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const longBackoffs = [5 * second, 10 * minute, 2 * hour];
const beginning = Date.parse("2026-11-20T00:00:00Z");

const safetyFromMs = 3 * minute;
/** Long enough for several rounds of pruning after the last fault. */
const livenessMs = 75 * minute;
/** By then the last fault has ended, and all peers are up. */
const invitedBeforeMs = 90 * second;
const comparedAfterMs = [30 * second, 75 * second] as const;

export function runLongSeed(options: LongOptions): SeedResult {
  const dice = new Dice(options.seed).fork("long plan");
  const plan =
    options.faults === "none" ? { kinds: [], everyMs: Infinity } : drawLongPlan(dice, options.boots ?? false);
  const lengthMs = options.hours * hour;
  const epoch = beginning + dice.below(300) * 24 * hour + dice.below(86_400) * second;
  let work: readonly Work[] = [];
  const world = new World({
    seed: options.seed,
    peers: options.peers,
    epoch,
    network: calmNetwork,
    disk: { fsyncMs: { least: 0.5, most: 5 } },
    children: {
      spawnMs: { least: 2, most: 20 },
      behaviour: behaviourOf(() => work, options),
    },
    skewMs: 20,
    driftPpm: 0,
    makePeer: options.makePeer,
    traits: (peer, life) => ({
      role: "worker",
      capacity: 100,
      ...mixed?.versionOf(peer, life),
      ...probesOf(options),
    }),
    ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
  });
  const [steady] = world.peers;
  const mixed =
    options.mixed === true && steady !== undefined
      ? drawMixed(world.peers, steady, dice.fork("mixed"))
      : undefined;
  work = drawLongWork(options.jobs, world.peers, dice.fork("work"));
  if (mixed !== undefined) work = drawLaterJobs(work, mixed.later, dice.fork("later jobs"));
  if (options.retries === true) work = withRetries(work, dice.fork("retries"), longBackoffs);
  if (options.chains === true) work = withChains(work, dice.fork("chains"));
  if (options.pools === true) work = drawPools(work, dice.fork("pools"));
  if (steady !== undefined) world.at(epoch + 15 * second, () => setPool(world, work, steady));
  const healedAt = epoch + lengthMs - livenessMs;
  const safety = { from: epoch + safetyFromMs, to: healedAt - 2 * minute };
  work = share(world, work, options, { epoch, safety, steady, longestMs: 48 * hour }, dice);
  startPeers(world, epoch, safety, dice);
  const jobs = byVersion(work);
  world.at(epoch + 15 * second, () => makeLongJobs(world, jobs.plain, 10 * second));
  world.at(epoch + 15 * second, () => makeLaterJobs(world, jobs.later, 10 * second));
  const everyMs = dice.pick([4 * hour, 12 * hour, 36 * hour]);
  if (options.faults !== "none") {
    const ids = work.map(({ rules }) => rules.id);
    skipTicks(world, work, { from: safety.from + minute, to: safety.to, everyMs: 2 * everyMs });
    editForLong(world, work, { from: safety.from + minute, to: safety.to, everyMs });
    askAsPerson(world, ids, { from: safety.from + 2 * minute, to: safety.to, everyMs: 3 * everyMs });
  }
  if (mixed !== undefined)
    changeVersions(world, mixed, {
      ...safety,
      everyMs: dice.fork("versions").pick([6 * hour, 24 * hour, 72 * hour]),
    });
  let drawn: LongFault[] = [];
  const kinds = options.longKinds ?? plan.kinds;
  world.at(safety.from, () => {
    if (kinds.length === 0) return;
    const keep = options.keepFault ?? (() => true);
    drawn = injectLongFaults(world, { ...plan, kinds }, safety.from, safety.to, keep);
  });
  for (let at = epoch + hour; at < epoch + lengthMs; at += 6 * hour) world.at(at, () => world.measure());
  heal(world, healedAt);
  const views = viewsAt(
    world,
    comparedAfterMs.map((afterMs) => healedAt + afterMs),
  );
  const crash = runToEnd(world, () => {
    if (options.leaps === false) world.runUntil(healedAt);
    else world.leapUntil(healedAt);
    world.runUntil(epoch + lengthMs);
  });
  const evidence = world.evidence(healedAt, views);
  return { ...resultOf(world, options, evidence, crash, checkLong), kinds, drawn };
}

/** Starts the peers at the beginning. Sometimes one joins with an empty folder when the mesh has existed for long. */
function startPeers(world: World, epoch: number, safety: { from: number; to: number }, dice: Dice): void {
  for (const [index, peer] of world.peers.entries()) {
    const joins = index > 1 && dice.chance(0.2);
    if (joins) world.joinsLater(peer);
    const at = joins ? dice.between(safety.from, safety.to) : epoch + dice.between(0, 5 * second);
    world.at(at, () => (joins ? startInvited(world, peer) : world.hosts.start(peer)));
  }
}

/** Has every peer up, with the present cluster key and undrained, from that instant on. */
function heal(world: World, healedAt: number): void {
  world.at(healedAt, () => {
    for (const peer of world.peers) {
      world.hosts.resume(peer);
      startInvited(world, peer);
    }
  });
  world.at(healedAt - invitedBeforeMs, () => inviteAll(world));
  for (const laterMs of [-minute, 5 * second]) world.at(healedAt + laterMs, () => undrainAll(world));
}
