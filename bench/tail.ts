/**
 * Reads the lines that jobs append to one file (O_APPEND), each a few ms after it was written. So the lateness includes the start
 * of the job's own process, and is never too small.
 */
import { closeSync, openSync, readSync } from "node:fs";

/** How often the file is read, ms. On an idle machine, lateness is overstated by this much at most. */
const tailEveryMs = 5;

/** The lines that jobs have written, each with the time at which it was read. */
export class Tail {
  readonly seen = new Map<string, { peer: string; at: number }[]>();
  readonly #file: number;
  readonly #buffer = Buffer.alloc(1 << 20);
  #rest = "";
  #timer: NodeJS.Timeout;

  constructor(file: string) {
    this.#file = openSync(file, "a+");
    this.#timer = setInterval(() => this.read(), tailEveryMs);
  }

  read(): void {
    const at = Date.now();
    for (;;) {
      const length = readSync(this.#file, this.#buffer);
      if (length === 0) return;
      const lines = (this.#rest + this.#buffer.toString("utf8", 0, length)).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) this.#take(line, at);
    }
  }

  #take(line: string, at: number): void {
    const [start = "", peer = ""] = line.split(" ");
    const starts = this.seen.get(start);
    if (starts === undefined) this.seen.set(start, [{ peer, at }]);
    else starts.push({ peer, at });
  }

  close(): void {
    clearInterval(this.#timer);
    closeSync(this.#file);
  }
}
