/**
 * A job while it is written in its form: what the form began with, what a person has written over that, and how it is kept until
 * they come back to the form.
 */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { jobLink } from "../../live/address.ts";
import { draftOf, keepDraft } from "../../live/drafts.ts";
import { withWritten, writtenOver, type Draft } from "../../live/stored-drafts.ts";
import type { Job } from "../../live/types.ts";
import type { Apart } from "./yaml-field.tsx";

const readOnly: ReadonlySet<string> = new Set(
  "revision createdAt updatedAt updatedBy paused nextTick nextPeer lastTick lastRun lastSuccess keptFrom inherited warnings state problems recent".split(
    " ",
  ),
);

/** The fields of a job that a person may write. */
export function fieldsOf(job: Job): Draft {
  return Object.fromEntries(Object.entries(job).filter(([name]) => !readOnly.has(name)));
}

/** An entry that can't be read has no revision, and is replaced whatever it holds. */
function revisionOf(job: Job | undefined): string | undefined {
  return job?.revision ?? undefined;
}

export interface JobDraft {
  readonly fields: Draft;
  readonly setFields: (fields: Draft) => void;
  /** undefined = the YAML says what the fields say */
  readonly apart: Apart | undefined;
  readonly setApart: (apart: Apart | undefined) => void;
  /** the names of the fields that a person has written or taken out */
  readonly changed: readonly string[];
  /** it was written before, and the person has come back to it */
  readonly isResumed: boolean;
  /** the revision at which the edit began; undefined: a new job, or an entry that can't be read */
  readonly since: string | undefined;
  /** the revision that is replaced when this is saved */
  readonly revision: string | undefined;
  /** Puts what was written on top of the job as it is now, also what was written while that was asked for. */
  readonly takeOver: (newest: Job) => void;
  /**
   * The job was saved as it was `sent`. What was written after that is kept on top of what was saved, in the form that edits
   * the job. Returns whether there is any.
   */
  readonly goOnAfter: (saved: Job, sent: Draft) => boolean;
  /** Forgets what was written. */
  readonly drop: () => void;
}

/** `form`: which draft is its own; `edited`: undefined = a new job */
export function useJobDraft(form: string, start: Draft, edited: Job | undefined): JobDraft {
  const [resumed] = useState(() => draftOf(form));
  /** what the draft is compared with */
  const [base, setBase] = useState({ fields: start, revision: revisionOf(edited) });
  const [since, setSince] = useState(resumed?.revision ?? revisionOf(edited));
  const [fields, setFields] = useState(() => (resumed === undefined ? start : withWritten(start, resumed)));
  const [apart, setApart] = useState<Apart | undefined>(
    resumed?.yaml === undefined ? undefined : { said: resumed.said ?? fields, unreadable: resumed.yaml },
  );
  const latest = useRef({ base, fields, apart });
  latest.current = { base, fields, apart };
  const isDropped = useRef(false);
  const written = writtenOver(base.fields, fields);
  const changed = [...Object.keys(written.fields), ...written.removed];
  useLayoutEffect(() => {
    const isKept = !isDropped.current && (changed.length > 0 || apart?.unreadable !== undefined);
    keepDraft(form, isKept ? { revision: since, ...written, ...unreadableOf(apart) } : undefined);
  }, [fields, apart?.unreadable]);

  const drop = (): void => {
    isDropped.current = true;
    keepDraft(form, undefined);
  };
  const beginAnew = (job: Job, over: Pick<ReturnType<typeof writtenOver>, "fields" | "removed">): void => {
    setBase({ fields: fieldsOf(job), revision: revisionOf(job) });
    setFields(withWritten(fieldsOf(job), over));
  };
  const takeOver = (newest: Job): void =>
    beginAnew(newest, writtenOver(latest.current.base.fields, latest.current.fields));
  const goOnAfter = (saved: Job, sent: Draft): boolean => {
    const { fields: now, apart: text } = latest.current;
    // The id of a job that is there doesn't change.
    const later = writtenOver({ ...sent, id: now["id"] }, now);
    const unreadable = unreadableOf(text);
    const isMore =
      Object.keys(later.fields).length + later.removed.length > 0 || unreadable.yaml !== undefined;
    if (isMore && edited !== undefined) {
      setSince(revisionOf(saved));
      beginAnew(saved, later);
      return true;
    }
    drop();
    if (isMore) keepDraft(jobLink(saved.id), { revision: revisionOf(saved), ...later, ...unreadable });
    return isMore;
  };
  const isResumed = resumed !== undefined;
  const { revision } = base;
  return {
    fields,
    setFields,
    apart,
    setApart,
    changed,
    isResumed,
    since,
    revision,
    takeOver,
    goOnAfter,
    drop,
  };
}

/** Of YAML that can be read, nothing has to be kept: the fields say the same. */
function unreadableOf(apart: Apart | undefined): { yaml?: string; said?: Draft } {
  return apart?.unreadable === undefined ? {} : { yaml: apart.unreadable, said: apart.said };
}
