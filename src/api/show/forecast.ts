/**
 * What the mesh is expected to do in the days to come, by the hour: computed when it is asked for, a few jobs at a time so that
 * ticks are not delayed, and kept for twenty times as long as the work took. Callers of the same groups share a result; one is
 * computed at a time. So it costs at most a twentieth of a core for each length and set of groups.
 */
import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";
import type { Job } from "../../schema/job.ts";
import type { ScopedControl } from "../access/scoped-control.ts";
import { ForecastSum, hourMs, type Collision, type PeerLoad } from "./forecast-sum.ts";
import { collisionsMost, jobsMost, jobsNamed, peersMost, type ShownForecast } from "./show-forecast.ts";
import { showInstant } from "./show-run.ts";
import type { UsualDurations } from "./usual-durations.ts";

/** How long jobs are read before other work gets a turn. Unit: ms. */
const sliceMs = 5;
/** Jobs whose usual durations are read together. */
const jobsAtOnce = 100;
/** How long a request for an early answer waits before it gets what is counted so far. Unit: ms. */
const soFarMs = 300;
/** How long a result is kept at least. Unit: ms. */
const keptMsMin = 2_000;
const keptPerMs = 20;
/** Results that are kept: one for each length and set of groups. About 200 kB each for 100 peers. */
const keptMost = 16;
/** The most ticks of one hour whose starts are looked at one by one: of a job that shares a pool, and of any other. */
const listed = { pool: 60, other: 4 };
const quietShown = 5;

interface Kept {
  /** undefined once the result is there: the sums are much larger than it is */
  counting: Counting | undefined;
  result: Promise<ShownForecast>;
  /** monotonic ms */
  until: number;
}

/** What is counted, while it is being counted. */
interface Counting {
  from: number;
  computedAt: number;
  scheduled: readonly Job[];
  sum: ForecastSum;
  jobs: ShownForecast["jobs"];
}

export class Forecast {
  readonly #usual: UsualDurations;
  readonly #kept = new Map<string, Kept>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(usual: UsualDurations) {
    this.#usual = usual;
  }

  /** The whole forecast. */
  of(control: ScopedControl, days: number): Promise<ShownForecast> {
    return this.#keptOf(control, days).result;
  }

  /** Returns what is counted so far, or all of it if that is ready soon. */
  async soFar(control: ScopedControl, days: number): Promise<ShownForecast> {
    const { counting, result } = this.#keptOf(control, days);
    if (counting === undefined) return result;
    const limit = new AbortController();
    const late = delay(soFarMs, undefined, { signal: limit.signal }).catch(() => undefined);
    const counted = await Promise.race([result, late]).finally(() => limit.abort());
    return counted ?? show(counting);
  }

  #keptOf(control: ScopedControl, days: number): Kept {
    const key = JSON.stringify([days, control.caller.groups?.toSorted()]);
    const known = this.#kept.get(key);
    if (known !== undefined && performance.now() < known.until) return known;
    this.#kept.delete(key);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size >= keptMost && oldest !== undefined) this.#kept.delete(oldest);
    const counting = begin(control, days);
    const result = this.#after(async () => {
      const { shown, workMs } = await this.#compute(control, counting);
      kept.counting = undefined;
      kept.until = performance.now() + Math.max(keptMsMin, workMs * keptPerMs);
      return shown;
    });
    const kept: Kept = { counting, result, until: Infinity };
    this.#kept.set(key, kept);
    result.catch(() => this.#kept.delete(key));
    return kept;
  }

  /** The computations go one after the other. */
  #after<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #compute(
    control: ScopedControl,
    counting: Counting,
  ): Promise<{ shown: ShownForecast; workMs: number }> {
    const { from, scheduled, sum, jobs } = counting;
    let workMs = 0;
    let since = performance.now();
    const counted = scheduled.slice(0, jobsMost);
    let nextUsual = this.#usualOf(counted.slice(0, jobsAtOnce), control);
    for (let at = 0; at < counted.length; at += jobsAtOnce) {
      workMs += performance.now() - since;
      const usual = await nextUsual;
      // The disk reads those of the next jobs meanwhile.
      nextUsual = this.#usualOf(counted.slice(at + jobsAtOnce, at + 2 * jobsAtOnce), control);
      since = performance.now();
      for (const [index, job] of counted.slice(at, at + jobsAtOnce).entries()) {
        if (add(sum, control, job, from, usual[index] ?? undefined)) jobs.unknownDuration += 1;
        jobs.counted += 1;
        jobs.uncounted -= 1;
        const now = performance.now();
        if (now - since < sliceMs) continue;
        workMs += now - since;
        await turn();
        since = performance.now();
      }
    }
    const collisions: Collision[] = [];
    const pools = control.settings("pools");
    for (let hour = 0; hour < sum.hours; hour++) {
      collisions.push(...sum.collisionsAt(hour, (pool) => slotsIn(pools.get(pool))));
      if (collisions.length > collisionsMost) break;
      if (performance.now() - since < sliceMs) continue;
      workMs += performance.now() - since;
      await turn();
      since = performance.now();
    }
    const shown = show(counting, collisions);
    workMs += performance.now() - since;
    return { shown, workMs };
  }

  #usualOf(jobs: readonly Job[], control: ScopedControl): Promise<(number | null)[]> {
    const usual = Promise.all(jobs.map(({ id }) => this.#usual.of(id, control)));
    // It may fail before anything waits for it. Whatever waits for it later gets the failure.
    usual.catch(() => undefined);
    return usual;
  }
}

