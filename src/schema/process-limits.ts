/** The text of `/proc/PID/limits`: what a process may use of its host. The soft limit counts; it may be raised up to the hard one. */

export type ProcessLimit = "Max open files" | "Max processes";

/** Infinity: without a limit. Undefined: the text doesn't say. */
export function limitIn(
  text: string,
  name: ProcessLimit,
  which: "soft" | "hard" = "soft",
): number | undefined {
  const [, soft, hard] = new RegExp(`^${name} +(\\S+) +(\\S+)`, "m").exec(text) ?? [];
  const limit = which === "soft" ? soft : hard;
  if (limit === "unlimited") return Infinity;
  return limit === undefined || !/^\d+$/.test(limit) ? undefined : Number(limit);
}
