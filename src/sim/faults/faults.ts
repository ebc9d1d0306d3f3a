/**
 * Draws the faults of a seed. Each seed first draws which kinds of fault it has and how often they come (swarm testing:
 * Groce et al., "Swarm Testing", 2012), so that some seeds have only pauses, others only splits, and some everything at
 * once. Each fault has its own beginning and end, and faults may overlap.
 */
import type { PeerId } from "../../schema/ids.ts";
import { triggerKinds, setTrigger } from "./trigger.ts";
import { calmNetwork, type NetworkSettings } from "../mesh/wires.ts";
import type { Dice } from "../random.ts";
import type { World } from "../world/world.ts";

const faultKinds = [
  "kill",
  "kill and restart at once",
  "dark host",
  "stop",
  "pause",
  "short pause",
  "split",
  "isolate",
  "one link",
  "one way",
  "flapping link",
  "slow network",
  "lossy network",
  "slow disk",
  "full disk",
  "clock step",
  "mass restart",
] as const;
/** Kinds that only wide worlds have. */
const wideKinds = ["old disk", "damaged disk", "garbage", "away for long", ...triggerKinds] as const;
/** Kinds that a wide world has at most once. */
const rareKinds = ["copied disk", "starved host", "unreadable disk"] as const;
/**
 * Kinds that are never drawn, only named with `--kinds`: clocks that are set by ten minutes, several at once; and a cancel that
 * can't reach the run's peer.
 */
const namedKinds = ["clock leap", "cut before a cancel"] as const;
export type FaultKind =
  | (typeof faultKinds)[number]
  | (typeof wideKinds)[number]
  | (typeof rareKinds)[number]
  | (typeof namedKinds)[number];

export function isFaultKind(name: string): name is FaultKind {
  return [...faultKinds, ...wideKinds, ...rareKinds, ...namedKinds].some((kind) => kind === name);
}

export interface FaultPlan {
  kinds: readonly FaultKind[];
  /** the average time between the beginnings of two faults, ms */
  everyMs: number;
  /** how long a fault lasts at most, ms */
  longestMs: number;
}

/** The chance of each rare fault in a wide world, 0 to 1. */
const rareChance = 0.2;

export const noFaults: FaultPlan = { kinds: [], everyMs: Infinity, longestMs: 0 };

export function drawPlan(dice: Dice): FaultPlan {
  const likely = dice.pick([0.15, 0.35, 0.7]);
  const kinds = faultKinds.filter(() => dice.chance(likely));
  return {
    kinds: kinds.length > 0 ? kinds : [dice.pick(faultKinds)],
    everyMs: dice.pick([45_000, 90_000, 180_000, 300_000]),
    longestMs: dice.pick([10_000, 40_000, 120_000, 300_000]),
  };
}

/** Wide worlds have more kinds, and some of them a fault every few seconds. */
export function drawWidePlan(dice: Dice): FaultPlan {
  const likely = dice.pick([0.15, 0.35, 0.7]);
  const all: readonly FaultKind[] = [...faultKinds, ...wideKinds];
  const kinds = all.filter(() => dice.chance(likely));
  return {
    kinds: kinds.length > 0 ? kinds : [dice.pick(all)],
    everyMs: dice.pick([12_000, 30_000, 60_000, 180_000]),
    longestMs: dice.pick([5_000, 20_000, 60_000, 180_000]),
  };
}

export function drawNetwork(dice: Dice): NetworkSettings {
  const maxDelayMs = dice.pick([2, 5, 30, 80]);
  return {
    ...calmNetwork,
    minDelayMs: maxDelayMs * dice.between(0.05, 0.5),
    maxDelayMs,
    spikes: dice.pick([0, 0.001, 0.01]),
    spikeMs: dice.pick([50, 300]),
    gossipLoss: dice.pick([0, 0, 0.01, 0.05]),
    gossipTwice: dice.pick([0, 0.02]),
    giveUpAfterMs: dice.chance(0.8) ? calmNetwork.giveUpAfterMs : undefined,
  };
}

