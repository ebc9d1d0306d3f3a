/**
 * Whose crontab a file is. It is never guessed: a crontab runs as its owner, so a wrong one would give a user's lines to root. If
 * it can't be told, the file is refused, and a person says it with --user.
 */
import { execFileSync } from "node:child_process";
import { fstatSync, readFileSync, realpathSync, statSync, type Stats } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { CicadaError } from "../../errors.ts";
import { ownerOfProcess } from "../start/host.ts";

export interface Owner {
  user: string;
  /** undefined: not known on this host */
  home: string | undefined;
}

/** The user of a crontab without a user field. `named` is what a person has said. Throws USAGE. */
export function ownerOf(file: string, named: string | undefined): Owner {
  if (named !== undefined) return { user: named, home: userOf(named)?.home };
  const spooled = [resolvedPath(file), resolve(file)].find(isInSpool);
  if (file !== "-" && spooled !== undefined) return ownerInSpool(spooled);
  const self = ownerOfProcess();
  if (self.name === undefined) {
    throw ask("this process runs as a user that has no name on this host");
  }
  const stats = statsOf(file);
  if (stats?.isFile() === true && stats.uid !== process.getuid?.()) {
    throw ask(`${nameOf(file)} belongs to ${nameOfUid(stats.uid)} and not to ${self.name}`);
  }
  return { user: self.name, home: self.home };
}

/** The form of the file, judged by its place; undefined if the place doesn't tell. */
export function formOf(file: string): "system" | "user" | undefined {
  if (file === "-") return undefined;
  const paths = [resolvedPath(file), resolve(file)];
  if (paths.some((path) => /\/etc\/(?:crontab|cron\.d\/[^/]+)$/.test(path))) return "system";
  return paths.some(isInSpool) ? "user" : undefined;
}

/** The folders in which crons keep a crontab for each user: Debian, cronie, SUSE, Alpine and OpenWrt, the BSDs. */
function isInSpool(path: string): boolean {
  return /\/(?:spool\/cron(?:\/crontabs|\/tabs)?|etc\/crontabs|cron\/(?:crontabs|tabs))$/.test(dirname(path));
}

function ownerInSpool(path: string): Owner {
  const user = basename(path);
  const known = userOf(user);
  if (known === undefined) throw ask(`${path} is named after "${user}", and no such user is known here`);
  const uid = statsOf(path)?.uid;
  if (uid !== undefined && uid !== 0 && uid !== known.uid) {
    throw ask(`${path} is named after "${user}", but belongs to ${nameOfUid(uid)}`);
  }
  return { user, home: known.home };
}

function ask(why: string): CicadaError {
  return new CicadaError(
    "USAGE",
    `${why}: name the user that its jobs run as with --user NAME; nothing was created`,
  );
}

function nameOf(file: string): string {
  return file === "-" ? "standard input" : file;
}

/** The name may be a link. */
function resolvedPath(file: string): string {
  try {
    return join(realpathSync(dirname(file)), basename(file));
  } catch {
    return resolve(file);
  }
}

/** Undefined where there is nothing to see; reading the file says what is wrong. */
function statsOf(file: string): Stats | undefined {
  try {
    return file === "-" ? fstatSync(0) : statSync(file);
  } catch {
    return undefined;
  }
}

// ---------------------------------------------------------------------------------------------------------
// The users of this host

interface User {
  name: string;
  uid: number;
  home: string;
}

/** The users of this host and their homes, also those of a directory that lists its users. */
export function homesOfHost(): ReadonlyMap<string, string> {
  return new Map(usersOf().map(({ name, home }) => [name, home] as const));
}

/** A directory may know a user that it doesn't list. */
function userOf(user: string): User | undefined {
  return [...usersOf(), ...usersOf(user)].find(({ name }) => name === user);
}

function nameOfUid(uid: number): string {
  return usersOf(String(uid)).find((one) => one.uid === uid)?.name ?? `the user ${uid}`;
}

function usersOf(...names: readonly string[]): User[] {
  return passwordText(names)
    .split("\n")
    .flatMap((line) => {
      const [name, , uid, , , home] = line.split(":");
      return name === undefined || home === undefined ? [] : [{ name, uid: Number(uid), home }];
    });
}

function passwordText(users: readonly string[]): string {
  try {
    return execFileSync("getent", ["passwd", "--", ...users], {
      encoding: "utf8",
      timeout: directoryLimitMs,
      maxBuffer: directoryLimitBytes,
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    // The user is unknown, the directory doesn't answer, or there is no getent.
    return readOrNothing("/etc/passwd");
  }
}

/** There may be no /etc/passwd. Unknown homes are reported with their lines. */
function readOrNothing(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** How long a directory of users may take, and how much of it is read. */
const directoryLimitMs = 10_000;
const directoryLimitBytes = 16 * 1_048_576;
