/**
 * Sums what single jobs are expected to do into what the mesh is: how long each peer is busy in each hour, where a pool would
 * need more slots than it has, and when it is quiet. Pure: no clock, no peer.
 *
 * Where an hour's starts aren't listed, they are taken to be spread evenly over it.
 */
import type { ExpectedHour } from "../../ports/expected.ts";
import type { JobId, PeerId } from "../../schema/ids.ts";

export const hourMs = 3_600_000;

export interface ExpectedJob {
  id: JobId;
  hours: readonly ExpectedHour[];
  /** undefined: none of its runs has succeeded yet */
  usualMs: number | undefined;
  pool: string | undefined;
  /** its runs may overlap */
  overlaps: boolean;
}

export interface PeerLoad {
  id: PeerId;
  name: string;
  /** by hour: how many runs it begins, and how long runs take in it altogether, ms */
  runs: Float64Array;
  busyMs: Float64Array;
}

/** An hour in which the jobs of a pool want more slots at once than it has. */
export interface Collision {
  pool: string;
  slots: number;
  hour: number;
  /** runs at once that are wanted */
  wanted: number;
  jobs: JobId[];
}

/** Consecutive hours. */
export interface Quiet {
  hour: number;
  hours: number;
  runs: number;
  busyMs: number;
}

interface Use {
  job: JobId;
  from: number;
  to: number;
  runs: number;
}

/** Places per hour at which starts are put that aren't listed. */
const places = 4;
/** Uses of pools that are kept. About 100 bytes each. */
const usesMost = 200_000;
/** How much a run counts at least in the search for quiet hours, also if nobody knows how long it takes. */
const leastMs = 1_000;

export class ForecastSum {
  readonly hours: number;
  /** by hour: ticks of all jobs, and those of them that no living peer could run */
  readonly ticks: Float64Array;
  readonly unplaced: Float64Array;
  readonly peers = new Map<PeerId, PeerLoad>();
  readonly #from: number;
  /** by pool and hour */
  readonly #uses = new Map<string, Map<number, Use[]>>();
  #noted = 0;
  /** there were so many uses of pools that not all were kept: there may be collisions that aren't found */
  missesUses = false;

  /** `from`: where the first hour begins, ms. */
  constructor(from: number, hours: number) {
    this.#from = from;
    this.hours = hours;
    this.ticks = new Float64Array(hours);
    this.unplaced = new Float64Array(hours);
  }

  add(job: ExpectedJob): void {
    const busy = new Map<PeerId, Float64Array>();
    const most = new Float64Array(this.hours);
    for (const one of job.hours) {
      const { hour, ticks, runs } = one;
      this.ticks[hour] = (this.ticks[hour] ?? 0) + ticks;
      if (runs.length === 0) this.unplaced[hour] = (this.unplaced[hour] ?? 0) + ticks;
      let perTick = 0;
      for (const { peer, name, count } of runs) {
        perTick += count / ticks;
        const load = this.#peer(peer, name);
        load.runs[hour] = (load.runs[hour] ?? 0) + count;
        if (job.usualMs === undefined) continue;
        const own = busy.get(peer) ?? new Float64Array(this.hours);
        busy.set(peer, own);
        this.#spread(own, this.#startsOf(one), count, job.usualMs);
      }
      // A run that goes on into later hours is in progress there, too.
      const last = hour + Math.ceil((job.usualMs ?? 0) / hourMs);
      for (let at = hour; at <= last && at < this.hours; at++) most[at] = Math.max(most[at] ?? 0, perTick);
      if (job.pool !== undefined && runs.length > 0) this.#use(job.pool, job, one, perTick);
    }
    this.#take(busy, job.overlaps ? undefined : most);
  }

