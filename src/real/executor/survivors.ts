/**
 * Finds and ends processes: those of a process group, and those of a run, which have its id in their environment.
 *
 * Whether a group still runs is first checked by a signal, and then in /proc, because a signal also reaches processes
 * that are dead and not yet reaped. Reading all of /proc takes milliseconds, so all groups that are being ended share
 * one check. Without /proc, a group counts as running as long as a signal reaches it, and no process is found by its
 * run.
 */
import { readdirSync, readFileSync } from "node:fs";
import type { Cancel, Clock } from "../../ports.ts";
import type { RunId } from "../../schema/ids.ts";
import { isSystemError } from "../folder/files.ts";

/** How often groups that are being ended are checked. */
const checkEveryMs = 50;

/** `gone`: no process of the group is left; `forbidden`: some are, and this process may signal none of them. */
export type Signalled = "sent" | "gone" | "forbidden";

/** What the sweeper asks of the host. */
export interface ProcessList {
  signal(group: number, signal: NodeJS.Signals | 0): Signalled;
  /** How many processes run in each group that has any; undefined when the host does not say. */
  livingGroups(): ReadonlyMap<number, number> | undefined;
  /** Kills every process that carries one of these run ids. */
  killRuns(runs: ReadonlySet<RunId>): void;
}

export class Sweeper {
  private readonly clock: Clock;
  private readonly list: ProcessList;
  private readonly watched = new Map<number, () => void>();
  private asked: { group: number; answer: (running: number) => void }[] = [];
  private killed: { run: RunId; done: () => void }[] = [];
  private answering = false;
  private isCheckPlanned = false;

  constructor(clock: Clock, list: ProcessList = hostProcesses) {
    this.clock = clock;
    this.list = list;
  }

  signal(group: number, signal: NodeJS.Signals | 0): Signalled {
    return this.list.signal(group, signal);
  }

  /**
   * Answers soon how many processes of the group still run; at least 1 if some do and can't be counted. Questions of one turn share
   * a check.
   */
  ask(group: number, answer: (running: number) => void): void {
    this.asked.push({ group, answer });
    this.answerSoon();
  }

  /** Kills all processes of a run, in whatever group they are, and calls `done` soon. */
  killRun(run: RunId, done: () => void): void {
    this.killed.push({ run, done });
    this.answerSoon();
  }

  /** Calls `gone` once, when no process of the group runs any more. */
  watch(group: number, gone: () => void): Cancel {
    this.watched.set(group, gone);
    this.checkLater();
    return () => this.watched.delete(group);
  }

  private answerSoon(): void {
    if (this.answering) return;
    this.answering = true;
    setImmediate(() => this.answer());
  }

  private answer(): void {
    this.answering = false;
    const killed = this.killed.splice(0);
    if (killed.length > 0) this.list.killRuns(new Set(killed.map(({ run }) => run)));
    const asked = this.asked.splice(0);
    const running = this.runningOf(asked.map(({ group }) => group));
    for (const { done } of killed) done();
    for (const { group, answer } of asked) answer(running.get(group) ?? 0);
  }

  private checkLater(): void {
    if (this.isCheckPlanned) return;
    this.isCheckPlanned = true;
    this.clock.alarm(this.clock.now().mono + checkEveryMs, () => this.check());
  }

  private check(): void {
    this.isCheckPlanned = false;
    const running = this.runningOf([...this.watched.keys()]);
    for (const [group, gone] of this.watched) {
      if (running.has(group)) continue;
      this.watched.delete(group);
      gone();
    }
    if (this.watched.size > 0) this.checkLater();
  }

  private runningOf(groups: readonly number[]): ReadonlyMap<number, number> {
    const left = groups
      .map((group) => ({ group, signalled: this.list.signal(group, 0) }))
      .filter(({ signalled }) => signalled !== "gone");
    if (left.length === 0) return new Map();
    const living = this.list.livingGroups();
    // /proc may hide processes of other users, so a group that may not be signalled counts as running.
    const running = left.filter(
      ({ group, signalled }) => living === undefined || living.has(group) || signalled === "forbidden",
    );
    return new Map(running.map(({ group }) => [group, living?.get(group) ?? 1]));
  }
}

/** A process that forks during a search can escape it. So there are several searches, but at most this many. */
const killSearchesMax = 10;
const runVariable = "CICADA_RUN=";

export const hostProcesses: ProcessList = {
  signal(group, signal) {
    return send(-group, signal);
  },

  livingGroups() {
    const pids = processIds();
    if (pids === undefined) return undefined;
    const groups = new Map<number, number>();
    for (const pid of pids) {
      const stat = readProc(pid, "stat");
      // pid (name) state parent group …; the name may contain anything, so the fields are counted from its end.
      const [state, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (state !== "Z" && state !== "X") groups.set(Number(group), (groups.get(Number(group)) ?? 0) + 1);
    }
    return groups;
  },

  killRuns(runs) {
    for (let search = 0; search < killSearchesMax; search++) {
      const found = (processIds() ?? []).filter((pid) => pid !== process.pid && carriesOneOf(pid, runs));
      const killed = found.filter((pid) => send(pid, "SIGKILL") === "sent");
      if (killed.length === 0) return;
    }
  },
};

function send(pid: number, signal: NodeJS.Signals | 0): Signalled {
  try {
    process.kill(pid, signal);
    return "sent";
  } catch (error) {
    return isSystemError(error) && error.code === "EPERM" ? "forbidden" : "gone";
  }
}

function carriesOneOf(pid: number, runs: ReadonlySet<string>): boolean {
  const environment = readProc(pid, "environ");
  if (!environment.includes(runVariable)) return false;
  return environment
    .split("\0")
    .some((entry) => entry.startsWith(runVariable) && runs.has(entry.slice(runVariable.length)));
}

/** Undefined when there is no /proc. */
function processIds(): number[] | undefined {
  try {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return pids.length === 0 ? undefined : pids.map(Number);
  } catch {
    return undefined;
  }
}

/** Empty if the process is gone, or if this user may not read the file. */
function readProc(pid: number, what: "stat" | "environ"): string {
  try {
    return readFileSync(`/proc/${pid}/${what}`, "latin1");
  } catch {
    return "";
  }
}
