/** What the limit of open files of this process means for the peer: config/descriptors.ts has the figures. */
import { readFileSync } from "node:fs";
import type { NotReady } from "../../ports/control.ts";
import { describeFew, isTooFew, limitIn } from "../../config/descriptors.ts";

/** The limit of this process; Infinity where the host doesn't say. */
export function ownDescriptorLimit(): number {
  try {
    return limitIn(readFileSync("/proc/self/limits", "utf8"), "Max open files");
  } catch {
    return Infinity;
  }
}

/** What the peer says about it for as long as it lives. */
export function descriptorFindings(
  limit: number,
  capacity: number,
): {
  warnings: () => readonly string[];
  notReady: () => readonly NotReady[];
  counters: () => Record<string, number>;
} {
  const few = describeFew(limit, capacity);
  const isRed = few !== undefined && isTooFew(limit);
  return {
    warnings: (): readonly string[] => (few === undefined || isRed ? [] : [few]),
    notReady: (): readonly NotReady[] => (isRed ? [{ code: "host", message: few }] : []),
    counters: () => ({}),
  };
}
