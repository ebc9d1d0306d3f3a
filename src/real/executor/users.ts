/**
 * Who a job runs as: a user of this host by name, with the groups that the user is in (/etc/passwd, /etc/group).
 *
 * Node can change a child's user but leaves it without its further groups; setpriv (util-linux) sets all of them
 * just before the program. Only root may run jobs as someone else.
 */
import { existsSync, readFileSync } from "node:fs";
import { homedir, userInfo } from "node:os";

export interface User {
  name: string;
  uid: number;
  gid: number;
  home: string;
  shell: string;
}

/** A reason in plain words, instead of what was asked for. */
export interface Refusal {
  reason: string;
}

/** How to start a program as a user. */
export interface As {
  user: User;
  /** goes before the program and its arguments */
  prefix: readonly string[];
}

const setprivPaths = ["/usr/bin/setpriv", "/bin/setpriv"];

export function becoming(name: string): As | Refusal {
  const user = findUser(name);
  if (user === undefined) return { reason: `there is no user ${name} on this host` };
  const self = process.getuid?.();
  if (self === user.uid) return { user, prefix: [] };
  if (self !== 0) {
    return { reason: `this peer runs as ${userInfo().username} and only root can run jobs as ${name}` };
  }
  const setpriv = setprivPaths.find((path) => existsSync(path));
  if (setpriv === undefined) return { reason: `running as ${name} needs setpriv (package util-linux)` };
  const groups = groupsOf(user).join(",");
  const prefix = [
    setpriv,
    "--reuid",
    String(user.uid),
    "--regid",
    String(user.gid),
    "--groups",
    groups,
    "--",
  ];
  return { user, prefix };
}

/**
 * The child's environment. What stands there of the peer's own user gives way to the job's user; what the job's
 * own `env` says differently stays.
 */
export function environmentOf(
  env: Readonly<Record<string, string>>,
  user: User | undefined,
): Record<string, string> {
  if (user === undefined) return { ...env };
  const own = { HOME: user.home, USER: user.name, LOGNAME: user.name, SHELL: user.shell };
  const self = userInfo();
  const host: Record<string, string | null> = {
    HOME: homedir(),
    USER: self.username,
    LOGNAME: self.username,
    SHELL: self.shell,
  };
  const asked = Object.entries(env).filter(
    ([key, value]) => !(key in own) || (value !== host[key] && value !== process.env[key]),
  );
  return { ...own, ...Object.fromEntries(asked) };
}

function findUser(name: string): User | undefined {
  for (const [found, , uid, gid, , home, shell] of linesOf("/etc/passwd")) {
    if (found !== name || uid === undefined || gid === undefined) continue;
    return { name, uid: Number(uid), gid: Number(gid), home: home || "/", shell: shell || "/bin/sh" };
  }
  return undefined;
}

function groupsOf(user: User): number[] {
  const groups = new Set([user.gid]);
  for (const [, , gid, members] of linesOf("/etc/group")) {
    if (gid !== undefined && members?.split(",").includes(user.name) === true) groups.add(Number(gid));
  }
  return [...groups];
}

function linesOf(file: string): string[][] {
  try {
    return readFileSync(file, "utf8")
      .split("\n")
      .map((line) => line.split(":"));
  } catch {
    return [];
  }
}
