/**
 * The next tick of every job, soonest first. One heap for all jobs, so that one wake-up serves 100,000 of them; one entry a
 * job, which an edit replaces.
 */
import type { JobId } from "../../schema/ids.ts";
import { IndexedHeap } from "./heap.ts";
import { nextTickOf, type Plan } from "./plan.ts";

export class Timetable {
  readonly #plans = new Map<JobId, Plan>();
  readonly #next = new IndexedHeap<JobId>((a, b) => a < b);

  /** Enters a job, or replaces it; its ticks after the instant (ms) will be pulled. */
  enter(plan: Plan, after: number): void {
    this.#plans.set(plan.id, plan);
    this.#expect(plan, after);
  }

  /** Jobs that have a next tick. */
  get size(): number {
    return this.#next.size;
  }

  remove(id: JobId): void {
    this.#plans.delete(id);
    this.#next.remove(id);
  }

  /** When the next tick is (ms), or undefined. */
  soonest(): number | undefined {
    return this.#next.peek()?.at;
  }

  /**
   * Takes out every tick at or before the instant (ms), oldest first. Of a job whose next tick lies before `gapBefore`,
   * nobody has asked for so long that its ticks up to `now` are not listed: it is named as having a gap.
   */
  pull(
    until: number,
    gapBefore: number,
    now: number,
  ): { ticks: { plan: Plan; instant: number }[]; gaps: Plan[] } {
    const ticks: { plan: Plan; instant: number }[] = [];
    const gaps: Plan[] = [];
    for (let top = this.#next.peek(); top !== undefined && top.at <= until; top = this.#next.peek()) {
      const plan = this.#plans.get(top.key);
      if (plan === undefined) throw new Error(`assertion failed: no plan of ${top.key} in the timetable`);
      if (top.at < gapBefore) {
        gaps.push(plan);
        this.#expect(plan, now);
      } else {
        ticks.push({ plan, instant: top.at });
        this.#expect(plan, top.at);
      }
    }
    return { ticks, gaps };
  }

  #expect(plan: Plan, after: number): void {
    const at = nextTickOf(plan, after);
    if (at === undefined) this.#next.remove(plan.id);
    else this.#next.set(plan.id, at);
  }
}
