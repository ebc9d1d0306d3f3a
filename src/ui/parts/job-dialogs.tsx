/**
 * The dialogs that ask for what an action on a job needs: values to run with, a note for a pause, a confirmation for a deletion.
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { pause, remove, runNow } from "../live/job-actions.ts";
import type { Job } from "../live/types.ts";
import { Dialog, Question, textIn } from "./parts.tsx";

interface Props {
  job: Job;
  onClose: () => void;
  onDone?: () => void;
}

type Param = NonNullable<Job["params"]>[string];

export function RunDialog({ job, onClose, onDone }: Props): JSX.Element {
  const params = Object.entries(job.params ?? {});
  const isStopped = job.state === "paused" || job.state === "disabled";
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const given = params.flatMap(([name, param]) => {
      const value = valueOf(form.get(`param ${name}`), param);
      return value === undefined ? [] : [[name, value] as const];
    });
    setBusy(true);
    const body = {
      ...(given.length === 0 ? {} : { params: Object.fromEntries(given) }),
      ...(isStopped ? { force: true } : {}),
    };
    const isDone = await runNow(job.id, body);
    setBusy(false);
    if (!isDone) return;
    onClose();
    onDone?.();
  };
  return (
    <Dialog title={`Run ${job.id} now`} onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        {isStopped && <p class="notice">It is {job.state}. This run starts anyway.</p>}
        {params.length === 0 && !isStopped && <p>It runs once, in addition to its schedule.</p>}
        {params.map(([name, param]) => (
          <ParamField key={name} name={name} param={param} />
        ))}
        <div class="actions">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button class="primary" disabled={isBusy} autoFocus={params.length === 0}>
            Run now
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function ParamField({ name, param }: { name: string; param: Param }): JSX.Element {
  const field = `param ${name}`;
  const given = param.default === undefined ? "" : String(param.default);
  const choices = param.type === "boolean" ? ["true", "false"] : (param.choices ?? undefined);
  return (
    <div class="field">
      <label for={field}>
        {name}
        {param.required === true && " (required)"}
      </label>
      {choices === undefined ? (
        <input
          id={field}
          name={field}
          defaultValue={given}
          required={param.required === true}
          inputMode={param.type === "number" ? "decimal" : "text"}
        />
      ) : (
        <select id={field} name={field} required={param.required === true}>
          {param.required !== true && given === "" && <option value="">not set</option>}
          {choices.map((choice) => (
            <option key={choice} value={choice} selected={choice === given}>
              {choice}
            </option>
          ))}
        </select>
      )}
      {param.description !== undefined && <small>{param.description}</small>}
    </div>
  );
}

function valueOf(text: FormDataEntryValue | null, { type }: Param): string | number | boolean | undefined {
  if (typeof text !== "string" || text === "") return undefined;
  if (type === "number") return Number(text);
  return type === "boolean" ? text === "true" : text;
}

export function PauseDialog({ job, onClose, onDone }: Props): JSX.Element {
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const note = textIn(form, "note").trim();
    const until = textIn(form, "until");
    const body = {
      ...(note === "" ? {} : { note }),
      ...(until === "" ? {} : { until: new Date(until).toISOString() }),
    };
    if (!(await pause(job.id, body))) return;
    onClose();
    onDone?.();
  };
  return (
    <Dialog title={`Pause ${job.id}`} onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <p>Its ticks don't run until it is resumed, and they are not caught up.</p>
        <div class="field">
          <label for="pause-note">Why</label>
          <input
            id="pause-note"
            name="note"
            maxLength={1_024}
            placeholder="disk is being replaced"
            autoFocus
          />
          <small>Shown with the job.</small>
        </div>
        <div class="field">
          <label for="pause-until">Until</label>
          <input id="pause-until" name="until" type="datetime-local" />
          <small>In this browser's zone. Empty: until somebody resumes it.</small>
        </div>
        <div class="actions">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button class="primary">Pause</button>
        </div>
      </form>
    </Dialog>
  );
}

export const deletionText =
  "It is removed from every peer, and its ticks stop. A run in progress may finish. The job is kept for a while, so the deletion can be undone.";

export function DeleteDialog({ job, onClose, onDone }: Props): JSX.Element {
  const act = async (): Promise<void> => {
    if (!(await remove(job))) return;
    onClose();
    onDone?.();
  };
  return (
    <Question
      title={`Delete ${job.id}?`}
      no="Keep it"
      yes="Delete"
      onClose={onClose}
      onYes={() => void act()}
    >
      <p>{deletionText}</p>
    </Question>
  );
}
