/**
 * The users of this host: those of /etc/passwd and, by `getent`, those that the host takes from elsewhere (LDAP, SSSD,
 * systemd-homed). `id` names all groups of a user, wherever they come from. Hosts without these programs have the files.
 *
 * A directory may be slow or away. The launcher waits for it, so it is given little time, and an answer is used for a while. The
 * peer doesn't wait: it asks about many users, few at a time, and gives up on the rest when that takes too long. If this host
 * can't tell whether there is such a user (it can't start a program or open a file, or no answer comes), that is thrown.
 */
import { execFile, execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { isHostFault } from "./start-faults.ts";

export interface User {
  name: string;
  uid: number;
  gid: number;
  home: string;
  shell: string;
}

/** How long an answer may take, which holds up the launcher. Less gives up on a busy directory. */
const answerLimitMs = 2_000;
/** How long a change of a user goes unnoticed. Less asks a directory more often. */
const keepMs = 10_000;
/** How many users the peer asks about at once. Each is a process; fewer make a slow directory slower. */
const askedAtOnce = 4;
/**
 * How long the peer's questions about many users may take. The remaining users are then reported as unknown. Less gives up on a
 * slow directory.
 */
const askingLimitMs = 30_000;

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
    return userIn(passwordFile(), name) ?? userIn(this.asked("getent", "passwd", "--", name), name);
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

/** Runs a program like `Ask`, without waiting for it. */
type AskLater = (program: string, ...words: readonly string[]) => Promise<string | undefined>;

/** The same look-up for a caller that goes on meanwhile. */
export class AccountsLater {
  private readonly ask: AskLater;
  private readonly now: () => number;
  private free = askedAtOnce;
  private readonly waiting: (() => void)[] = [];

  constructor(ask: AskLater = askHostLater, now: () => number = () => performance.now()) {
    this.ask = ask;
    this.now = now;
  }

  /**
   * Calls `found` for each of the names, as soon as it is answered: with the user, with undefined if there is none, with "unknown"
   * if the host can't tell.
   */
  async find(
    names: readonly string[],
    found: (name: string, user: User | "unknown" | undefined) => void,
  ): Promise<void> {
    let local: string | undefined;
    try {
      local = passwordFile();
    } catch {
      for (const name of names) found(name, "unknown");
      return;
    }
    const users = new Map(
      linesOf(local)
        .toReversed()
        .map((line) => [line[0], line]),
    );
    const giveUpAt = this.now() + askingLimitMs;
    const asked = names.map(async (name) => {
      const user = userOf(users.get(name), name);
      found(name, user ?? (await this.inTurn(() => this.askFor(name, giveUpAt))));
    });
    await Promise.all(asked);
  }

  private async askFor(name: string, giveUpAt: number): Promise<User | "unknown" | undefined> {
    if (this.now() >= giveUpAt) return "unknown";
    try {
      return userIn(await this.ask("getent", "passwd", "--", name), name);
    } catch {
      return "unknown";
    }
  }

  private async inTurn<Value>(act: () => Promise<Value>): Promise<Value> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((begin) => this.waiting.push(begin));
    try {
      return await act();
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.free++;
      else next();
    }
  }
}

function passwordFile(): string | undefined {
  return readText("/etc/passwd");
}

/** getent also answers to a number, with the line of another name. */
function userIn(text: string | undefined, name: string): User | undefined {
  return userOf(
    linesOf(text).find(([found]) => found === name),
    name,
  );
}

function userOf(line: readonly string[] = [], name: string): User | undefined {
  const [, , uid, gid, , home, shell] = line;
  if (!isNumber(uid) || !isNumber(gid)) return undefined;
  return { name, uid: Number(uid), gid: Number(gid), home: home || "/", shell: shell || "/bin/sh" };
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
    throwIfUndecided(error, program);
    return undefined;
  }
}

function askHostLater(program: string, ...words: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    execFile(program, words, { timeout: answerLimitMs }, (error, text) => {
      try {
        if (error !== null) throwIfUndecided(error, program);
        resolve(error === null ? text : undefined);
      } catch (undecided) {
        reject(undecided);
      }
    });
  });
}

/** A program that has ended by itself has answered, also if it failed. One that was killed has not. */
function throwIfUndecided(error: unknown, program: string): void {
  if (isHostFault(error)) throw error;
  if (!(error instanceof Error)) return;
  const { signal } = error as { signal?: unknown };
  if (typeof signal !== "string") return;
  const limit = `${answerLimitMs / 1_000} s`;
  throw new Error(`${program} did not answer within ${limit}, or was killed`, { cause: error });
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
