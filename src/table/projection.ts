/**
 * Computes the effective job from the living incarnations of one id: a pure function (DESIGN §4).
 *
 * Two sides of a split may each have created the job, so an id may have several incarnations. For each slot, the
 * effective job takes the entry with the highest (hlc, peer). It is paused while any pause is left. A job that can't be
 * read, or isn't valid, is quarantined: shown with its problems, never run. Parts that a later version has written are
 * no problem: the job shows the known parts, and names the capabilities that the other parts need.
 */
import { hash } from "node:crypto";
import { instantOfHlc } from "./hlc.ts";
import { checkJob, type JobCheck } from "../core/checks/job.ts";
import { isInstant, jobIdPattern, type JobId } from "../schema/ids.ts";
import type { Job, PartNeeds, Pause, Problem, Quarantined, Skip } from "../schema/job.ts";
import { checkInGroup, inheritedBy } from "../core/job/group.ts";
import { canonicalText } from "../schema/canonical.ts";
import type { StoredGroup } from "../schema/group.ts";
import { unknownCapabilities, type Capability } from "../schema/protocol.ts";
import {
  createdSlot,
  isKnownSlot,
  isPause,
  isSlot,
  needsOfSlot,
  parseKey,
  inFieldOrder,
  readSkip,
  readSlot,
  resumedSlot,
  skipNeeds,
  type Stamped,
} from "./slots.ts";

/** What an incarnation holds, by key. Both Y.Map and Map fit. */
export interface Entries {
  forEach(visit: (entry: unknown, key: string) => void): void;
}

/** What all incarnations of one id hold, before it is checked whether that makes a job. */
export interface Reading {
  /** by slot: the entry with the highest (hlc, peer) */
  slots: Map<string, Stamped>;
  /** by ULID */
  pauses: Map<string, Pause>;
  /** by tick, ms */
  skips: Map<number, Skip>;
  /** keys whose entry can't be read */
  unreadable: string[];
}

const idForm = new RegExp(jobIdPattern);

export function readIncarnations(incarnations: Iterable<Entries>): Reading {
  const reading: Reading = { slots: new Map(), pauses: new Map(), skips: new Map(), unreadable: [] };
  for (const incarnation of incarnations) {
    incarnation.forEach((entry, text) => {
      const key = parseKey(text);
      const skip = key?.kind === "skip" ? readSkip(key.tick, entry) : undefined;
      if (key?.kind === "pause" && isPause(entry)) {
        reading.pauses.set(key.ulid, entry);
      } else if (skip !== undefined) {
        const known = reading.skips.get(skip.tick);
        if (known === undefined || known.at < skip.at) reading.skips.set(skip.tick, skip);
      } else if (key?.kind === "slot" && isSlot(entry)) {
        const known = reading.slots.get(key.slot);
        if (known === undefined || isLater(entry.hlc, key.peer, known)) {
          const { hlc, by, value, needs } = entry;
          const stamped = { hlc, by, value, peer: key.peer };
          reading.slots.set(key.slot, needs === undefined ? stamped : { ...stamped, needs });
        }
      } else {
        reading.unreadable.push(text);
      }
    });
  }
  return reading;
}

/** True if an entry with this stamp and writer wins over `known`. */
export function isLater(hlc: number, peer: string, known: Stamped): boolean {
  return hlc !== known.hlc ? hlc > known.hlc : peer > known.peer;
}

/** The job id that an incarnation names; undefined if its `created` slot is missing or holds no job id. */
export function identityIn(incarnation: Entries): JobId | undefined {
  let named: Stamped | undefined;
  incarnation.forEach((entry, text) => {
    const key = parseKey(text);
    if (key?.kind !== "slot" || key.slot !== createdSlot || !isSlot(entry)) return;
    if (named === undefined || isLater(entry.hlc, key.peer, named)) named = { ...entry, peer: key.peer };
  });
  const id = named?.value;
  return typeof id === "string" && idForm.test(id) ? (id as JobId) : undefined;
}

