/**
 * One life of the launcher process (launcher.ts), seen from the peer: starts it, writes orders to it and reads its
 * reports. Its end is reported once: after the last line of a launcher that has died, or when a launcher has been
 * silent for too long.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Log } from "../../ports.ts";
import { readReport, type FromLauncher, type ToLauncher } from "./protocol.ts";

/**
 * How often the launcher is pinged, and after what silence it is given up. It starts one run per turn, so it answers
 * within milliseconds even in a burst. Less mistakes a busy host for a frozen launcher; more leaves runs waiting in a
 * frozen one.
 */
const pingEveryMs = 1_000;
const silentMs = 5_000;
/** The same limit until its first line, because it has to start. */
const startMs = 20_000;

/** The variables of the peer's environment that the launcher itself needs. Jobs get theirs from core. */
const launcherVariables = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"] as const;

export interface LinkEvents {
  report(message: FromLauncher): void;
  /** Called once. `wasUp`: the launcher may have taken orders. */
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

  constructor(
    places: { work: string; pipes: string; scripts: string; exchange: string },
    log: Log,
    events: LinkEvents,
  ) {
    const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const program = fileURLToPath(new URL(`./launcher.${ending}`, import.meta.url));
    const env = Object.fromEntries(launcherVariables.map((name) => [name, process.env[name]]));
    // Node appends a folder for its own version to the one that it is given, so the parent is passed on.
    const compiled = getCompileCacheDir();
    if (compiled !== undefined) env["NODE_COMPILE_CACHE"] = dirname(compiled);
    const { work, pipes, scripts, exchange } = places;
    const launcher = spawn(process.execPath, ["--expose-gc", program, work, pipes, scripts, exchange], {
      // The launcher has a session of its own, because Ctrl-C on the peer's terminal must not end runs before the drain.
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
      if (message === undefined) log.error("the launcher wrote a line that is not a report", { line });
      else events.report(message);
    });
    // The process's exit is not used, because lines may still be on their way then.
    lines.on("close", () => this.end(true));
  }

  send(order: ToLauncher): void {
    this.process.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  private check(): void {
    const now = performance.now();
    // This process was held up itself, so lines that the launcher has written may not have been read yet.
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
