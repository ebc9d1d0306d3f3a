/** The rules of DESIGN §13 that hold in every world, in the order in which a reader should look at breaches. */
import type { Breach, Evidence } from "../world/truth.ts";
import { checkAuthority } from "./authority.ts";
import { checkAllPeers } from "./all-peers.ts";
import { checkBounded } from "./bounded.ts";
import { checkAccounts, checkConvergence, checkDurability } from "./agreement.ts";
import { checkDuplicates, checkZombies } from "./duplicates.ts";
import { checkFailurePauses } from "./failures.ts";
import { checkBackfills } from "./backfills.ts";
import { checkLoss, checkResumption } from "./loss.ts";
import { checkChains } from "./chains.ts";
import { checkNotices } from "./notices.ts";
import { checkSecrets } from "./secrets.ts";
import { checkRetries } from "./retries.ts";
import { checkPruned } from "./retained.ts";
import { checkEligibility } from "./eligibility.ts";
import { checkDisowned, checkRanges, checkStories } from "./story.ts";
import { checkPools } from "./pools.ts";
import { checkOverlap } from "./overlap.ts";
import { checkCancels, checkMaintenance, checkPhantoms, checkRevocation, checkSkips } from "./phantoms.ts";
import { checkVersions } from "./versions.ts";
import { checkAtMostOnce, checkOneChoice } from "./votes.ts";

export function checkAll(evidence: Evidence): Breach[] {
  return [
    checkAtMostOnce,
    checkOneChoice,
    checkLoss,
    checkBackfills,
    checkDuplicates,
    checkPhantoms,
    checkAllPeers,
    checkSecrets,
    checkRevocation,
    checkCancels,
    checkSkips,
    checkFailurePauses,
    checkMaintenance,
    checkOverlap,
    checkPools,
    checkZombies,
    checkResumption,
    checkConvergence,
    checkAccounts,
    checkStories,
    checkDisowned,
    checkRanges,
    checkDurability,
    checkBounded,
    checkAuthority,
    checkPruned,
    checkVersions,
    checkRetries,
    checkChains,
    checkNotices,
  ].flatMap((check) => check(evidence));
}

/** Long worlds are also checked for I18, eligibility. */
export function checkLong(evidence: Evidence): Breach[] {
  return [...checkAll(evidence), ...checkEligibility(evidence)];
}
