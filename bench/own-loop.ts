/**
 * Measures for how long a peer's own work holds its loop, in CPU time of its main thread. `npm run bench:doors` loads this file
 * into its peers (`--import`). Unlike a silence, this time doesn't depend on other programs that compete for the cores, such as
 * the flood itself.
 */
import { appendFileSync, readFileSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

const variable = "BENCH_LOOP_FILE";
const everyMs = 20;
const reportEveryMs = 500;

/** The environment of a peer that reports to the file. */
export function measuredEnv(file: string): NodeJS.ProcessEnv {
  return { NODE_OPTIONS: `--import=${import.meta.url}`, [variable]: file };
}

/** The longest hold that these processes reported to the file between two instants (wall clock), ms. */
export function longestHold(file: string, pids: readonly number[], from: number, to: number): number {
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  const reports = lines.map((line) => line.split(" ").map(Number));
  const meant = reports.filter(
    ([at = 0, , pid = 0]) => pids.includes(pid) && at >= from && at <= to + reportEveryMs,
  );
  return Math.max(0, ...meant.map(([, ms = 0]) => ms));
}

/** A timer rings only when the loop is free, so the thread's CPU time between two rings was spent almost without a break. */
function measure(file: string): void {
  let before = process.threadCpuUsage();
  let longestMs = 0;
  setInterval(() => {
    const { user, system } = process.threadCpuUsage(before);
    before = process.threadCpuUsage();
    longestMs = Math.max(longestMs, (user + system) / 1_000);
  }, everyMs).unref();
  setInterval(() => {
    appendFileSync(file, `${Date.now()} ${longestMs.toFixed(1)} ${process.pid}\n`);
    longestMs = 0;
  }, reportEveryMs).unref();
}

const file = process.env[variable];
if (isMainThread && file !== undefined) measure(file);
