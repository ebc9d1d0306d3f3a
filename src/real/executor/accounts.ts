/**
 * The users of this host: those of /etc/passwd and, by `getent`, those that the host takes from elsewhere (LDAP, SSSD,
 * systemd-homed). `id` names all groups of a user, wherever they come from. Hosts without these programs have the files.
 *
 * A directory may be slow or away. The caller waits for it, so it is given little time, and an answer is used for a while. If
 * this host can't tell whether there is such a user (it can't start a program or open a file, or no answer comes), that is thrown.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { isSystemError } from "../folder/files.ts";
import { isHostFault } from "./start-faults.ts";

export interface User {
  name: string;
  uid: number;
  gid: number;
  home: string;
  shell: string;
}

/** How long the launcher may be held up. Less gives up on a busy directory. */
const answerLimitMs = 2_000;
/** How long a change of a user goes unnoticed. Less asks a directory more often. */
const keepMs = 10_000;

/** Runs a program and returns what it writes; undefined if it fails or is not installed. Throws if this host can't run it to its end. */
type Ask = (program: string, ...words: readonly string[]) => string | undefined;

export class Accounts {
  private readonly ask: Ask;
  private readonly now: () => number;
  private readonly kept = new Map<string, { answer: string | undefined; until: number }>();

  constructor(ask: Ask = askHost, now: () => number = () => performance.now()) {
    this.ask = ask;
    this.now = now;
  }

  find(name: string): User | undefined {
    const local = linesOf(readText("/etc/passwd")).find(([found]) => found === name);
    const [found, , uid, gid, , home, shell] =
      local ?? linesOf(this.asked("getent", "passwd", "--", name))[0] ?? [];
    // getent also answers to a number.
    if (found !== name || !isNumber(uid) || !isNumber(gid)) return undefined;
    return { name, uid: Number(uid), gid: Number(gid), home: home || "/", shell: shell || "/bin/sh" };
  }

  groupsOf({ name, gid }: User): number[] {
    const named = this.asked("id", "-G", "--", name)?.trim().split(" ").filter(isNumber);
    return [...new Set([gid, ...(named === undefined ? groupsInFile(name) : named).map(Number)])];
  }

  private asked(...words: readonly [string, ...string[]]): string | undefined {
    const key = words.join(" ");
    const now = this.now();
    for (const [other, { until }] of this.kept) if (until <= now) this.kept.delete(other);
    const known = this.kept.get(key);
    if (known !== undefined) return known.answer;
    const answer = this.ask(...words);
    this.kept.set(key, { answer, until: this.now() + keepMs });
    return answer;
  }
}

function isNumber(text: string | undefined): boolean {
  return text !== undefined && /^\d{1,10}$/.test(text);
}

function groupsInFile(name: string): string[] {
  return linesOf(readText("/etc/group"))
    .filter(([, , gid, members]) => isNumber(gid) && members?.split(",").includes(name) === true)
    .map(([, , gid = ""]) => gid);
}

function askHost(program: string, ...words: readonly string[]): string | undefined {
  try {
    return execFileSync(program, words, {
      encoding: "utf8",
      timeout: answerLimitMs,
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch (error) {
    if (isHostFault(error)) throw error;
    if (isSystemError(error) && error.code === "ETIMEDOUT")
      throw new Error(`${program} did not answer within ${answerLimitMs / 1_000} s`, { cause: error });
    return undefined;
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (isHostFault(error)) throw error;
    return undefined;
  }
}

function linesOf(text = ""): string[][] {
  return text.split("\n").map((line) => line.split(":"));
}
