/**
 * One life of the launcher process (launcher.ts), seen from the peer: starts it, writes orders to it, reads its reports.
 * It reports the end once: after the last line of a launcher that has died, or when one is silent for too long.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Log } from "../../ports.ts";
import { readReport, type FromLauncher, type ToLauncher } from "./protocol.ts";

/**
 * The launcher is asked for a sign of life this often, and given up when it has written nothing for so long. It starts one
 * run a turn, so it answers within milliseconds in a burst too. Less mistakes a busy host for a frozen launcher; more leaves
 * runs waiting in one.
 */
const pingEveryMs = 1_000;
const silentMs = 5_000;
/** Until its first line: it has to start. */
const startMs = 20_000;

/** What the launcher itself needs of the peer's environment. Jobs get theirs from core. */
const launcherVariables = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"] as const;

export interface LinkEvents {
  report(message: FromLauncher): void;
  /** Once. `wasUp`: it may have taken orders. */
  ended(wasUp: boolean): void;
}

export class LauncherLink {
  private readonly process: ChildProcess;
  private readonly log: Log;
  private readonly events: LinkEvents;
  private readonly watch: NodeJS.Timeout;
  private ended = false;
  private limitMs = startMs;
  private heardAt = performance.now();
  private checkedAt = performance.now();

  constructor(places: { work: string; pipes: string }, log: Log, events: LinkEvents) {
    const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const program = fileURLToPath(new URL(`./launcher.${ending}`, import.meta.url));
    const env = Object.fromEntries(launcherVariables.map((name) => [name, process.env[name]]));
    // Node appends a folder for its own version to the one that it is given, so the parent is passed on.
    const compiled = getCompileCacheDir();
    if (compiled !== undefined) env["NODE_COMPILE_CACHE"] = dirname(compiled);
    const launcher = spawn(process.execPath, [program, places.work, places.pipes], {
      // A session of its own: Ctrl-C on the peer's terminal must not end runs before the drain.
      detached: true,
      env,
      cwd: places.work,
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.process = launcher;
    this.log = log;
    this.events = events;
    this.watch = setInterval(() => this.check(), pingEveryMs);
    launcher.on("error", (error) => {
      log.error("the launcher can't be started", { reason: error.message });
      this.end(false);
    });
    launcher.stdin.on("error", () => {
      // The end of the launcher is reported below.
    });
    const lines = createInterface({ input: launcher.stdout });
    lines.on("line", (line) => {
      if (this.ended) return;
      this.limitMs = silentMs;
      this.heardAt = performance.now();
      const message = readReport(line);
      if (message === undefined) log.error("the launcher wrote a line that is no report", { line });
      else events.report(message);
    });
    // Not on the process's exit: lines may still be on their way then.
    lines.on("close", () => this.end(true));
  }

  send(order: ToLauncher): void {
    this.process.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  private check(): void {
    const now = performance.now();
    // This process was held up itself: what the launcher has written meanwhile may not have been read so far.
    if (now - this.checkedAt > 2 * pingEveryMs) this.heardAt = now;
    this.checkedAt = now;
    if (now - this.heardAt <= this.limitMs) return this.send({ kind: "ping" });
    this.log.error("the launcher does not answer and is killed", {
      silentMs: Math.round(now - this.heardAt),
    });
    this.process.kill("SIGKILL");
    this.end(true);
  }

  private end(wasUp: boolean): void {
    clearInterval(this.watch);
    if (this.ended) return;
    this.ended = true;
    this.events.ended(wasUp);
  }
}
