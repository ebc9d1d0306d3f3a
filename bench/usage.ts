/**
 * Reads the CPU time and memory of a peer from /proc: those of its own process with all threads, and those of its launcher.
 * What the jobs themselves use is not counted.
 */
import { readdirSync, readFileSync } from "node:fs";

export interface Usage {
  cpuMs: number;
  rssBytes: number;
}

export function usageOf(pid: number): Usage {
  // The launcher is the peer's only child; the jobs are the launcher's.
  const pids = [pid, ...childrenOf(pid)];
  return {
    cpuMs: pids.reduce((sum, one) => sum + cpuMsOf(one), 0),
    rssBytes: pids.reduce((sum, one) => sum + rssBytesOf(one), 0),
  };
}

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
}

/** The kernel counts in steps of 10 ms (USER_HZ is 100 on every Linux on which Node runs). */
const kernelStepMs = 10;

function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The process's name, in parentheses, may contain spaces; user and system time are the 12th and 13th fields after it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * kernelStepMs;
}

function rssBytesOf(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match?.[1] ?? 0) * 1_024;
}

/** The proportional share (PSS) of a process and of its children; a peer's only child is its launcher. Unit: bytes. */
export function pssOf(pid: number): { own: number; children: number } {
  return { own: pssBytesOf(pid), children: childrenOf(pid).reduce((sum, one) => sum + pssBytesOf(one), 0) };
}

function pssBytesOf(pid: number): number {
  const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
  return Number(match?.[1] ?? 0) * 1_024;
}
