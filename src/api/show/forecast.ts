/**
 * What the mesh is expected to do in the days to come, by the hour: computed when it is asked for, a few jobs at a time so that
 * ticks are not delayed, and kept for twenty times as long as the work took. Callers of the same groups share a result; one is
 * computed at a time. So it costs at most a twentieth of a core for each length and set of groups.
 */
import { setImmediate as turn } from "node:timers/promises";
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
/** How long a result is kept at least. Unit: ms. */
const keptMsMin = 2_000;
const keptPerMs = 20;
/** Results that are kept: one for each length and set of groups. About 200 kB each for 100 peers. */
const keptMost = 16;
/** The most ticks of one hour whose starts are looked at one by one: of a job that shares a pool, and of any other. */
const listed = { pool: 60, other: 4 };
const quietShown = 5;

interface Kept {
  result: Promise<ShownForecast>;
  /** monotonic ms */
  until: number;
}

export class Forecast {
  readonly #usual: UsualDurations;
  readonly #kept = new Map<string, Kept>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(usual: UsualDurations) {
    this.#usual = usual;
  }

  of(control: ScopedControl, days: number): Promise<ShownForecast> {
    const key = JSON.stringify([days, control.caller.groups?.toSorted()]);
    const known = this.#kept.get(key);
    if (known !== undefined && performance.now() < known.until) return known.result;
    this.#kept.delete(key);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size >= keptMost && oldest !== undefined) this.#kept.delete(oldest);
    const result = this.#after(async () => {
      const { shown, workMs } = await this.#compute(control, days);
      kept.until = performance.now() + Math.max(keptMsMin, workMs * keptPerMs);
      return shown;
    });
    const kept: Kept = { result, until: Infinity };
    this.#kept.set(key, kept);
    result.catch(() => this.#kept.delete(key));
    return result;
  }

  /** The computations go one after the other. */
  #after<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #compute(control: ScopedControl, days: number): Promise<{ shown: ShownForecast; workMs: number }> {
    const computedAt = Date.now();
    const from = Math.floor(computedAt / hourMs) * hourMs;
    const sum = new ForecastSum(from, days * 24);
    let workMs = 0;
    let since = performance.now();
    const scheduled = [...control.view().jobs.values()].filter(isScheduled);
    const counted = scheduled.slice(0, jobsMost);
    const jobs = {
      counted: counted.length,
      unknownDuration: 0,
      unscheduled: control.view().jobs.size - scheduled.length,
      beyond: scheduled.length - counted.length,
    };
    let nextUsual = this.#usualOf(counted.slice(0, jobsAtOnce), control);
    for (let at = 0; at < counted.length; at += jobsAtOnce) {
      workMs += performance.now() - since;
      const usual = await nextUsual;
      // The disk reads those of the next jobs meanwhile.
      nextUsual = this.#usualOf(counted.slice(at + jobsAtOnce, at + 2 * jobsAtOnce), control);
      since = performance.now();
      for (const [index, job] of counted.slice(at, at + jobsAtOnce).entries()) {
        if (add(sum, control, job, from, usual[index] ?? undefined)) jobs.unknownDuration += 1;
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
    const shown = show(sum, collisions, { from, computedAt, jobs });
    workMs += performance.now() - since;
    return { shown, workMs };
  }

  #usualOf(jobs: readonly Job[], control: ScopedControl): Promise<(number | null)[]> {
    const usual = Promise.all(jobs.map(({ id }) => this.#usual.of(id, control)));
    // It may fail before it is waited for, which then tells of it.
    usual.catch(() => undefined);
    return usual;
  }
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

function show(
  sum: ForecastSum,
  collisions: readonly Collision[],
  { from, computedAt, jobs }: { from: number; computedAt: number; jobs: ShownForecast["jobs"] },
): ShownForecast {
  const at = (hour: number): string => showInstant(from + hour * hourMs);
  const peers = [...sum.peers.values()].toSorted((a, b) => whole(b) - whole(a));
  return {
    from: at(0),
    computedAt: showInstant(computedAt),
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
    quiet: sum.quiet(quietShown).map(({ hour, hours, runs, busyMs }) => ({
      from: at(hour),
      hours,
      runs: Math.round(runs * 100) / 100,
      busyMs: Math.round(busyMs),
    })),
    jobs,
  };
}

/** By which the busiest peers are chosen. */
function whole({ runs, busyMs }: PeerLoad): number {
  return busyMs.reduce((sum, ms, hour) => sum + ms + (runs[hour] ?? 0), 0);
}
