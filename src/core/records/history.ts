/**
 * What is over (DESIGN §7): an order that was started or decided never starts again.
 *
 * Of each job a watermark is kept: a stretch of time within which every tick of the job is over, but for a few that are
 * named as open. Orders above it that are over are kept one by one. As ticks are decided the watermark moves up, so memory is
 * bounded by what is undecided and not by how long the peer has been up.
 *
 * A watermark may lag but never leads: it is stored after the records that justify it, and covers only what is past by a
 * clock that can be trusted. When such a clock turns out to have been ahead, the watermark goes back (`withdraw`), and the
 * disk is asked before a tick above it is admitted (`unsureUntil`).
 *
 * Orders by hand are no ticks of a schedule: no watermark covers them, and they are kept one by one until `forgetRequested`.
 */
import { instantOf, type JobId, type TickId } from "../../schema/ids.ts";
import type { Watermark } from "../../schema/run.ts";

/** Of a job that is named beside it. */
type Reach = Omit<Watermark, "job">;

interface JobHistory {
  /** undefined until the first scan of the job has begun */
  mark: { since: number; at: number; open: Set<number> } | undefined;
  /** records of ticks up to here may be on the disk and not in memory; ms */
  unsureUntil: number;
  /** orders that are over and that the watermark does not cover: by tick, then by slot */
  readonly over: Map<number | TickId, Set<string>>;
  /** … and whole stretches of ticks that were reported in one record; from ≤ tick ≤ to, ms */
  ranges: { from: number; to: number }[];
}

/** Most ticks have one order, in slot 0: their sets are one and the same object, which is never changed. */
const onlySlot: Set<string> = new Set(["0"]);

function keyOf(tick: TickId): number | TickId {
  return tick.startsWith("manual-") ? tick : instantOf(tick);
}

export class History {
  readonly #jobs = new Map<JobId, JobHistory>();
  #size = 0;

  /** Orders kept one by one, of all jobs. */
  get size(): number {
    return this.#size;
  }

  jobs(): Iterable<JobId> {
    return this.#jobs.keys();
  }

  /** True when the tick's order in that slot was started or decided. */
  isOver(job: JobId, tick: TickId, slot: string): boolean {
    const history = this.#jobs.get(job);
    if (history === undefined) return false;
    const key = keyOf(tick);
    if (history.over.get(key)?.has(slot) === true) return true;
    if (typeof key !== "number") return false;
    return covers(history.mark, key) || (slot === "0" && isIn(history.ranges, key));
  }

  /** The tick's order in that slot was started or decided. */
  settle(job: JobId, tick: TickId, slot: string): void {
    const key = keyOf(tick);
    const history = this.#of(job);
    if (typeof key === "number" && covers(history.mark, key)) return;
    const known = history.over.get(key);
    if (known?.has(slot) === true) return;
    this.#size++;
    if (known === undefined) history.over.set(key, slot === "0" ? onlySlot : new Set([slot]));
    else if (known === onlySlot) history.over.set(key, new Set([...onlySlot, slot]));
    else known.add(slot);
  }

  /** All ticks of the job from the first instant to the second (ms) were reported, none of which will run. */
  settleRange(job: JobId, from: number, to: number): void {
    const history = this.#of(job);
    if (history.mark !== undefined && to <= history.mark.at && history.mark.open.size === 0) return;
    if (history.ranges.some((known) => known.from === from && known.to === to)) return;
    history.ranges.push({ from, to });
  }

  /** What is known of the job's ticks begins here: its watermark as it was stored, or none that reaches back further. */
  begin(job: JobId, { since, at, open }: Reach, unsureUntil: number): void {
    const history = this.#of(job);
    history.mark = { since, at, open: new Set(open) };
    history.unsureUntil = unsureUntil;
    this.#dropCovered(history);
  }

  watermarkOf(job: JobId): Watermark | undefined {
    const mark = this.#jobs.get(job)?.mark;
    return mark === undefined ? undefined : { job, since: mark.since, at: mark.at, open: [...mark.open] };
  }

  /** Ticks up to here need a look at the disk before they are admitted (ms); -Infinity = none does. */
  unsureUntil(job: JobId): number {
    return this.#jobs.get(job)?.unsureUntil ?? -Infinity;
  }

  /** What the disk holds of the job has been settled. */
  sure(job: JobId): void {
    const history = this.#jobs.get(job);
    if (history !== undefined) history.unsureUntil = -Infinity;
  }

  /**
   * All ticks up to `at` are over but for the `open` ones. Returns true when that is news. A watermark never goes back
   * here.
   */
  advance(job: JobId, at: number, open: readonly number[]): boolean {
    const history = this.#jobs.get(job);
    const mark = history?.mark;
    if (history === undefined || mark === undefined || at < mark.at) return false;
    if (at === mark.at && open.length === mark.open.size && open.every((tick) => mark.open.has(tick)))
      return false;
    history.mark = { since: mark.since, at, open: new Set(open) };
    this.#dropCovered(history);
    return true;
  }

