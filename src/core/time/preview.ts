/**
 * What a schedule means, before a job is made of it: its coming ticks, and where the clocks change among them.
 */
import type { Problem } from "../../schema/job.ts";
import { describeTicks, parseSchedule, ticksBetween, type TickMark } from "./schedule.ts";

export interface PreviewRequest {
  schedule: string | readonly string[];
  timezone: string;
  /** the job's id, by which `H` is hashed */
  id: string;
  /** ms since the epoch; ticks are strictly after it */
  from: number;
  count: number;
}

export type Preview = { ok: true; ticks: TickMark[] } | { ok: false; problems: Problem[] };

/** Problems point into `{schedule, timezone}`. */
export function previewSchedule({ schedule, timezone, id, from, count }: PreviewRequest): Preview {
  const read = parseSchedule(schedule, timezone, id);
  if (read.ok) {
    const ticks = ticksBetween(read.schedule, from + 1, Infinity, count);
    return { ok: true, ticks: describeTicks(read.schedule, ticks) };
  }
  const problems = read.problems.map(({ index, message }) => ({
    pointer: index === -1 ? "/timezone" : typeof schedule === "string" ? "/schedule" : `/schedule/${index}`,
    message,
  }));
  return { ok: false, problems };
}
