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
      drawn.push(runsAfter(item, parents, drawCondition(dice)));
    }
  }
  return drawn;
}

function runsAfter(item: Work, jobs: readonly JobId[], on: ReturnType<typeof drawCondition>): Work {
  const { schedule: _schedule, jitterMs: _jitterMs, ...rules } = item.rules;
  // A child that lasts longer than its parent's period would be late for ever.
  const lasting = { ...item.lasting, least: 20, most: Math.min(item.lasting.most, 5_000) };
  return { rules: { ...rules, schedule: noSchedule, after: { jobs, on } }, lasting };
}

/**
 * Has the last job that has a schedule run after two earlier ones, whatever their schedules, for worlds in which people ask for
 * past ticks of both.
 */
export function withJoin(work: readonly Work[]): Work[] {
  const scheduled = work.filter(({ rules }) => rules.after === undefined && rules.isLater !== true);
  const [first, second, ...others] = scheduled;
  const last = others.at(-1);
  if (first === undefined || second === undefined || last === undefined) return [...work];
  return work.map((item) =>
    item === last ? runsAfter(item, [first.rules.id, second.rules.id], "success") : item,
  );
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

/** The schedules of the jobs at the beginnings of the chains that lead to the job. */
function rootsOf(drawn: readonly Work[], { rules }: Work): string[] {
  if (rules.after === undefined) return [rules.schedule.text];
  const parents = drawn.filter((item) => rules.after?.jobs.includes(item.rules.id) === true);
  return [...new Set(parents.flatMap((parent) => rootsOf(drawn, parent)))].toSorted();
}
