/**
 * The simulator's checkers find each bug that can be planted in core (src/core/probes/planted.ts).
 *
 * For each bug: the kinds of fault under which it shows, a seed that once showed it, and how many seeds with all kinds
 * of faults it took to find it (`node bench/planted.ts`). When core changes, a seed gives another world; then the next
 * seeds are tried, up to a limit.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { summarise } from "./kit/seed/summary.ts";
import { worldOfBug, type SeedJob } from "./kit/seed/job.ts";
import { plantedBugs, type PlantedBug } from "../src/core/probes/planted.ts";
import { isFaultKind, type FaultKind } from "../src/sim/faults/faults.ts";
import { isLongKind, type LongKind } from "../src/sim/faults/long.ts";
import type { Breach } from "../src/sim/world/truth.ts";

interface Shown {
  /** of a wide world or, with `days`, of a long one */
  kinds: readonly (FaultKind | LongKind)[];
  days?: number;
  seed: number;
  /** rules of which one must be broken */
  rules: readonly Breach["rule"][];
  /** how many seeds it took to find the bug; wide worlds had all kinds of fault */
  took: number;
  /** default: 3 */
  peers?: number;
  /** a person asks for more than changes of jobs; in a long world always so */
  person?: boolean;
  /** some jobs run after others */
  chains?: boolean;
  /** some jobs share a pool */
  pools?: boolean;
  /** a person asks for past ticks */
  backfills?: boolean;
  /** some jobs repeat what fails */
  retries?: boolean;
  /** what some jobs share */
  shares?: "secrets" | "groups" | "calendars";
}

const shown: Readonly<Record<PlantedBug, Shown>> = {
  "vote-before-fsync": {
    kinds: ["trigger on a vote", "slow disk"],
    seed: 41,
    rules: ["I2", "I12"],
    took: 397,
  },
  "votes-forgotten": { kinds: ["trigger on a vote"], seed: 9, rules: ["I2", "I12"], took: 39 },
  "memory-trusted": { kinds: ["trigger on a vote"], seed: 13, rules: ["I2", "I12"], took: 27 },
  "ballots-reused": { kinds: ["slow disk", "kill and restart at once"], seed: 22, rules: ["I12"], took: 12 },
  "own-value": { kinds: ["trigger on a vote"], seed: 9, rules: ["I2", "I12"], took: 3 },
  "successor-without-bar": { kinds: ["trigger on a roster"], seed: 56, rules: ["I2", "I12"], took: 216 },
  "lost-rerun": { kinds: ["trigger on a vote"], seed: 9, rules: ["I2"], took: 26 },
  "random-rank": { kinds: ["kill"], seed: 1, rules: ["I3", "I9"], took: 4 },
  "no-recheck": { kinds: ["pause"], seed: 1, rules: ["I3", "I11"], took: 49 },
  "lease-ignored": { kinds: ["flapping link", "one link"], seed: 49, rules: ["I3", "I10"], took: 37 },
  "lease-from-due": {
    kinds: ["flapping link", "one link", "lossy network"],
    seed: 372,
    rules: ["I3"],
    took: 372,
  },
  "no-asking": { kinds: ["lossy network"], seed: 2, rules: ["I3"], took: 608 },
  "claim-unstored": { kinds: ["trigger on a start", "slow disk"], seed: 11, rules: ["I2", "I3"], took: 99 },
  "warm-up-skipped": { kinds: ["kill and restart at once", "kill"], seed: 1, rules: ["I3", "I11"], took: 2 },
  "catch-up-repeats": { kinds: ["mass restart"], seed: 1, rules: ["I2", "I3"], took: 2 },
  "overlap-here-only": { kinds: ["kill"], seed: 4, rules: ["I10"], took: 4 },
  "pool-queue-blocked": {
    pools: true,
    retries: true,
    kinds: ["kill"],
    seed: 93,
    rules: ["I1", "I9"],
    took: 98,
  },
  "pool-here-only": { pools: true, kinds: ["kill"], seed: 2, rules: ["I10"], took: 2 },
  "jump-unseen": { kinds: ["clock leap"], seed: 11, rules: ["I1", "I6", "I8", "I9"], took: 6 },
  "two-clocks-trusted": {
    kinds: ["clock leap"],
    seed: 23,
    rules: ["I1", "I8", "I9"],
    took: 1,
    peers: 2,
  },
  "future-kept": { kinds: ["clock step"], seed: 1, rules: ["I1", "I8", "I9"], took: 1 },
  "watermark-leads": { kinds: ["mass restart", "kill"], seed: 15, rules: ["I1", "I6"], took: 21 },
  "duplicate-carries-on": { kinds: ["copied folder"], days: 4, seed: 1, rules: ["I3", "I18"], took: 1 },
  "earlier-life-unspared": { kinds: ["copied folder"], days: 4, seed: 1, rules: ["I6"], took: 1 },
  "watermark-stuck": { kinds: ["kill"], seed: 1, rules: ["I13"], took: 1 },
  "edit-looks-back": { kinds: ["restart"], days: 4, seed: 2, rules: ["I4"], took: 2 },
  "range-over-runs": { kinds: ["all away"], days: 4, seed: 1, rules: ["I6"], took: 1 },
  "pruned-comes-back": { kinds: ["long absence"], days: 9, seed: 1, rules: ["I16"], took: 1 },
  "superseded-carries-on": { kinds: ["key rotation"], days: 4, seed: 1, rules: ["I18"], took: 1 },
  "forgotten-carries-on": { kinds: ["kill"], person: true, seed: 21, rules: ["I3", "I4", "I5"], took: 21 },
  "host-fault-blamed": { kinds: ["starved host"], seed: 1, rules: ["I1"], took: 1 },
  "cancel-unconfirmed": { kinds: ["cut before a cancel"], seed: 4, rules: ["I5"], took: 4 },
  "backfill-twice": { kinds: ["kill"], backfills: true, seed: 1, rules: ["I3"], took: 1 },
  "backfill-joins-twice": {
    kinds: ["kill"],
    backfills: true,
    chains: true,
    seed: 14,
    rules: ["I3"],
    took: 11,
  },
  "skip-unconfirmed": { kinds: ["lossy network"], seed: 50, rules: ["I5"], took: 50 },
  "secret-unread": { kinds: ["kill"], shares: "secrets", seed: 1, rules: ["I4"], took: 1 },
  "group-unread": { kinds: ["kill"], shares: "groups", seed: 2, rules: ["I4", "I10"], took: 2 },
  "calendar-kept": { kinds: ["kill"], shares: "calendars", seed: 4, rules: ["I1", "I4"], took: 4 },
  "signature-unchecked": { kinds: ["garbage"], seed: 1, rules: ["I6", "I8", "I14"], took: 1 },
  "drain-unread": { kinds: ["restart"], days: 4, seed: 8, rules: ["I18"], took: 8 },
  "needs-ignored": { kinds: ["kill"], seed: 1, rules: ["I4"], took: 1 },
  "later-fields-cleared": { kinds: ["kill"], seed: 19, rules: ["I7"], took: 7 },
  "retry-dropped": { kinds: ["kill"], retries: true, seed: 144, rules: ["I17"], took: 7 },
  "chain-dropped": { kinds: ["kill"], chains: true, seed: 7, rules: ["I17"], took: 1 },
  "chain-on-any-end": { kinds: ["kill"], chains: true, seed: 1, rules: ["I17"], took: 1 },
  "told-by-all": { kinds: ["kill"], retries: true, seed: 10, rules: ["I17"], took: 10 },
  "set-follows-living": { kinds: ["kill"], seed: 7, rules: ["I4", "I6"], took: 7 },
  "rolls-at-once": { kinds: ["kill"], seed: 1, rules: ["I10"], took: 1 },
  "slot-ends-all": { kinds: ["kill"], seed: 1, rules: ["I1"], took: 1 },
  "answer-before-fsync": {
    kinds: ["trigger on a client"],
    seed: 2,
    rules: ["I1", "I4", "I5", "I7"],
    took: 11,
  },
};

