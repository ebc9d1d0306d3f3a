/**
 * What follows when it turns out that this peer's cluster key was replaced while it was away (members/superseded-key.ts): its
 * claims go back, and it plans nothing. Once it is counted on again, what was left out meanwhile is looked for.
 */
import { giveClaimsBack } from "../claims/claims.ts";
import { touchAll } from "../claims/order-book.ts";
import { hasSupersededKey } from "../members/superseded-key.ts";
import { emit, note, type State } from "../state.ts";
import { beginWarmUp } from "./warm-up.ts";

/** To be called in every step. */
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
  // What was left out may have run elsewhere.
  if (upkeep.warmUp === undefined) beginWarmUp(state, [...upkeep.awaitingSync.keys()], 0);
  touchAll(state);
}