/** A group's entry in the table. */
export interface GroupEntry {
  readonly group: StoredGroup;
  /** when it was written, ms */
  readonly writtenAt: number;
}

/**
 * The job with the defaults of its group. They are part of its revision, and an edit of those that decide about ticks, or of
 * the job's group (`groupAt`, ms), counts as an edit of its timetable.
 */
export function inGroup(job: Job, entry: GroupEntry | undefined, groupAt: number): Job | Quarantined {
  const timetableAt = Math.min(entry?.group.timetableAt ?? 0, entry?.writtenAt ?? 0);
  const scheduledAt = Math.max(job.scheduledAt, timetableAt, groupAt);
  const inherited = inheritedBy(job.spec, entry?.group);
  if (Object.keys(inherited).length === 0)
    return scheduledAt === job.scheduledAt ? job : { ...job, scheduledAt };
  const checked = checkStrangers(() => checkInGroup(job.spec, entry?.group));
  if (!checked.ok) return { id: job.id, problems: checked.problems };
  const text = canonicalText(inherited) ?? "";
  return {
    ...job,
    spec: checked.spec,
    written: job.spec,
    revision: shortHash(`${job.revision} ${text}`),
    scheduledAt,
    needs: [...job.needs, groupNeeds],
  };
}

/** What a peer must know to run a job that takes fields from its group. */
const groupNeeds: PartNeeds = {
  pointer: "/group",
  slot: "group",
  capabilities: ["groups" satisfies Capability],
};

/** When the job's group was last written, ms. */
export function movedAt(reading: Reading): number {
  return writtenAt(reading, "group");
}

/** The effective job, without regard to its group, or why there is none. */
export function projectJob(id: JobId, reading: Reading): Job | Quarantined {
  const problems: Problem[] = reading.unreadable.map((key) => ({
    pointer: "",
    message: `the entry ${JSON.stringify(key.slice(0, 64))} of the stored job can't be read`,
  }));
  const { checked } = readSpec(id, reading);
  if (!checked.ok) problems.push(...checked.problems);
  if (!checked.ok || problems.length > 0) return { id, problems };

  const created = reading.slots.get(createdSlot);
  const createdAt = created === undefined ? 0 : instantOfHlc(created.hlc);
  const latest = latestEdit(reading);
  const resumption = reading.slots.get(resumedSlot);
  const resumed = resumedAt(resumption);
  const job: Job = {
    id,
    spec: checked.spec,
    revision: revisionOf(reading),
    createdAt,
    updatedAt: latest === undefined ? createdAt : instantOfHlc(latest.hlc),
    updatedBy: latest?.by ?? "",
    scheduledAt: Math.max(createdAt, writtenAt(reading, "schedule"), writtenAt(reading, "enabled")),
    resumedAt: resumed,
    failuresFrom: Math.max(createdAt, resumed, writtenAt(reading, "pauseAfterFailures")),
    pauses: reading.pauses.size === 0 ? none : pausesOf(reading, resumed),
    needs: needsOf(reading),
  };
  // As members of the literal, which most jobs lack, they would make V8 keep the others in a second object.
  if (resumption !== undefined && resumed > 0) job.resumedBy = resumption.by;
  if (reading.skips.size > 0) job.skips = [...reading.skips.values()].toSorted((a, b) => a.tick - b.tick);
  return job;
}

/** Most jobs have no pauses and no needs. They share this list. */
const none: readonly never[] = [];

function pausesOf({ pauses }: Reading, resumed: number): readonly Pause[] {
  const left = [...pauses].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const lasting = left.flatMap(([, pause]) => (isEnded(pause, resumed) ? [] : pause));
  return lasting.length === 0 ? none : lasting;
}

function needsOf({ slots, skips }: Reading): readonly PartNeeds[] {
  const needs: PartNeeds[] = skips.size === 0 ? [] : [skipNeeds];
  slots.forEach((stamped, slot) => {
    if (slot !== createdSlot && slot !== resumedSlot) needs.push(...needsOfSlot(slot, stamped));
  });
  return needs.length === 0 ? none : needs.toSorted((a, b) => (a.pointer < b.pointer ? -1 : 1));
}

