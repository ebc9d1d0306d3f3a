/** Hours in which a pool has too few slots, put together: one line for each pool, with its stretches of such hours. */

const hourMs = 3_600_000;
/** Of a pool; its collisions name as many each. */
const jobsMost = 8;

interface Collision {
  at: string;
  pool: string;
  wanted: number;
  slots: number;
  jobs: readonly string[];
  moreJobs: boolean;
}

/** Unit: ms; `to` doesn't belong to it. */
export interface Stretch {
  from: number;
  to: number;
}

interface TightPool {
  pool: string;
  /** the most of any hour */
  wanted: number;
  slots: number;
  stretches: Stretch[];
  jobs: readonly string[];
  moreJobs: boolean;
}

/** Collisions are given soonest first, and so are the pools. */
export function tightPools(collisions: readonly Collision[]): TightPool[] {
  return [...Map.groupBy(collisions, ({ pool }) => pool)].map(([pool, all]) => {
    const stretches: Stretch[] = [];
    for (const { at } of all) {
      const from = Date.parse(at);
      const last = stretches.at(-1);
      if (last?.to === from) last.to += hourMs;
      else stretches.push({ from, to: from + hourMs });
    }
    const jobs = [...new Set(all.flatMap((one) => one.jobs))];
    return {
      pool,
      wanted: Math.max(...all.map(({ wanted }) => wanted)),
      slots: Math.min(...all.map(({ slots }) => slots)),
      stretches,
      jobs: jobs.slice(0, jobsMost),
      moreJobs: jobs.length > jobsMost || all.some(({ moreJobs }) => moreJobs),
    };
  });
}