/** Begins faults of the plan from `from` on; each has ended by `to`. */
export function injectFaults(world: World, plan: FaultPlan, from: number, to: number): void {
  const dice = world.dice.fork("faults");
  if (plan.kinds.length === 0) return;
  for (let at = from; at < to; at += dice.between(0.2, 1.8) * plan.everyMs) {
    const kind = dice.pick(plan.kinds);
    const lastsMs = Math.min(dice.between(500, plan.longestMs), to - at);
    world.at(at, () => {
      const mend = begin(world, kind, lastsMs, dice);
      world.at(world.now() + lastsMs, mend);
    });
  }
}

/** A drawn fault of a wide world. It can be left out without changing any other. */
export interface DrawnFault {
  number: number;
  at: number;
  lastsMs: number;
  kind: FaultKind;
}

/**
 * Like `injectFaults`, but each fault draws from dice of its own and can be left out, so that a failing seed can be made
 * smaller by leaving out the faults that don't matter. Returns all that were drawn.
 */
export function injectWideFaults(
  world: World,
  plan: FaultPlan,
  from: number,
  to: number,
  keep: (number: number) => boolean,
): DrawnFault[] {
  const dice = world.dice.fork("faults");
  const drawn: DrawnFault[] = [];
  const draw = (at: number, lastsMs: number, kind: FaultKind): void => {
    const number = drawn.length;
    drawn.push({ number, at, lastsMs, kind });
    if (!keep(number)) return;
    world.at(at, () => {
      const mend = begin(world, kind, lastsMs, dice.fork(String(number)));
      world.at(world.now() + lastsMs, mend);
    });
  };
  for (let at = from; at < to; at += dice.between(0.2, 1.8) * plan.everyMs) {
    const kind = dice.pick(plan.kinds);
    draw(at, Math.min(dice.between(500, plan.longestMs), to - at), kind);
  }
  for (const kind of rareKinds) {
    const rare = dice.fork(kind);
    const at = rare.between(from, to);
    if (rare.chance(rareChance)) draw(at, Math.min(rare.between(5_000, 180_000), to - at), kind);
  }
  return drawn;
}

