/**
 * How a job is laid out in the document: which fields are written together, and under which keys.
 *
 * An incarnation holds slots `FIELD@PEER = {hlc, by, value}`, each with one writer, pauses `pause@ULID`, and ticks to be
 * skipped, `skip@TICK`. The last have the form of a slot, so that a version that doesn't know them needs a capability. Fields
 * that mean something only together (a schedule and its time zone, a command and its user) share one slot, so that
 * edits made on two peers never mix. Every other field has a slot of its own, so that both edits survive. `null` =
 * cleared.
 *
 * A later version may write slots and members of slots that this one doesn't know. They are kept unchanged, and a peer
 * that runs the job needs a capability for each of them: the ones in the entry's `needs`, or else `field:NAME`. A field
 * that doesn't affect running has `needs: []`. An entry whose value is known may have `needs` too.
 */
import { calendarNamedBy } from "../schema/calendar.ts";
import { hlcCap } from "./hlc.ts";
import { isInstant, tickAt, type JobId, type PeerId } from "../schema/ids.ts";
import {
  JobSpecSchema,
  type JobSpec,
  type PartNeeds,
  type Pause,
  type Problem,
  type Skip,
} from "../schema/job.ts";
import { capabilityForField, type Capability } from "../schema/protocol.ts";
import { pointerTo } from "../schema/pointer.ts";

type Field = Exclude<keyof JobSpec, "id">;

/** The slot of each field of a job. Because of the type, a field without a slot doesn't compile. */
const slotOfField = {
  schedule: "schedule",
  timezone: "schedule",
  startsAt: "schedule",
  endsAt: "schedule",
  except: "schedule",
  jitter: "schedule",
  // The parents decide about a job's ticks as a schedule does, and a job has only one of the two.
  after: "schedule",
  executor: "action",
  command: "action",
  argv: "action",
  http: "action",
  script: "action",
  stdin: "action",
  env: "action",
  cwd: "action",
  user: "action",
  umask: "action",
  enabled: "enabled",
  timeout: "timeout",
  killGrace: "killGrace",
  overlap: "overlap",
  catchUp: "catchUp",
  retry: "retry",
  pauseAfterFailures: "pauseAfterFailures",
  pool: "pool",
  partition: "partition",
  target: "target",
  weight: "weight",
  success: "success",
  precheck: "precheck",
  limits: "limits",
  background: "background",
  params: "params",
  secrets: "secrets",
  notify: "notify",
  longAfter: "longAfter",
  ping: "ping",
  keep: "keep",
  group: "group",
  labels: "labels",
  description: "description",
  owner: "owner",
} as const satisfies Record<Field, string>;

/** Slots that hold an object of several fields. Every other slot holds the value of its one field. */
const groupSlots: ReadonlySet<string> = new Set(["schedule", "action"]);

/** For each slot that holds an object with named members: the members that this version knows. */
const membersOf: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ...[...groupSlots].map((slot) => [slot, new Set(fieldsOfSlot(slot))] as const),
  ...(["catchUp", "retry", "target", "ping", "keep", "limits", "precheck", "success"] as const).map(
    (slot) => [slot, new Set(Object.keys(JobSpecSchema.properties[slot].properties))] as const,
  ),
]);

/** The fields of a job that a slot holds. */
function fieldsOfSlot(slot: string): string[] {
  return Object.entries(slotOfField).flatMap(([field, itsSlot]) => (itsSlot === slot ? [field] : []));
}

/** Slots that a person doesn't write: the job's id, and when the job was last resumed. */
export const createdSlot = "created";
export const resumedSlot = "resumed";

const slotNames: ReadonlySet<string> = new Set([...Object.values(slotOfField), createdSlot, resumedSlot]);

export interface Slot {
  hlc: number;
  by: string;
  value: unknown;
  /** the capabilities that a peer needs to run a job with this value, if the writer names them */
  needs?: unknown;
}

/** A slot with its writer, for comparison. */
export interface Stamped extends Slot {
  peer: string;
}

export type Key =
  | { kind: "slot"; slot: string; peer: string }
  | { kind: "pause"; ulid: string }
  | { kind: "skip"; tick: number };

