/**
 * The short test of damaged data folders: a flipped bit or a cut in each file, at places that the seed draws. `npm run
 * test:faults -- --only damage` runs more of them.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Dice } from "../src/sim/random.ts";
import { Cluster } from "./kit/cluster.ts";
import { drawDamages, leaveFolder, describeDamage, tryDamages, type Left } from "./kit/fault/damage.ts";

/** The draws are the same each time; the long test draws new ones. */
const seed = "one of each";
/** How many of the drawn damages are tried. */
const trials = 6;
/** A killed peer leaves much in SQLite's log; a stopped one leaves everything in the other files. */
const wanted = { "kill -9": /^cicada\.db/, SIGTERM: /^(?!logs)/ } as const;

describe("a peer whose data folder was damaged runs without loss or refuses to start with a coded error", () => {
  let cluster: Cluster;
  before(() => (cluster = new Cluster()));
  after(() => cluster[Symbol.asyncDispose]());

  for (const how of ["kill -9", "SIGTERM"] as const) {
    test(`after ${how}`, async (context) => {
      const left: Left = await leaveFolder(cluster, how);
      const dice = new Dice(`${seed} ${how}`);
      const fitting = drawDamages(left, dice).filter(({ file }) => wanted[how].test(file));
      const drawn = dice.shuffle(fitting).slice(0, trials);
      const verdicts = await tryDamages(cluster, left, drawn);
      for (const { damage, outcome, error } of verdicts) {
        context.diagnostic(`${describeDamage(damage)}: ${outcome}${error === undefined ? "" : `, ${error}`}`);
      }
      assert.equal(verdicts.length, trials);
      assert.deepEqual(
        verdicts.flatMap(({ damage, faults }) =>
          faults.map((fault) => `${describeDamage(damage)}: ${fault}`),
        ),
        [],
      );
    });
  }
});