/** Begins a fault; the returned function ends it. */
function begin(world: World, kind: FaultKind, lastsMs: number, dice: Dice): () => void {
  const peer = dice.pick(world.peers);
  const [one, other] = dice.shuffle(world.peers);
  if (one === undefined || other === undefined) return () => undefined;
  switch (kind) {
    case "kill":
      world.hosts.kill(peer);
      return () => world.hosts.start(peer);
    case "kill and restart at once":
      world.hosts.kill(peer);
      world.at(world.now() + Math.min(lastsMs, dice.between(0, 500)), () => world.hosts.start(peer));
      return () => world.hosts.start(peer);
    case "dark host":
      world.hosts.kill(peer, true);
      return () => world.hosts.start(peer);
    case "stop":
      world.hosts.stop(peer);
      return () => restart(world, peer);
    case "pause":
      world.hosts.pause(peer);
      return () => world.hosts.resume(peer);
    case "short pause":
      world.hosts.pause(peer);
      world.at(world.now() + Math.min(lastsMs, dice.between(200, 8_000)), () => world.hosts.resume(peer));
      return () => world.hosts.resume(peer);
    case "split":
      return split(world, dice.shuffle(world.peers), 1 + dice.below(world.peers.length - 1));
    case "isolate":
      return split(world, [peer, ...world.peers.filter((item) => item !== peer)], 1);
    case "one link":
      return both(world.disturbances.cut(one, other), world.disturbances.cut(other, one));
    case "one way":
      return world.disturbances.cut(one, other);
    case "cut before a cancel":
      return cutBeforeCancel(world, dice);
    case "flapping link":
      return flap(world, one, other, lastsMs, dice);
    case "slow network":
      return world.disturbances.slowNetwork(dice.pick([100, 800, 3_000]));
    case "lossy network":
      return world.disturbances.loseGossip(dice.pick([0.2, 0.6, 1]));
    case "slow disk":
      return world.disturbances.slowDisk(peer, dice.pick([200, 1_500, 8_000]));
    case "full disk":
      return world.disturbances.fillDisk(peer);
    case "unreadable disk":
      return world.disturbances.unreadableDisk(peer);
    case "starved host":
      return world.disturbances.starveHost(peer);
    case "clock step":
      return world.disturbances.stepClock(peer, dice.pick([-3_000, -900, 900, 3_000, 20_000]));
    case "clock leap":
      return world.disturbances.stepClock(peer, dice.pick([-600_000, 600_000]));
    case "old disk":
      return world.folders.backUp(peer);
    case "copied disk":
      return world.folders.startCopy(peer);
    case "damaged disk": {
      const restore = world.folders.backUp(peer);
      world.folders.damage(peer);
      return restore;
    }
    case "garbage": {
      const until = world.now() + lastsMs;
      for (let at = world.now(); at < until; at += dice.between(100, 1_000)) {
        world.at(at, () => world.disturbances.sendGarbage(dice.pick(world.peers), dice));
      }
      return () => undefined;
    }
    case "trigger on a vote":
    case "trigger on a roster":
    case "trigger on a start":
    case "trigger on a client":
      return setTrigger(world, kind, dice);
    case "away for long":
      world.hosts.stop(peer);
      world.at(world.now() + 3 * lastsMs, () => restart(world, peer));
      return () => undefined;
    case "mass restart":
      for (const each of world.peers) world.hosts.kill(each, dice.chance(0.3));
      for (const each of world.peers) {
        world.at(world.now() + dice.between(0, Math.min(lastsMs, 20_000)), () => world.hosts.start(each));
      }
      return () => world.peers.forEach((each) => world.hosts.start(each));
  }
}

/** Stops a peer, which may take as long as its drain, and starts it again when it has ended. */
function restart(world: World, peer: PeerId): void {
  if (!world.hosts.isUp(peer)) world.hosts.start(peer);
  else world.at(world.now() + 500, () => restart(world, peer));
}

/** Cuts every wire between the first `count` of the peers and the rest. */
export function split(world: World, peers: readonly PeerId[], count: number): () => void {
  const mends: (() => void)[] = [];
  for (const one of peers.slice(0, count)) {
    for (const other of peers.slice(count))
      mends.push(world.disturbances.cut(one, other), world.disturbances.cut(other, one));
  }
  return both(...mends);
}

/** A person cancels the run that has lasted the longest, at a peer that has just lost its link to the run's own. */
function cutBeforeCancel(world: World, dice: Dice): () => void {
  const run = world.openRuns()[0];
  const others = world.inService().filter((peer) => peer !== run?.peer);
  if (run === undefined || others.length === 0) return () => undefined;
  const asker = dice.pick(others);
  world.at(world.now() + 1_000, () => world.ask(asker, { kind: "cancel", id: run.job, tick: run.tick }));
  return both(world.disturbances.cut(asker, run.peer), world.disturbances.cut(run.peer, asker));
}

function flap(world: World, one: PeerId, other: PeerId, lastsMs: number, dice: Dice): () => void {
  const until = world.now() + lastsMs;
  let mend: (() => void) | undefined;
  const toggle = () => {
    if (world.now() >= until) return;
    if (mend === undefined)
      mend = both(world.disturbances.cut(one, other), world.disturbances.cut(other, one));
    else {
      mend();
      mend = undefined;
    }
    world.at(world.now() + dice.between(300, 6_000), toggle);
  };
  toggle();
  return () => {
    mend?.();
    mend = undefined;
  };
}

function both(...mends: (() => void)[]): () => void {
  return () => {
    for (const mend of mends) mend();
  };
}
