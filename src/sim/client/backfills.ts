/**
 * A person asks for past ticks of jobs, from before the world began: often for the same ones at another peer, at the same moment or
 * some time later. Where jobs run after several others, the person asks for ticks of all of these.
 */
import type { World } from "../world/world.ts";
import type { Work } from "./client.ts";
import type { Dice } from "../random.ts";
import { ticksOf, type SimpleSchedule } from "./schedules.ts";

const hour = 3_600_000;

/** Asks from `from` to `to`, about once every `everyMs`. */
export function askForPast(
  world: World,
  work: readonly Work[],
  when: { from: number; to: number; everyMs: number },
): void {
  const dice = world.dice.fork("backfills");
  const scheduled = work.filter(({ rules }) => rules.after === undefined);
  const ofSeveral = work.filter(({ rules }) => (rules.after?.jobs.length ?? 0) > 1);
  const ask = (): void => {
    if (ofSeveral.length > 0 && dice.chance(0.5))
      return askForAllParents(world, work, dice.pick(ofSeveral), dice);
    const up = world.inService();
    const { rules } = dice.pick(scheduled);
    const { id, schedule } = rules;
    const [count, twice, laterMs] = [
      dice.pick([1, 1, 2, 4]),
      dice.chance(0.8),
      dice.pick([0, 0, dice.between(0, 120_000)]),
    ];
    const [one, other] = [dice.pick(world.peers), dice.pick(world.peers)];
    const ticks = pastTicks(schedule, when.from - dice.pick([1, 2, 3]) * hour, count);
    if (ticks.length === 0 || !up.includes(one) || !world.shows(one, id)) return;
    world.ask(one, { kind: "backfill", id, ticks });
    if (!twice) return;
    world.at(world.now() + laterMs, () => {
      if (world.inService().includes(other) && world.shows(other, id))
        world.ask(other, { kind: "backfill", id, ticks });
    });
  };
  if (scheduled.length === 0) return;
  for (let at = when.from; at < when.to; at += dice.between(0.5, 1.5) * when.everyMs) world.at(at, ask);
}

function pastTicks(schedule: SimpleSchedule, around: number, count: number): number[] {
  const before = Math.floor(around / schedule.periodMs) * schedule.periodMs;
  return ticksOf(schedule, before, before + (count + 1) * schedule.periodMs).slice(0, count);
}

/** The same past ticks of all parents of a job, at different peers, and at once or one after the other. */
function askForAllParents(world: World, work: readonly Work[], child: Work, dice: Dice): void {
  const parents = work.filter(({ rules }) => child.rules.after?.jobs.includes(rules.id) === true);
  const [first] = parents;
  if (first === undefined || parents.some(({ rules }) => rules.after !== undefined)) return;
  const around = world.now() - dice.pick([2, 3, 4]) * hour;
  const ticks = pastTicks(first.rules.schedule, around, dice.pick([1, 2, 3]));
  for (const { rules } of parents) {
    const [peer, laterMs] = [
      dice.pick(world.peers),
      rules === first.rules
        ? 0
        : dice.pick([dice.between(5, 2_000), dice.between(5, 2_000), dice.between(0, 60_000)]),
    ];
    world.at(world.now() + laterMs, () => {
      if (world.inService().includes(peer) && world.shows(peer, rules.id))
        world.ask(peer, { kind: "backfill", id: rules.id, ticks });
    });
  }
}
