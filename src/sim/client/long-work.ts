/**
 * What the client of a long world asks for: jobs with a tick an hour or a day, and over the weeks changes, and changes
 * back, of every field that affects ticks. A person's other requests are in person.ts.
 *
 * It follows the rule of client.ts: no request about a job while an earlier one may be unknown to some peer.
 */
import type { JobId, PeerId } from "../../schema/ids.ts";
import type { Dice } from "../random.ts";
import type { ClientRequest, JobRules } from "../world/requests.ts";
import type { World } from "../world/world.ts";
import { drawCondition, type Work } from "./client.ts";
import { dailyAt, everyHours, exceptDays, exceptHour, hourlyAt, type SimpleSchedule } from "./schedules.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

export function drawLongWork(count: number, peers: readonly PeerId[], dice: Dice): Work[] {
  const exclusions = dice.fork("except");
  const jitters = dice.fork("jitter");
  return Array.from({ length: count }, (_, index) => {
    const isMajority = dice.chance(0.15);
    const rules: JobRules = {
      id: `job-${index + 1}` as JobId,
      schedule: withHourLeftOut(drawSchedule(dice), exclusions),
      overlap: dice.pick(["allow", "allow", "queue", "skip"]),
      catchUp: drawCatchUp(dice, isMajority),
      peers: peers.length > 2 && dice.chance(0.1) ? dice.shuffle(peers).slice(0, 2) : undefined,
      ...(jitters.chance(0.15) ? { jitterMs: jitters.pick([minute, 10 * minute]) } : {}),
      ...(isMajority ? ({ partition: "majority" } as const) : {}),
      keep: { runs: dice.pick([5, 20, 60]), ageMs: dice.pick([2 * day, 7 * day, 30 * day]) },
    };
    return { rules, lasting: { least: 100, most: dice.pick([2_000, minute]), fails: dice.pick([0, 0.2]) } };
  });
}

function drawSchedule(dice: Dice): SimpleSchedule {
  const chance = dice.next();
  if (chance < 0.45) return hourlyAt(dice.below(60));
  if (chance < 0.75) return everyHours(dice.pick([2, 3, 6, 12]), dice.below(60));
  return dailyAt(dice.below(1_440), dice.pick([0, 0, 1, -5, 9]));
}

/** Some jobs that tick more than once a day leave one hour of it out. */
function withHourLeftOut(schedule: SimpleSchedule, dice: Dice): SimpleSchedule {
  if (schedule.periodMs >= day || !dice.chance(0.15)) return schedule;
  return { ...schedule, except: exceptHour(dice.below(24), 0) };
}

function drawCatchUp(dice: Dice, isMajority: boolean): JobRules["catchUp"] {
  // Voters remember their votes for a day.
  const windows = isMajority ? [hour, 6 * hour] : [10 * minute, hour, 6 * hour, day, 3 * day, 7 * day];
  return { policy: dice.pick(["latest", "latest", "all", "all", "none"]), windowMs: dice.pick(windows) };
}

/** Makes all jobs, each at a drawn peer that is up. */
export function makeLongJobs(world: World, work: readonly Work[], withinMs: number): void {
  const dice = world.dice.fork("long client");
  for (const { rules } of work) {
    world.at(world.now() + dice.between(0, withinMs), () => {
      const up = world.inService();
      world.ask(dice.pick(up), { kind: "put", rules });
    });
  }
}

/** What the client knows of one job: its state, and its present rules. */
interface Known {
  state: "on" | "paused" | "deleted";
  rules: JobRules;
  since: number;
}

/** Asks for changes from `from` to `to`, about one every `everyMs`. */
export function editForLong(
  world: World,
  work: readonly Work[],
  when: { from: number; to: number; everyMs: number },
): void {
  const dice = world.dice.fork("long edits");
  const known = new Map<JobId, Known>();
  const ask = () => {
    const up = world.inService();
    if (up.length === 0) return;
    const at = dice.pick(up);
    const item = dice.pick(work);
    // A peer that has never heard of the job would make it anew, without what only the later version can write.
    if (item.rules.isLater === true && !world.shows(at, item.rules.id)) return;
    const job = known.get(item.rules.id) ?? { state: "on", rules: item.rules, since: -Infinity };
    if (world.now() - job.since < 3 * minute) return;
    const request = drawRequest(world, item, job, dice);
    world.ask(at, request);
    if (request.kind === "run") return;
    known.set(item.rules.id, {
      state: request.kind === "delete" ? "deleted" : request.kind === "pause" ? "paused" : "on",
      rules: request.kind === "put" ? request.rules : job.rules,
      since: world.now(),
    });
  };
  for (let at = when.from; at < when.to; at += dice.between(0.3, 1.7) * when.everyMs) world.at(at, ask);
}

function drawRequest(
  world: World,
  { rules: first }: Work,
  { state, rules }: Known,
  dice: Dice,
): ClientRequest {
  const { id, isLater } = rules;
  if (state === "deleted") return { kind: "put", rules: dice.chance(0.5) ? first : rules };
  if (state === "paused")
    return dice.chance(0.8) || isLater === true ? { kind: "resume", id } : { kind: "delete", id };
  if (rules.enabled === false) return { kind: "put", rules: { ...rules, enabled: true } };
  const chance = dice.next();
  if (chance < 0.12) return { kind: "run", id };
  if (chance < 0.2) return { kind: "pause", id };
  if (chance < 0.28 && isLater !== true) return { kind: "delete", id };
  // About half of the changes take the previous one back.
  if (chance < 0.45) return { kind: "put", rules: first };
  return { kind: "put", rules: changed(world, rules, dice) };
}

function wholeSecond(ms: number): number {
  return Math.floor(ms / 1_000) * 1_000;
}

/** Changes one field that affects ticks. */
function changed(world: World, rules: JobRules, dice: Dice): JobRules {
  const { startsAt: _startsAt, endsAt: _endsAt, ...unbounded } = rules.schedule;
  const { after } = rules;
  if (after !== undefined && dice.chance(0.5))
    return { ...rules, after: { ...after, on: drawCondition(dice) } };
  if (after !== undefined)
    return dice.chance(0.3)
      ? { ...rules, enabled: false }
      : { ...rules, catchUp: drawCatchUp(dice, rules.partition === "majority") };
  const exclusions = world.dice.fork(`except ${rules.id} ${world.now()}`);
  if (exclusions.chance(0.15)) {
    const from = world.now() + exclusions.between(-2 * day, 2 * day);
    const except = exceptDays(from, exclusions.pick([1, 1, 2, 5]), rules.schedule.hoursAhead ?? 0);
    return { ...rules, schedule: { ...rules.schedule, except } };
  }
  switch (dice.below(6)) {
    case 0:
      return { ...rules, schedule: drawSchedule(dice) };
    case 1:
      return {
        ...rules,
        schedule: { ...unbounded, startsAt: wholeSecond(world.now() + dice.between(-day, day)) },
      };
    case 2:
      return {
        ...rules,
        schedule: { ...unbounded, endsAt: wholeSecond(world.now() + dice.between(-day, 2 * day)) },
      };
    case 3:
      return { ...rules, enabled: false };
    default:
      return { ...rules, catchUp: drawCatchUp(dice, rules.partition === "majority") };
  }
}
