/**
 * What a mixed world has in addition to a wide one: two versions of the program. Some peers always run the later one,
 * some always the earlier one, and the others change their version at restarts, up and down.
 *
 * The later version has a capability that the earlier one lacks, and jobs that need it (client/later-jobs.ts). Its
 * messages and signed records have more fields, and it sends messages of a kind that the earlier one doesn't know
 * (world/later-speech.ts). The earlier version also lacks one capability that majority jobs need. Each speaks a range
 * of versions of the protocol, and the two overlap.
 */
import { ownCapabilities, type ProtocolRange } from "../../schema/protocol.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Dice } from "../random.ts";
import type { PeerTraits } from "../world/settings.ts";
import type { World } from "../world/world.ts";

/** The protocol ranges of the earlier and the later version; one pair is drawn. */
const protocols: readonly (readonly [earlier: ProtocolRange, later: ProtocolRange])[] = [
  [
    { oldest: 2, newest: 2 },
    { oldest: 2, newest: 2 },
  ],
  [
    { oldest: 2, newest: 2 },
    { oldest: 2, newest: 3 },
  ],
  [
    { oldest: 2, newest: 3 },
    { oldest: 3, newest: 4 },
  ],
  [
    { oldest: 2, newest: 4 },
    { oldest: 4, newest: 4 },
  ],
];

/** The capability that the jobs of the later version need. */
export const laterCapability = "tape";

export interface Mixed {
  /** peers that always run the later version */
  later: readonly PeerId[];
  /** the traits of a peer's process that depend on its version */
  versionOf(peer: PeerId, life: number): Pick<PeerTraits, "capabilities" | "isLater" | "protocol">;
  /** peers that change their version when they are started again */
  changing: readonly PeerId[];
}

/** `steady` always runs the later version. */
export function drawMixed(peers: readonly PeerId[], steady: PeerId, dice: Dice): Mixed {
  const kinds = new Map(
    peers.map((peer) => {
      const kind = dice.pick(["later", "earlier", "changing", "changing"] as const);
      return [peer, peer === steady ? "later" : kind] as const;
    }),
  );
  const [earlier, later] = dice.fork("protocol").pick(protocols);
  const of = (kind: string) => peers.filter((peer) => kinds.get(peer) === kind);
  return {
    later: of("later"),
    changing: of("changing"),
    versionOf: (peer, life) => {
      const kind = kinds.get(peer);
      const isLater = kind === "later" || (kind === "changing" && dice.fork(`${peer}#${life}`).chance(0.5));
      return isLater
        ? { isLater, capabilities: [...ownCapabilities, laterCapability], protocol: later }
        : { isLater, capabilities: ownCapabilities.filter((one) => one !== "majority"), protocol: earlier };
    },
  };
}

/** Restarts the peers that change their version, about one every `everyMs`. */
export function changeVersions(
  world: World,
  { changing }: Mixed,
  when: { from: number; to: number; everyMs: number },
): void {
  const dice = world.dice.fork("versions");
  if (changing.length === 0) return;
  for (let at = when.from; at < when.to; at += dice.between(0.3, 1.7) * when.everyMs) {
    const peer = dice.pick(changing);
    const awayMs = dice.pick([500, 5_000, 20_000]);
    world.at(at, () => {
      if (dice.chance(0.7)) world.hosts.stop(peer);
      else world.hosts.kill(peer);
      startAgain(world, peer, awayMs);
    });
  }
}

/** Starts the peer as soon as its process has ended. That may take as long as its drain. */
function startAgain(world: World, peer: PeerId, afterMs: number): void {
  world.at(world.now() + afterMs, () => {
    if (world.hosts.isUp(peer)) startAgain(world, peer, 500);
    else world.hosts.start(peer);
  });
}
