/**
 * The next tick of every job, soonest first. One heap for all jobs, so that one wake-up serves 100,000 of them.
 * An entry whose plan is no longer the job's is dropped when it surfaces: an edit costs one push.
 */
import type { JobId } from "../../schema/ids.ts";
import { Heap } from "./heap.ts";
import { nextTickOf, type Plan } from "./plan.ts";

interface Entry {
  at: number;
  plan: Plan;
}

export class Timetable {
  readonly #plans = new Map<JobId, Plan>();
  readonly #heap = new Heap<Entry>((a, b) => a.at < b.at || (a.at === b.at && a.plan.id < b.plan.id));

  /** Enters a job (again); its ticks after the instant (ms) will be pulled. */
  enter(plan: Plan, after: number): void {
    this.#plans.set(plan.id, plan);
    const at = nextTickOf(plan, after);
    if (at !== undefined) this.#heap.push({ at, plan });
  }

  get size(): number {
    return this.#heap.size;
  }

  remove(id: JobId): void {
    this.#plans.delete(id);
  }

  /** When the next tick is (ms), or undefined. */
  soonest(): number | undefined {
    this.#clear();
    return this.#heap.peek()?.at;
  }

  /** Takes out every tick at or before the instant (ms), oldest first. */
  pull(until: number): { plan: Plan; instant: number }[] {
    const pulled: { plan: Plan; instant: number }[] = [];
    for (;;) {
      this.#clear();
      const top = this.#heap.peek();
      if (top === undefined || top.at > until) return pulled;
      this.#heap.pop();
      pulled.push({ plan: top.plan, instant: top.at });
      const at = nextTickOf(top.plan, top.at);
      if (at !== undefined) this.#heap.push({ at, plan: top.plan });
    }
  }

  #clear(): void {
    for (let top = this.#heap.peek(); top !== undefined; top = this.#heap.peek()) {
      if (this.#plans.get(top.plan.id) === top.plan) return;
      this.#heap.pop();
    }
  }
}
