/**
 * What an export to a crontab writes above a job's lines, so that an import brings back exactly that job, with what a crontab
 * can't say: its spec, and a hash of the lines and of all variables that hold for them. If the hash no longer fits, somebody has
 * changed them, and they count as any other lines.
 *
 * The hash proves nothing about who wrote the comment, and the spec may name any user and command. So it only counts in the system
 * form of a crontab, whose lines may do that, too, and only if the spec runs what the lines say.
 */
import { createHash } from "node:crypto";
import type { JobSpec } from "../../schema/job.ts";

/** What a crontab says about a job. */
export interface Said {
  zone: string;
  /** CRON_TZ is not among them */
  variables: ReadonlyMap<string, string>;
  lines: readonly string[];
}

export interface Origin {
  hash: string;
  id: string;
  /** not checked yet */
  spec: Readonly<Record<string, unknown>>;
  /** how many lines the job has */
  lines: number;
}

/** Before a line of a disabled job. */
export const disabledMark = "# disabled: ";

export function originLine(spec: JobSpec, said: Said): string {
  return `#cicada ${hashOf(said)} ${JSON.stringify(spec)}`;
}

/** Undefined if the comment is another one. */
export function readOrigin(comment: string): Origin | undefined {
  const [, hash, text] = /^#cicada ([0-9a-f]{16}) (\{.*\})$/s.exec(comment) ?? [];
  if (hash === undefined || text === undefined) return undefined;
  try {
    const spec = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const { id } = spec;
    return typeof id === "string" ? { hash, id, spec, lines: [spec["schedule"]].flat().length } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the lines say what the export has written. */
export function isUnchanged({ hash }: Origin, said: Said): boolean {
  return hash === hashOf(said);
}

function hashOf({ zone, variables, lines }: Said): string {
  const meaning = JSON.stringify([zone, [...variables].toSorted(([a], [b]) => (a < b ? -1 : 1)), lines]);
  return createHash("sha256").update(meaning).digest("hex").slice(0, 16);
}
