/**
 * Turns some jobs of a world into ones that run after others. Only jobs that come earlier can be parents, so there is no cycle. A
 * second parent begins at the same schedule as the first, because parents must share ticks; an edit may part them later.
 */
import type { JobId } from "../../schema/ids.ts";
import type { Dice } from "../random.ts";
import { drawCondition, type Work } from "./client.ts";
import { noSchedule } from "./schedules.ts";

export function withChains(work: readonly Work[], dice: Dice): Work[] {
  const drawn: Work[] = [];
  for (const item of work) {
    const parents = dice.chance(0.4) && item.rules.isLater !== true ? drawParents(drawn, dice) : [];
    if (parents.length === 0) drawn.push(item);
    else {
      const after = { jobs: parents, on: drawCondition(dice) };
      const { schedule: _schedule, jitterMs: _jitterMs, ...rules } = item.rules;
      // A child that lasts longer than its parent's period would be late for ever.
      const lasting = { ...item.lasting, least: 20, most: Math.min(item.lasting.most, 5_000) };
      drawn.push({ rules: { ...rules, schedule: noSchedule, after }, lasting });
    }
  }
  return drawn;
}

function drawParents(drawn: readonly Work[], dice: Dice): JobId[] {
  if (drawn.length === 0) return [];
  const first = dice.pick(drawn);
  const alike = drawn.filter(
    (item) => item !== first && rootsOf(drawn, item).join() === rootsOf(drawn, first).join(),
  );
  return [first, ...(alike.length > 0 && dice.chance(0.4) ? [dice.pick(alike)] : [])].map(
    ({ rules }) => rules.id,
  );
}

/** The schedules at which the chains begin that lead to the job. */
function rootsOf(drawn: readonly Work[], { rules }: Work): string[] {
  if (rules.after === undefined) return [rules.schedule.text];
  const parents = drawn.filter((item) => rules.after?.jobs.includes(item.rules.id) === true);
  return [...new Set(parents.flatMap((parent) => rootsOf(drawn, parent)))].toSorted();
}
