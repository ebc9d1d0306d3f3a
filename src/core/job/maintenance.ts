/**
 * Times in which jobs take no ticks: what a person writes, checked and read, and which of them an instant lies in.
 *
 * A window's beginning belongs to it and its end doesn't. A recurring one begins at each tick of its schedule and lasts its real
 * duration, also when the clocks change meanwhile.
 */
import type { Problem } from "../../schema/job.ts";
import { MaintenanceSchema, type MaintenanceSpec } from "../../schema/maintenance.ts";
import { shapeOf } from "../../schema/shape.ts";
import { parseInstant, instantHint } from "../time/calendar.ts";
import { parseSchedule, ticksBetween, type Schedule } from "../time/schedule.ts";
import { whyNoDuration, parseDuration } from "../time/units.ts";
import { zoneProblem } from "../time/zone.ts";

export interface Maintenance {
  readonly name: string;
  readonly spec: MaintenanceSpec;
  /** undefined = every job */
  readonly group: string | undefined;
  readonly when:
    | { readonly kind: "once"; readonly from: number; readonly to: number }
    | { readonly kind: "recurring"; readonly schedule: Schedule; readonly durationMs: number };
}

/** from ≤ instant < to, ms */
export interface Window {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** The longest window. With more, a mistyped duration would stop a job for years; a job can be paused or disabled instead. */
const longestMs = 366 * 86_400_000;

export type MaintenanceCheck = { ok: true; maintenance: Maintenance } | { ok: false; problems: Problem[] };

const shape = shapeOf(MaintenanceSchema, "with from and to, or with schedule and duration");

/** All problems at once, with pointers into what was written. */
export function checkMaintenance(name: string, input: unknown): MaintenanceCheck {
  const shaped = shape.check(input);
  return shaped.ok ? read(name, shaped.value) : shaped;
}

/** The maintenance that an entry of the table says; undefined if it can't be read. Fields of a later version are left out. */
export function readMaintenance(name: string, entry: unknown): Maintenance | undefined {
  const shaped = shape.checkKnown(entry);
  const checked = shaped.ok ? read(name, shaped.value) : shaped;
  return checked.ok ? checked.maintenance : undefined;
}

function read(name: string, spec: MaintenanceSpec): MaintenanceCheck {
  const isOnce = spec.from !== undefined || spec.to !== undefined;
  const isRecurring = spec.schedule !== undefined || spec.duration !== undefined;
  if (isOnce === isRecurring) {
    const message = isOnce
      ? "give either from and to (once), or schedule and duration (recurring), not both"
      : "say when: from and to (once), or schedule and duration (recurring)";
    return { ok: false, problems: [{ pointer: "", message }] };
  }
  const problems: Problem[] = [];
  const when = isOnce ? readOnce(spec, problems) : readRecurring(name, spec, problems);
  if (when === undefined || problems.length > 0) return { ok: false, problems };
  return { ok: true, maintenance: { name, spec, group: spec.group, when } };
}

function readOnce(spec: MaintenanceSpec, problems: Problem[]): Maintenance["when"] | undefined {
  const [from, to] = (["from", "to"] as const).map((field) => {
    const text = spec[field];
    const instant = text === undefined ? undefined : parseInstant(text);
    if (instant === undefined)
      problems.push({
        pointer: `/${field}`,
        message:
          text === undefined ? "is missing" : `${JSON.stringify(text)} is not an instant: ${instantHint}`,
      });
    return instant;
  });
  if (spec.timezone !== undefined)
    problems.push({
      pointer: "/timezone",
      message: "goes only with a schedule: from and to carry their own offsets",
    });
  if (from === undefined || to === undefined) return undefined;
  if (to <= from) problems.push({ pointer: "/to", message: "to must be after from" });
  if (to - from > longestMs)
    problems.push({ pointer: "/to", message: "a maintenance window can last at most 366 days" });
  return { kind: "once", from, to };
}

function readRecurring(
  name: string,
  spec: MaintenanceSpec,
  problems: Problem[],
): Maintenance["when"] | undefined {
  const zone = spec.timezone === undefined ? undefined : zoneProblem(spec.timezone);
  if (zone !== undefined) problems.push({ pointer: "/timezone", message: zone });
  const durationMs = spec.duration === undefined ? undefined : parseDuration(spec.duration);
  if (durationMs === undefined) {
    const message =
      spec.duration === undefined
        ? "is missing"
        : `${JSON.stringify(spec.duration)} ${whyNoDuration(spec.duration)}`;
    problems.push({ pointer: "/duration", message });
  } else if (durationMs <= 0 || durationMs > longestMs) {
    problems.push({
      pointer: "/duration",
      message: "a maintenance window must last longer than 0 and at most 366 days",
    });
  }
  if (spec.schedule === undefined) {
    problems.push({ pointer: "/schedule", message: "is missing" });
    return undefined;
  }
  const parsed = parseSchedule(spec.schedule, zone === undefined ? (spec.timezone ?? "UTC") : "UTC", name);
  if (!parsed.ok) {
    for (const { index, message } of parsed.problems)
      problems.push({ pointer: Array.isArray(spec.schedule) ? `/schedule/${index}` : "/schedule", message });
    return undefined;
  }
  return durationMs === undefined ? undefined : { kind: "recurring", schedule: parsed.schedule, durationMs };
}

/** The window of one of them that contains the instant (ms); undefined = none does. */
export function windowAt(all: readonly Maintenance[], instant: number): Window | undefined {
  for (const { name, when } of all) {
    if (when.kind === "once") {
      if (when.from <= instant && instant < when.to) return { name, from: when.from, to: when.to };
      continue;
    }
    const { schedule, durationMs } = when;
    const [from] = ticksBetween(schedule, instant - durationMs + 1, instant + 1, 1);
    if (from !== undefined) return { name, from, to: from + durationMs };
  }
  return undefined;
}

/** How many windows of one maintenance are looked for in a gap: with one an hour, those of the last six weeks. */
const windowsMax = 1_000;

/** The windows that overlap from ≤ instant < to (ms), only the last ones of each if there are many. */
export function windowsBetween(all: readonly Maintenance[], from: number, to: number): Window[] {
  return all.flatMap(({ name, when }) => {
    if (when.kind === "once")
      return when.from < to && from < when.to ? [{ name, from: when.from, to: when.to }] : [];
    const { schedule, durationMs } = when;
    let begins: number[] = [];
    // Goes back from the end in growing spans: a year may hold millions of them.
    let end = to;
    for (
      let spanMs = durationMs + 86_400_000;
      from - durationMs < end && begins.length < windowsMax;
      spanMs *= 4
    ) {
      const start = Math.max(from - durationMs + 1, end - spanMs);
      begins = [...ticksBetween(schedule, start, end), ...begins];
      if (start <= from - durationMs + 1) break;
      end = start;
    }
    return begins.slice(-windowsMax).map((begin) => ({ name, from: begin, to: begin + durationMs }));
  });
}

/** When the last window ended up to the instant (ms), not further back than `after` (ms); -Infinity = none. */
export function lastWindowEnd(all: readonly Maintenance[], after: number, instant: number): number {
  return Math.max(
    -Infinity,
    ...windowsBetween(all, after, instant)
      .map(({ to }) => to)
      .filter((to) => to <= instant),
  );
}
