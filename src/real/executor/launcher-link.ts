/**
 * One life of the launcher process (launcher.ts), seen from the peer: starts it, writes orders to it, reads its reports.
 * It reports the end once, after the last line that the launcher wrote.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Log } from "../../ports.ts";
import { readReport, type FromLauncher, type ToLauncher } from "./protocol.ts";

/** What the launcher itself needs of the peer's environment. Jobs get theirs from core. */
const launcherVariables = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"] as const;

export interface LinkEvents {
  report(message: FromLauncher): void;
  ended(): void;
}

export class LauncherLink {
  private readonly process: ChildProcess;

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
    let ended = false;
    const end = () => {
      if (!ended) events.ended();
      ended = true;
    };
    launcher.on("error", (error) => {
      log.error("the launcher can't be started", { reason: error.message });
      end();
    });
    launcher.stdin.on("error", () => {
      // The end of the launcher is reported below.
    });
    const lines = createInterface({ input: launcher.stdout });
    lines.on("line", (line) => {
      const message = readReport(line);
      if (message === undefined) log.error("the launcher wrote a line that is no report", { line });
      else events.report(message);
    });
    // Not on the process's exit: lines may still be on their way then.
    lines.on("close", end);
  }

  send(order: ToLauncher): void {
    this.process.stdin?.write(`${JSON.stringify(order)}\n`);
  }
}
