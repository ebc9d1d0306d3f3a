/** What people are told about clocks: this peer's own while it is doubted, and those that differ from it. */
import type { State } from "../state.ts";
import { ownClockOffset, timekeepers } from "./clocks.ts";
import type { Member } from "./members-state.ts";
import { shownName } from "./names.ts";
import { clockRefusedMs, clockWarnMs } from "./suspicion.ts";

/** How long a member is shown as being ahead after a record of a future tick by it was refused, ms. */
const wroteAheadShownMs = 60_000;

/** Why this peer takes no ticks while its clock is doubted. */
export function describeDoubt(state: State): string {
  const offset = describeOffset(ownClockOffset(state) ?? 0);
  return `this peer's clock is ${offset} the clocks that count as right: it takes no ticks until its clock is set`;
}

function describeOffset(ms: number): string {
  return `${(Math.abs(ms) / 1_000).toFixed(1)} s ${ms < 0 ? "behind" : "ahead of"}`;
}

/** One line for each member whose clock differs, or that reports on future ticks. */
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
    return `${name} is gone, and its clock was ${describeOffset(clockOffsetMs)} this peer's: check that this peer's is right`;
  }
  const wroteAhead = state.now.mono - wroteAheadMono < wroteAheadShownMs;
  if (Math.abs(clockOffsetMs) <= clockWarnMs) {
    return wroteAhead ? `clock ahead: ${name}'s reports on future ticks are refused` : undefined;
  }
  return [
    `${wroteAhead ? "clock ahead: " : ""}${name}'s clock is ${describeOffset(clockOffsetMs)} this peer's`,
    ...(keepsTime(id) ? [] : ["it is doubted, and takes no ticks"]),
    ...(wroteAhead ? ["its reports on future ticks are refused"] : []),
  ].join("; ");
}
