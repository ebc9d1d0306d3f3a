/**
 * Worlds of moderate size whose sizes are drawn from their names, as many as a test wants: runs them side by side, and says
 * what happened in them and which broke a rule.
 */
import type { SeedJob } from "./job.ts";
import { runSeeds } from "./pool.ts";

const workers = 2;
/** hours × jobs; larger worlds are the hunt's */
const largest = 10;

export interface DrawnSeeds {
  count: number;
  hours: number;
  starts: number;
  /** each with its first breach, in words */
  broken: string[];
}

/** `draw` makes the world of a number from 1 on; `isEnough` is asked before each with how many have been begun. */
export async function runDrawnSeeds(
  draw: (number: number) => SeedJob,
  isEnough: (begun: number) => boolean,
): Promise<DrawnSeeds> {
  const drawn: DrawnSeeds = { count: 0, hours: 0, starts: 0, broken: [] };
  let tried = 0;
  let begun = 0;
  const next = (): SeedJob | undefined => {
    if (isEnough(begun)) return undefined;
    for (;;) {
      const job = draw(++tried);
      if (job.hours * job.jobs > largest) continue;
      begun++;
      drawn.hours += job.hours;
      return job;
    }
  };
  await runSeeds(workers, next, ({ seed, starts, breaches: [first] }) => {
    drawn.count++;
    drawn.starts += starts;
    if (first !== undefined) drawn.broken.push(`seed ${seed}: ${first.rule} ${first.what}`);
  });
  return drawn;
}