function begin(control: ScopedControl, days: number): Counting {
  const computedAt = Date.now();
  const from = Math.floor(computedAt / hourMs) * hourMs;
  const scheduled = [...control.view().jobs.values()].filter(isScheduled);
  const uncounted = Math.min(scheduled.length, jobsMost);
  const jobs = {
    counted: 0,
    uncounted,
    unknownDuration: 0,
    unscheduled: control.view().jobs.size - scheduled.length,
    beyond: scheduled.length - uncounted,
  };
  return { from, computedAt, scheduled, sum: new ForecastSum(from, days * 24), jobs };
}

/** Returns whether the job has ticks, and nobody knows how long they take. */
function add(
  sum: ForecastSum,
  control: ScopedControl,
  { id, spec: { pool, overlap } }: Job,
  from: number,
  usualMs: number | undefined,
): boolean {
  const most = pool === undefined ? listed.other : listed.pool;
  const hours = control.expected(id, from, sum.hours, most) ?? [];
  if (hours.length === 0) return false;
  sum.add({ id, hours, usualMs, pool, overlaps: overlap === "allow" });
  return usualMs === undefined;
}

function isScheduled({ spec }: Job): boolean {
  return spec.schedule !== undefined && spec.after === undefined;
}

function slotsIn(pool: unknown): number | undefined {
  return (pool as { slots?: number } | undefined)?.slots;
}

/** Without `found` not all is counted yet, and nothing is said that only all of it together can show. */
function show({ from, computedAt, sum, jobs }: Counting, found?: readonly Collision[]): ShownForecast {
  const isComplete = found !== undefined;
  const collisions = found ?? [];
  const at = (hour: number): string => showInstant(from + hour * hourMs);
  const peers = [...sum.peers.values()].toSorted((a, b) => whole(b) - whole(a));
  return {
    from: at(0),
    computedAt: showInstant(computedAt),
    complete: isComplete,
    hours: sum.hours,
    ticks: [...sum.ticks],
    unplaced: [...sum.unplaced],
    peers: peers
      .slice(0, peersMost)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ id, name, runs, busyMs }) => ({
        id,
        name,
        runs: Array.from(runs, (count) => Math.round(count * 100) / 100),
        busyMs: Array.from(busyMs, Math.round),
      })),
    morePeers: peers.length > peersMost,
    collisions: collisions.slice(0, collisionsMost).map(({ pool, slots, hour, wanted, jobs: own }) => ({
      pool,
      slots,
      at: at(hour),
      wanted,
      jobs: own.slice(0, jobsNamed),
      moreJobs: own.length > jobsNamed,
    })),
    moreCollisions: collisions.length > collisionsMost || sum.missesUses,
    quiet: (isComplete ? sum.quiet(quietShown) : []).map(({ hour, hours, runs, busyMs }) => ({
      from: at(hour),
      hours,
      runs: Math.round(runs * 100) / 100,
      busyMs: Math.round(busyMs),
    })),
    jobs: { ...jobs },
  };
}

/** By which the busiest peers are chosen. */
function whole({ runs, busyMs }: PeerLoad): number {
  return busyMs.reduce((sum, ms, hour) => sum + ms + (runs[hour] ?? 0), 0);
}
