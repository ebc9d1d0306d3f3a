/**
 * Collects the jobs of an import, one draft at a time. A draft is refused with all reasons at once, made disabled where a person
 * must look first, or made with notes about what is not carried over; the job itself is checked like every other one.
 */
import { checkJob } from "../../core/checks/job.ts";
import type { Reading } from "./reading.ts";

export interface ForeignOptions {
  /** put before every id */
  prefix: string;
  /** this host's name */
  host: string;
  /** who the jobs run as where the file doesn't say it */
  user?: string;
  /** the zone of times for which the file names none */
  zone: string;
  /** name or id of the only peer that may run the jobs */
  pinTo?: string;
}

/** Ends the reading of one part. It never leaves the importers. */
class Refusal extends Error {}

export class Draft {
  readonly notes: string[] = [];
  readonly disabled: string[] = [];
  readonly refusals: string[] = [];

  /** Notes something that is not carried over. */
  note(text: string): void {
    this.notes.push(text);
  }

  /** Notes something that the job can't do as it did there. The job is made, and doesn't run until a person has looked at it. */
  disable(why: string): void {
    this.disabled.push(why);
  }

  /** Notes why no job is made. Reading goes on, so that a person sees all reasons at once. */
  addRefusal(reason: string): void {
    this.refusals.push(reason);
  }

  /** Does the same for a part that can't be read any further. */
  refuse(reason: string): never {
    this.addRefusal(reason);
    throw new Refusal(reason);
  }

  /** Reads a part of the entry; undefined if that was refused. */
  part<Value>(read: () => Value): Value | undefined {
    try {
      return read();
    } catch (error) {
      if (error instanceof Refusal) return undefined;
      throw error;
    }
  }
}

export class Drafts {
  readonly reading: Reading = { jobs: [], refused: [], notes: [], doubts: [] };
  readonly #options: ForeignOptions;
  readonly #ids = new Set<string>();

  constructor(options: ForeignOptions) {
    this.#options = options;
  }

  /** `at` is the place, `text` what stands there, in short; `build` gives the fields of the job. */
  add(at: string, text: string, build: (draft: Draft) => Record<string, unknown>): void {
    const draft = new Draft();
    const fields = draft.part(() => build(draft));
    if (fields !== undefined) this.#take(at, draft, fields);
    if (draft.refusals.length === 0) return;
    const disabled = draft.disabled.map((why) => `it would be made DISABLED: ${why}`);
    this.reading.refused.push({ at, text, reasons: [...new Set([...draft.refusals, ...disabled])] });
  }

  note(text: string): void {
    this.reading.notes.push(text);
  }

  #take(at: string, draft: Draft, fields: Record<string, unknown>): void {
    const { pinTo } = this.#options;
    const target = pinTo === undefined ? {} : { target: { peers: [pinTo] } };
    const enabled = draft.disabled.length === 0 ? {} : { enabled: false };
    const job = withoutUndefined({ ...fields, ...target, ...enabled });
    const check = checkJob(job);
    if (!check.ok) {
      const isPart = draft.refusals.length > 0;
      for (const { pointer, message } of check.problems) {
        if (!isPart || isAboutPart(job, pointer)) draft.addRefusal(`${pointer.slice(1)}: ${message}`);
      }
      return;
    }
    const { id } = check.spec;
    if (this.#ids.has(id))
      draft.addRefusal(`another job here has the id ${id}: give it another name, or a --prefix`);
    if (draft.refusals.length > 0) return;
    this.#ids.add(id);
    this.reading.jobs.push({ at, spec: check.spec });
    this.reading.notes.push(
      ...draft.disabled.map((why) => `${at}: made DISABLED: ${why}`),
      ...draft.notes.map((note) => `${at}: ${note}`),
    );
  }
}

const boundToSchedule: ReadonlySet<string> = new Set(["jitter", "except", "catchUp", "startsAt", "endsAt"]);

/** Whether a problem is about something that was read, and not about a field that a refused part would have given. */
function isAboutPart(job: Record<string, unknown>, pointer: string): boolean {
  const [, field = ""] = pointer.split("/");
  return Object.hasOwn(job, field) && ("schedule" in job || !boundToSchedule.has(field));
}

function withoutUndefined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** An id made of another scheduler's name. */
export function idFrom(name: string, prefix: string): string {
  const id = `${prefix}${name}`.toLowerCase().replaceAll(/[^a-z0-9._-]+/g, "-");
  return id
    .replace(/^[^a-z0-9]+/, "")
    .slice(0, 128)
    .replace(/-+$/, "");
}

/** The fields that are left when those that were read are taken away. */
export function unread(given: object, known: readonly string[]): string[] {
  return Object.keys(given).filter((name) => !known.includes(name));
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as a text; empty if there is none. */
export function wordOf(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined || value === null ? "" : (JSON.stringify(value) ?? "");
}

/** The value of a number, or of a text that is one; NaN for anything else. */
export function numberOf(value: unknown): number {
  return typeof value === "number" || typeof value === "string" ? Number(value) : Number.NaN;
}