const slotKey = /^([A-Za-z]{1,32})@(.{1,128})$/su;
const pauseKey = /^pause@([0-9A-HJKMNP-TV-Z]{26})$/;

export function keyOfSlot(slot: string, peer: PeerId): string {
  return `${slot}@${peer}`;
}

export function keyOfPause(ulid: string): string {
  return `pause@${ulid}`;
}

export function keyOfSkip(tick: number): string {
  return `${skipSlot}@${tickAt(tick)}`;
}

/** What a peer must know to run a job of which a tick is to be skipped. */
export const skipSlot = "skip";
export const skipNeeds: PartNeeds = {
  pointer: "",
  slot: skipSlot,
  capabilities: [capabilityForField(skipSlot)],
};

/** The keys of slots are the same in nearly all jobs: one for each field and writer. */
const knownKeys = new Map<string, Key>();
/** With more, the cache is emptied. */
const keysRemembered = 1_024;

/** Reads a key; undefined if it has no known form. */
export function parseKey(key: string): Key | undefined {
  const known = knownKeys.get(key);
  if (known !== undefined) return known;
  const read = readKey(key);
  if (read?.kind !== "slot") return read;
  if (knownKeys.size >= keysRemembered) knownKeys.clear();
  knownKeys.set(key, read);
  return read;
}

function readKey(key: string): Key | undefined {
  if (key.startsWith(`${skipSlot}@`)) {
    const text = key.slice(skipSlot.length + 1);
    const tick = Date.parse(text);
    return isInstant(tick) && tickAt(tick) === text ? { kind: "skip", tick } : undefined;
  }
  if (key.startsWith("pause@")) {
    const ulid = pauseKey.exec(key)?.[1];
    return ulid === undefined ? undefined : { kind: "pause", ulid };
  }
  const [, slot, peer] = slotKey.exec(key) ?? [];
  return slot === undefined || peer === undefined ? undefined : { kind: "slot", slot, peer };
}

/** The slots of a spec. Absent fields are left out. */
export function slotsOf(spec: JobSpec): Map<string, unknown> {
  const slots = new Map<string, unknown>();
  for (const [field, slot] of Object.entries(slotOfField)) {
    const value = Object.hasOwn(spec, field) ? spec[field as Field] : undefined;
    if (value === undefined) continue;
    if (!groupSlots.has(slot)) slots.set(slot, plainCopy(value));
    else slots.set(slot, { ...asObject(slots.get(slot)), [field]: plainCopy(value) });
  }
  return slots;
}

/** Copies the known parts of a slot's value into `spec`. */
export function readSlot(slot: string, value: unknown, spec: Record<string, unknown>): Problem | undefined {
  if (value === null || !isKnownSlot(slot)) return undefined;
  if (groupSlots.has(slot) && !isObject(value)) {
    return { pointer: "", message: `the ${slot} of the job can't be read` };
  }
  const members = membersOf.get(slot);
  if (members === undefined || !isObject(value)) {
    spec[slot] = value;
    return undefined;
  }
  const known = groupSlots.has(slot) ? spec : {};
  for (const name of Object.keys(value)) if (members.has(name)) known[name] = value[name];
  if (known !== spec) spec[slot] = known;
  return undefined;
}

/** The capabilities that a slot's entry needs, for its known and its unknown parts. */
export function needsOfSlot(
  slot: string,
  { value, needs }: Pick<Slot, "value" | "needs">,
): readonly PartNeeds[] {
  if (value === null) return none;
  const isPlain = needs === undefined && isKnownSlot(slot) && laterMembers(slot, value) === undefined;
  if (isPlain) return none;
  const said = readNeeds(needs);
  const named = (pointer: string, name: string): PartNeeds => ({
    pointer,
    slot,
    capabilities: said ?? [capabilityForField(name)],
  });
  const whole = pointerTo(slot);
  if (!isKnownSlot(slot)) return [named(whole, slot)].filter(isNeeding);
  const within = groupSlots.has(slot) ? [] : [slot];
  const later = Object.keys(laterMembers(slot, value) ?? {}).map((name) =>
    named(pointerTo(...within, name), [...within, name].join(".")),
  );
  const parts =
    later.length > 0 || said === undefined ? later : [{ pointer: whole, slot, capabilities: said }];
  return parts.filter(isNeeding);
}

