/** Writes the one record of a range of ticks that were not run (DESIGN §7). */
import { orderKey, tickAt } from "../../schema/ids.ts";
import { rangeSlot } from "../../schema/run.ts";
import { nextVersion } from "../claims/claims.ts";
import { commit } from "../claims/record-moved.ts";
import { parentReason } from "../job/chain.ts";
import { isStop, type TickRange } from "../job/gap.ts";
import type { Plan } from "../job/plan.ts";
import { livingMembers } from "../members/members.ts";
import { mark } from "../probes/marks.ts";
import { emit, note, type State } from "../state.ts";

export type ReportedRange = Omit<TickRange, "reason"> & { readonly reason: string };

/** Missed ticks are a warning. Ticks in a pause or maintenance, or skipped because of a parent, are not: that was intended. */
export function reportRange(state: State, plan: Plan, { from, to, count, reason }: ReportedRange): void {
  mark(state, "range-reported");
  const isStopped = isStop(reason);
  const isSkipped = isStopped || reason.startsWith(parentReason);
  const counter = isStopped ? `ticks_${reason}` : isSkipped ? "ticks_parent" : "ticks_missed";
  emit(state, { kind: "count", name: counter, by: count });
  note(state, isSkipped ? "info" : "warn", isSkipped ? "ticks were skipped" : "ticks were missed", {
    job: plan.id,
    from: tickAt(from),
    to: tickAt(to),
    count,
    reason,
  });
  commit(state, {
    job: plan.id,
    tick: tickAt(to),
    attempt: 1,
    slot: rangeSlot,
    peer: state.settings.self,
    state: isSkipped ? "skipped" : "missed",
    ...nextVersion(state, orderKey(plan.id, tickAt(to), 1, rangeSlot)),
    revision: plan.revision,
    trigger: "schedule",
    rank: 0,
    due: to,
    finishedAt: state.now.wall,
    reason,
    view: livingMembers(state).length,
    range: { from, count },
    signature: "",
  });
}
