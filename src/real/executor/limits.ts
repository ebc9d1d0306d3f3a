/**
 * Limits of a run's processes, set just before its program starts, by nice (coreutils) and prlimit (util-linux). A host that
 * can't enforce a limit says so, and jobs that ask for it run elsewhere. They are limits of each process, except `processes`,
 * which the kernel counts for the whole user and doesn't apply to root.
 */
import { existsSync } from "node:fs";
import type { ProcessLimits } from "../../ports.ts";
import { ownLimit } from "../process-limits.ts";

const prlimitPaths = ["/usr/bin/prlimit", "/bin/prlimit"];
const nicePaths = ["/usr/bin/nice", "/bin/nice"];

function found(paths: readonly string[]): string | undefined {
  return paths.find((path) => existsSync(path));
}

/** What this host can't enforce, as jobs name what they need (core/checks/limits.ts). */
export function limitsLacking(): string[] {
  const isRoot = process.getuid?.() === 0;
  const prlimit =
    found(prlimitPaths) === undefined ? ["limits:memory", "limits:openFiles", "limits:processes"] : [];
  const nice = found(nicePaths) === undefined ? ["limits:nice"] : [];
  return [...prlimit, ...nice, ...(isRoot ? ["limits:processes-of-own-user"] : ["limits:nice-below-0"])];
}

/** What goes before the program and its arguments, and before what changes the user, because only root may raise a limit. */
export function limitPrefix({ nice, memoryBytes, openFiles, processes }: ProcessLimits): string[] {
  const limits = [
    ...(memoryBytes === undefined ? [] : [`--as=${memoryBytes}`]),
    ...(openFiles === undefined ? [] : [`--nofile=${openFiles}`]),
    ...(processes === undefined ? [] : [`--nproc=${processes}`]),
  ];
  return [
    ...(nice === undefined ? [] : [found(nicePaths) ?? "nice", "-n", String(nice)]),
    ...(limits.length === 0 ? [] : [found(prlimitPaths) ?? "prlimit", ...limits, "--"]),
  ];
}

/** Why the limits can't be set here; undefined = they can. Only root may go beyond the host's own. */
export function limitRefusal({ openFiles }: ProcessLimits): string | undefined {
  if (openFiles === undefined || process.getuid?.() === 0) return undefined;
  const hard = ownLimit("Max open files", "hard");
  if (hard === undefined || openFiles <= hard) return undefined;
  return `limits.openFiles is ${openFiles}, and this host allows ${hard} at most`;
}
