/**
 * Tells systemd how the peer is, if the unit asks for it (Type=notify, WatchdogSec): that it is ready, that it stops, and
 * regularly that it is alive. The watchdog's message comes from the peer's own event loop, so a peer that hangs doesn't send it.
 *
 * Node has no sockets of the kind that systemd listens on, so systemd-notify sends the messages. When root starts it, it
 * sends them as its parent process, the peer. Otherwise the unit has to allow others (NotifyAccess=all).
 */
import { spawn } from "node:child_process";
import type { Log } from "../../ports.ts";

export interface Supervisor {
  ready(): void;
  stopping(): void;
  /** Sends no further messages. */
  [Symbol.dispose](): void;
}

/** Two messages may be lost or late before systemd takes the peer for hung. */
const wordsPerLimit = 3;

/** Takes the variables out of `env`, so that nothing that this process starts takes itself for the service. */
export function supervisorOf(env: NodeJS.ProcessEnv, pid: number, log: Log): Supervisor {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: limit, WATCHDOG_PID: watched, PATH } = env;
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete env[name];
  if (socket === undefined || socket === "") {
    return { ready: () => undefined, stopping: () => undefined, [Symbol.dispose]: () => undefined };
  }
  let warned = false;
  const warn = (reason: string): void => {
    if (!warned) log.warn("systemd can't be told the state of this peer", { reason });
    warned = true;
  };
  const notify = (...words: readonly string[]): void => {
    const helper = spawn("systemd-notify", words, { env: { PATH, NOTIFY_SOCKET: socket }, stdio: "ignore" });
    helper.on("error", ({ message }) => warn(message));
    helper.on("exit", (code) => code !== 0 && warn(`systemd-notify ended with ${code ?? "a signal"}`));
    helper.unref();
  };
  const isWatched = watched === undefined || watched === String(pid);
  const limitMs = isWatched ? Number(limit ?? 0) / 1_000 : 0;
  const watchdog = limitMs > 0 ? setInterval(() => notify("WATCHDOG=1"), limitMs / wordsPerLimit) : undefined;
  watchdog?.unref();
  return {
    ready: () => notify("READY=1", "STATUS=ready"),
    stopping: () => notify("STOPPING=1", "STATUS=its runs are given time to end"),
    [Symbol.dispose]: () => clearInterval(watchdog),
  };
}
