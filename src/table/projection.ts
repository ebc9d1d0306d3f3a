/**
 * From the document to effective jobs: a pure function of the living incarnations of one id (DESIGN §4).
 *
 * Two sides of a split may each have created the job, so an id may have several incarnations. The effective job
 * takes each slot from whichever of them holds the highest (hlc, peer), and is paused while any pause is left.
 * What can't be read, or isn't a valid job, is quarantined: shown with its problems, never run.
 */
import { hash } from "node:crypto";
import { instantOfHlc } from "./hlc.ts";
import { checkJob } from "../core/job/job.ts";
import { isInstant, jobIdPattern, type JobId } from "../schema/ids.ts";
import type { Job, Pause, Problem, Quarantined } from "../schema/job.ts";
import {
  createdSlot,
  isPause,
  isSlot,
  parseKey,
  inFieldOrder,
  readSlot,
  resumedSlot,
  type Stamped,
} from "./slots.ts";

/** What an incarnation holds, by key; a Y.Map and a Map both are one. */
export interface Entries {
  forEach(visit: (entry: unknown, key: string) => void): void;
}

/** The reading of all incarnations of one id, before anybody asks whether it makes a job. */
export interface Reading {
  /** by slot: the entry with the highest (hlc, peer) */
  slots: Map<string, Stamped>;
  /** by ULID */
  pauses: Map<string, Pause>;
  /** keys whose entry can't be read */
  unreadable: string[];
}

const idForm = new RegExp(jobIdPattern);

export function readIncarnations(incarnations: Iterable<Entries>): Reading {
  const reading: Reading = { slots: new Map(), pauses: new Map(), unreadable: [] };
  for (const incarnation of incarnations) {
    incarnation.forEach((entry, text) => {
      const key = parseKey(text);
      if (key?.kind === "pause" && isPause(entry)) {
        reading.pauses.set(key.ulid, entry);
      } else if (key?.kind === "slot" && isSlot(entry)) {
        const known = reading.slots.get(key.slot);
        if (known === undefined || isLater(entry.hlc, key.peer, known)) {
          reading.slots.set(key.slot, { hlc: entry.hlc, by: entry.by, value: entry.value, peer: key.peer });
        }
      } else {
        reading.unreadable.push(text);
      }
    });
  }
  return reading;
}

/** Of two entries the one that counts. */
export function isLater(hlc: number, peer: string, known: Stamped): boolean {
  return hlc !== known.hlc ? hlc > known.hlc : peer > known.peer;
}

/** The id that a reading is about; undefined when its `created` slot is missing or says no job id. */
export function identityOf(reading: Reading): JobId | undefined {
  const id = reading.slots.get(createdSlot)?.value;
  return typeof id === "string" && idForm.test(id) ? (id as JobId) : undefined;
}

/** The effective job, or why there is none. */
export function projectJob(id: JobId, reading: Reading): Job | Quarantined {
  const problems: Problem[] = reading.unreadable.map((key) => ({
    pointer: "",
    message: `the entry ${JSON.stringify(key.slice(0, 64))} of the replica can't be read`,
  }));
  const spec: Record<string, unknown> = {};
  for (const [slot, stamped] of reading.slots) {
    if (slot === createdSlot || slot === resumedSlot) continue;
    const problem = readSlot(slot, stamped.value, spec);
    if (problem !== undefined) problems.push(problem);
  }
  if (problems.length > 0) return { id, problems };
  const checked = checkStrangers({ id, ...inFieldOrder(spec) });
  if (!checked.ok) return { id, problems: checked.problems };

  const created = reading.slots.get(createdSlot);
  const createdAt = created === undefined ? 0 : instantOfHlc(created.hlc);
  const latest = latestEdit(reading);
  const resumed = reading.slots.get(resumedSlot);
  return {
    id,
    spec: checked.spec,
    revision: revisionOf(reading),
    createdAt,
    updatedAt: latest === undefined ? createdAt : instantOfHlc(latest.hlc),
    updatedBy: latest?.by ?? "",
    scheduledAt: Math.max(createdAt, writtenAt(reading, "schedule"), writtenAt(reading, "enabled")),
    resumedAt: resumedAt(resumed),
    pauses: [...reading.pauses].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, pause]) => pause),
  };
}

/**
 * Another peer's bytes must not be able to end this one, so here alone a failed assertion of the check is a verdict
 * too: a job that it can't judge is not run.
 */
function checkStrangers(job: Record<string, unknown>): ReturnType<typeof checkJob> {
  try {
    return checkJob(job);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, code: "INVALID_JOB", problems: [{ pointer: "", message }] };
  }
}

/** Not after it was written: ticks before it are not the job's, so one of the year 9999 would end the job unseen. */
function resumedAt(resumed: Stamped | undefined): number {
  if (resumed === undefined || !isInstant(resumed.value)) return 0;
  return Math.min(resumed.value, instantOfHlc(resumed.hlc));
}

function writtenAt(reading: Reading, slot: string): number {
  const stamped = reading.slots.get(slot);
  return stamped === undefined ? 0 : instantOfHlc(stamped.hlc);
}

/** The last edit of what a person writes; pausing and resuming are none. */
function latestEdit(reading: Reading): Stamped | undefined {
  let latest: Stamped | undefined;
  for (const [slot, stamped] of reading.slots) {
    if (slot === resumedSlot) continue;
    if (latest === undefined || isLater(stamped.hlc, stamped.peer, latest)) latest = stamped;
  }
  return latest;
}

/** 16 hex digits over who wrote each slot and when: peers with the same table have the same revisions. */
function revisionOf(reading: Reading): string {
  const stamps: string[] = [];
  for (const [slot, { hlc, peer }] of reading.slots) stamps.push(`${slot}@${peer}=${hlc}`);
  for (const ulid of reading.pauses.keys()) stamps.push(`pause@${ulid}`);
  return hash("sha256", stamps.toSorted().join("\n"), "hex").slice(0, 16);
}
