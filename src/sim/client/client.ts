/**
 * The simulator's client: which jobs it makes, and what it asks of them later.
 *
 * It follows one rule, so that the checkers know what to expect: while an earlier request about a job may still be
 * unknown to some peer, it asks nothing more about that job.
 */
import type { JobId, PeerId } from "../../schema/ids.ts";
import type { Dice } from "../random.ts";
import {
  atSecond,
  everyMinute,
  everyMinutes,
  everySeconds,
  exceptOddMinutes,
  hourlyAt,
  type SimpleSchedule,
} from "./schedules.ts";
import type { JobRules, ClientRequest } from "../world/requests.ts";
import type { World } from "../world/world.ts";

/** How long the children of one job last, ms. */
export interface Lasting {
  least: number;
  most: number;
  /** the share that fails, 0 to 1 */
  fails: number;
}

export interface Work {
  rules: JobRules;
  lasting: Lasting;
}

/**
 * Jobs that together have `count` ticks a minute on average, of all kinds that the checkers understand. `majority` is
 * the share of majority jobs, 0 to 1.
 */
export function drawWork(count: number, peers: readonly PeerId[], dice: Dice, majority = 0): Work[] {
  const partitions = dice.fork("partition");
  const exclusions = dice.fork("except");
  const jitters = dice.fork("jitter");
  return Array.from({ length: count }, (_, index) => {
    const schedule = withExclusions(drawSchedule(dice), exclusions);
    const overlap = dice.chance(0.4)
      ? "allow"
      : dice.pick(["queue", "queue-all", "skip", "replace"] as const);
    const policy = dice.pick(["latest", "latest", "latest", "all", "none"] as const);
    const windowMs = dice.pick([60_000, 600_000, 3_600_000]);
    const targeted = peers.length > 2 && dice.chance(0.1);
    const rules: JobRules = {
      id: `job-${index + 1}` as JobId,
      schedule,
      overlap,
      catchUp: { policy, windowMs },
      peers: targeted ? dice.shuffle(peers).slice(0, 2) : undefined,
      // Shorter than every period that is drawn: an edit of the schedule leaves it as it is.
      ...(jitters.chance(0.08) ? { jitterMs: jitters.pick([1_500, 10_000, 19_000]) } : {}),
      ...(partitions.chance(majority) ? ({ partition: "majority" } as const) : {}),
    };
    return { rules, lasting: drawLasting(schedule, dice) };
  });
}

function drawSchedule(dice: Dice): SimpleSchedule {
  const chance = dice.next();
  if (chance < 0.6) return everyMinute;
  if (chance < 0.8) return atSecond(dice.below(60));
  if (chance < 0.87) return everySeconds(dice.pick([20, 30, 45]));
  if (chance < 0.95) return everyMinutes(dice.pick([2, 5]));
  return hourlyAt(dice.below(60));
}

/** Some of the jobs that tick once a minute leave out every other tick. */
function withExclusions(schedule: SimpleSchedule, dice: Dice): SimpleSchedule {
  if (schedule.periodMs !== 60_000 || !dice.chance(0.08)) return schedule;
  return { ...schedule, except: exceptOddMinutes(schedule.offsetMs / 1_000) };
}

function drawLasting(schedule: SimpleSchedule, dice: Dice): Lasting {
  const fails = dice.chance(0.2) ? 0.2 : 0;
  if (dice.chance(0.85)) return { least: 20, most: 2_000, fails };
  // Some children last about as long as their job's period, and sometimes longer.
  return { least: schedule.periodMs * 0.2, most: schedule.periodMs * 1.2, fails };
}

/** Has some of the jobs repeat their runs that fail, and more of their runs fail. `backoffs`: ms. */
export function withRetries(
  work: readonly Work[],
  dice: Dice,
  backoffs: readonly number[] = [500, 5_000, 20_000],
): Work[] {
  return work.map((item) => {
    if (!dice.chance(0.4)) return item;
    const retry = { attempts: dice.pick([1, 1, 2, 3]), backoffMs: dice.pick(backoffs) };
    const lasting = { ...item.lasting, fails: dice.pick([0.2, 0.5, 0.9]) };
    return { rules: { ...item.rules, retry }, lasting };
  });
}

/** After which ends of its parents a job runs. */
export function drawCondition(dice: Dice): NonNullable<JobRules["after"]>["on"] {
  return dice.pick(["success", "success", "success", "failure", "always"]);
}
/** How long pauses last that end by themselves, ms. */
const pausesMs = [5_000, 60_000, 300_000];

/** One request about one job. */
export function drawRequest(work: Work, state: "on" | "paused" | "deleted", dice: Dice): ClientRequest {
  const { id } = work.rules;
  if (state === "deleted") return { kind: "put", rules: work.rules };
  if (state === "paused") {
    const resumes = dice.chance(0.8) || work.rules.isLater === true;
    return resumes ? { kind: "resume", id } : { kind: "delete", id };
  }
  // The client doesn't know whether the job's failures have paused it.
  if (work.rules.pauseAfterFailures !== undefined && dice.chance(0.5)) return { kind: "resume", id };
  const chance = dice.next();
  if (chance < 0.3) return { kind: "run", id };
  if (chance < 0.55) return { kind: "pause", id };
  if (chance < 0.7 && work.rules.isLater !== true) return { kind: "delete", id };
  const { after } = work.rules;
  if (after !== undefined) {
    return { kind: "put", rules: { ...work.rules, after: { ...after, on: drawCondition(dice) } } };
  }
  return { kind: "put", rules: { ...work.rules, schedule: drawSchedule(dice) } };
}

/** Makes all jobs, each at a drawn peer, within the given time. */
export function makeJobs(world: World, work: readonly Work[], withinMs: number): void {
  const dice = world.dice.fork("client");
  for (const { rules } of work) {
    world.at(world.now() + dice.between(0, withinMs), () =>
      world.ask(dice.pick(world.peers), { kind: "put", rules }),
    );
  }
}

/**
 * Asks for changes from `from` to `to`, about one every `everyMs`, each of a job whose last request is at least
 * `betweenMs` old and was answered.
 */
export function editJobs(
  world: World,
  work: readonly Work[],
  when: { from: number; to: number; everyMs: number; betweenMs: number },
): void {
  const dice = world.dice.fork("edits");
  const ends = world.dice.fork("pauses that end");
  const states = new Map<JobId, { state: "on" | "paused" | "deleted"; since: number }>();
  const ask = () => {
    const item = dice.pick(work);
    const known = states.get(item.rules.id) ?? { state: "on", since: 0 };
    const { id, isLater } = item.rules;
    // A peer that doesn't know the job yet would make it anew, without the parts that only the later version can write.
    const up = world.inService().filter((peer) => isLater !== true || world.shows(peer, id));
    if (up.length === 0 || world.now() - known.since < when.betweenMs) return;
    const drawn = drawRequest(item, known.state, dice);
    const request =
      drawn.kind === "pause" && ends.chance(0.4) ? { ...drawn, forMs: ends.pick(pausesMs) } : drawn;
    world.ask(dice.pick(up), request);
    if (request.kind === "run") return;
    const state = request.kind === "delete" ? "deleted" : request.kind === "pause" ? "paused" : "on";
    states.set(item.rules.id, { state, since: world.now() });
  };
  for (let at = when.from; at < when.to; at += dice.between(0.5, 1.5) * when.everyMs) world.at(at, ask);
}
