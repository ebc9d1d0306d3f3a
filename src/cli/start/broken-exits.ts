/**
 * Exits of this peer because it met what can't happen, and what follows from them for the next start.
 *
 * A supervisor restarts such a peer, which is right once. Where one job is behind it, the peer would go on ending and
 * starting for ever, and none of its other jobs would run. So a job whose work has ended the peer three times within ten
 * minutes is quarantined here: shown as invalid with the reason, never run. It is tried again when it has been edited, by
 * another version of cicada, and at the first start a day later. Other peers are not affected.
 */
import type { JobId } from "../../schema/ids.ts";
import type { Job, Problem } from "../../schema/job.ts";

export interface BrokenExit {
  /** wall clock, ms */
  at: number;
  /** of cicada */
  version: string;
  /** what the peer was working on, as far as it was on a job */
  job?: JobId | undefined;
  revision?: string | undefined;
}

const exitsUntilQuarantine = 3;
const exitsWithinMs = 600_000;
const keptMs = 86_400_000;
/** In a crash loop without a job behind it the list would only grow. */
const keptMax = 100;

/** What the folder has kept. What can't be read counts as nothing: the peer does without. */
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

/** Those of the last day. */
export function recentExits(exits: readonly BrokenExit[], now: number): BrokenExit[] {
  return exits.filter(({ at }) => Math.abs(now - at) < keptMs).slice(-keptMax);
}

/** Why a job must not be run here; undefined for a job that may. */
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
    `quarantined on this peer, which has met what can't happen ${exits.length} times while it worked on this job, last ` +
    `at ${last} (its log says what); edit the job to have it tried again`
  );
}

/** For readyz, while any such exit is recent. */
export function exitWarnings(exits: readonly BrokenExit[]): string[] {
  const last = exits.at(-1);
  if (last === undefined) return [];
  const jobs = [...new Set(exits.flatMap(({ job }) => job ?? []))];
  const about = jobs.length === 0 ? "" : `, at work on ${jobs.slice(0, 3).join(", ")}`;
  const times = exits.length === 1 ? "once" : `${exits.length} times`;
  return [
    `in the last day this peer has met what can't happen and ended ${times}${about}, last at ` +
      `${new Date(last.at).toISOString()}; its log says what`,
  ];
}
