/** All rules of DESIGN §12 that are judged from evidence, in the order in which a reader should look at breaches. */
import type { Breach, Evidence } from "../truth.ts";
import { checkAccounts, checkConvergence, checkDurability } from "./agreement.ts";
import { checkDuplicates, checkZombies } from "./duplicates.ts";
import { checkLoss, checkResumption } from "./loss.ts";
import { checkOverlap } from "./overlap.ts";
import { checkPhantoms, checkRevocation } from "./phantoms.ts";

export function checkAll(evidence: Evidence): Breach[] {
  return [
    checkLoss,
    checkDuplicates,
    checkPhantoms,
    checkRevocation,
    checkOverlap,
    checkZombies,
    checkResumption,
    checkConvergence,
    checkAccounts,
    checkDurability,
  ].flatMap((check) => check(evidence));
}
