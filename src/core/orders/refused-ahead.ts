/**
 * Records that were refused because their ticks lie ahead of this peer's clock (DESIGN §11). Other peers may have run those ticks
 * by clocks that are ahead of this one, or this clock may be behind. So when the time of such a record has come, it is fetched,
 * before this peer takes the tick for one that nobody knows of. Sync may bring it anyway, but perhaps too late.
 */
import type { PeerId } from "../../schema/ids.ts";
import { acceptedUntil } from "../members/clocks.ts";
import { mark } from "../probes/marks.ts";
import { emit, type State } from "../state.ts";

/** `at`: the instant (ms) up to which records must be accepted for this one to be. */
export function noteRefused({ members, upkeep }: State, writer: PeerId, at: number): void {
  if (!members.byId.has(writer)) return;
  upkeep.refusedAhead.set(writer, Math.min(at, upkeep.refusedAhead.get(writer) ?? Infinity));
}

/** Called every second. A warm-up that is under way waits for the answers. */
export function fetchRefused(state: State): void {
  const { refusedAhead, warmUp } = state.upkeep;
  if (refusedAhead.size === 0) return;
  const until = acceptedUntil(state);
  const askedFor = new Map<PeerId, number>();
  for (const [writer, at] of refusedAhead) {
    if (at > until) continue;
    refusedAhead.delete(writer);
    for (const peer of holdersOf(state, writer)) askedFor.set(peer, Math.min(at, askedFor.get(peer) ?? at));
  }
  for (const [peer, since] of askedFor) {
    mark(state, "refused-fetched");
    warmUp?.awaiting.add(peer);
    emit(state, { kind: "syncRecent", peer, since });
  }
}

/** The writer itself, if it can be asked; otherwise any member may have its records. */
function holdersOf({ members }: State, writer: PeerId): PeerId[] {
  const linked = [...members.byId.values()].filter((one) => one.linked && one.state === "alive");
  const own = linked.filter(({ id }) => id === writer);
  return (own.length > 0 ? own : linked).map(({ id }) => id);
}

/** When the next of them can be fetched, by this peer's clock, ms; Infinity = there is none. */
export function nextRefusedAt(state: State): number {
  const lead = acceptedUntil(state) - state.now.wall;
  return Math.min(Infinity, ...state.upkeep.refusedAhead.values()) - lead;
}