  /**
   * Another peer's watermark, never beyond `now`: of the two the higher counts, if nothing lies between them that neither
   * covers. Ticks that are open there and not known to be over here are open here, too. Returns true when that is news.
   */
  hear(job: JobId, heard: Reach, now: number): boolean {
    const history = this.#of(job);
    const { mark } = history;
    const at = Math.min(heard.at, now);
    if (mark !== undefined && (heard.since > mark.at || at <= mark.at)) return false;
    const isOverHere = (tick: number): boolean =>
      covers(mark, tick) || isIn(history.ranges, tick) || history.over.get(tick)?.has("0") === true;
    const open = heard.open.filter((tick) => tick <= at && !isOverHere(tick));
    for (const tick of mark?.open ?? []) if (tick <= heard.since) open.push(tick);
    history.mark = { since: Math.min(mark?.since ?? heard.since, heard.since), at, open: new Set(open) };
    this.#dropCovered(history);
    return true;
  }

  /**
   * The clock was ahead: nothing is known of ticks after `now` any more, whoever wrote about them. The disk says which of
   * them really started. Returns the jobs whose watermarks went back.
   */
  withdraw(now: number): JobId[] {
    const withdrawn: JobId[] = [];
    for (const [job, history] of this.#jobs) {
      let latest = -Infinity;
      for (const { to } of history.ranges) if (to > now) latest = Math.max(latest, to);
      history.ranges = history.ranges.filter(({ to }) => to <= now);
      for (const [tick, slots] of history.over) {
        if (typeof tick !== "number" || tick <= now) continue;
        latest = Math.max(latest, tick);
        history.over.delete(tick);
        this.#size -= slots.size;
      }
      if (history.mark !== undefined && history.mark.at > now) {
        latest = Math.max(latest, history.mark.at);
        const open = [...history.mark.open].filter((tick) => tick <= now);
        history.mark = { since: Math.min(history.mark.since, now), at: now, open: new Set(open) };
      }
      if (latest === -Infinity) continue;
      history.unsureUntil = Math.max(history.unsureUntil, latest);
      withdrawn.push(job);
    }
    return withdrawn;
  }

  /**
   * Forgets orders before the instant (ms) that no watermark covers: those by hand, which can't start any more, and those of
   * jobs that can't be read here. Should such a job come back, the disk is asked.
   */
  forget(job: JobId, before: number): void {
    const history = this.#jobs.get(job);
    if (history === undefined) return;
    for (const [tick, slots] of history.over) {
      const instant = typeof tick === "number" ? tick : instantOf(tick);
      if (instant >= before) continue;
      if (typeof tick === "number") history.unsureUntil = Math.max(history.unsureUntil, tick);
      history.over.delete(tick);
      this.#size -= slots.size;
    }
  }

  /** Forgets orders by hand that were asked for before the instant (ms). */
  forgetRequested(job: JobId, before: number): void {
    const history = this.#jobs.get(job);
    if (history === undefined) return;
    for (const [tick, slots] of history.over) {
      if (typeof tick === "number" || instantOf(tick) >= before) continue;
      history.over.delete(tick);
      this.#size -= slots.size;
    }
  }

  /** Stretches of time above the instant (ms) whose ticks are over: from ≤ tick ≤ to, in order of `from`. */
  overAbove(job: JobId, instant: number): { from: number; to: number }[] {
    const history = this.#jobs.get(job);
    if (history === undefined) return [];
    const stretches = history.ranges.filter(({ to }) => to > instant);
    for (const [tick, slots] of history.over) {
      if (typeof tick === "number" && tick > instant && slots.has("0"))
        stretches.push({ from: tick, to: tick });
    }
    return stretches.toSorted((a, b) => a.from - b.from || a.to - b.to);
  }

  /** How many orders of the job are kept one by one. */
  sizeOf(job: JobId): number {
    const history = this.#jobs.get(job);
    return history === undefined ? 0 : history.over.size + history.ranges.length;
  }

  /** Forgets the job altogether. */
  remove(job: JobId): void {
    for (const slots of this.#jobs.get(job)?.over.values() ?? []) this.#size -= slots.size;
    this.#jobs.delete(job);
  }

  #of(job: JobId): JobHistory {
    let history = this.#jobs.get(job);
    if (history === undefined) {
      history = { mark: undefined, unsureUntil: -Infinity, over: new Map(), ranges: [] };
      this.#jobs.set(job, history);
    }
    return history;
  }

  /** What the watermark covers needs no entry. */
  #dropCovered(history: JobHistory): void {
    const { mark, over } = history;
    // A tick that is open is not in a range: ranges are of ticks that nobody keeps.
    history.ranges = history.ranges.filter(({ to }) => mark === undefined || to > mark.at);
    for (const [tick, slots] of over) {
      if (typeof tick !== "number" || !covers(mark, tick)) continue;
      over.delete(tick);
      this.#size -= slots.size;
    }
  }
}

function isIn(ranges: readonly { from: number; to: number }[], tick: number): boolean {
  return ranges.some(({ from, to }) => from <= tick && tick <= to);
}

function covers(mark: JobHistory["mark"], tick: number): boolean {
  return mark !== undefined && mark.since < tick && tick <= mark.at && !mark.open.has(tick);
}
