/**
 * This peer's own limits (`--exec`, `--allow-executor`, `--allow-user`, `--allow-group`), as core knows them: what jobs may need
 * and this peer doesn't allow (core/members/equipment.ts). Core starts nothing here that needs one of these, even if the table
 * asks for it.
 */
import type { Config } from "../../config.ts";
import { isTooFew } from "../../config/descriptors.ts";
import { executors } from "../../schema/job-vocabulary.ts";

/**
 * `ownUser`: who runs the processes of jobs that name no user; undefined if the system has no name for that user. `openFiles`:
 * how many this process may have. With too few it runs no jobs, as with `--exec off`.
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
