/**
 * What the API and the simulator can learn about a peer at this moment. It reads core's state through core/view.ts and the few
 * other functions of core that write nothing, and changes nothing itself.
 */
import {
  backfillOf,
  heirsOf,
  blockedJobs,
  obstaclesOf,
  jobNow,
  jobsUnknownHere,
  expectedOf,
  nameOf,
  nextRunOf,
  soleRunnerOf,
  nextTicks,
  pendingOf,
  poolNow,
  sizesOf,
  viewOf,
  slotsOfJob,
  watermarkLagMs,
  whyNoTick,
} from "../core/view.ts";
import { notReady } from "../core/operator/readiness.ts";
import { shownGroups } from "../core/job/group.ts";
import { isLeftToOthers } from "../core/members/blocked.ts";
import { isTickOver } from "../core/claims/slots.ts";
import { idleUntil } from "../core/orders/idle.ts";
import type { SettingKind, SettingValues } from "../schema/setting.ts";
import type { State } from "../core/state.ts";
import { assert, type CicadaError } from "../errors.ts";
import type { Clock, Now } from "../ports.ts";
import type {
  BackfillTicks,
  Heir,
  NextTick,
  NotReady,
  PendingTick,
  PoolView,
  View,
} from "../ports/control.ts";
import type { ExpectedHour } from "../ports/expected.ts";
import type { JobId, PeerId, TickId } from "../schema/ids.ts";
import type { Assembly } from "./assembly.ts";

interface Booted {
  state: State;
  assembly: Assembly;
}

/** How many neighbours one reason names. A member that lies can be any number of them. */
const namedMax = 5;

export class PeerStatus {
  readonly #clock: Clock;
  readonly #counters: Readonly<Record<string, number>>;
  #booted: Booted | undefined;

  constructor(clock: Clock, counters: Readonly<Record<string, number>>) {
    this.#clock = clock;
    this.#counters = counters;
  }

  /** Called once the data folder has been read. Before, only `notReady`, `sizes` and `idleUntil` answer. */
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
      notReady: [...view.notReady, ...this.#syncProblems()],
      warnings: [...view.warnings, ...retention.warnings()],
    };
  }

  next(id: JobId, count: number): NextTick[] | undefined {
    const { state, now } = this.#live();
    return nextTicks(state, now, id, count);
  }

  nextRunAt(id: JobId): number | undefined {
    const { state, now } = this.#live();
    return nextRunOf(state, now, id);
  }

  soleRunner(id: JobId): PeerId | undefined {
    const { state, now } = this.#live();
    return soleRunnerOf(state, now, id);
  }

  expected(id: JobId, from: number, hours: number, listed: number): ExpectedHour[] | undefined {
    const { state, now } = this.#live();
    return expectedOf(state, now, id, from, hours, listed);
  }

  /** What a job is doing and what stands in its way; undefined when there is no such job. */
  jobNow(id: JobId): ReturnType<typeof jobNow> {
    const { state, now } = this.#live();
    return jobNow(state, now, id);
  }

  /** The job's ticks that are due and undecided. */
  pending(id: JobId): PendingTick[] {
    const { state, now } = this.#live();
    return pendingOf(state, now, id);
  }

  /** Whether nothing of the tick is claimed, running or to come. */
  isTickOver(job: JobId, tick: TickId): boolean {
    return isTickOver(this.#live().state, job, tick);
  }

  /** How many slots each tick of the job has; 1 if there is no such job. */
  slotsOf(id: JobId): number {
    return slotsOfJob(this.#live().state, id);
  }

  /** What keeps the job's next tick from running, in sentences. */
  obstaclesOf(id: JobId): string[] {
    const { state, now } = this.#live();
    return obstaclesOf(state, now, id);
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

  /** The members that would get a new cluster key. */
  heirs(): Heir[] {
    const { state, now } = this.#live();
    return heirsOf(state, now);
  }

  /** Who holds a pool's slots, and who waits. */
  pool(name: string): PoolView {
    const { state, now } = this.#live();
    return poolNow(state, now, name);
  }

  /** The job's past ticks with from ≤ tick < to (ms); an error if they can't be backfilled. */
  backfill(id: JobId, from: number, to: number): BackfillTicks | CicadaError {
    const { state, now } = this.#live();
    return backfillOf(state, now, id, from, to);
  }

  /** All settings of a kind, by name. */
  settings(kind: SettingKind): SettingValues {
    const values = this.#live().assembly.table.values(kind);
    return kind === "groups" ? shownGroups(values) : values;
  }

  /** Jobs that no living peer can run now. */
  blocked(): ReturnType<typeof blockedJobs> {
    const { state, now } = this.#live();
    return blockedJobs(state, now);
  }

  /** Whether others can run the job, as far as is known, although this peer's host lacks what it needs. */
  isLeftToOthers(id: JobId): boolean {
    const { state } = this.#live();
    const plan = state.jobs.plans.get(id);
    return plan !== undefined && isLeftToOthers(state, plan);
  }

  /** Jobs written by a later version that this peer doesn't run. */
  unknownHere(): ReturnType<typeof jobsUnknownHere> {
    const { state, now } = this.#live();
    return jobsUnknownHere(state, now);
  }

  notReady(): string[] {
    if (this.#booted === undefined) return ["starting"];
    return [...notReady(this.#booted.state), ...this.#syncProblems()].map(({ code }) => code);
  }

  /** How many things of each kind core holds in memory. */
  sizes(): Readonly<Record<string, number>> {
    return this.#booted === undefined ? {} : sizesOf(this.#booted.state);
  }

  /** Until when (wall clock, ms) there is nothing to do except heartbeats and sync; undefined while something is under way. */
  idleUntil(): number | undefined {
    return this.#booted === undefined ? undefined : idleUntil(this.#booted.state);
  }

  /** A neighbour with which sync can't finish may have jobs and records that this peer lacks. */
  #syncProblems(): NotReady[] {
    const { state, assembly, now } = this.#live();
    return describeSync(assembly.sync.problems(now), (peer) => nameOf(state, peer));
  }
}

/** One reason for all neighbours with the same problem. */
export function describeSync(
  problems: readonly { peer: PeerId; what: string }[],
  name: (peer: PeerId) => string,
): NotReady[] {
  return [...Map.groupBy(problems, ({ what }) => what)].map(([what, all]) => {
    const names = all.slice(0, namedMax).map(({ peer }) => name(peer));
    const rest = all.length - names.length;
    const others = rest === 0 ? "" : ` and ${rest} more`;
    return { code: "sync", message: `not in sync with ${names.join(", ")}${others}: ${what}` };
  });
}
