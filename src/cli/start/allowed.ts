/**
 * This peer's own limits (`--exec`, `--allow-executor`, `--allow-user`, `--allow-group`), as core knows them: what jobs may need
 * and this peer doesn't allow (core/members/equipment.ts). Whatever the table says, core starts nothing here that needs it.
 */
import type { Config } from "../../config.ts";
import { executors } from "../../schema/job.ts";

/** `ownUser`: whose processes run where a job names no user; undefined if the system has no name for it. */
export function notAllowed(
  {
    exec,
    allowExecutors,
    allowUsers,
    allowGroups,
  }: Pick<Config, "exec" | "allowExecutors" | "allowUsers" | "allowGroups">,
  ownUser: string | undefined,
): string[] {
  const refused =
    exec === "off" ? executors : executors.filter((executor) => !allowExecutors.includes(executor));
  return [
    ...refused.map((executor) => `executor:${executor}`),
    ...exceptFor(
      "user",
      allowUsers?.flatMap((user) => (user === ownUser ? ["", user] : [user])),
    ),
    ...exceptFor("group", allowGroups),
  ];
}

function exceptFor(kind: string, allowed: readonly string[] | undefined): string[] {
  return allowed === undefined ? [] : [`${kind}:*`, ...allowed.map((name) => `${kind}:+${name}`)];
}
