/**
 * Finds processes in /proc: those of a process group, and those of a run, which carry its id in their environment.
 * Where there is no /proc, none is found; process groups can still be signalled.
 */
import { readdirSync, readFileSync } from "node:fs";
import type { RunId } from "../../schema/ids.ts";

/** Signals a whole process group; false when nothing of it is left (or it may not be signalled). */
export function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
}

/** True while a process of the group still runs. One that is dead but not yet collected does not count. */
export function groupRuns(group: number): boolean {
  if (!signalGroup(group, 0)) return false;
  const pids = processIds();
  if (pids.length === 0) return true;
  return pids.some((pid) => {
    const stat = readProc(pid, "stat");
    // pid (name) state parent group …; the name may hold anything, so the fields are counted from its end.
    const [state, , processGroup] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(processGroup) === group && state !== "Z" && state !== "X";
  });
}

/** A process that forks while it is being looked for can escape one look; this many looks are taken at most. */
const looks = 10;

/** Kills every process that carries one of these run ids. */
export function killRuns(runs: ReadonlySet<RunId>): void {
  if (runs.size === 0) return;
  for (let look = 0; look < looks; look++) {
    const found = processIds().filter((pid) => pid !== process.pid && carriesOneOf(pid, runs));
    const killed = found.filter((pid) => kill(pid));
    if (killed.length === 0) return;
  }
}

const runVariable = "CICADA_RUN=";

function carriesOneOf(pid: number, runs: ReadonlySet<string>): boolean {
  const environment = readProc(pid, "environ");
  if (!environment.includes(runVariable)) return false;
  return environment
    .split("\0")
    .some((entry) => entry.startsWith(runVariable) && runs.has(entry.slice(runVariable.length)));
}

function kill(pid: number): boolean {
  try {
    process.kill(pid, "SIGKILL");
    return true;
  } catch {
    return false;
  }
}

function processIds(): number[] {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

/** Empty when the process is gone, or is not ours to read. */
function readProc(pid: number, what: "stat" | "environ"): string {
  try {
    return readFileSync(`/proc/${pid}/${what}`, "latin1");
  } catch {
    return "";
  }
}
