/**
 * The faults of a long world. In its weeks of virtual time hosts are shut down overnight, suspended, cut off for hours,
 * set to a wrong time, restored from old backups or copied, and miss a rotation of the cluster key. Each fault draws
 * from its own dice and can be left out.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Dice } from "../random.ts";
import type { World } from "../world/world.ts";
import { split } from "./faults.ts";
import { rotateKey } from "./key-rotation.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const longKinds = [
  "short absence",
  "long absence",
  "all away",
  "suspend",
  "all suspended",
  "long stop",
  "long split",
  "one cut off",
  "clock for a while",
  "clock at start",
  "clock for good",
  "several clocks",
  "all clocks",
  "old folder",
  "copied folder",
  "copied folder and restart",
  "full disk",
  "restart",
  "key rotation",
  "clock at boot",
] as const;
export type LongKind = (typeof longKinds)[number];

export function isLongKind(name: string): name is LongKind {
  return longKinds.some((kind) => kind === name);
}

export interface LongPlan {
  kinds: readonly LongKind[];
  /** the average time between the beginnings of two faults, ms */
  everyMs: number;
}

/** A drawn fault of a long world. */
export interface LongFault {
  number: number;
  at: number;
  lastsMs: number;
  kind: LongKind;
}

/** `boots`: hosts may boot with wrong clocks. */
export function drawLongPlan(dice: Dice, boots: boolean): LongPlan {
  const likely = dice.pick([0.1, 0.25, 0.6]);
  // Drawn with dice of their own, so that worlds without these faults stay as they were before those existed.
  const rotates = dice.fork("key rotation").chance(likely);
  const bootsWrong = boots && dice.fork("clock at boot").chance(likely);
  const first = longKinds.filter((kind) => kind !== "clock at boot");
  const kinds = first.filter((kind) => (kind === "key rotation" ? rotates : dice.chance(likely)));
  const all: LongKind[] = bootsWrong ? [...kinds, "clock at boot"] : kinds;
  return {
    kinds: all.length > 0 ? all : [dice.pick(first)],
    everyMs: dice.pick([6 * hour, 12 * hour, day, 2 * day]),
  };
}

/** Begins faults of the plan from `from` on; each has ended by `to`. Returns all that were drawn. */
export function injectLongFaults(
  world: World,
  plan: LongPlan,
  from: number,
  to: number,
  keep: (number: number) => boolean,
): LongFault[] {
  const dice = world.dice.fork("long faults");
  const drawn: LongFault[] = [];
  for (let at = from; at < to; at += dice.between(0.2, 1.8) * plan.everyMs) {
    const kind = dice.pick(plan.kinds);
    const lastsMs = Math.min(lasting[kind](dice), to - at);
    const number = drawn.length;
    const own = dice.fork(String(number));
    drawn.push({ number, at, lastsMs, kind });
    if (keep(number)) world.at(at, () => world.at(world.now() + lastsMs, begin(world, kind, own)));
  }
  return drawn;
}

const lasting: Readonly<Record<LongKind, (dice: Dice) => number>> = {
  "short absence": minutes,
  restart: minutes,
  "full disk": minutes,
  "long split": hours,
  "one cut off": hours,
  "long absence": days,
  "all away": days,
  suspend: days,
  "key rotation": hours,
  "all suspended": days,
  "long stop": days,
  "old folder": days,
  "clock for a while": wrongTime,
  "several clocks": wrongTime,
  "all clocks": wrongTime,
  "clock at start": wrongTime,
  "clock at boot": hours,
  "clock for good": () => Infinity,
  "copied folder": untilFound,
  "copied folder and restart": untilFound,
};

function minutes(dice: Dice): number {
  return dice.between(minute, 90 * minute);
}

function hours(dice: Dice): number {
  return dice.between(10 * minute, 10 * hour);
}

function days(dice: Dice): number {
  return dice.pick([2 * hour, 9 * hour, 30 * hour, 4 * day, 9 * day]);
}

function wrongTime(dice: Dice): number {
  return dice.pick([12 * second, 10 * minute, 2 * hour, 20 * hour]);
}

/** How long it takes until a person finds out that a folder was copied, ms. */
function untilFound(dice: Dice): number {
  return dice.pick([25 * second, 20 * minute, 3 * hour]);
}

