/**
 * Faults that lie in wait: instead of striking at an instant of the seed's choice they strike when something is said,
 * stored or started, where a bug would be if there were one. Each is one that the world could bring about by chance, once
 * in a very long time: a kill in the moment after an answer, a cut in the moment after a vote.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Dice } from "../random.ts";
import type { World } from "../world/world.ts";

export const triggerKinds = [
  "trigger on a vote",
  "trigger on a roster",
  "trigger on a start",
  "trigger on a client",
] as const;
export type TriggerKind = (typeof triggerKinds)[number];

/** Begins to lie in wait; returns how it ends, whether it has struck or not. */
export function setTrigger(world: World, kind: TriggerKind, dice: Dice): () => void {
  const mends: (() => void)[] = [];
  const soon = (peer: PeerId) => {
    world.at(world.now() + dice.between(50, 1_500), () => world.hosts.start(peer));
    mends.push(() => world.hosts.start(peer));
  };
  const isolate = (peer: PeerId) => {
    for (const other of world.peers) {
      if (other !== peer)
        mends.push(world.disturbances.cut(peer, other), world.disturbances.cut(other, peer));
    }
  };
  switch (kind) {
    case "trigger on a vote": {
      const how = dice.pick(["voter dies", "voter is put back", "candidate alone"] as const);
      const backups = new Map(world.peers.map((peer) => [peer, world.folders.backUp(peer)]));
      mends.push(
        world.occasions.waitFor("vote told", (voter, candidate) => {
          if (candidate !== undefined) isolate(candidate);
          if (how === "voter dies") {
            world.hosts.kill(voter);
            soon(voter);
          }
          // By then the others have heard how often it has voted, so it can't pass for one that never did.
          const putBack = backups.get(voter);
          if (how === "voter is put back" && putBack !== undefined) world.at(world.now() + 3_000, putBack);
        }),
      );
      break;
    }
    case "trigger on a roster":
      mends.push(
        world.occasions.waitFor("epoch accepted", (voter) => {
          world.hosts.kill(voter, dice.chance(0.5));
          if (dice.chance(0.5)) soon(voter);
          else mends.push(() => world.hosts.start(voter));
        }),
      );
      break;
    case "trigger on a start":
      mends.push(
        world.occasions.waitFor("start", (runner) => {
          world.hosts.kill(runner);
          isolate(runner);
          soon(runner);
        }),
      );
      break;
    case "trigger on a client":
      mends.push(
        world.occasions.waitFor("confirmed", () => {
          for (const peer of world.peers) {
            world.hosts.kill(peer);
            soon(peer);
          }
        }),
      );
      break;
  }
  return () => {
    for (const mend of mends) mend();
  };
}
