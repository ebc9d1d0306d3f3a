/** The form itself: the fields and the YAML, how they are saved, and what happens if somebody else saves first. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { go, isForHere, jobLink, jobPath } from "../../live/address.ts";
import { ask, Refused } from "../../live/ask.ts";
import { may } from "../../live/me.ts";
import { addReceipt, addRefusal } from "../../live/receipts.ts";
import { useResource } from "../../live/resource.ts";
import type { Draft } from "../../live/stored-drafts.ts";
import type { Job } from "../../live/types.ts";
import { Empty, Pending } from "../../parts/parts.tsx";
import { sentence } from "../../words.ts";
import type { Problem } from "./fields.tsx";
import { useJobDraft, type JobDraft } from "./job-draft.ts";
import { JobFields } from "./job-fields.tsx";
import { Meanwhile } from "./meanwhile.tsx";
import { withField, type Schema } from "./schema.ts";
import { YamlField } from "./yaml-field.tsx";

interface Props {
  /** which draft is its own */
  form: string;
  start: Draft;
  /** undefined = a new job */
  edited?: Job;
}

export function JobForm({ form, start, edited }: Props): JSX.Element {
  const draft = useJobDraft(form, start, edited);
  const { isBusy, save, takeOver, problems, setProblems, refusals } = useSaving(draft, edited);
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
    draft.setFields(withField(draft.fields, name, value) ?? {});
    setProblems(problems.filter(({ pointer }) => !pointer.startsWith(`/${name}`)));
  };
  return (
    <form
      class="job-form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <div>
        <FormMessages
          draft={draft}
          edited={edited}
          problems={problems}
          refusals={refusals}
          takeOver={takeOver}
        />
        <JobFields
          properties={properties}
          draft={draft.fields}
          problems={problems}
          isEdit={edited !== undefined}
          change={change}
        />
      </div>
      <div class="beside">
        <YamlField
          draft={draft.fields}
          setDraft={draft.setFields}
          apart={draft.apart}
          setApart={draft.setApart}
        />
        <div class="actions">
          <a
            class="button"
            href={edited === undefined ? "/jobs" : jobLink(edited.id)}
            onClick={(event) => {
              if (isForHere(event)) draft.drop();
            }}
          >
            Cancel
          </a>
          <button class="primary" disabled={isBusy || draft.apart?.unreadable !== undefined}>
            {edited === undefined ? "Create job" : "Save"}
          </button>
        </div>
      </div>
    </form>
  );
}

interface Saving {
  isBusy: boolean;
  save: () => Promise<void>;
  takeOver: (newest: Job) => void;
  problems: readonly Problem[];
  setProblems: (problems: readonly Problem[]) => void;
  /** how often saving was refused for a reason that the form shows */
  refusals: number;
}

function useSaving(draft: JobDraft, edited: Job | undefined): Saving {
  const [isBusy, setBusy] = useState(false);
  const [problems, setProblems] = useState<readonly Problem[]>([]);
  const [refusals, setRefusals] = useState(0);
  const takeOver = (newest: Job): void => {
    draft.takeOver(newest);
    setProblems([]);
  };
  const leave = (saved: Job, sent: Draft): void => {
    const isMore = draft.goOnAfter(saved, sent);
    setProblems([]);
    const done = `${saved.id} is ${edited === undefined ? "created" : "changed"}.`;
    const text = isMore ? `${done} What you have written since is not saved yet.` : done;
    addReceipt({ tone: "done", text });
    for (const warning of saved.warnings ?? []) addReceipt({ tone: "refused", text: sentence(warning) });
    if (!isMore) go(jobLink(saved.id));
    else if (edited === undefined) go(`${jobLink(saved.id)}?tab=change`);
  };
  const showRefusal = async (error: unknown): Promise<void> => {
    const newest = edited !== undefined && isConflict(error) ? await newestOf(edited.id) : undefined;
    if (newest !== undefined) takeOver(newest);
    else if (error instanceof Refused && error.problems.length > 0) setProblems(error.problems);
    else return addRefusal(error);
    setRefusals(refusals + 1);
  };
  const save = async (): Promise<void> => {
    setBusy(true);
    try {
      const sent = draft.fields;
      leave(await write(sent, edited?.id, draft.revision), sent);
    } catch (error) {
      await showRefusal(error);
    }
    setBusy(false);
  };
  return { isBusy, save, takeOver, problems, setProblems, refusals };
}

interface FormMessagesProps extends Pick<Saving, "problems" | "refusals" | "takeOver"> {
  draft: JobDraft;
  edited: Job | undefined;
}

/** What a person should know before they go on writing. After a refusal it has the focus: on a phone it is far above the button. */
function FormMessages({ draft, edited, problems, refusals, takeOver }: FormMessagesProps): JSX.Element {
  const { since, revision, isResumed, changed } = draft;
  const refusal = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (refusals > 0) refusal.current?.focus();
  }, [refusals]);
  return (
    <div ref={refusal} class="refusal" role="alert" tabIndex={-1}>
      {isResumed && <p class="notice">This is what you had written before. Cancel drops it.</p>}
      {edited !== undefined && since !== undefined && since !== revision && (
        <Meanwhile
          id={edited.id}
          since={since}
          shown={revision}
          written={changed}
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
