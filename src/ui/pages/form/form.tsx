/**
 * A job in a form and in YAML beside it, to make, edit or clone it. Both show the same job; either may be edited. The form is made
 * from the schema by which the API checks jobs.
 */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { go, jobLink, query } from "../../live/address.ts";
import { ask, Refused } from "../../live/ask.ts";
import { may } from "../../live/me.ts";
import { addReceipt, addRefusal } from "../../live/receipts.ts";
import { useResource } from "../../live/resource.ts";
import type { Job } from "../../live/types.ts";
import { Empty, Pending } from "../../parts/parts.tsx";
import { sentence } from "../../words.ts";
import { Field, type Problem } from "./fields.tsx";
import { interruptedHere, useInterruption, type Draft } from "./interrupted.ts";
import { SchedulePreview } from "./preview.tsx";
import { withField, type Schema } from "./schema.ts";
import type { readYaml, writeYaml } from "./yaml.ts";

const readOnly: ReadonlySet<string> = new Set(
  "revision createdAt updatedAt updatedBy paused nextTick nextPeer lastTick lastRun lastSuccess keptFrom inherited warnings state problems recent".split(
    " ",
  ),
);
const first: readonly string[] = ["id", "schedule", "timezone", "command", "description"];
const groups: readonly (readonly [string, readonly string[]])[] = [
  [
    "What runs",
    [
      "argv",
      "http",
      "script",
      "executor",
      "stdin",
      "env",
      "cwd",
      "user",
      "umask",
      "params",
      "secrets",
      "limits",
      "background",
    ],
  ],
  ["When", ["startsAt", "endsAt", "except", "jitter", "enabled", "after", "catchUp"]],
  ["Where", ["target", "pool", "weight", "partition", "overlap"]],
  [
    "When it goes wrong",
    [
      "timeout",
      "killGrace",
      "retry",
      "precheck",
      "success",
      "pauseAfterFailures",
      "notify",
      "longAfter",
      "ping",
    ],
  ],
  ["Ownership", ["group", "labels", "owner", "keep"]],
];

/** A new job, with `?from=ID` a clone. */
export function NewJob(): JSX.Element {
  const from = query.value.get("from");
  const found = useResource<Job>(from === null ? undefined : `/v1/jobs/${encodeURIComponent(from)}`);
  if (from !== null && found.body === undefined) return <Pending of={found} what="the job" />;
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
  const [start] = useState(() => interruptedHere()?.edits ?? job);
  return <JobForm start={draftOf(start)} edits={start} />;
}

function draftOf(job: Job): Draft {
  return Object.fromEntries(Object.entries(job).filter(([name]) => !readOnly.has(name)));
}

function JobForm({ start, edits }: { start: Draft; edits?: Job }): JSX.Element {
  const [draft, setDraft] = useState(() => interruptedHere()?.draft ?? start);
  const [isResumed] = useState(() => interruptedHere() !== undefined);
  const drop = useInterruption({ draft, edits });
  const [problems, setProblems] = useState<readonly Problem[]>([]);
  const [isBusy, setBusy] = useState(false);
  const [unreadable, setUnreadable] = useState("");
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
  const field = (name: string): JSX.Element | null => {
    const schema = properties[name];
    // Which job it is doesn't change.
    if (schema === undefined || (name === "id" && edits !== undefined)) return null;
    return (
      <Field
        key={name}
        name={name}
        pointer={`/${name}`}
        schema={schema}
        value={draft[name]}
        problems={problems}
        isRequired={name === "id"}
        onChange={(value) => change(name, value)}
      />
    );
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
      if (error instanceof Refused && error.problems.length > 0) setProblems(error.problems);
      else if (error instanceof Refused && error.code === "REVISION_CONFLICT") addReceipt(conflict);
      else addRefusal(error);
      setBusy(false);
    }
  };
  return (
    <form class="job-form" onSubmit={(event) => void save(event)} noValidate>
      <div>
        {isResumed && <p class="notice">This is what you had written before. Cancel drops it.</p>}
        {problems.length > 0 && (
          <div class="trouble" role="alert">
            {problems.map(({ pointer, message }) => (
              <p key={pointer + message}>
                <strong>{pointer.slice(1).replaceAll("/", ".") || "the job"}</strong> {message}
              </p>
            ))}
          </div>
        )}
        <div class="fields">{first.map(field)}</div>
        <h2 class="sub-title">What the schedule means</h2>
        <SchedulePreview
          id={typeof draft["id"] === "string" ? draft["id"] : ""}
          schedule={draft["schedule"]}
          timezone={draft["timezone"]}
          except={draft["except"]}
        />
        {groups.map(([title, names]) => (
          <details
            key={title}
            class="group"
            open={names.some((name) => problems.some(({ pointer }) => pointer.startsWith(`/${name}`)))}
          >
            <summary>
              {title}
              <span class="quiet small">{names.filter((name) => draft[name] !== undefined).join(", ")}</span>
            </summary>
            <div class="fields">{names.map(field)}</div>
          </details>
        ))}
      </div>
      <div class="beside">
        <YamlField draft={draft} setDraft={setDraft} setUnreadable={setUnreadable} unreadable={unreadable} />
        <div class="actions">
          <a class="button" href={edits === undefined ? "/jobs" : jobLink(edits.id)} onClick={drop}>
            Cancel
          </a>
          <button class="primary" disabled={isBusy || unreadable !== ""}>
            {edits === undefined ? "Create job" : "Save"}
          </button>
        </div>
      </div>
    </form>
  );
}

interface YamlForm {
  writeYaml: typeof writeYaml;
  readYaml: typeof readYaml;
}

interface YamlProps {
  draft: Draft;
  setDraft: (draft: Draft) => void;
  unreadable: string;
  setUnreadable: (problem: string) => void;
}

/** The same job as text. While a person writes in it, it stays as it is written. */
function YamlField({ draft, setDraft, unreadable, setUnreadable }: YamlProps): JSX.Element {
  const [yaml, setYaml] = useState<YamlForm>();
  const [written, setWritten] = useState<string | undefined>();
  useEffect(() => void import("./yaml.ts").then(setYaml), []);
  const text = written ?? yaml?.writeYaml(draft) ?? "";
  const read = (value: string): void => {
    setWritten(value);
    const found = yaml?.readYaml(value);
    if (found === undefined) return;
    setUnreadable("problem" in found ? found.problem : "");
    if ("fields" in found) setDraft(found.fields);
  };
  return (
    <div class="field yaml">
      <label for="yaml">The same as YAML</label>
      <textarea
        id="yaml"
        class="mono"
        rows={Math.min(36, Math.max(12, text.split("\n").length + 1))}
        spellcheck={false}
        value={text}
        readOnly={yaml === undefined}
        aria-invalid={unreadable !== ""}
        onInput={({ currentTarget }) => read(currentTarget.value)}
        onBlur={() => {
          if (unreadable === "") setWritten(undefined);
        }}
      />
      {unreadable !== "" && (
        <span class="problem" role="status">
          {unreadable}
        </span>
      )}
    </div>
  );
}
