/**
 * Collects the jobs of an import, one draft at a time. A draft is refused with a reason, made disabled where a person must look
 * first, or made with notes about what is not carried over; the job itself is checked as every other one.
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

/** Why a draft becomes no job. It never leaves the importers. */
export class Refusal extends Error {}

export class Draft {
  readonly notes: string[] = [];
  readonly disabled: string[] = [];

  /** What is not carried over. */
  note(text: string): void {
    this.notes.push(text);
  }

  /** What the job can't do as it did there: it is made, and doesn't run until a person has looked at it. */
  disable(why: string): void {
    this.disabled.push(why);
  }

  refuse(reason: string): never {
    throw new Refusal(reason);
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
    try {
      this.#take(at, draft, build(draft));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.reading.refused.push({ at, text, reason: error.message });
    }
  }

  note(text: string): void {
    this.reading.notes.push(text);
  }

  #take(at: string, draft: Draft, fields: Record<string, unknown>): void {
    const { pinTo } = this.#options;
    const target = pinTo === undefined ? {} : { target: { peers: [pinTo] } };
    const enabled = draft.disabled.length === 0 ? {} : { enabled: false };
    const check = checkJob(withoutUndefined({ ...fields, ...target, ...enabled }));
    if (!check.ok) {
      draft.refuse(
        check.problems.map(({ pointer, message }) => `${pointer.slice(1)}: ${message}`).join("; "),
      );
    }
    const { id } = check.spec;
    if (this.#ids.has(id))
      draft.refuse(`another job here has the id ${id}: give it another name, or a --prefix`);
    this.#ids.add(id);
    this.reading.jobs.push({ at, spec: check.spec });
    this.reading.notes.push(
      ...draft.disabled.map((why) => `${at}: made DISABLED: ${why}`),
      ...draft.notes.map((note) => `${at}: ${note}`),
    );
  }
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

/** A value as a text: of nothing the empty one. */
export function wordOf(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined || value === null ? "" : (JSON.stringify(value) ?? "");
}