  /** `most`: runs of the job that can be in progress at once, by hour. */
  #take(busy: ReadonlyMap<PeerId, Float64Array>, most: Float64Array | undefined): void {
    for (let hour = 0; hour < this.hours; hour++) {
      let sum = 0;
      for (const own of busy.values()) sum += own[hour] ?? 0;
      if (sum === 0) continue;
      const share = most === undefined ? 1 : Math.min(1, ((most[hour] ?? 0) * hourMs) / sum);
      for (const [peer, own] of busy) {
        const load = this.peers.get(peer);
        if (load !== undefined) load.busyMs[hour] = (load.busyMs[hour] ?? 0) + (own[hour] ?? 0) * share;
      }
    }
  }

  #peer(id: PeerId, name: string): PeerLoad {
    const known = this.peers.get(id);
    if (known !== undefined) return known;
    const made = { id, name, runs: new Float64Array(this.hours), busyMs: new Float64Array(this.hours) };
    this.peers.set(id, made);
    return made;
  }

  #startsOf({ hour, starts }: ExpectedHour): readonly number[] {
    if (starts.length > 0) return starts;
    const begin = this.#from + hour * hourMs;
    return Array.from({ length: places }, (_, place) => begin + ((place + 0.5) / places) * hourMs);
  }

  /** Adds runs of that length, which begin at these instants, to the hours in which they are in progress. */
  #spread(busy: Float64Array, starts: readonly number[], runs: number, ms: number): void {
    for (const start of starts) {
      const end = start + ms;
      const first = Math.max(0, Math.floor((start - this.#from) / hourMs));
      for (let hour = first; hour < this.hours; hour++) {
        const begin = this.#from + hour * hourMs;
        if (begin >= end) break;
        const on = Math.min(end, begin + hourMs) - Math.max(start, begin);
        busy[hour] = (busy[hour] ?? 0) + on * (runs / starts.length);
      }
    }
  }

  /**
   * Notes when a job wants slots of its pool. If an hour has too many starts to list, it counts as if the average number of runs
   * were in progress all the time.
   */
  #use(
    pool: string,
    { id, usualMs = 0, overlaps }: ExpectedJob,
    { hour, ticks, starts }: ExpectedHour,
    perTick: number,
  ): void {
    if (starts.length === 0) {
      const from = this.#from + hour * hourMs;
      const atOnce = overlaps ? Math.max(1, Math.ceil((ticks * usualMs) / hourMs)) : 1;
      return this.#note(pool, { job: id, from, to: from + hourMs, runs: perTick * atOnce });
    }
    starts.forEach((from, index) => {
      const end = from + Math.max(usualMs, leastMs);
      const to = overlaps ? end : Math.min(end, starts[index + 1] ?? Infinity);
      this.#note(pool, { job: id, from, to, runs: perTick });
    });
  }

  /** Adds the use to each of the hours in which it is in progress. */
  #note(pool: string, use: Use): void {
    const byHour = this.#uses.get(pool) ?? new Map<number, Use[]>();
    this.#uses.set(pool, byHour);
    for (let hour = Math.floor((use.from - this.#from) / hourMs); hour < this.hours; hour++) {
      if (this.#from + hour * hourMs >= use.to) break;
      this.missesUses ||= this.#noted >= usesMost;
      if (this.missesUses) return;
      this.#noted += 1;
      const uses = byHour.get(hour);
      if (uses === undefined) byHour.set(hour, [use]);
      else uses.push(use);
    }
  }

  /** The pools that are wanted in that hour by more runs at once than they have slots. */
  collisionsAt(hour: number, slotsOf: (pool: string) => number | undefined): Collision[] {
    return [...this.#uses].flatMap(([pool, byHour]) => {
      const slots = slotsOf(pool);
      const most = mostAtOnce(byHour.get(hour) ?? [], this.#from + hour * hourMs);
      return slots === undefined || most.wanted <= slots ? [] : [{ pool, slots, hour, ...most }];
    });
  }

  /**
   * The longest stretches of hours that are among the quietest: busier than the quietest hour by no more than a tenth of the
   * busiest. The first hour has begun, and isn't among them.
   */
  quiet(count: number): Quiet[] {
    const all = [...this.peers.values()];
    const sum = (hour: number, of: "runs" | "busyMs"): number =>
      all.reduce((total, load) => total + (load[of][hour] ?? 0), 0);
    const weights = Array.from({ length: this.hours }, (_, hour) =>
      Math.max(sum(hour, "busyMs"), sum(hour, "runs") * leastMs),
    );
    const [least, most] = [Math.min(...weights.slice(1)), Math.max(...weights.slice(1))];
    const limit = least + most / 10;
    const found: Quiet[] = [];
    for (let hour = 1; hour < this.hours; hour++) {
      if ((weights[hour] ?? 0) > limit) continue;
      const before = found.at(-1);
      const own = { runs: sum(hour, "runs"), busyMs: sum(hour, "busyMs") };
      if (before === undefined || before.hour + before.hours < hour) found.push({ hour, hours: 1, ...own });
      else {
        before.hours += 1;
        before.runs += own.runs;
        before.busyMs += own.busyMs;
      }
    }
    return found.toSorted((a, b) => b.hours - a.hours || a.hour - b.hour).slice(0, count);
  }
}

/** How many of the uses overlap, at the worst instant from `begin` on, and of which jobs. */
function mostAtOnce(uses: readonly Use[], begin: number): { wanted: number; jobs: JobId[] } {
  // Ends before begins: a slot that becomes free can be used at that instant.
  const edges = uses
    .flatMap(({ job, from, to, runs }) => [
      { at: Math.max(from, begin), job, runs },
      { at: to, job, runs: -runs },
    ])
    .toSorted((a, b) => a.at - b.at || a.runs - b.runs);
  const on = new Map<JobId, number>();
  let [sum, wanted] = [0, 0];
  let jobs: JobId[] = [];
  for (const { at, job, runs } of edges) {
    if (at >= begin + hourMs) break;
    sum += runs;
    const left = (on.get(job) ?? 0) + runs;
    // Shares of runs don't add up to whole numbers exactly.
    if (left > 1e-6) on.set(job, left);
    else on.delete(job);
    if (Math.round(sum) <= wanted) continue;
    wanted = Math.round(sum);
    jobs = [...on.keys()].toSorted();
  }
  return { wanted, jobs };
}
