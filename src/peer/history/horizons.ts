/**
 * Prune horizons: the instant before which this peer has pruned a job's history, and the same for its neighbours. Records from
 * before a peer's horizon are not sent to it (sync-serving.ts), and it drops those that arrive anyway (intake.ts).
 *
 * When a link comes up, all horizons within the exchange window are sent, page by page, each page on request; from then on,
 * each horizon that moves is sent. A horizon later than `neverPrunedMs` ago was made by a wrong clock, and does not count.
 */
import { trustedSkipMs } from "../../core/time/clock-proof.ts";
import { isPlanted, type PlantedBug } from "../../core/probes/planted.ts";
import type { Now } from "../../ports.ts";
import type { Horizon } from "../../ports/disk.ts";
import { instantOf, type JobId, type PeerId } from "../../schema/ids.ts";
import type { Message, MessageOf } from "../../schema/message.ts";
import type { RunRecord } from "../../schema/run.ts";

/** Peers prune at multiples of this. With less, each round finds less to do; with more, more is kept than the jobs ask for. */
export const roundMs = 600_000;
/** Nothing younger than this is ever pruned. */
export const neverPrunedMs = trustedSkipMs;
/** Horizons in one message: even with the longest job ids it stays under 256 KiB. */
const pageSize = 512;
/** Horizons remembered for one neighbour, about 50 bytes each. A neighbour with more is sent history that it has pruned. */
const rememberedMax = 200_000;

export interface HorizonsDeps {
  settings: { readonly planted?: PlantedBug };
  /** this peer's horizons, as loaded from the disk */
  stored: readonly Horizon[];
  /** older horizons are not sent, because older records are not routinely compared; ms */
  exchangeWindowMs: number;
  now(): Now;
  send(to: PeerId, message: Message): void;
  /** A neighbour has pruned the job's ticks before the instant (ms). */
  onPrunedElsewhere(job: JobId, before: number): void;
}

interface Neighbour {
  readonly known: Map<JobId, number>;
  /** still to be sent */
  rest: Horizon[];
}

export class Horizons {
  readonly #deps: HorizonsDeps;
  readonly #own = new Map<JobId, Horizon>();
  readonly #neighbours = new Map<PeerId, Neighbour>();

  constructor(deps: HorizonsDeps) {
    this.#deps = deps;
    for (const horizon of deps.stored) this.#own.set(horizon.job, horizon);
  }

  own(): Iterable<Horizon> {
    return this.#own.values();
  }

  ownOf(job: JobId): Horizon | undefined {
    return this.#own.get(job);
  }

  /** Whether the record or order lies before this peer's horizon. */
  isPruned({ job, tick }: Pick<RunRecord, "job" | "tick">): boolean {
    const before = this.#own.get(job)?.before ?? 0;
    return instantOf(tick) < before && this.#isBelievable(before);
  }

  /** This peer has pruned up to these horizons, durably. */
  moved(horizons: readonly Horizon[]): void {
    for (const horizon of horizons) this.#own.set(horizon.job, horizon);
    const news = horizons.filter((horizon) => this.#isRecent(horizon));
    for (const peer of this.#neighbours.keys()) {
      for (let at = 0; at < news.length; at += pageSize)
        this.#send(peer, news.slice(at, at + pageSize), false);
    }
  }

  /** The job is gone, and so is its history. */
  forget(job: JobId): void {
    this.#own.delete(job);
  }

  linkUp(peer: PeerId): void {
    const rest = [...this.#own.values()].filter((horizon) => this.#isRecent(horizon));
    this.#neighbours.set(peer, { known: new Map(), rest });
    this.#sendMore(peer);
  }

  linkDown(peer: PeerId): void {
    this.#neighbours.delete(peer);
  }

  heard(from: PeerId, { horizons, more }: MessageOf<"horizons">): void {
    const known = this.#neighbours.get(from)?.known;
    if (known === undefined) return;
    for (const { job, before } of horizons) {
      if (!this.#isBelievable(before) || (known.size >= rememberedMax && !known.has(job))) continue;
      known.set(job, before);
      this.#deps.onPrunedElsewhere(job, this.elsewhere(job));
    }
    if (more) this.#deps.send(from, { kind: "horizons-want" });
  }

  heardWant(from: PeerId): void {
    this.#sendMore(from);
  }

  /** The instant (ms) before which that neighbour has pruned the job's ticks; 0 = none is known. */
  at(peer: PeerId, job: JobId): number {
    return this.#neighbours.get(peer)?.known.get(job) ?? 0;
  }

  /** The same, the latest of all neighbours. */
  elsewhere(job: JobId): number {
    let highest = 0;
    for (const { known } of this.#neighbours.values()) highest = Math.max(highest, known.get(job) ?? 0);
    return highest;
  }

  #isBelievable(before: number): boolean {
    return before <= this.#deps.now().wall - neverPrunedMs && !isPlanted(this.#deps, "pruned-comes-back");
  }

  #isRecent({ before }: Horizon): boolean {
    return before > this.#deps.now().wall - this.#deps.exchangeWindowMs;
  }

  #sendMore(peer: PeerId): void {
    const neighbour = this.#neighbours.get(peer);
    if (neighbour === undefined || neighbour.rest.length === 0) return;
    const page = neighbour.rest.splice(0, pageSize);
    this.#send(peer, page, neighbour.rest.length > 0);
  }

  #send(to: PeerId, horizons: readonly Horizon[], more: boolean): void {
    const pairs = horizons.map(({ job, before }) => ({ job, before }));
    this.#deps.send(to, { kind: "horizons", horizons: pairs, more });
  }
}
