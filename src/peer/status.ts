/**
 * What can be learned of a peer at this moment, by the API and by the simulator. It reads core's state through core/view.ts
 * alone, and changes nothing.
 */
import {
  blockedJobs,
  hindersOf,
  jobNow,
  jobsUnknownHere,
  nameOf,
  nextTicks,
  notReady,
  pendingOf,
  sizesOf,
  viewOf,
  watermarkLagMs,
  whyNoTick,
} from "../core/view.ts";
import { idleUntil } from "../core/orders/idle.ts";
import type { State } from "../core/state.ts";
import { assert } from "../errors.ts";
import type { Clock, Now } from "../ports.ts";
import type { NextTick, NotReady, PendingTick, View } from "../ports/control.ts";
import type { JobId } from "../schema/ids.ts";
import type { Assembly } from "./assembly.ts";

interface Booted {
  state: State;
  assembly: Assembly;
}

export class PeerStatus {
  readonly #clock: Clock;
  readonly #counters: Readonly<Record<string, number>>;
  #booted: Booted | undefined;

  constructor(clock: Clock, counters: Readonly<Record<string, number>>) {
    this.#clock = clock;
    this.#counters = counters;
  }

  /** From now on there is something to tell. */
  booted(booted: Booted): void {
    this.#booted = booted;
  }

  #live(): Booted & { now: Now } {
    assert(this.#booted !== undefined, "the peer has not booted");
    return { ...this.#booted, now: this.#clock.now() };
  }

  view(): View {
    const { state, assembly, now } = this.#live();
    const { table, retention } = assembly;
    const view = viewOf(state, now, table.jobs(), table.quarantined(), { ...this.#counters });
    return {
      ...view,
      notReady: [...view.notReady, ...this.#syncTroubles()],
      warnings: [...view.warnings, ...retention.warnings()],
    };
  }

  next(id: JobId, count: number): NextTick[] | undefined {
    const { state, now } = this.#live();
    return nextTicks(state, now, id, count);
  }

  /** What a job is doing and what hinders it; undefined when there is no such job. */
  jobNow(id: JobId): ReturnType<typeof jobNow> {
    const { state, now } = this.#live();
    return jobNow(state, now, id);
  }

  /** The job's ticks that are due and undecided. */
  pending(id: JobId): PendingTick[] {
    const { state, now } = this.#live();
    return pendingOf(state, now, id);
  }

  /** What keeps the job's next tick from running, in sentences. */
  hindersOf(id: JobId): string[] {
    const { state, now } = this.#live();
    return hindersOf(state, now, id);
  }

  /** Why the instant is no tick of the job, in words; undefined when it is one. */
  whyNoTick(id: JobId, instant: number): string | undefined {
    const { state, now } = this.#live();
    return whyNoTick(state, now, id, instant);
  }

  watermarkLagMs(): number {
    const { state, now } = this.#live();
    return watermarkLagMs(state, now);
  }

  /** Jobs that no living peer can run now. */
  blocked(): ReturnType<typeof blockedJobs> {
    const { state, now } = this.#live();
    return blockedJobs(state, now);
  }

  /** Jobs that a later version has written and this peer doesn't run. */
  unknownHere(): ReturnType<typeof jobsUnknownHere> {
    const { state, now } = this.#live();
    return jobsUnknownHere(state, now);
  }

  notReady(): string[] {
    if (this.#booted === undefined) return ["starting"];
    return [...notReady(this.#booted.state), ...this.#syncTroubles()].map(({ code }) => code);
  }

  /** How much this peer holds in memory, by what. */
  sizes(): Readonly<Record<string, number>> {
    return this.#booted === undefined ? {} : sizesOf(this.#booted.state);
  }

  /** Until when (wall clock, ms) it has nothing to do but keep in touch; undefined while something is under way. */
  idleUntil(): number | undefined {
    return this.#booted === undefined ? undefined : idleUntil(this.#booted.state);
  }

  /** A neighbour with which no sync can be finished may have jobs and records that this peer lacks. */
  #syncTroubles(): NotReady[] {
    const { state, assembly, now } = this.#live();
    return assembly.sync.troubles(now).map(({ peer, what }) => ({
      code: "sync",
      message: `not in sync with ${nameOf(state, peer)}: ${what}`,
    }));
  }
}
