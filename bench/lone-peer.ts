/**
 * Core alone, without a world: one peer that is given its own wake-ups, an instant disk and children that end at once,
 * so that what `step` itself costs can be measured.
 */
import type { Effect, Event } from "../src/core/events.ts";
import { checkedJob } from "../src/core/job/job.ts";
import { createState, type State } from "../src/core/state.ts";
import { step } from "../src/core/step.ts";
import type { Now } from "../src/ports.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import type { Job } from "../src/schema/job.ts";

/** An event that lacks only its moment. */
type Awaited = Event extends infer One ? (One extends Event ? Omit<One, "now"> : never) : never;

export class LonePeer {
  readonly #state: State;
  readonly #waiting: Awaited[] = [];
  #wakeAtMono = 0;
  #now: Now;

  /** Jobs that are each due once a minute, spread over its seconds. */
  constructor(jobs: number, startedAt: number) {
    this.#now = { wall: startedAt, mono: 0 };
    this.#state = createState({
      self: "lone" as PeerId,
      name: "lone",
      version: "0",
      tags: {},
      capacity: jobs,
      role: "worker",
      tzdata: "2026b",
      incarnation: 1,
      host: {},
      founder: undefined,
      signText: () => "",
      verifyText: () => true,
      // Two writings of one record must differ in it; that is all that core asks of a signature.
      sign: (record) => ({ ...record, signature: `${record.state} ${record.version}` }),
    });
    this.#take({
      kind: "loaded",
      jobs: Array.from({ length: jobs }, (_, number) => minutelyJob(number, startedAt)),
      tableDigest: "",
      records: [],
      orders: [],
      votes: [],
      watermarks: [],
      loadedSince: 0,
      voteCount: 0,
      voteFloor: 0,
      chain: [],
      started: new Set(),
      expected: [],
      unresolved: 0,
      lastAlive: undefined,
      addresses: [],
    });
  }

  /** Feeds the next event: one that an effect has led to, or else the wake-up that core asked for. */
  takeOne(): number {
    const event = this.#waiting.shift();
    if (event !== undefined) return this.#take(event);
    const ms = Math.max(0, this.#wakeAtMono - this.#now.mono);
    this.#now = { wall: this.#now.wall + ms, mono: this.#now.mono + ms };
    return this.#take({ kind: "woke" });
  }

  #take(event: Awaited): number {
    const effects = step(this.#state, { ...event, now: this.#now });
    for (const effect of effects) this.#carryOut(effect);
    return effects.length;
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
      const outcome = { kind: "exited", exitCode: 0, logBytes: 0, logTruncated: false } as const;
      this.#waiting.push({ kind: "childEnded", run, outcome, at: wall });
    }
  }
}

function minutelyJob(number: number, at: number): Job {
  const id = `job-${number}` as JobId;
  return {
    id,
    spec: checkedJob({ id, schedule: `${number % 60} * * * * *`, command: "true" }),
    revision: "1",
    createdAt: at,
    updatedAt: at,
    updatedBy: "bench",
    scheduledAt: at,
    resumedAt: 0,
    pauses: [],
  };
}
