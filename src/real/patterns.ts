/**
 * Patterns over output, in workers, so that neither a hostile pattern nor a huge output holds the peer up. RE2's time is
 * linear, but an output may have hundreds of megabytes, so each task has a time limit, too. At most two workers are up,
 * each for one task at a time; the first one starts with the first task, and an idle one ends after a while.
 *
 * A task fails if its patterns take too much time or memory. If this host fails instead (it has no room for a worker, or can't
 * read the output), the output is judged again a few times, and is then reported as not judged.
 */
import type { Worker } from "node:worker_threads";
import type { PatternRule } from "../ports/patterns.ts";
import { begun, type PatternAnswer, type PatternTask } from "./patterns/protocol.ts";
import { startWorker } from "./worker.ts";

/** More lets a run of a job with slow patterns keep its place for longer after its end; less fails larger outputs. */
export const patternLimitMs = 10_000;
/** How long a worker may take to begin, on a host that is busy with other things. */
const beginLimitMs = 60_000;
/**
 * How often, and for how long, this host tries again to judge an output that it could not judge. More keeps a run's place for
 * longer.
 */
const againEveryMs = 1_000;
const triesMax = 10;
const workersMax = 2;
const idleMs = 30_000;
/** Unit: MiB, for each worker. Most of an output is outside of it. */
const heapCapMb = 256;

/** Why there is no answer, and whether that is this host's fault or the patterns'. */
interface Failure {
  why: "host" | "patterns";
  reason: string;
}

interface Waiting {
  task: PatternTask;
  done: (answer: PatternAnswer | Failure) => void;
}

interface UnderWay {
  hasBegun: boolean;
  begins(): void;
  ends(answer: PatternAnswer | Failure): void;
}

/** `broken`: the first rule that is broken, in words; `unjudged`: why this host could not judge. */
export type Verdict =
  | { kind: "kept" }
  | { kind: "broken"; broken: string }
  | { kind: "unjudged"; reason: string };

/** An output that was kept, and where the answer's body begins in it. */
export interface Judged {
  rules: readonly PatternRule[];
  file: string;
  bodyFrom: number;
  isCut: boolean;
}

export class Patterns {
  private readonly limitMs: number;
  private readonly againMs: number;
  private readonly waiting: Waiting[] = [];
  private readonly idle = new Map<Worker, NodeJS.Timeout>();
  /** the tasks of the workers that have one */
  private readonly busy = new Map<Worker, UnderWay>();
  private workers = 0;

  constructor(limitMs = patternLimitMs, againMs = againEveryMs) {
    this.limitMs = limitMs;
    this.againMs = againMs;
  }

  /** Returns what is wrong with each pattern (undefined = nothing), or why this host can't tell. */
  check(patterns: readonly string[]): Promise<(string | undefined)[] | { unchecked: string }> {
    return new Promise((resolve) => {
      this.run({ kind: "check", patterns }, (answer) => {
        if ("problems" in answer) resolve(answer.problems.map((problem) => problem ?? undefined));
        else if ("why" in answer)
          resolve(answer.why === "host" ? { unchecked: answer.reason } : patterns.map(() => answer.reason));
      });
    });
  }

  judge(judged: Judged, done: (verdict: Verdict) => void, triesLeft = triesMax): void {
    const { rules, file, bodyFrom, isCut } = judged;
    this.run({ kind: "judge", rules, file, bodyFrom, isCut }, (answer) => {
      const unjudged =
        "unreadable" in answer
          ? answer.unreadable
          : "why" in answer && answer.why === "host"
            ? answer.reason
            : undefined;
      if (unjudged !== undefined && triesLeft > 1)
        return void setTimeout(() => this.judge(judged, done, triesLeft - 1), this.againMs);
      if (unjudged !== undefined) return done({ kind: "unjudged", reason: unjudged });
      const broken = "why" in answer ? answer.reason : "broken" in answer ? answer.broken : null;
      if (broken === null) return done({ kind: "kept" });
      done({ kind: "broken", broken: `${broken}${isCut ? "; the output was cut at keep.logBytes" : ""}` });
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
    if (typeof started === "string") {
      // A worker that is busy takes the task afterwards.
      if (this.workers === 0) this.failNext(started);
      return;
    }
    this.workers++;
    this.give(started);
  }

  private failNext(why: string): void {
    const failed = this.waiting.shift();
    queueMicrotask(() => {
      failed?.done({ why: "host", reason: `the patterns could not be matched: ${why}` });
      this.next();
    });
  }

  /** The worker, or why there is none. */
  private start(): Worker | string {
    const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const program = new URL(`./patterns/worker.${ending}`, import.meta.url);
    const worker = startWorker(program, { resourceLimits: { maxOldGenerationSizeMb: heapCapMb } });
    if (typeof worker === "string") return worker;
    const ended = (why: Failure["why"], reason: string): void =>
      this.busy.get(worker)?.ends({ why, reason: `the patterns could not be matched: ${reason}` });
    worker.on("message", (answer: PatternAnswer | typeof begun) => {
      if (answer === begun) this.busy.get(worker)?.begins();
      else this.busy.get(worker)?.ends(answer);
    });
    // What fails before the task has begun has nothing to do with it.
    worker.on("error", (error) =>
      ended(this.busy.get(worker)?.hasBegun === true ? "patterns" : "host", error.message),
    );
    worker.on("exit", () => ended("host", "their worker has ended"));
    return worker;
  }

  private give(worker: Worker): void {
    const next = this.waiting.shift();
    if (next === undefined) return this.rest(worker);
    const ends = (answer: PatternAnswer | Failure): void => {
      clearTimeout(limit);
      this.busy.delete(worker);
      // A worker that has failed, or doesn't answer, takes no more tasks.
      if ("why" in answer) this.end(worker);
      else this.rest(worker);
      const isUntouched = "why" in answer && answer.why === "host" && !underWay.hasBegun;
      if (isUntouched && this.workers > 0) {
        this.waiting.unshift(next);
        // A new worker would fail as this one did.
        if (this.idle.size > 0) this.next();
        return;
      }
      next.done(answer);
      this.next();
    };
    const within = (ms: number, why: Failure["why"], what: string) =>
      setTimeout(() => ends({ why, reason: `${what} ${ms / 1_000} s` }), ms);
    let limit = within(beginLimitMs, "host", "the worker for patterns has not begun within");
    const underWay: UnderWay = {
      hasBegun: false,
      begins: () => {
        underWay.hasBegun = true;
        clearTimeout(limit);
        limit = within(this.limitMs, "patterns", "the patterns took longer than");
      },
      ends,
    };
    this.busy.set(worker, underWay);
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
