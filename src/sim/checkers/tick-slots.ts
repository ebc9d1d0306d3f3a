/**
 * The slots of a tick, each of which the checkers require. A tick that runs on all peers has one for each peer that all others
 * had known for a while when it came: such a peer is among the tick's peers, no matter which peer fixes them.
 */
import type { PeerId } from "../../schema/ids.ts";
import { peersFor, slotsOf, type JobRules } from "../world/requests.ts";
import type { Evidence } from "../world/truth.ts";
import { knewEachOther, workers } from "./surroundings.ts";

const knownForMs = 20_000;

/** The required slots of a tick at that instant, each with the rules as they are for it. */
export function slotsAt(
  evidence: Evidence,
  rules: JobRules,
  at: number,
): readonly { slot: string; rules: JobRules }[] {
  if (rules.onAll === undefined) return slotsOf(rules).map((slot) => ({ slot, rules }));
  const isMember = (peer: PeerId): boolean => joinedAt(evidence, peer) <= at + knownForMs;
  return workers(evidence, peersFor(rules), at)
    .filter((peer) =>
      evidence.peers.every(
        (other) =>
          other === peer || !isMember(other) || knewEachOther(evidence, peer, other, at - knownForMs),
      ),
    )
    .map((peer) => ({ slot: peer, rules: { ...rules, peers: [peer] } }));
}

/** When some other peer first knew the peer. */
export function joinedAt({ introduced, peers }: Evidence, peer: PeerId): number {
  if (introduced === undefined || peers.length === 1) return -Infinity;
  const instants = [...introduced].flatMap(([pair, at]) => (pair.split(" ").includes(peer) ? [at] : []));
  return Math.min(Infinity, ...instants);
}
