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

/** Every tick of the job with `since < tick ≤ at` is over, but for those in `open`. Instants in ms. */
export interface Watermark {
  readonly since: number;
  readonly at: number;
  readonly open: readonly number[];
}

/** Which of a tick's orders: attempt and slot. */
export interface Part {
  readonly attempt: number;
  readonly slot: string;
}

interface JobHistory {
  /** undefined until the first scan of the job has begun */
  mark: { since: number; at: number; open: Set<number> } | undefined;
  /** records of ticks up to here may be on the disk and not in memory; ms */
  unsureUntil: number;
  /** orders that are over and that the watermark does not cover: by tick, then by part */
  readonly over: Map<number | TickId, Set<string>>;
}

/** Most ticks have one order: their sets of parts are one and the same object. */
const firstOnly: Set<string> = new Set(["1#0"]);

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

  /** True when the order was started or decided. */
  isOver(job: JobId, tick: TickId, { attempt, slot }: Part): boolean {
    const history = this.#jobs.get(job);
    if (history === undefined) return false;
    const key = keyOf(tick);
    if (history.over.get(key)?.has(`${attempt}#${slot}`) === true) return true;
    // Later attempts come from records of earlier ones, whatever the watermark says of the tick.
    return typeof key === "number" && attempt === 1 && covers(history.mark, key);
  }

  /** The order was started or decided. */
  settle(job: JobId, tick: TickId, { attempt, slot }: Part): void {
    const key = keyOf(tick);
    const history = this.#of(job);
    if (typeof key === "number" && attempt === 1 && covers(history.mark, key)) return;
    const part = `${attempt}#${slot}`;
    const known = history.over.get(key);
    if (known?.has(part) === true) return;
    this.#size++;
    if (known === undefined) history.over.set(key, part === "1#0" ? firstOnly : new Set([part]));
    else if (known === firstOnly) history.over.set(key, new Set([...firstOnly, part]));
    else known.add(part);
  }

  /** What is known of the job's ticks begins here: its watermark as it was stored, or none that reaches back further. */
  begin(job: JobId, { since, at, open }: Watermark, unsureUntil: number): void {
    const history = this.#of(job);
    history.mark = { since, at, open: new Set(open) };
    history.unsureUntil = unsureUntil;
    this.#dropCovered(history);
  }

  watermarkOf(job: JobId): Watermark | undefined {
    const mark = this.#jobs.get(job)?.mark;
    return mark === undefined ? undefined : { since: mark.since, at: mark.at, open: [...mark.open] };
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
  hear(job: JobId, heard: Watermark, now: number): boolean {
    const history = this.#of(job);
    const { mark } = history;
    const at = Math.min(heard.at, now);
    if (mark !== undefined && (heard.since > mark.at || at <= mark.at)) return false;
    const open = heard.open.filter((tick) => tick <= at && history.over.get(tick)?.has("1#0") !== true);
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
      for (const [tick, parts] of history.over) {
        if (typeof tick !== "number" || tick <= now) continue;
        latest = Math.max(latest, tick);
        history.over.delete(tick);
        this.#size -= parts.size;
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

  /** Forgets orders by hand that were asked for before the instant (ms): none of them may still start. */
  forgetRequested(job: JobId, before: number): void {
    const history = this.#jobs.get(job);
    if (history === undefined) return;
    for (const [tick, parts] of history.over) {
      if (typeof tick === "number" || instantOf(tick) >= before) continue;
      history.over.delete(tick);
      this.#size -= parts.size;
    }
  }

  /** Forgets the job altogether. */
  remove(job: JobId): void {
    for (const parts of this.#jobs.get(job)?.over.values() ?? []) this.#size -= parts.size;
    this.#jobs.delete(job);
  }

  #of(job: JobId): JobHistory {
    let history = this.#jobs.get(job);
    if (history === undefined) {
      history = { mark: undefined, unsureUntil: -Infinity, over: new Map() };
      this.#jobs.set(job, history);
    }
    return history;
  }

  /** First attempts that the watermark covers need no entry; later attempts keep theirs while the tick is open. */
  #dropCovered({ mark, over }: JobHistory): void {
    for (const [tick, parts] of over) {
      if (typeof tick !== "number" || !covers(mark, tick)) continue;
      over.delete(tick);
      this.#size -= parts.size;
    }
  }
}

function covers(mark: JobHistory["mark"], tick: number): boolean {
  return mark !== undefined && mark.since < tick && tick <= mark.at && !mark.open.has(tick);
}
