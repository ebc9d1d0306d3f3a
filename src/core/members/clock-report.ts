/** What a person is told of clocks: of this peer's own while it is doubted, and of those that differ from it. */
import type { State } from "../state.ts";
import { ownClockOffset, timekeepers } from "./clocks.ts";
import type { Member } from "./members-state.ts";
import { shownName } from "./names.ts";
import { clockRefusedMs, clockWarnMs } from "./suspicion.ts";

/** For so long after its last record of a tick to come a member is shown as being ahead, ms. */
const wroteAheadShownMs = 60_000;

/** Why this peer takes no ticks while its clock is doubted. */
export function describeDoubt(state: State): string {
  const offset = describeOffset(ownClockOffset(state) ?? 0);
  return `this peer's clock is ${offset} those that are taken for right: it takes no ticks until the clock is set`;
}

function describeOffset(ms: number): string {
  return `${(Math.abs(ms) / 1_000).toFixed(1)} s ${ms < 0 ? "behind" : "ahead of"}`;
}

/** One line for each member whose clock differs or who reports on ticks that are still to come. */
export function clockWarnings(state: State): string[] {
  const keepsTime = timekeepers(state);
  return [...state.members.byId.values()].flatMap((member) => warningOf(state, member, keepsTime) ?? []);
}

function warningOf(
  state: State,
  member: Member,
  keepsTime: ReturnType<typeof timekeepers>,
): string | undefined {
  const { id, clockOffsetMs = 0, wroteAheadMono = -Infinity, state: how } = member;
  const name = shownName(state, id);
  if (how === "dead" || how === "left") {
    if (Math.abs(clockOffsetMs) <= clockRefusedMs) return undefined;
    return `${name}, which is gone, had a clock ${describeOffset(clockOffsetMs)} this one's: is this one right?`;
  }
  const wroteAhead = state.now.mono - wroteAheadMono < wroteAheadShownMs;
  if (Math.abs(clockOffsetMs) <= clockWarnMs) {
    return wroteAhead ? `clock ahead: ${name} reported on ticks that are still to come; refused` : undefined;
  }
  return [
    `${wroteAhead ? "clock ahead: " : ""}${name}'s clock is ${describeOffset(clockOffsetMs)} this one's`,
    ...(keepsTime(id) ? [] : ["it is doubted, and takes no ticks"]),
    ...(wroteAhead ? ["its reports on ticks that are still to come are refused"] : []),
  ].join("; ");
}