const none: readonly never[] = [];

function isNeeding({ capabilities }: PartNeeds): boolean {
  return capabilities.length > 0;
}

/** Undefined if the writer named none, or in a form that this version can't read. */
function readNeeds(needs: unknown): string[] | undefined {
  return Array.isArray(needs) && needs.every((need) => typeof need === "string") ? needs : undefined;
}

/** The members of a slot's value that this version doesn't know; undefined if there are none. */
function laterMembers(slot: string, value: unknown): Record<string, unknown> | undefined {
  const members = membersOf.get(slot);
  if (members === undefined || !isObject(value)) return undefined;
  const later = Object.keys(value).filter((name) => !members.has(name));
  return later.length === 0 ? undefined : Object.fromEntries(later.map((name) => [name, value[name]]));
}

/** The value to write in place of `present`, so that the members that this version doesn't know stay. */
export function withLaterMembers(
  slot: string,
  value: unknown,
  present: Slot | undefined,
): Pick<Slot, "value" | "needs"> {
  const later = laterMembers(slot, present?.value);
  const own = slot === slotOfField.except ? exceptNeeds(value) : [];
  if (later === undefined) return own.length === 0 ? { value } : { value, needs: own };
  const needs = present?.needs === undefined ? {} : { needs: [...(readNeeds(present.needs) ?? []), ...own] };
  return { value: { ...asObject(value), ...later }, ...needs };
}

/** A version from before calendars would take their names for expressions. */
function exceptNeeds(value: unknown): Capability[] {
  const { except } = asObject(value);
  const namesOne =
    Array.isArray(except) && except.some((entry) => calendarNamedBy(String(entry)) !== undefined);
  return namesOne ? ["calendars"] : [];
}

export function isKnownSlot(slot: string): boolean {
  return slotNames.has(slot);
}

const fieldNames = Object.keys(slotOfField);

/** The job with its fields in a fixed order, so that every peer shows it alike. */
export function inFieldOrder(id: JobId, spec: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const ordered: Record<string, unknown> = { id };
  for (const field of fieldNames) if (Object.hasOwn(spec, field)) ordered[field] = spec[field];
  return ordered;
}

export function isSlot(entry: unknown): entry is Slot {
  if (!isObject(entry)) return false;
  const { hlc, by, value } = entry;
  return (
    typeof hlc === "number" &&
    Number.isSafeInteger(hlc) &&
    hlc >= 0 &&
    hlc < hlcCap &&
    typeof by === "string" &&
    value !== undefined
  );
}

export function isPause(entry: unknown): entry is Pause {
  if (!isObject(entry)) return false;
  const { at, by, note, until, failedTick } = entry;
  return (
    isInstant(at) &&
    typeof by === "string" &&
    (note === undefined || typeof note === "string") &&
    (until === undefined || isInstant(until)) &&
    (failedTick === undefined || isInstant(failedTick))
  );
}

/** The entry of a tick that is to be skipped; undefined if it can't be read. */
export function readSkip(tick: number, entry: unknown): Skip | undefined {
  if (!isSlot(entry) || !isObject(entry.value)) return undefined;
  const { at, note } = entry.value;
  if (!isInstant(at) || (note !== undefined && typeof note !== "string")) return undefined;
  return { tick, by: entry.by, at, ...(note === undefined ? {} : { note }) };
}

/**
 * A copy that shares nothing with the caller's value and that every peer reads back the same. A key `__proto__` is left
 * out, because it would be lost on the way.
 */
function plainCopy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plainCopy);
  if (!isObject(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, content] of Object.entries(value)) {
    if (key !== "__proto__" && content !== undefined) copy[key] = plainCopy(content);
  }
  return copy;
}

function asObject(value: unknown): Record<string, unknown> {
  return isObject(value) ? value : {};
}

function isObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.getPrototypeOf(value) === Object.prototype
  );
}
