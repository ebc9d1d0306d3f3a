/**
 * What several jobs of a world share: a secret that they name, a group that says what they catch up, and a calendar whose times
 * they leave out. Each is written before the jobs are made, and another one while they run.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Dice } from "../random.ts";
import { calendarName } from "../world/shared-changes.ts";
import type { ClientRequest, JobRules } from "../world/requests.ts";
import type { World } from "../world/world.ts";
import type { Work } from "./client.ts";
import type { Exclusions } from "./schedules.ts";

const second = 1_000;
const minute = 60 * second;

/** One request before the jobs are made, and one while they run. */
export interface Shared {
  work: readonly Work[];
  first: ClientRequest;
  later: ClientRequest;
}

/** Some of the jobs name the world's secret. It is sealed to some of the peers, and later to others; `steady` always has it. */
export function drawSecret(
  work: readonly Work[],
  peers: readonly PeerId[],
  steady: PeerId,
  dice: Dice,
): Shared {
  const draw = (): PeerId[] => peers.filter((peer) => peer === steady || dice.chance(0.6));
  const [first, next] = [draw(), draw()];
  const sealedTo = first.filter((peer) => next.includes(peer));
  return {
    work: work.map((item) => {
      const isDrawn = dice.chance(0.3) && item.rules.isLater !== true;
      // A request names its secrets in its headers.
      if (!isDrawn || item.rules.requests === true) return item;
      return { ...item, rules: { ...item.rules, secret: true, sealedTo } };
    }),
    first: { kind: "secret", peers: first },
    later: { kind: "secret", peers: next },
  };
}

/** Some of the jobs belong to the group, and write nothing about what it says. */
export function drawGroup(work: readonly Work[], dice: Dice): Shared {
  const draw = (): JobRules["catchUp"] => ({
    policy: dice.pick(["latest", "all", "none"]),
    windowMs: dice.pick([minute, 10 * minute]),
  });
  const [first, next] = [draw(), draw()];
  const overlap = dice.pick(["queue", "queue-all", "skip", "replace"] as const);
  return {
    work: work.map((item) => {
      const isDrawn = dice.chance(0.3) && item.rules.isLater !== true;
      return isDrawn ? { ...item, rules: { ...item.rules, group: true, overlap, catchUp: first } } : item;
    }),
    first: { kind: "group", overlap, catchUp: first },
    later: { kind: "group", overlap, catchUp: next },
  };
}

/** Some of the jobs leave out a time that is in the calendar, and later another one; both lie in the given time. */
export function drawCalendar(
  work: readonly Work[],
  { from, to }: { from: number; to: number },
  longestMs: number,
  dice: Dice,
): Shared {
  const draw = (notBefore: number): Exclusions["spans"] => {
    const begin = Math.floor(dice.between(notBefore, to) / second) * second;
    return [{ from: begin, to: begin + Math.ceil(dice.between(0.1, 1) * (longestMs / second)) * second }];
  };
  // The second is written in the first half of that time.
  const [first, next] = [draw(from), draw((from + to) / 2)];
  const except = { texts: [`calendar:${calendarName}`], spans: first, phases: [], isCalendar: true } as const;
  return {
    work: work.map((item) => {
      const { rules } = item;
      const isDrawn = dice.chance(0.3) && rules.isLater !== true;
      const hasTicks = rules.after === undefined && rules.schedule.except === undefined;
      if (!isDrawn || !hasTicks) return item;
      return { ...item, rules: { ...rules, schedule: { ...rules.schedule, except } } };
    }),
    first: { kind: "calendar", spans: first },
    later: { kind: "calendar", spans: next },
  };
}

/** Asks `steady` for the first request at that instant, and some peer for the other in the first half of the given time. */
export function askForShared(
  world: World,
  { first, later }: Shared,
  steady: PeerId,
  firstAt: number,
  { from, to }: { from: number; to: number },
  dice: Dice,
): void {
  world.at(firstAt, () => void world.ask(steady, first));
  world.at(dice.between(from, (from + to) / 2), () => {
    const up = world.inService();
    if (up.length > 0) world.ask(dice.pick(up), later);
  });
}
