/**
 * One long-lived outgoing stream of one protocol over one connection. Frames leave in the order of arrival.
 *
 * The stream is opened for the first frame, and again if it breaks while the connection lives. If the other side
 * doesn't read, frames wait here. The queue is bounded, and so is what waits in the queues of all streams together.
 * Frames that don't fit are dropped and counted: the sender repeats or repairs every message of this kind.
 */
import type { Stream } from "@libp2p/interface";
import type { Counters } from "./counters.ts";
import { toFrame } from "./frames.ts";

export interface QueueLimit {
  frames: number;
  bytes: number;
  /** what to drop when the queue is full: of states only the latest counts, of a sequence the beginning */
  drop: "oldest" | "newest";
}

/**
 * What waits in all queues together. A holder of the cluster key can have any number of identities, and read with none.
 * More takes more memory; less drops frames of many neighbours that are slow at once. A queue in which nothing waits is
 * open in any case, so that neighbours that read don't notice.
 */
export class WaitingBytes {
  readonly cap: number;
  sum = 0;

  constructor(cap = 268_435_456) {
    this.cap = cap;
  }
}

export class Outgoing {
  private readonly openStream: () => Promise<Stream>;
  private readonly limit: QueueLimit;
  private readonly counters: Counters;
  private readonly waiting: WaitingBytes;
  private queue: Uint8Array[] = [];
  private queuedBytes = 0;
  private stream: Stream | undefined;
  private opening = false;
  private closed = false;
  /** how many checks in a row have found the same frame waiting */
  private idleChecks = 0;

  constructor(
    openStream: () => Promise<Stream>,
    limit: QueueLimit,
    counters: Counters,
    waiting: WaitingBytes,
  ) {
    this.waiting = waiting;
    this.openStream = openStream;
    this.limit = limit;
    this.counters = counters;
  }

  send(bytes: Uint8Array): void {
    if (this.closed) {
      this.counters.add("mesh_frames_dropped");
      return;
    }
    const frame = toFrame(bytes);
    while (this.isFullFor(frame)) {
      this.counters.add("mesh_frames_dropped");
      if (this.limit.drop === "newest" || this.queue.length === 0) return;
      this.takeFirst();
    }
    this.queue.push(frame);
    this.addQueued(frame.length);
    this.flush();
  }

  /** Call it regularly. It gives the stream up when nothing has left it for `checks` calls. */
  check(checks: number): void {
    this.idleChecks = this.queue.length === 0 ? 0 : this.idleChecks + 1;
    if (this.idleChecks < checks || this.stream === undefined) return;
    this.idleChecks = 0;
    this.counters.add("mesh_streams_stuck");
    this.stream.abort(new Error("the other side does not read"));
  }

  /** The connection is gone, and the queued frames with it. */
  close(): void {
    this.closed = true;
    this.dropAll();
  }

  private isFullFor(frame: Uint8Array): boolean {
    if (this.queue.length >= this.limit.frames || this.queuedBytes + frame.length > this.limit.bytes)
      return true;
    return this.queue.length > 0 && this.waiting.sum + frame.length > this.waiting.cap;
  }

  private addQueued(bytes: number): void {
    this.queuedBytes += bytes;
    this.waiting.sum += bytes;
  }

  private takeFirst(): Uint8Array | undefined {
    const frame = this.queue.shift();
    this.addQueued(-(frame?.length ?? 0));
    return frame;
  }

  private dropAll(): void {
    this.counters.add("mesh_frames_dropped", this.queue.length);
    this.queue = [];
    this.addQueued(-this.queuedBytes);
  }

  private flush(): void {
    const stream = this.stream;
    if (stream === undefined) {
      if (!this.opening && this.queue.length > 0) this.open().catch(() => undefined);
      return;
    }
    while (this.queue.length > 0 && stream.writeStatus === "writable" && !stream.writableNeedsDrain) {
      const frame = this.takeFirst();
      if (frame === undefined) return;
      this.idleChecks = 0;
      try {
        stream.send(frame);
        this.counters.add("mesh_frames_out");
        this.counters.add("mesh_bytes_out", frame.length);
      } catch {
        // The stream has broken. Its close event reopens it for the remaining frames.
        this.counters.add("mesh_frames_dropped");
        return;
      }
    }
  }

  private async open(): Promise<void> {
    this.opening = true;
    try {
      const stream = await this.openStream();
      this.opening = false;
      this.adopt(stream);
    } catch {
      this.opening = false;
      this.dropAll();
    }
  }

  private adopt(stream: Stream): void {
    if (this.closed) {
      stream.abort(new Error("no longer needed"));
      return;
    }
    this.stream = stream;
    stream.addEventListener("drain", () => this.flush());
    stream.addEventListener("close", () => {
      if (this.stream !== stream) return;
      this.stream = undefined;
      if (!this.closed) this.flush();
    });
    if (stream.status === "open") this.flush();
    else this.stream = undefined;
  }
}
