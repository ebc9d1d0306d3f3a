/**
 * One process of a peer. All its events pass through here. A dead process gets no more events. A paused one (SIGSTOP)
 * gets them all at once when it is resumed: first those of its sockets and disk, then its timers, as the Clock door
 * promises.
 */
import type { HostName } from "../mesh/wires.ts";
import type { Entry, Owner, Queue } from "./queue.ts";

export class Process implements Owner {
  readonly host: HostName;
  private readonly queue: Queue;
  private condition: "running" | "paused" | "dead" = "running";
  private readonly keptBack: Entry[] = [];

  constructor(host: HostName, queue: Queue) {
    this.host = host;
    this.queue = queue;
  }

  get alive(): boolean {
    return this.condition !== "dead";
  }

  get running(): boolean {
    return this.condition === "running";
  }

  get paused(): boolean {
    return this.condition === "paused";
  }

  /** True if the event may happen now. Otherwise it is dropped or kept back. */
  admits(entry: Entry): boolean {
    if (this.condition === "running") return true;
    if (this.condition === "paused") this.keptBack.push(entry);
    return false;
  }

  pause(): void {
    if (this.condition === "running") this.condition = "paused";
  }

  resume(): void {
    if (this.condition !== "paused") return;
    this.condition = "running";
    const entries = this.keptBack.splice(0);
    for (const entry of entries) if (!entry.timer) this.queue.requeue(entry);
    for (const entry of entries) if (entry.timer) this.queue.requeue(entry);
  }

  kill(): void {
    this.condition = "dead";
    this.keptBack.length = 0;
  }
}
