/**
 * A job in a form and in YAML beside it, to make, edit or clone it. Both show the same job; either may be edited. The form is made
 * from the schema by which the API checks jobs.
 */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { go, jobLink, query } from "../../live/address.ts";
import { ask, Refused } from "../../live/ask.ts";
import { draftHere, useDraft } from "../../live/drafts.ts";
import { may, me } from "../../live/me.ts";
import { addReceipt, addRefusal } from "../../live/receipts.ts";
import { useResource } from "../../live/resource.ts";
import type { Draft } from "../../live/stored-drafts.ts";
import type { Job } from "../../live/types.ts";
import { Empty, Pending } from "../../parts/parts.tsx";
import { sentence } from "../../words.ts";
import type { Problem } from "./fields.tsx";
import { JobFields } from "./job-fields.tsx";
import { withField, type Schema } from "./schema.ts";
import { YamlField } from "./yaml-field.tsx";

const readOnly: ReadonlySet<string> = new Set(
  "revision createdAt updatedAt updatedBy paused nextTick nextPeer lastTick lastRun lastSuccess keptFrom inherited warnings state problems recent".split(
    " ",
  ),
);

/** A new job, with `?from=ID` a clone. */
export function NewJob(): JSX.Element {
  const from = query.value.get("from");
  const found = useResource<Job>(from === null ? undefined : `/v1/jobs/${encodeURIComponent(from)}`);
  if (from !== null && found.body === undefined) return <Pending of={found} what="the job" />;
  if (me.value === undefined) return <UnknownPerson />;
  const { id: _, ...fields } = found.body === undefined ? { id: "" } : draftOf(found.body);
  const draft = from === null ? { schedule: "@every 5m", command: "" } : { id: `${from}-copy`, ...fields };
  return (
    <>
      <div class="head">
        <div>
          <h1>New job</h1>
          {from !== null && <p class="under">a copy of {from}</p>}
        </div>
      </div>
      <JobForm start={draft} />
    </>
  );
}

const conflict = {
  tone: "refused",
  text: "Somebody has changed the job since this edit began, so nothing was saved.",
  hint: "What you have written stays here. Open the job's edits in another tab to see the change, then edit the job anew.",
} as const;

/** An edit of the job at this revision. If somebody else edits it meanwhile, nothing of that edit is lost. */
export function EditJob({ job }: { job: Job }): JSX.Element {
  return me.value === undefined ? <UnknownPerson /> : <Edit job={job} />;
}

function Edit({ job }: { job: Job }): JSX.Element {
  const [start] = useState(() => draftHere()?.edits ?? job);
  return <JobForm start={draftOf(start)} edits={start} />;
}

/** Whose drafts may be shown isn't known yet. */
function UnknownPerson(): JSX.Element {
  return <Pending of={{ refused: undefined }} what="the form" />;
}

function draftOf(job: Job): Draft {
  return Object.fromEntries(Object.entries(job).filter(([name]) => !readOnly.has(name)));
}

function JobForm({ start, edits }: { start: Draft; edits?: Job }): JSX.Element {
  const [resumed] = useState(draftHere);
  const [draft, setDraft] = useState(resumed?.draft ?? start);
  const [yaml, setYaml] = useState(resumed?.yaml);
  const drop = useDraft({ draft, edits, yaml });
  const [problems, setProblems] = useState<readonly Problem[]>([]);
  const [refusals, setRefusals] = useState(0);
  const trouble = useRef<HTMLDivElement>(null);
  // On a phone it is far above the button.
  useEffect(() => trouble.current?.focus(), [refusals]);
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
  const save = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      const { body } = await (edits === undefined
        ? ask<Job>("/v1/jobs", { method: "POST", body: draft })
        : ask<Job>(`/v1/jobs/${encodeURIComponent(edits.id)}`, {
            method: "PUT",
            body: draft,
            ifMatch: `"${edits.revision}"`,
          }));
      addReceipt({ tone: "done", text: `${body.id} is ${edits === undefined ? "created" : "changed"}.` });
      for (const warning of body.warnings ?? []) addReceipt({ tone: "refused", text: sentence(warning) });
      drop();
      go(jobLink(body.id));
    } catch (error) {
      if (error instanceof Refused && error.problems.length > 0) {
        setProblems(error.problems);
        setRefusals(refusals + 1);
      } else if (error instanceof Refused && error.code === "REVISION_CONFLICT") addReceipt(conflict);
      else addRefusal(error);
      setBusy(false);
    }
  };
  return (
    <form class="job-form" onSubmit={(event) => void save(event)} noValidate>
      <div>
        {resumed !== undefined && <p class="notice">This is what you had written before. Cancel drops it.</p>}
        {problems.length > 0 && (
          <div ref={trouble} class="trouble" role="alert" tabIndex={-1}>
            {problems.map(({ pointer, message }) => (
              <p key={pointer + message}>
                <strong>{pointer.slice(1).replaceAll("/", ".") || "the job"}</strong> {message}
              </p>
            ))}
          </div>
        )}
        <JobFields
          properties={properties}
          draft={draft}
          problems={problems}
          isEdit={edits !== undefined}
          change={change}
        />
      </div>
      <div class="beside">
        <YamlField draft={draft} setDraft={setDraft} unreadable={yaml} setUnreadable={setYaml} />
        <div class="actions">
          <a class="button" href={edits === undefined ? "/jobs" : jobLink(edits.id)} onClick={drop}>
            Cancel
          </a>
          <button class="primary" disabled={isBusy || yaml !== undefined}>
            {edits === undefined ? "Create job" : "Save"}
          </button>
        </div>
      </div>
    </form>
  );
}
