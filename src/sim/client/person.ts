/**
 * What a person asks of a mesh beside changes of jobs: to cancel runs, to drain and undrain peers, to promote peers to
 * voters, and to forget a peer that is gone. Used in wide and long worlds.
 */
import type { JobId, PeerId } from "../../schema/ids.ts";
import type { Dice } from "../random.ts";
import type { World } from "../world/world.ts";

const second = 1_000;
/** How often a world has a peer that is forgotten, 0 to 1. */
const forgetChance = 0.25;

/** Asks from `from` to `to`, about once every `everyMs`, and has at most one peer forgotten. */
export function askAsPerson(
  world: World,
  jobs: readonly JobId[],
  when: { from: number; to: number; everyMs: number },
): void {
  const dice = world.dice.fork("person");
  const drained = new Set<PeerId>();
  const ask = () => {
    const at = pickUpPeer(world, dice);
    if (at === undefined) return;
    const chance = dice.next();
    const target = dice.pick(world.peers);
    if (chance < 0.35) orderAndCancel(world, dice.pick(jobs), dice);
    else if (chance < 0.6) cancelOpen(world, dice.pick(jobs), dice);
    else if (chance < 0.9) {
      const on = !drained.delete(target);
      if (on) drained.add(target);
      world.ask(at, { kind: "drain", target, on });
    } else world.ask(at, { kind: "promote", target });
  };
  for (let at = when.from; at < when.to; at += dice.between(0.3, 1.7) * when.everyMs) world.at(at, ask);
  const [gone] = dice.shuffle(world.peers.slice(1));
  if (gone !== undefined && world.peers.length > 2 && dice.chance(forgetChance)) {
    world.at(dice.between(when.from, when.to), () => forget(world, gone, dice));
  }
}

/** Undrains all peers for the end of the world. */
export function undrainAll(world: World): void {
  for (const target of world.inService()) world.ask(target, { kind: "drain", target, on: false });
}

function pickUpPeer(world: World, dice: Dice): PeerId | undefined {
  const up = world.inService();
  return up.length === 0 ? undefined : dice.pick(up);
}

function orderAndCancel(world: World, id: JobId, dice: Dice): void {
  const at = pickUpPeer(world, dice);
  if (at === undefined) return;
  world.ask(at, { kind: "run", id });
  world.at(world.now() + dice.between(100, 20 * second), () => cancelOpen(world, id, dice));
}

function cancelOpen(world: World, id: JobId, dice: Dice): void {
  const run = world.openRun(id);
  const at = pickUpPeer(world, dice);
  if (run !== undefined && at !== undefined) world.ask(at, { kind: "cancel", id, tick: run.tick });
}

/** The peer's host goes away; some time later a person has the peer forgotten. It may come back nevertheless. */
function forget(world: World, target: PeerId, dice: Dice): void {
  world.hosts.kill(target, dice.chance(0.5));
  world.at(world.now() + dice.between(second, 90 * second), () => {
    const at = pickUpPeer(world, dice);
    if (at !== undefined && at !== target) world.ask(at, { kind: "forget", target });
  });
}
