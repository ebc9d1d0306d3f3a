/** Whether this peer may plan ticks now. */
import { isDoubted } from "../members/clocks.ts";
import { hasSupersededKey } from "../members/superseded-key.ts";
import type { State } from "../state.ts";

/** True while this peer may plan: it has warmed up, its clock isn't doubted, and the mesh counts on it and on its key. */
export function isPlanning(state: State): boolean {
  const isMember = state.operator.selfForgotten === undefined && !hasSupersededKey(state);
  return isMember && state.upkeep.warmUp === undefined && !isDoubted(state);
}
