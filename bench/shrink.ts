/**
 * Makes the world of a failing seed smaller while it still breaks the same rule: first with fewer faults, by halves,
 * quarters and so on (Zeller and Hildebrandt's delta debugging, 2002), then with fewer hours, jobs and peers. A person
 * reads only what is left.
 */
import { summarise, type SeedSummary } from "../test/kit/seed/summary.ts";
import type { SeedJob } from "../test/kit/seed/job.ts";

export interface Shrunk {
  job: SeedJob;
  summary: SeedSummary;
  /** how many worlds were run to make it smaller */
  runs: number;
}

const fewestHours = { plain: 0.3, wide: 0.3, mixed: 0.3, long: 24, "long-mixed": 24 } as const;

export function shrink(job: SeedJob, failed: SeedSummary, runsMax: number): Shrunk {
  const rule = failed.breaches[0]?.rule;
  const found: Shrunk = { job, summary: failed, runs: 0 };
  const stillFails = (smaller: SeedJob): boolean => {
    if (found.runs >= runsMax) return false;
    found.runs++;
    const summary = summarise(smaller);
    if (!summary.breaches.some((breach) => breach.rule === rule)) return false;
    found.job = smaller;
    found.summary = summary;
    return true;
  };
  leaveOutFaults(found, stillFails);
  const fewest = fewestHours[job.world ?? "plain"];
  while (found.job.hours > fewest) {
    if (!stillFails({ ...found.job, hours: Math.max(fewest, found.job.hours / 2) })) break;
  }
  while (found.job.jobs > 1 && stillFails({ ...found.job, jobs: Math.ceil(found.job.jobs / 2) }));
  while (found.job.peers > 1 && stillFails({ ...found.job, peers: found.job.peers - 1 }));
  return found;
}

function leaveOutFaults(found: Shrunk, stillFails: (smaller: SeedJob) => boolean): void {
  let kept = found.summary.drawn.map(({ number }) => number);
  for (let pieces = 2; kept.length > 0;) {
    const size = Math.ceil(kept.length / pieces);
    let left = false;
    for (let at = 0; at < kept.length;) {
      const rest = [...kept.slice(0, at), ...kept.slice(at + size)];
      if (stillFails({ ...found.job, keptFaults: rest })) {
        kept = rest;
        left = true;
      } else at += size;
    }
    if (!left && size === 1) return;
    if (!left) pieces *= 2;
  }
}
