/**
 * This peer's own limits (`--exec`, `--allow-executor`, `--allow-user`, `--allow-group`), as core knows them: what jobs may need
 * and this peer doesn't allow (core/members/equipment.ts). Whatever the table says, core starts nothing here that needs it.
 */
import type { Config } from "../../config.ts";
import { isTooFew } from "../../config/descriptors.ts";
import { executors } from "../../schema/job-vocabulary.ts";

/**
 * `ownUser`: whose processes run where a job names no user; undefined if the system has no name for it. `openFiles`: how many
 * this process may have. With too few it runs no jobs, as with `--exec off`.
 */
export function notAllowed(
  {
    exec,
    allowExecutors,
    allowUsers,
    allowGroups,
  }: Pick<Config, "exec" | "allowExecutors" | "allowUsers" | "allowGroups">,
  ownUser: string | undefined,
  openFiles: number,
): string[] {
  const reasons = [
    ...(exec === "off" ? ["exec:off"] : []),
    ...(isTooFew(openFiles) ? [`open-files:${openFiles}`] : []),
  ];
  const refused =
    reasons.length > 0 ? executors : executors.filter((executor) => !allowExecutors.includes(executor));
  return [
    ...reasons,
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
