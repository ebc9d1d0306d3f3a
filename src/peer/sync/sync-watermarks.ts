/**
 * The watermarks' part of sync. When a link has come up and all of a neighbour's records are here, the neighbour is asked up to
 * which tick it knows each job's ticks to be over. The answer comes page by page, each on request, so it can have any size.
 *
 * A neighbour that doesn't answer within the limit is skipped: its watermarks only save work, and the next link brings them.
 */
import type { Now } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Message, MessageOf } from "../../schema/message.ts";
import type { Watermark } from "../../schema/run.ts";
import { answerLimitMs } from "./sync-table.ts";

/** With the longest job ids and few open ticks, a page stays under 128 KiB. */
const pageSize = 256;
/** A message holds no further watermark once it has this many bytes of them. */
const pageBytes = 131_072;

export interface WatermarkSyncDeps {
  /** All of this peer's current watermarks. */
  watermarks(): readonly Watermark[];
  send(to: PeerId, message: Message): void;
  charge(peer: PeerId, steps: number): void;
  onWatermarks(peer: PeerId, watermarks: readonly Watermark[]): void;
  /** The neighbour has sent all its watermarks, or is skipped. */
  onDone(peer: PeerId): void;
  nextId(): number;
}

export class WatermarkSync {
  readonly #deps: WatermarkSyncDeps;
  /** requests that neighbours have not answered in full: id, since when the neighbour has been silent, and how many came */
  readonly #asked = new Map<PeerId, { id: number; sinceMono: number; taken: number }>();
  /** the watermarks that a neighbour is still to get, and the id of its request */
  readonly #serving = new Map<PeerId, { id: number; rest: Watermark[] }>();

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
    this.#serving.delete(peer);
  }

  heardWant(from: PeerId, { id, taken }: MessageOf<"watermarks-want">): void {
    let serving = this.#serving.get(from);
    if (taken === 0 || serving?.id !== id) {
      serving = { id, rest: [...this.#deps.watermarks()].toReversed() };
      this.#serving.set(from, serving);
      this.#deps.charge(from, serving.rest.length);
    }
    const page: Watermark[] = [];
    let bytes = 0;
    while (page.length < pageSize && bytes < pageBytes) {
      const next = serving.rest.pop();
      if (next === undefined) break;
      page.push(next);
      bytes += next.job.length + 32 + 15 * next.open.length;
    }
    const last = serving.rest.length === 0;
    if (last) this.#serving.delete(from);
    this.#deps.send(from, { kind: "watermarks", id, watermarks: page, last });
  }

  heardWatermarks(from: PeerId, message: MessageOf<"watermarks">, now: Now): void {
    const asked = this.#asked.get(from);
    if (asked?.id !== message.id) return;
    if (message.watermarks.length > 0) this.#deps.onWatermarks(from, message.watermarks);
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
