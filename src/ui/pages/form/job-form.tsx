/** The form itself: what is written in it, how it is kept and saved, and what happens if somebody else saves first. */
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { go, isForHere, jobLink, jobPath } from "../../live/address.ts";
import { ask, Refused } from "../../live/ask.ts";
import { draftOf, keepDraft } from "../../live/drafts.ts";
import { may } from "../../live/me.ts";
import { addReceipt, addRefusal } from "../../live/receipts.ts";
import { useResource } from "../../live/resource.ts";
import { withWritten, writtenOver, type Draft } from "../../live/stored-drafts.ts";
import type { Job } from "../../live/types.ts";
import { Empty, Pending } from "../../parts/parts.tsx";
import { sentence } from "../../words.ts";
import type { Problem } from "./fields.tsx";
import { JobFields } from "./job-fields.tsx";
import { Meanwhile } from "./meanwhile.tsx";
import { withField, type Schema } from "./schema.ts";
import { YamlField, type Apart } from "./yaml-field.tsx";

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

interface Props {
  /** which draft is its own */
  form: string;
  start: Draft;
  /** undefined = a new job */
  edited?: Job;
}

export function JobForm({ form, start, edited }: Props): JSX.Element {
  const [resumed] = useState(() => draftOf(form));
  /** what the draft is compared with, and replaces when it is saved */
  const [base, setBase] = useState({ fields: start, revision: revisionOf(edited) });
  const [draft, setDraft] = useState(() => (resumed === undefined ? start : withWritten(start, resumed)));
  const [apart, setApart] = useState<Apart | undefined>(
    resumed?.yaml === undefined ? undefined : { said: resumed.said ?? draft, unreadable: resumed.yaml },
  );
  const yaml = apart?.unreadable;
  /** the revision at which the edit began */
  const [since] = useState(resumed?.revision ?? revisionOf(edited));
  const latest = useRef({ base, draft });
  latest.current = { base, draft };
  const isDropped = useRef(false);
  const written = writtenOver(base.fields, draft);
  const names = [...Object.keys(written.fields), ...written.removed];
  useLayoutEffect(() => {
    const isKept = !isDropped.current && (names.length > 0 || yaml !== undefined);
    const said = yaml === undefined ? undefined : apart?.said;
    keepDraft(form, isKept ? { revision: since, ...written, yaml, said } : undefined);
  }, [draft, yaml]);
  const drop = (): void => {
    isDropped.current = true;
    keepDraft(form, undefined);
  };
  const [problems, setProblems] = useState<readonly Problem[]>([]);
  const [refusals, setRefusals] = useState(0);
  const told = useRef<HTMLDivElement>(null);
  // On a phone the problem is far above the button.
  useEffect(() => {
    if (refusals > 0) told.current?.focus();
  }, [refusals]);
  const [isBusy, setBusy] = useState(false);
  const found = useResource<Schema>("/schemas/job.json", { pollMs: 3_600_000 });
  if (!may("editor"))
    return (
      <Empty title="You have no right to write jobs.">
        Ask an admin of this mesh for a token with the role editor.
      </Empty>
    );
  if (found.body === undefined) return <Pending of={found} what="the form" />;
  const { properties = {} } = found.body;
  const change = (name: string, value: unknown): void => {
    setDraft(withField(draft, name, value) ?? {});
    setProblems(problems.filter(({ pointer }) => !pointer.startsWith(`/${name}`)));
  };
  /** Puts what was written on top of the job as it is now, also what was written while that was asked for. */
  const takeOver = (newest: Job): void => {
    const fields = fieldsOf(newest);
    const now = latest.current;
    setBase({ fields, revision: revisionOf(newest) });
    setDraft(withWritten(fields, writtenOver(now.base.fields, now.draft)));
    setProblems([]);
  };
  const save = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      const saved = await write(draft, edited?.id, base.revision);
      addReceipt({ tone: "done", text: `${saved.id} is ${edited === undefined ? "created" : "changed"}.` });
      for (const warning of saved.warnings ?? []) addReceipt({ tone: "refused", text: sentence(warning) });
      drop();
      go(jobLink(saved.id));
    } catch (error) {
      const newest = edited !== undefined && isConflict(error) ? await newestOf(edited.id) : undefined;
      if (newest !== undefined) {
        takeOver(newest);
        setRefusals(refusals + 1);
      } else if (error instanceof Refused && error.problems.length > 0) {
        setProblems(error.problems);
        setRefusals(refusals + 1);
      } else addRefusal(error);
      setBusy(false);
    }
  };
  return (
    <form class="job-form" onSubmit={(event) => void save(event)} noValidate>
      <div>
        <div ref={told} class="told" role="alert" tabIndex={-1}>
          {resumed !== undefined && (
            <p class="notice">This is what you had written before. Cancel drops it.</p>
          )}
          {edited !== undefined && since !== undefined && since !== base.revision && (
            <Meanwhile
              id={edited.id}
              since={since}
              shown={base.revision}
              written={names}
              readAgain={() => void newestOf(edited.id).then((newest) => newest && takeOver(newest))}
            />
          )}
          {problems.length > 0 && (
            <div class="trouble">
              {problems.map(({ pointer, message }) => (
                <p key={pointer + message}>
                  <strong>{pointer.slice(1).replaceAll("/", ".") || "the job"}</strong> {message}
                </p>
              ))}
            </div>
          )}
        </div>
        <JobFields
          properties={properties}
          draft={draft}
          problems={problems}
          isEdit={edited !== undefined}
          change={change}
        />
      </div>
      <div class="beside">
        <YamlField draft={draft} setDraft={setDraft} apart={apart} setApart={setApart} />
        <div class="actions">
          <a
            class="button"
            href={edited === undefined ? "/jobs" : jobLink(edited.id)}
            onClick={(event) => {
              if (isForHere(event)) drop();
            }}
          >
            Cancel
          </a>
          <button class="primary" disabled={isBusy || yaml !== undefined}>
            {edited === undefined ? "Create job" : "Save"}
          </button>
        </div>
      </div>
    </form>
  );
}

/** A new job, or the job in place of that revision. */
async function write(draft: Draft, id: string | undefined, revision: string | undefined): Promise<Job> {
  const { body } = await (id === undefined
    ? ask<Job>("/v1/jobs", { method: "POST", body: draft })
    : ask<Job>(jobPath(id), {
        method: "PUT",
        body: draft,
        ...(revision === undefined ? {} : { ifMatch: `"${revision}"` }),
      }));
  return body;
}

function isConflict(error: unknown): boolean {
  return error instanceof Refused && error.code === "REVISION_CONFLICT";
}

/** Undefined if it has been deleted, or no answer comes. */
async function newestOf(id: string): Promise<Job | undefined> {
  try {
    return (await ask<Job>(jobPath(id))).body;
  } catch {
    return undefined;
  }
}