/**
 * The job's fields in a reading, checked. If a slot needs a capability that this version lacks, this version may not
 * understand the slot's value. If the job isn't valid with such slots, they are left out (`hidden`); the job can then
 * be shown, edited and kept, but not run.
 */
export function readSpec(id: JobId, reading: Reading): { checked: JobCheck; hidden: ReadonlySet<string> } {
  const whole = specWithout(noSlots);
  if (whole.ok) return { checked: whole, hidden: noSlots };
  const hidden = new Set<string>();
  for (const [slot, stamped] of reading.slots) {
    const isUnsupported = needsOfSlot(slot, stamped).some(
      ({ capabilities }) => unknownCapabilities(capabilities).length > 0,
    );
    if (isUnsupported && isKnownSlot(slot)) hidden.add(slot);
  }
  if (hidden.size === 0) return { checked: whole, hidden };
  return { checked: specWithout(hidden), hidden };

  function specWithout(left: ReadonlySet<string>): JobCheck {
    const spec: Record<string, unknown> = {};
    for (const [slot, { value }] of reading.slots) {
      if (slot === createdSlot || slot === resumedSlot || left.has(slot)) continue;
      const problem = readSlot(slot, value, spec);
      if (problem !== undefined) return { ok: false, code: "INVALID_JOB", problems: [problem] };
    }
    const part = left.has("action") ? "without-action" : "whole";
    return checkStrangers(() => checkJob(inFieldOrder(id, spec), part));
  }
}

const noSlots: ReadonlySet<string> = new Set();

/**
 * Checks a job that may come from another peer. Another peer's bytes must not end this process, so only here a failed
 * assertion of the check counts as a problem of the job.
 */
function checkStrangers(check: () => JobCheck): JobCheck {
  try {
    return check();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, code: "INVALID_JOB", problems: [{ pointer: "", message }] };
  }
}

/**
 * At most the time at which it was written. Ticks before this instant are not run, so a value in the year 9999 would
 * silently stop the job.
 */
function resumedAt(resumed: Stamped | undefined): number {
  if (resumed === undefined || !isInstant(resumed.value)) return 0;
  return Math.min(resumed.value, instantOfHlc(resumed.hlc));
}

/**
 * A pause because of failed ticks is over once the job was resumed after them, even if it was written at a peer that had not
 * heard of the resume.
 */
function isEnded({ failedTick }: Pause, resumed: number): boolean {
  return failedTick !== undefined && failedTick <= resumed;
}

function writtenAt(reading: Reading, slot: string): number {
  const stamped = reading.slots.get(slot);
  return stamped === undefined ? 0 : instantOfHlc(stamped.hlc);
}

/** The last edit of the job itself; pausing and resuming don't count. */
function latestEdit(reading: Reading): Stamped | undefined {
  let latest: Stamped | undefined;
  for (const [slot, stamped] of reading.slots) {
    if (slot === resumedSlot) continue;
    if (latest === undefined || isLater(stamped.hlc, stamped.peer, latest)) latest = stamped;
  }
  return latest;
}

/** Over who wrote each slot and when: peers with the same table have the same revisions. */
function revisionOf(reading: Reading): string {
  const stamps: string[] = [];
  reading.slots.forEach(({ hlc, peer }, slot) => stamps.push(`${slot}@${peer}=${hlc}`));
  for (const ulid of reading.pauses.keys()) stamps.push(`pause@${ulid}`);
  // oxlint-disable-next-line no-array-sort -- a list of this function
  return shortHash(stamps.sort().join("\n"));
}

/** 16 hex digits. A part of the longer text would keep all of it in memory, once for each job. */
function shortHash(text: string): string {
  return hash("sha256", text, "buffer").toString("hex", 0, 8);
}
