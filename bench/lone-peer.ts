/**
 * Core alone, without a world, so that the cost of `step` itself can be measured: one peer with its own wake-ups and a disk
 * that stores at once. A run ends as soon as it has begun, or when `endOne` is called.
 */
import { ownCapabilities } from "../src/schema/protocol.ts";
import type { Effect, EventBody } from "../src/core/events.ts";
import { sizesOf } from "../src/core/view.ts";
import { createState, type State } from "../src/core/state.ts";
import { step } from "../src/core/step.ts";
import type { Now } from "../src/ports.ts";
import type { JobId, PeerId, RunId } from "../src/schema/ids.ts";
import type { Job, JobSpec } from "../src/schema/job.ts";
import { storedJob } from "../test/kit/planned-job.ts";

/** How each run ends. */
const outcome = { kind: "exited", exitCode: 0, logBytes: 0, logTruncated: false } as const;

export interface LonePeerOptions {
  jobs: readonly Job[];
  startedAt: number;
  capacity: number;
  /** false = each run ends when `endOne` is called */
  endsAtOnce?: boolean;
}

export class LonePeer {
  readonly #state: State;
  readonly #waiting: EventBody[] = [];
  readonly #running: RunId[] = [];
  readonly #endsAtOnce: boolean;
  #wakeAtMono = 0;
  #now: Now;
  #commands = 0;

  constructor({ jobs, startedAt, capacity, endsAtOnce = true }: LonePeerOptions) {
    this.#endsAtOnce = endsAtOnce;
    this.#now = { wall: startedAt, mono: 0 };
    this.#state = createState({
      self: "lone" as PeerId,
      name: "lone",
      version: "0",
      tags: {},
      capacity,
      role: "worker",
      tzdata: "2026b",
      capabilities: ownCapabilities,
      lacks: [],
      incarnation: 1,
      host: {},
      founder: undefined,
      signText: () => "",
      verifyText: () => true,
      // Two versions of one record must have different signatures; core needs nothing else from them.
      sign: (record) => ({ ...record, signature: `${record.state} ${record.version}` }),
    });
    this.take({
      kind: "loaded",
      jobs,
      tableDigest: "",
      records: [],
      orders: [],
      votes: [],
      watermarks: [],
      loadedSince: 0,
      voteCount: 0,
      forgottenVotes: [],
      chain: [],
      started: new Set(),
      expected: [],
      unresolved: 0,
      lastAlive: undefined,
      addresses: [],
    });
  }

  get wall(): number {
    return this.#now.wall;
  }

  get running(): number {
    return this.#running.length;
  }

  /** How many things core holds, by kind. */
  sizes(): Readonly<Record<string, number>> {
    return sizesOf(this.#state);
  }

  /** Feeds the next event: an event that follows from an effect or, if there is none, the wake-up that core asked for. */
  takeOne(): number {
    const event = this.#waiting.shift();
    if (event !== undefined) return this.take(event);
    this.pass(Math.max(0, this.#wakeAtMono - this.#now.mono));
    return this.take({ kind: "woke" });
  }

  /** Feeds all events that follow from effects. */
  takeAll(): void {
    for (let event = this.#waiting.shift(); event !== undefined; event = this.#waiting.shift()) {
      this.take(event);
    }
  }

  /** Lets time pass without feeding an event. */
  pass(ms: number): void {
    this.#now = { wall: this.#now.wall + ms, mono: this.#now.mono + ms };
  }

  take(event: EventBody): number {
    const effects = step(this.#state, Object.assign(event, { now: this.#now }));
    for (const effect of effects) this.#carryOut(effect);
    return effects.length;
  }

  /** Orders a run of the job, as a person does. */
  order(id: JobId): void {
    const number = ++this.#commands;
    // An id uses five bits of each byte.
    const random = Uint8Array.from({ length: 16 }, (_, place) => Math.floor(number / 32 ** place) % 32);
    this.take({
      kind: "command",
      command: { kind: "run-job", id, by: "bench" },
      token: this.#commands,
      random,
    });
    this.takeAll();
  }

  /** Ends the oldest run. */
  endOne(): void {
    const run = this.#running.shift();
    if (run === undefined) return;
    this.take({ kind: "childEnded", run, outcome, at: this.#now.wall });
    this.takeAll();
  }

  #carryOut(effect: Effect): void {
    const { wall } = this.#now;
    if (effect.kind === "wakeAt") this.#wakeAtMono = effect.mono;
    if (effect.kind === "store" && effect.token !== undefined) {
      this.#waiting.push({ kind: "stored", token: effect.token });
    }
    if (effect.kind === "start") {
      const { run } = effect.spec;
      this.#waiting.push({ kind: "childStarted", run, at: wall });
      if (this.#endsAtOnce) this.#waiting.push({ kind: "childEnded", run, outcome, at: wall });
      else this.#running.push(run);
    }
  }
}

export function benchJob(id: string, at: number, spec: Partial<Omit<JobSpec, "id">>): Job {
  return storedJob(id, spec, { createdAt: at, updatedAt: at, scheduledAt: at });
}

/** Jobs that are due once a minute, spread over its seconds. */
export function minutelyJobs(count: number, at: number): Job[] {
  return Array.from({ length: count }, (_, number) =>
    benchJob(`job-${number}`, at, { schedule: `${number % 60} * * * * *` }),
  );
}
