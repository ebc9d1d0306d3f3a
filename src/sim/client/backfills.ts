/**
 * A person asks for past ticks of jobs, from before the world began: often for the same ones at another peer, at the same moment or
 * some time later.
 */
import type { World } from "../world/world.ts";
import type { Work } from "./client.ts";
import { ticksOf } from "./schedules.ts";

const hour = 3_600_000;

/** Asks from `from` to `to`, about once every `everyMs`. */
export function askForPast(
  world: World,
  work: readonly Work[],
  when: { from: number; to: number; everyMs: number },
): void {
  const dice = world.dice.fork("backfills");
  const ask = (): void => {
    const up = world.inService();
    const { rules } = dice.pick(work);
    const { id, schedule } = rules;
    const [count, twice, laterMs] = [
      dice.pick([1, 1, 2, 4]),
      dice.chance(0.8),
      dice.pick([0, 0, dice.between(0, 120_000)]),
    ];
    const [one, other] = [dice.pick(world.peers), dice.pick(world.peers)];
    const before =
      Math.floor((when.from - dice.pick([1, 2, 3]) * hour) / schedule.periodMs) * schedule.periodMs;
    const ticks = ticksOf(schedule, before, before + (count + 1) * schedule.periodMs).slice(0, count);
    if (ticks.length === 0 || !up.includes(one) || !world.shows(one, id)) return;
    world.ask(one, { kind: "backfill", id, ticks });
    if (!twice) return;
    world.at(world.now() + laterMs, () => {
      if (world.inService().includes(other) && world.shows(other, id))
        world.ask(other, { kind: "backfill", id, ticks });
    });
  };
  for (let at = when.from; at < when.to; at += dice.between(0.5, 1.5) * when.everyMs) world.at(at, ask);
}
