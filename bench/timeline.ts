/**
 * What happened around a breach, on all peers, in the order of true time: all lines with the name of its tick, and
 * shortly before and after it the faults, the changes of members and the warnings.
 */
import { summarise } from "../test/kit/seed/summary.ts";
import type { SeedJob } from "../test/kit/seed/job.ts";
import type { Breach } from "../src/sim/world/truth.ts";

const beforeMs = 45_000;
const afterMs = 60_000;
const linesShown = 120;

interface Line {
  at: number;
  peer: string | undefined;
  line: string;
}

/** The lines that matter: what is done to the world, in capitals, and what the peers log, without most details. */
const relevant =
  /^(?:STARTED|GAVE|HOST|KILLED|TERMINATED|PAUSED|SUSPENDED|RESUMED|CUT|MENDED|BEGINS|ENDS|BACKED|PUT|DISK|INVITED|TRIGGER|warn|info|debug warmed up)/;

export function timeline(job: SeedJob, { at, what }: Breach): string[] {
  const tick = /[a-z0-9][a-z0-9._-]*@[0-9A-Za-z:-]+|roster\/\d+/.exec(what)?.[0];
  const lines: Line[] = [];
  summarise(job, (when, peer, line) => {
    const near = when >= at - beforeMs && when <= at + afterMs && relevant.test(line);
    if (near || (tick !== undefined && line.includes(tick))) lines.push({ at: when, peer, line });
  });
  const shown = lines.slice(0, linesShown).map((one) => {
    const offset = ((one.at - at) / 1_000).toFixed(3).padStart(9);
    return `  ${new Date(one.at).toISOString().slice(11, 23)} ${offset}  ${(one.peer ?? "").padEnd(8)} ${one.line}`;
  });
  if (lines.length > linesShown) shown.push(`  … and ${lines.length - linesShown} lines more`);
  return shown;
}
