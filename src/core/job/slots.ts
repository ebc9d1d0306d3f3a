/**
 * Jobs whose ticks have several runs (`target.count`): which slots a tick has, and which peer each of them is for. Pure rules.
 *
 * Each slot is an order of its own. All of them rank the same peers, but slot k begins with the k-th of those that are there,
 * and a peer that has another slot of the tick comes after all that have none. So while there are as many peers as slots, no
 * peer gets two; and when a peer dies, its slot goes to one that has none, if there is one. Slots that are to be repeated may each
 * be for some peers only, so they are divided among these together.
 */
import type { JobId, PeerId, TickId } from "../../schema/ids.ts";
import { memberHashesOf, rank } from "./rank.ts";

/** The slots of a tick with that number of them. */
export function numberedSlots(count: number): readonly string[] {
  let slots = known.get(count);
  if (slots === undefined) {
    slots = Array.from({ length: count }, (_, slot) => String(slot));
    known.set(count, slots);
  }
  return slots;
}
const known = new Map<number, readonly string[]>();

/** The slots of a tick on all peers in order of rank, each once. It depends on nothing else, so all that know the slots agree. */
export function slotsInOrder(job: JobId, tick: TickId, slots: Iterable<string>): string[] {
  return rank(job, tick, memberHashesOf([...new Set(slots)] as PeerId[]));
}

/**
 * The ranks for one slot. Peers that are away stay first, as they are in `ranks`: nobody waits for them, and the records say
 * that they were passed over.
 */
export function ranksOfSlot(
  ranks: readonly PeerId[],
  slot: number,
  isPresent: (peer: PeerId) => boolean,
  hasAnother: (peer: PeerId) => boolean,
): PeerId[] {
  const [present, away] = divide(ranks, isPresent);
  const turn = present.length === 0 ? 0 : slot % present.length;
  const turned = [...present.slice(turn), ...present.slice(0, turn)];
  const [taken, free] = divide(turned, hasAnother);
  return [...away, ...free, ...taken];
}

/**
 * Gives each slot one of the peers that it may have, so that as many slots as possible have a peer of their own; slots that come
 * first have the first choice. `choices`: the peers of each slot, the best one first. A slot for which none is left is not in
 * the answer. (Kuhn's algorithm for a maximum matching.)
 */
export function shareOut(choices: ReadonlyMap<string, readonly PeerId[]>): Map<string, PeerId> {
  const slotOf = new Map<PeerId, string>();
  const place = (slot: string, tried: Set<PeerId>): boolean => {
    const peers = (choices.get(slot) ?? []).filter((peer) => !tried.has(peer));
    let found = peers.find((peer) => !slotOf.has(peer));
    found ??= peers.find((peer) => {
      tried.add(peer);
      const holder = slotOf.get(peer);
      return holder !== undefined && place(holder, tried);
    });
    if (found !== undefined) slotOf.set(found, slot);
    return found !== undefined;
  };
  for (const slot of choices.keys()) place(slot, new Set());
  return new Map([...slotOf].map(([peer, slot]) => [slot, peer]));
}

function divide(peers: readonly PeerId[], is: (peer: PeerId) => boolean): [yes: PeerId[], no: PeerId[]] {
  const [yes, no]: [PeerId[], PeerId[]] = [[], []];
  for (const peer of peers) (is(peer) ? yes : no).push(peer);
  return [yes, no];
}
