/** All rules of DESIGN §12 that are judged from evidence, in the order in which a reader should look at breaches. */
import type { Breach, Evidence } from "../world/truth.ts";
import { checkAuthority } from "./authority.ts";
import { checkBounded } from "./bounded.ts";
import { checkAccounts, checkConvergence, checkDurability } from "./agreement.ts";
import { checkDuplicates, checkZombies } from "./duplicates.ts";
import { checkLoss, checkResumption } from "./loss.ts";
import { checkOverlap } from "./overlap.ts";
import { checkPhantoms, checkRevocation } from "./phantoms.ts";
import { checkAtMostOnce, checkOneChoice } from "./votes.ts";

export function checkAll(evidence: Evidence): Breach[] {
  return [
    checkAtMostOnce,
    checkOneChoice,
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
    checkBounded,
    checkAuthority,
  ].flatMap((check) => check(evidence));
}
