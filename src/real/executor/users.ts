/**
 * Decides who a job runs as: a user of this host by name (accounts.ts), with the user's groups, environment, and folder
 * to start in.
 *
 * Node can change a child's user, but then the child lacks the user's further groups. setpriv (util-linux) sets all of
 * them just before the program. Only root may run jobs as another user.
 */
import { chownSync, existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Accounts, AccountsLater, type User } from "./accounts.ts";

/** A reason why a job can't run as a user. */
export interface Refusal {
  reason: string;
}

/** How to start a program as a user. */
export interface As {
  user: User;
  /** goes before the program and its arguments; empty for the peer's own user */
  prefix: readonly string[];
}

const accounts = new Accounts();
const accountsLater = new AccountsLater();
const setprivPaths = ["/usr/bin/setpriv", "/bin/setpriv"];

export function runAsUser(name: string): As | Refusal {
  const user = accounts.find(name);
  if (user === undefined) return { reason: `there is no user ${name} on this host` };
  const way = wayTo(user);
  if ("reason" in way || way.setpriv === undefined) return "reason" in way ? way : { user, prefix: [] };
  const ids = ["--reuid", String(user.uid), "--regid", String(user.gid)];
  return { user, prefix: [way.setpriv, ...ids, "--groups", accounts.groupsOf(user).join(","), "--"] };
}

/** Calls `found` once for each of the users: whether `runAsUser` would refuse it. Undefined if this host can't tell. Never rejects. */
export async function lookUpUsers(
  names: readonly string[],
  found: (name: string, isMissing: boolean | undefined) => void,
): Promise<void> {
  await accountsLater.find(names, (name, user) =>
    found(name, user === "unknown" ? undefined : user === undefined || "reason" in wayTo(user)),
  );
}

/** How this process becomes the user; no `setpriv` = it is that user. */
function wayTo({ name, uid }: User): { setpriv?: string } | Refusal {
  const self = process.getuid?.();
  if (self === uid) return {};
  if (self !== 0) return { reason: `this peer runs as user ${self}, and only root can run jobs as ${name}` };
  const setpriv = setprivPaths.find((path) => existsSync(path));
  return setpriv === undefined
    ? { reason: `running as ${name} needs setpriv (package util-linux)` }
    : { setpriv };
}

/** A child's environment. The job's user overrides the peer's own user, and the job's variables override both. */
export function environmentOf(
  host: Readonly<Record<string, string>>,
  asked: Readonly<Record<string, string>>,
  user: User | undefined,
): Record<string, string> {
  const own =
    user === undefined ? {} : { HOME: user.home, USER: user.name, LOGNAME: user.name, SHELL: user.shell };
  return { ...host, ...own, ...asked };
}

/**
 * Where a job starts that names no folder. Other users may not enter the data folder, so a job of another user starts
 * in that user's home or, if the user has none, in the user's own folder, which is made below `work`.
 */
export function workFolderOf(as: As | undefined, work: string): string {
  if (as === undefined || as.prefix.length === 0) return work;
  const { name, uid, gid, home } = as.user;
  if (isFolderOf(home, uid)) return home;
  const own = join(work, name);
  mkdirSync(own, { recursive: true, mode: 0o700 });
  chownSync(own, uid, gid);
  return own;
}

function isFolderOf(path: string, uid: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && found.isDirectory() && found.uid === uid;
}
