/** What the limit of open files of this process means for the peer: config/descriptors.ts has the figures. */
import type { NotReady } from "../../ports/control.ts";
import { describeFew, isTooFew, leastForStart } from "../../config/descriptors.ts";
import { CicadaError } from "../../errors.ts";

/** Throws if a peer couldn't even open its own files. Otherwise whichever file fails first would give a misleading reason. */
export function refuseTooFew(limit: number): void {
  if (limit >= leastForStart) return;
  throw new CicadaError("TOO_FEW_FILES", `${limit}, and a peer needs at least ${leastForStart}`);
}

/** What the peer reports about the limit as long as it is up. */
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
