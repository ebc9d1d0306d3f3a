/**
 * What follows when this peer learns that its cluster key was replaced while it was away (members/superseded-key.ts): it gives
 * back its claims and plans nothing. Once it is accepted again, it looks for the ticks that it left out meanwhile.
 */
import { giveClaimsBack } from "../claims/claims.ts";
import { touchAll } from "../claims/touched.ts";
import { hasSupersededKey } from "../members/superseded-key.ts";
import { emit, note, type State } from "../state.ts";
import { beginWarmUp } from "./warm-up.ts";

/** Called in every step. */
export function followKey(state: State): void {
  const isSuperseded = hasSupersededKey(state);
  const { upkeep } = state;
  if (!state.alive || isSuperseded === upkeep.isSuperseded) return;
  upkeep.isSuperseded = isSuperseded;
  if (isSuperseded) {
    emit(state, { kind: "count", name: "key_superseded" });
    note(state, "warn", "no member accepts this peer's cluster key: it takes no ticks and doesn't vote", {
      by: state.members.supersededKey?.by ?? "",
    });
    return giveClaimsBack(state);
  }
  note(state, "info", "this peer is accepted again: it takes ticks");
  // Other peers may have run the ticks that this peer left out.
  if (upkeep.warmUp === undefined) beginWarmUp(state, [...upkeep.awaitingSync.keys()], 0);
  touchAll(state);
}
