/**
 * Patterns over output, in workers, so that neither a hostile pattern nor a huge output holds the peer up. RE2's time is
 * linear, but an output may have hundreds of megabytes, so each task has a time limit, too. At most two workers are up,
 * each for one task at a time; the first one starts with the first task, and an idle one ends after a while.
 */
import type { Worker } from "node:worker_threads";
import type { PatternRule } from "../ports/patterns.ts";
import { begun, type PatternAnswer, type PatternTask } from "./patterns/protocol.ts";
import { startWorker } from "./worker.ts";

/** More lets a run of a job with slow patterns keep its place for longer after its end; less fails larger outputs. */
export const patternLimitMs = 10_000;
/** How long a worker may take to begin, on a host that is busy with other things. */
const beginLimitMs = 60_000;
const workersMax = 2;
const idleMs = 30_000;
/** Unit: MiB, for each worker. Most of an output is outside of it. */
const heapCapMb = 256;

interface Waiting {
  task: PatternTask;
  done: (answer: PatternAnswer | string) => void;
}

interface UnderWay {
  begins(): void;
  ends(answer: PatternAnswer | string): void;
}

/** An output that was kept, and where the answer's body begins in it. */
export interface Judged {
  rules: readonly PatternRule[];
  file: string;
  bodyFrom: number;
  isCut: boolean;
}

export class Patterns {
  private readonly limitMs: number;
  private readonly waiting: Waiting[] = [];
  private readonly idle = new Map<Worker, NodeJS.Timeout>();
  /** the tasks of the workers that have one */
  private readonly busy = new Map<Worker, UnderWay>();
  private workers = 0;

  constructor(limitMs = patternLimitMs) {
    this.limitMs = limitMs;
  }

  /** What is wrong with each pattern; undefined = nothing. */
  check(patterns: readonly string[]): Promise<(string | undefined)[]> {
    return new Promise((resolve) => {
      this.run({ kind: "check", patterns }, (answer) => {
        if (typeof answer === "string") resolve(patterns.map(() => answer));
        else if ("problems" in answer) resolve(answer.problems.map((problem) => problem ?? undefined));
      });
    });
  }

  /** The first rule that is broken, in words; undefined = none is. */
  judge({ rules, file, bodyFrom, isCut }: Judged, done: (broken: string | undefined) => void): void {
    this.run({ kind: "judge", rules, file, bodyFrom, isCut }, (answer) => {
      const broken = typeof answer === "string" ? answer : "broken" in answer ? answer.broken : null;
      const cut = isCut ? "; the output was cut at keep.logBytes" : "";
      done(broken === null ? undefined : `${broken}${cut}`);
    });
  }

  private run(task: PatternTask, done: Waiting["done"]): void {
    this.waiting.push({ task, done });
    this.next();
  }

  private next(): void {
    if (this.waiting.length === 0) return;
    const [free] = this.idle.keys();
    if (free !== undefined) {
      clearTimeout(this.idle.get(free));
      this.idle.delete(free);
      return this.give(free);
    }
    if (this.workers >= workersMax) return;
    const started = this.start();
    if (typeof started === "string") return this.failNext(started);
    this.workers++;
    this.give(started);
  }

  private failNext(why: string): void {
    const failed = this.waiting.shift();
    queueMicrotask(() => {
      failed?.done(`the patterns could not be matched: ${why}`);
      this.next();
    });
  }

  /** The worker, or why there is none. */
  private start(): Worker | string {
    const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const program = new URL(`./patterns/worker.${ending}`, import.meta.url);
    const worker = startWorker(program, { resourceLimits: { maxOldGenerationSizeMb: heapCapMb } });
    if (typeof worker === "string") return worker;
    const ended = (why: string): void =>
      this.busy.get(worker)?.ends(`the patterns could not be matched: ${why}`);
    worker.on("message", (answer: PatternAnswer | typeof begun) => {
      if (answer === begun) this.busy.get(worker)?.begins();
      else this.busy.get(worker)?.ends(answer);
    });
    worker.on("error", (error) => ended(error.message));
    worker.on("exit", () => ended("their worker has ended"));
    return worker;
  }

  private give(worker: Worker): void {
    const next = this.waiting.shift();
    if (next === undefined) return this.rest(worker);
    const ends = (answer: PatternAnswer | string): void => {
      clearTimeout(limit);
      this.busy.delete(worker);
      // A worker that has failed, or doesn't answer, takes no more tasks.
      if (typeof answer === "string") this.end(worker);
      else this.rest(worker);
      next.done(answer);
      this.next();
    };
    const within = (ms: number) =>
      setTimeout(() => ends(`the patterns took longer than ${ms / 1_000} s`), ms);
    let limit = within(beginLimitMs);
    const begins = (): void => {
      clearTimeout(limit);
      limit = within(this.limitMs);
    };
    this.busy.set(worker, { begins, ends });
    worker.ref();
    worker.postMessage(next.task);
  }

  private end(worker: Worker): void {
    this.workers--;
    void worker.terminate();
  }

  private rest(worker: Worker): void {
    worker.unref();
    const timer = setTimeout(() => {
      this.idle.delete(worker);
      this.end(worker);
    }, idleMs);
    this.idle.set(worker, timer.unref());
  }
}
