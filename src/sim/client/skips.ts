/**
 * A person skips ticks of jobs that are to come, some of them moments before they are due, and takes some of it back. After an
 * edit of the schedule the peer may refuse, because the job no longer has that tick.
 */
import type { World } from "../world/world.ts";
import type { Work } from "./client.ts";
import { ticksOf } from "./schedules.ts";

/** Asks from `from` to `to`, about once every `everyMs`. */
export function skipTicks(
  world: World,
  work: readonly Work[],
  when: { from: number; to: number; everyMs: number },
): void {
  const dice = world.dice.fork("skips");
  const ask = (): void => {
    const up = world.inService();
    const { rules } = dice.pick(work);
    const { id, schedule } = rules;
    const ahead = Math.max(1, Math.floor(dice.between(0, 3)));
    const [peer, takesBack] = [dice.pick(up.length === 0 ? world.peers : up), dice.chance(0.25)];
    const now = world.now();
    const tick = ticksOf(schedule, now, now + (ahead + 1) * schedule.periodMs)[ahead - 1];
    if (tick === undefined || !up.includes(peer) || !world.shows(peer, id)) return;
    // Half of them come when the tick may have been claimed already.
    const at = dice.chance(0.5) ? Math.max(now, tick - dice.between(0, 2_500)) : now;
    world.at(at, () => {
      if (world.inService().includes(peer)) world.ask(peer, { kind: "skip", id, tick });
    });
    if (!takesBack) return;
    world.at((at + tick) / 2, () => {
      if (world.inService().includes(peer)) world.ask(peer, { kind: "unskip", id, tick });
    });
  };
  for (let at = when.from; at < when.to; at += dice.between(0.5, 1.5) * when.everyMs) world.at(at, ask);
}
