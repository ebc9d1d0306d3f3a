/**
 * What is wrong with the parents of a job that a person writes (`after`), as far as the jobs of the table can tell: it would run
 * after itself, or its parents never have a tick in common. What is only unfortunate is a warning.
 */
import { tickAt, type JobId } from "../../schema/ids.ts";
import type { JobSpec, Problem } from "../../schema/job.ts";
import { pointerTo } from "../../schema/pointer.ts";
import { afterOf, missingParent } from "../job/chain.ts";
import { cycleThrough, describeCycle } from "../job/cycle.ts";
import type { Plan } from "../job/plan.ts";
import { sharedTicks } from "../job/shared-ticks.ts";
import { parentsOf } from "../job/timetable.ts";
import { parseSchedule, type Schedule } from "../time/schedule.ts";
import type { State } from "../state.ts";

export interface ChainCheck {
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
}

export function checkChain({ jobs, now }: Pick<State, "jobs" | "now">, spec: JobSpec): ChainCheck {
  const after = afterOf(spec);
  if (after === undefined) return { problems: [], warnings: [] };
  const ofJob = (id: JobId): readonly JobId[] => (id === spec.id ? after.jobs : parentsOf(jobs, id));
  const cycle = cycleThrough(spec.id, ofJob);
  if (cycle !== undefined) {
    // The last job before the end of the cycle is the parent that closes it.
    const place = (spec.after?.jobs ?? []).findIndex((parent) => parent === cycle.at(-2));
    const pointer = pointerTo("after", "jobs", String(Math.max(0, place)));
    return { problems: [{ pointer, message: describeCycle(cycle) }], warnings: [] };
  }
  const unknown = after.jobs.filter((parent) => !jobs.plans.has(parent));
  const warnings = unknown.map((parent) => missingParent(parent));
  if (unknown.length > 0 || after.jobs.length === 1) return { problems: [], warnings };
  return checkShared(rootsOf(after.jobs, ofJob), jobs.plans, now.wall);
}

/** The jobs at which the chains of these parents begin. */
function rootsOf(parents: readonly JobId[], ofJob: (id: JobId) => readonly JobId[]): JobId[] {
  const seen = new Set(parents);
  const roots: JobId[] = [];
  for (const job of seen) {
    const before = ofJob(job);
    if (before.length === 0) roots.push(job);
    for (const parent of before) seen.add(parent);
  }
  return roots;
}

function checkShared(roots: readonly JobId[], plans: ReadonlyMap<JobId, Plan>, now: number): ChainCheck {
  const nothing = { problems: [], warnings: [] };
  const known = roots.flatMap((id) => plans.get(id) ?? []);
  // If this peer can't compute some ticks, it finds nothing wrong: a peer that can says so in the ticks' stories.
  if (roots.length < 2 || known.length < roots.length || known.some(({ knowsTicks }) => !knowsTicks))
    return nothing;
  const byHand = known.find(({ job }) => job.spec.schedule === undefined);
  if (byHand !== undefined) {
    return refuse(`"${byHand.id}" runs only by hand, so it shares no tick with ${others(known, byHand)}`);
  }
  const schedules = known.flatMap((plan) => {
    const schedule = scheduleOf(plan);
    return schedule === undefined ? [] : [{ id: plan.id, schedule }];
  });
  const found = sharedTicks(schedules, now);
  if (found.kind === "never") {
    const until = new Date(found.until).getUTCFullYear();
    return refuse(
      `its parents (${roots.join(", ")}) have no tick in common up to ${until}, so it would never run`,
    );
  }
  if (found.kind === "always") return nothing;
  const { at, having, lacking } = found.apart;
  const apart = `at ${tickAt(at)} "${having}" has one and "${lacking}" has none`;
  return {
    problems: [],
    warnings: [`its parents share only some of their ticks: ${apart}, so this job is skipped then`],
  };
}

function others(known: readonly Plan[], one: Plan): string {
  return known
    .filter((plan) => plan !== one)
    .map(({ id }) => `"${id}"`)
    .join(", ");
}

/** The job's schedule, even if the job is disabled now. */
function scheduleOf({ id, job: { spec } }: Plan): Schedule | undefined {
  const parsed = parseSchedule(spec.schedule ?? "", spec.timezone ?? "UTC", id);
  return parsed.ok ? parsed.schedule : undefined;
}

function refuse(message: string): ChainCheck {
  return { problems: [{ pointer: "/after/jobs", message }], warnings: [] };
}
