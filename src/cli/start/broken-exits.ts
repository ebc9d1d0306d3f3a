/**
 * Exits of this peer after an internal fault, and what follows from them at the next start.
 *
 * A supervisor restarts such a peer, which is right once. If one job causes the fault, the peer would end and start
 * again for ever, and none of its other jobs would run. So a job that has ended the peer three times within ten minutes
 * is quarantined here: it is shown as invalid with the reason, and never run. It is tried again after it has been
 * edited, by another version of cicada, and at the first start a day later. Other peers are not affected.
 */
import type { JobId } from "../../schema/ids.ts";
import type { Job, Problem } from "../../schema/job.ts";

export interface BrokenExit {
  /** wall clock, ms */
  at: number;
  /** of cicada */
  version: string;
  /** the job that the peer was working on, if any */
  job?: JobId | undefined;
  revision?: string | undefined;
}

const exitsUntilQuarantine = 3;
const exitsWithinMs = 600_000;
const keptMs = 86_400_000;
/** Without this limit, the list would grow for ever in a crash loop that no job causes. */
const keptMax = 100;

/** The exits that the folder has kept. An unreadable text counts as none, because the peer can do without. */
export function parseBrokenExits(text: string | undefined): BrokenExit[] {
  try {
    const exits: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(exits) ? exits.filter(isBrokenExit) : [];
  } catch {
    return [];
  }
}

function isBrokenExit(value: unknown): value is BrokenExit {
  if (typeof value !== "object" || value === null) return false;
  const { at, version, job, revision } = value as Record<string, unknown>;
  const texts = [version, job ?? "", revision ?? ""];
  return typeof at === "number" && texts.every((text) => typeof text === "string");
}

/** The exits of the last day. */
export function recentExits(exits: readonly BrokenExit[], now: number): BrokenExit[] {
  return exits.filter(({ at }) => Math.abs(now - at) < keptMs).slice(-keptMax);
}

/** Why a job must not run here; undefined if it may. */
export function quarantineBy(
  exits: readonly BrokenExit[],
  version: string,
): (job: Pick<Job, "id" | "revision">) => Problem | undefined {
  return ({ id, revision }) => {
    const its = exits.filter(
      (exit) => exit.job === id && exit.revision === revision && exit.version === version,
    );
    const isRepeated = its.some((exit, index) => {
      const third = its[index + exitsUntilQuarantine - 1];
      return third !== undefined && third.at - exit.at < exitsWithinMs;
    });
    return isRepeated ? { pointer: "", message: describe(its) } : undefined;
  };
}

function describe(exits: readonly BrokenExit[]): string {
  const last = new Date(exits.at(-1)?.at ?? 0).toISOString();
  return (
    `quarantined on this peer, which had an internal fault ${exits.length} times while it worked on this job, last ` +
    `at ${last} (its log has the details); edit the job to try it again`
  );
}

/** The warning in readyz while any such exit is recent. */
export function exitWarnings(exits: readonly BrokenExit[]): string[] {
  const last = exits.at(-1);
  if (last === undefined) return [];
  const jobs = [...new Set(exits.flatMap(({ job }) => job ?? []))];
  const about = jobs.length === 0 ? "" : ` while it worked on ${jobs.slice(0, 3).join(", ")}`;
  const times = exits.length === 1 ? "once" : `${exits.length} times`;
  return [
    `in the last day this peer ended ${times} because of an internal fault${about}, last at ` +
      `${new Date(last.at).toISOString()}; its log has the details`,
  ];
}
