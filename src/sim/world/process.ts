/**
 * One life of a peer's process. What happens to it goes through here: a dead process hears nothing more, and a
 * paused one (SIGSTOP) hears everything late, all at once, when it goes on: first what its sockets and its disk
 * have for it, then its timers, as the Clock door promises.
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

  /** May the event happen now? If not, it is dropped or kept back. */
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
