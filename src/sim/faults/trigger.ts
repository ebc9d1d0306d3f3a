/**
 * Fault triggers: these faults don't strike at a drawn instant but just after something is sent, stored or started, because that
 * is where bugs are most likely. Each could also happen by chance, but very rarely: a kill just after an answer, a cut just after
 * a vote.
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

/** Waits for the occasion and then strikes. The returned function ends the fault, even if it hasn't struck yet. */
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
      const how = dice.pick(["voter dies", "voter is put back", "proposer alone"] as const);
      const backups = new Map(world.peers.map((peer) => [peer, world.folders.backUp(peer)]));
      mends.push(
        world.occasions.waitFor("vote told", (voter, proposer) => {
          if (proposer !== undefined) isolate(proposer);
          if (how === "voter dies") {
            world.hosts.kill(voter);
            soon(voter);
          }
          // Within 3 s the others have heard the voter's vote count, so they can't take it for one that never voted.
          const restore = backups.get(voter);
          if (how === "voter is put back" && restore !== undefined) world.at(world.now() + 3_000, restore);
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
