/**
 * Runs worlds of moderate size, drawn from their names, side by side, as many as a test wants. Says what happened in
 * them and which of them broke a rule.
 */
import { isModerate, type SeedJob } from "./job.ts";
import { runSeeds } from "./pool.ts";

const workers = 2;

export interface DrawnSeeds {
  count: number;
  hours: number;
  starts: number;
  /** each with its first breach, in words */
  broken: string[];
}

/** Runs `count` worlds. `draw` makes the world of a number, from 1 on; those that aren't wanted are passed over. */
export async function runDrawnSeeds(
  count: number,
  draw: (number: number) => SeedJob,
  isWanted: (job: SeedJob) => boolean = () => true,
): Promise<DrawnSeeds> {
  const drawn: DrawnSeeds = { count: 0, hours: 0, starts: 0, broken: [] };
  let tried = 0;
  let begun = 0;
  const next = (): SeedJob | undefined => {
    if (begun >= count) return undefined;
    for (;;) {
      const job = draw(++tried);
      if (!isModerate(job) || !isWanted(job)) continue;
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