/** A higher limit makes the test slower after a change of core; a lower one may then make it fail without a bug. */
const seedsTried = 40;

describe("a bug that was planted on purpose is found", () => {
  for (const [name, says] of Object.entries(plantedBugs)) {
    const bug = name as PlantedBug; // a key of the table
    const { seed, rules, took } = shown[bug];
    test(`${says} (once found after ${took} seeds)`, { timeout: 300_000 }, (t) => {
      for (let tried = 0; tried < seedsTried; tried++) {
        const job = worldOf(bug, seed + tried, shown[bug]);
        const breach = summarise({ ...job, planted: bug }).breaches.find(({ rule }) => rules.includes(rule));
        if (breach === undefined) continue;
        t.diagnostic(`seed ${job.seed}: ${breach.rule} ${breach.what}`);
        assert.deepEqual(soundBreaches(job), [], "the same world without the bug breaks nothing");
        return;
      }
      assert.fail(`no seed from ${seed} to ${seed + seedsTried - 1} shows it`);
    });
  }
});

/** Several bugs show in one world, which runs only once without a bug. */
const sound = new Map<string, readonly Breach[]>();

function soundBreaches(job: SeedJob): readonly Breach[] {
  const name = JSON.stringify(job);
  const breaches = sound.get(name) ?? summarise(job).breaches;
  sound.set(name, breaches);
  return breaches;
}

function worldOf(bug: PlantedBug, seed: number, how: Shown): SeedJob {
  const {
    kinds,
    days,
    peers = 3,
    person = false,
    retries = false,
    chains = false,
    pools = false,
    backfills = false,
    shares,
  } = how;
  const job = {
    seed: String(seed),
    peers,
    faults: "swarm",
    person,
    retries,
    chains,
    pools,
    backfills,
    ...(shares === undefined ? {} : { [shares]: true }),
  } as const;
  if (days !== undefined)
    return { ...job, jobs: 2, hours: 24 * days, world: "long", longKinds: kinds.filter(isLongKind) };
  return { ...job, jobs: 8, hours: 0.3, world: worldOfBug(bug), kinds: kinds.filter(isFaultKind) };
}