/** Clocks are set wrong by one of these, ms. */
function drawStep(dice: Dice): number {
  const ms = dice.pick([2 * second, 10 * minute, 10 * minute, 12 * hour, day, 365 * day]);
  return dice.chance(0.6) ? ms : -ms;
}

/** Begins a fault; the returned function ends it. */
function begin(world: World, kind: LongKind, dice: Dice): () => void {
  const peer = dice.pick(world.peers);
  switch (kind) {
    case "short absence":
    case "long absence":
      return absence(world, [peer], dice);
    case "all away":
      return absence(world, world.peers, dice);
    case "restart":
      world.hosts.kill(peer);
      world.hosts.start(peer);
      return () => undefined;
    case "suspend":
      return pauses(world, [peer], "suspended");
    case "all suspended":
      return pauses(world, world.peers, "suspended");
    case "long stop":
      return pauses(world, [peer], "stopped");
    case "long split":
      return split(world, dice.shuffle(world.peers), Math.ceil(world.peers.length / 2));
    case "one cut off":
      return split(world, [peer, ...world.peers.filter((other) => other !== peer)], 1);
    case "clock for a while":
    case "clock for good":
      return steps(world, [peer], drawStep(dice));
    case "several clocks":
      return steps(
        world,
        dice.shuffle(world.peers).slice(0, 1 + dice.below(world.peers.length)),
        drawStep(dice),
      );
    case "all clocks":
      return steps(world, world.peers, drawStep(dice));
    case "clock at start": {
      world.hosts.kill(peer);
      const back = steps(world, [peer], drawStep(dice));
      world.hosts.start(peer);
      return back;
    }
    case "clock at boot":
      return bootWrong(world, dice.chance(0.5) ? [peer] : world.peers, dice);
    case "old folder":
      return world.folders.backUp(peer);
    case "copied folder":
      return world.folders.startCopy(peer, "copy killed");
    case "copied folder and restart":
      return world.folders.startCopy(peer);
    case "key rotation":
      return rotateKey(world, (peers) => leave(world, peers, dice), dice);
    case "full disk":
      return world.disturbances.fillDisk(peer);
  }
}

/**
 * Takes hosts down. They boot with clocks that are all wrong by the same time, as after a change of their zone, until the clocks
 * are set.
 */
function bootWrong(world: World, peers: readonly PeerId[], dice: Dice): () => void {
  const start = absence(world, peers, dice);
  const wrongMs = dice.pick([hour, 2 * hour, 8 * hour]) * (dice.chance(0.8) ? 1 : -1);
  return () => {
    const back = steps(world, peers, wrongMs);
    start();
    world.at(world.now() + dice.between(15 * second, 100 * second), back);
  };
}

function absence(world: World, peers: readonly PeerId[], dice: Dice): () => void {
  for (const peer of peers) {
    if (dice.chance(0.5)) world.hosts.stop(peer);
    else world.hosts.kill(peer, dice.chance(0.5));
  }
  return () => {
    for (const peer of peers)
      world.at(world.now() + dice.between(0, 20 * second), () => world.hosts.start(peer));
  };
}

/** Takes peers down, pauses them, or cuts them off. */
function leave(world: World, peers: readonly PeerId[], dice: Dice): () => void {
  const others = world.peers.filter((peer) => !peers.includes(peer));
  const chance = dice.next();
  if (chance < 0.4) return absence(world, peers, dice);
  if (chance < 0.75) return pauses(world, peers, dice.pick(["suspended", "stopped"]));
  return split(world, [...peers, ...others], peers.length);
}

function pauses(world: World, peers: readonly PeerId[], how: "stopped" | "suspended"): () => void {
  for (const peer of peers) world.hosts.pause(peer, how);
  return () => {
    for (const peer of peers) world.hosts.resume(peer);
  };
}

/** Sets clocks wrong. A clock that is wrong already stays as it is. */
function steps(world: World, peers: readonly PeerId[], ms: number): () => void {
  const right = peers.filter((peer) => world.hosts.get(peer).clock.stepped() === 0);
  const backs = right.map((peer) => world.disturbances.stepClock(peer, ms));
  return () => {
    for (const back of backs) back();
  };
}
