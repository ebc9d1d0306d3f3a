/**
 * The launcher: a small process that starts the peer's children, so that the peer itself never waits for a spawn (1 to
 * 2 ms each, more with a large memory; a burst of 2,000 would block it for seconds).
 *
 * It lives as long as its peer. When the pipe from the peer closes, the peer is dead. Then every group gets TERM and,
 * moments later, KILL, processes that have left their group are found by run id, and the launcher exits. It has a
 * session of its own and ignores the signals of the terminal and the service manager, because only the peer decides
 * when runs end.
 */
import { flushCompileCache } from "node:module";
import { createInterface } from "node:readline";
import type { ChildOutcome, ProcessSpec } from "../../ports.ts";
import type { RunId } from "../../schema/ids.ts";
import { openClock } from "../clock.ts";
import { giveBackMemory } from "../memory.ts";
import { Child, type ChildDoors } from "./child.ts";
import { openExchange } from "./exchange.ts";
import { openPipes } from "./pipes.ts";
import { readOrder, type FromLauncher, type Launch, type ToLauncher } from "./protocol.ts";
import { ScriptFiles } from "./script-file.ts";
import { hostProcesses, Sweeper } from "./survivors.ts";

/** The grace of a dead peer's runs. Other peers declare them lost and may start new ones 6 s after its death. */
const orphanGraceMs = 2_000;

/**
 * While runs wait for their start, reports are sent this often. Each message wakes the peer, which then competes for
 * the processor with the starts that are still to come. More delays the reports on the first runs of a burst.
 */
const flushEveryMs = 100;

/** The launcher's only arguments. */
interface Places {
  /** where jobs run that name no folder */
  work: string;
  /** a folder of its own for new pipes, used if there is no memory for them */
  pipes: string;
  /** where scripts are kept */
  scripts: string;
  /** a folder of its own for what runs and their peer tell each other */
  exchange: string;
}

class Launcher {
  private readonly doors: ChildDoors;
  private readonly running = new Map<RunId, { child: Child; spec: ProcessSpec }>();
  /** in the order of arrival; one is started per turn, so that pipes and timers are served in between */
  private readonly queue = new Map<RunId, Launch>();
  private starting = false;
  private closing = false;
  /** reports to the peer, in the order of events */
  private unsent: string[] = [];
  private flushedAt = 0;
  private readonly finished: () => void;

  constructor(places: Places, finished: () => void) {
    const clock = openClock();
    const pipes = openPipes(places.pipes, (reason) =>
      this.notice("no named pipe can be made here, so outputs go through sockets", reason),
    );
    const scripts = new ScriptFiles(places.scripts);
    this.doors = {
      clock,
      pipes,
      scripts,
      sweeper: new Sweeper(clock),
      work: places.work,
      exchange: places.exchange,
    };
    openExchange(places.exchange);
    try {
      scripts.removeLeftOver();
    } catch (error) {
      this.notice("what an earlier launcher has left of scripts can't be removed", String(error));
    }
    this.finished = finished;
  }

  handle(order: ToLauncher): void {
    switch (order.kind) {
      case "launch":
        return this.launch(order);
      case "stop":
        return this.stop(order.run);
      case "sweep":
        return this.sweep(order.id, order.runs);
      case "ping":
        return this.report({ kind: "pong" });
      case "close":
        return this.close(undefined);
    }
  }

  /** Reports something that a person should know although the launcher continues. */
  notice(message: string, reason: string): void {
    this.report({ kind: "notice", message, reason });
  }

  /** Ends all runs and then the launcher; `graceMs` undefined = each run's own grace. */
  close(graceMs: number | undefined): void {
    this.closing = true;
    for (const run of this.queue.keys()) this.stop(run);
    for (const { child, spec } of this.running.values()) {
      child.endForExit(Math.min(spec.action.killGraceMs, graceMs ?? Number.POSITIVE_INFINITY));
    }
    this.finishWhenQuiet();
  }

  private launch(launch: Launch): void {
    const { spec } = launch;
    if (this.closing) return this.ended(spec.run, { kind: "cancelled", logBytes: 0, logTruncated: false });
    this.queue.set(spec.run, launch);
    if (this.starting) return;
    this.starting = true;
    this.flushedAt = performance.now();
    setImmediate(() => this.startNext());
  }

  private startNext(): void {
    const [next] = this.queue.values();
    if (next === undefined) {
      this.starting = false;
      return this.flush();
    }
    this.queue.delete(next.spec.run);
    this.start(next);
    if (performance.now() - this.flushedAt > flushEveryMs) this.flush();
    setImmediate(() => this.startNext());
  }

  private start(launch: Launch): void {
    const { spec } = launch;
    if (Date.now() > spec.notAfter) {
      const reason = "the start came too late";
      return this.ended(spec.run, { kind: "not-started", why: "late", reason });
    }
    const child = new Child(launch, this.doors, {
      started: (pid) => this.report({ kind: "started", run: spec.run, pid, at: Date.now() }),
      stuck: (reason) => this.report({ kind: "stuck", run: spec.run, reason }),
      ended: (outcome, output) => {
        this.running.delete(spec.run);
        if (output !== undefined) {
          this.report({ kind: "output", run: spec.run, base64: output.toString("base64") });
        }
        this.ended(spec.run, outcome);
        this.finishWhenQuiet();
      },
    });
    this.running.set(spec.run, { child, spec });
    child.start();
  }

  private stop(run: RunId): void {
    if (this.queue.delete(run)) this.ended(run, { kind: "cancelled", logBytes: 0, logTruncated: false });
    const found = this.running.get(run);
    found?.child.end("cancelled", found.spec.action.killGraceMs);
  }

  private sweep(id: number, runs: readonly RunId[]): void {
    hostProcesses.killRuns(new Set(runs));
    this.report({ kind: "swept", id });
  }

  private ended(run: RunId, outcome: ChildOutcome): void {
    this.report({ kind: "ended", run, outcome, at: Date.now() });
  }

  private report(message: FromLauncher): void {
    this.unsent.push(`${JSON.stringify(message)}\n`);
    if (!this.starting) this.flush();
  }

  private flush(): void {
    this.flushedAt = performance.now();
    if (this.unsent.length > 0) process.stdout.write(this.unsent.splice(0).join(""));
  }

  private finishWhenQuiet(): void {
    if (this.closing && this.running.size === 0) this.finished();
  }
}

/** Without a listener, SIGUSR1 would open Node's debugger, and the others would end the launcher and its runs. */
const unheeded = [
  ...(["SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGPWR", "SIGXCPU"] as const),
  ...(["SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGSTKFLT"] as const),
];

function main(): void {
  process.title = "cicada launcher";
  for (const signal of unheeded) process.on(signal, () => undefined);
  process.stdout.on("error", () => {
    // The peer is gone. Its input closes, too, and that is handled below.
  });
  const [work = "", pipes = "", scripts = "", exchange = ""] = process.argv.slice(2);
  const launcher = new Launcher({ work, pipes, scripts, exchange }, () => process.stdin.destroy());
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const order = readOrder(line);
    if (order !== undefined) launcher.handle(order);
    else launcher.notice("the launcher received a line that is not an order", line.slice(0, 200));
  });
  lines.on("close", () => launcher.close(orphanGraceMs));
  // One failed callback must not end all other runs.
  process.on("uncaughtException", (error) =>
    launcher.notice("the launcher has had an unhandled failure, and continues", error.stack ?? ""),
  );
}

main();
// Node writes its compile cache only at a normal exit, which a killed launcher doesn't have.
flushCompileCache();
giveBackMemory();
