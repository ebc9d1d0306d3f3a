/** How many files and processes this process may have. */
import { readFileSync } from "node:fs";
import { limitIn, type ProcessLimit } from "../schema/process-limits.ts";

/** Undefined: this host doesn't say. */
export function ownLimit(name: ProcessLimit, which: "soft" | "hard" = "soft"): number | undefined {
  try {
    return limitIn(readFileSync("/proc/self/limits", "utf8"), name, which);
  } catch {
    // There is no /proc.
    return undefined;
  }
}
