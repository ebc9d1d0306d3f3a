/**
 * The watermarks' half of sync: when a link has come up and all records of a neighbour are here, it is asked how far it
 * knows each job's ticks to be over. The answer comes page by page, each asked for by name, so it may have any size.
 *
 * A neighbour that doesn't answer within the limit is passed over: its watermarks only save work, and the next link brings
 * them.
 */
import type { Now } from "../ports.ts";
import type { PeerId } from "../schema/ids.ts";
import type { Message, MessageOf } from "../schema/message.ts";
import type { Watermark } from "../schema/run.ts";
import { answerLimitMs } from "./sync-table.ts";

/** With the longest names of jobs and few open ticks, a page stays under 128 KiB. */
const pageSize = 256;
/** Bytes of watermarks in one message. */
const pageBytes = 131_072;

export interface WatermarkSyncDeps {
  /** All of this peer's, as they stand. */
  watermarks(): readonly Watermark[];
  send(to: PeerId, message: Message): void;
  onWatermarks(watermarks: readonly Watermark[]): void;
  /** The neighbour has said all, or is passed over. */
  onDone(peer: PeerId): void;
  nextId(): number;
}

export class WatermarkSync {
  readonly #deps: WatermarkSyncDeps;
  /** what a neighbour was asked for: the number of the question, and since when it has been silent */
  readonly #asked = new Map<PeerId, { id: number; sinceMono: number; taken: number }>();
  /** what is still to be given to a neighbour, and the question that it is for */
  readonly #giving = new Map<PeerId, { id: number; rest: Watermark[] }>();

  constructor(deps: WatermarkSyncDeps) {
    this.#deps = deps;
  }

  ask(peer: PeerId, now: Now): void {
    const id = this.#deps.nextId();
    this.#asked.set(peer, { id, sinceMono: now.mono, taken: 0 });
    this.#deps.send(peer, { kind: "watermarks-want", id, taken: 0 });
  }

  linkDown(peer: PeerId): void {
    this.#asked.delete(peer);
    this.#giving.delete(peer);
  }

  heardWant(from: PeerId, { id, taken }: MessageOf<"watermarks-want">): void {
    let giving = this.#giving.get(from);
    if (taken === 0 || giving?.id !== id) {
      giving = { id, rest: [...this.#deps.watermarks()].toReversed() };
      this.#giving.set(from, giving);
    }
    const page: Watermark[] = [];
    let bytes = 0;
    while (page.length < pageSize && bytes < pageBytes) {
      const next = giving.rest.pop();
      if (next === undefined) break;
      page.push(next);
      bytes += next.job.length + 32 + 15 * next.open.length;
    }
    const last = giving.rest.length === 0;
    if (last) this.#giving.delete(from);
    this.#deps.send(from, { kind: "watermarks", id, watermarks: page, last });
  }

  heardWatermarks(from: PeerId, message: MessageOf<"watermarks">, now: Now): void {
    const asked = this.#asked.get(from);
    if (asked?.id !== message.id) return;
    if (message.watermarks.length > 0) this.#deps.onWatermarks(message.watermarks);
    if (message.last || message.watermarks.length === 0) return this.#finish(from);
    asked.sinceMono = now.mono;
    asked.taken += message.watermarks.length;
    this.#deps.send(from, { kind: "watermarks-want", id: asked.id, taken: asked.taken });
  }

  woke(now: Now): void {
    for (const [peer, { sinceMono }] of this.#asked) {
      if (now.mono - sinceMono >= answerLimitMs) this.#finish(peer);
    }
  }

  #finish(peer: PeerId): void {
    this.#asked.delete(peer);
    this.#deps.onDone(peer);
  }
}
