/** A job in the list of jobs: how it is, when it comes next, how its last ticks went, and what can be done with it. */
import { useComputed, type Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { jobLink } from "../../live/address.ts";
import { resume, runNow } from "../../live/job-actions.ts";
import { may } from "../../live/me.ts";
import type { Job } from "../../live/types.ts";
import { DeleteDialog, PauseDialog, RunDialog } from "../../parts/job-dialogs.tsx";
import { Dialog, JobStateWord } from "../../parts/parts.tsx";
import { Spark } from "../../parts/spark.tsx";
import { At, Away, Sentences } from "../../parts/times.tsx";
import {
  actionText,
  durationText,
  exitText,
  reasonText,
  runnersText,
  scheduleText,
  tookText,
  toneOfRun,
} from "../../words.ts";

/** Everything but the job stays the same between drawings of the list. */
interface Props {
  job: Job;
  chosen: Signal<ReadonlySet<string>>;
  reload: () => void;
}

/** It is drawn anew only when the job's answer has changed: a list has up to 1,000 rows, and few of them change at once. */
export function JobRow(props: Props): JSX.Element {
  return useMemo(() => <Row {...props} />, [JSON.stringify(props.job)]);
}

function Row({ job, chosen, reload }: Props): JSX.Element {
  const { id, description, state, nextTick, nextPeer, lastTick, lastRun, recent, problems } = job;
  const about = description ?? actionText(job);
  const ran = lastRun !== null && lastRun.tick === lastTick?.tick ? lastRun : null;
  const why = lastTick === null || lastTick.state === "succeeded" ? "" : whyOf(lastTick.reason, ran);
  // The reason is not repeated if the problem beside the state already contains it.
  const reason = problems[0]?.message.includes(why) === true ? "" : why;
  const took = ran === null ? "" : tookText(ran);
  return (
    <tr role="row">
      <td role="cell" class="check">
        {may("operator") && <Choose id={id} chosen={chosen} />}
      </td>
      <th role="rowheader" scope="row">
        <a href={jobLink(id)}>{id}</a>
        {about !== "" && <span class="under cut">{about}</span>}
      </th>
      <td role="cell">
        <JobStateWord state={state} />
        {problems[0] !== undefined && (
          <span class="under why">
            <Sentences sentences={[problems[0].message]} />
          </span>
        )}
        {job.paused?.note && <span class="under why">{job.paused.note}</span>}
      </td>
      <td role="cell">
        {nextTick === null ? (
          <span class={job.after === undefined ? "quiet off-card" : "quiet"}>
            {job.after === undefined ? "–" : `after ${job.after.jobs.join(", ")}`}
          </span>
        ) : (
          <>
            <At at={nextTick} />{" "}
            <span class="quiet">{nextPeer === null ? "" : `on ${runnersText(job, nextPeer.name)}`}</span>
          </>
        )}
        <span class="under">{scheduleOf(job)}</span>
      </td>
      <td role="cell">
        {recent !== undefined && <Spark ticks={recent.ticks} />}
        {lastTick !== null && (
          <span class="under last">
            <span class={toneOfRun(lastTick.state) === "good" ? "" : toneOfRun(lastTick.state)}>
              {lastTick.state}
            </span>{" "}
            <Away at={ran?.finishedAt ?? instantOf(lastTick.tick)} />
            {reason !== "" && <span class="why"> · {reason}</span>}
            {took !== "" && <span class="on-card"> · {took}</span>}
          </span>
        )}
      </td>
      <td role="cell" class="number" data-label="usually">
        {typeof recent?.usualMs === "number" ? durationText(recent.usualMs) : ""}
      </td>
      <td role="cell" class="end">
        <RowActions job={job} reload={reload} />
      </td>
    </tr>
  );
}

function Choose({ id, chosen }: { id: string; chosen: Signal<ReadonlySet<string>> }): JSX.Element {
  const isChosen = useComputed(() => chosen.value.has(id));
  return (
    <input
      type="checkbox"
      aria-label={`Choose ${id}`}
      checked={isChosen.value}
      onChange={({ currentTarget }) => {
        const next = new Set(chosen.value);
        if (currentTarget.checked) next.add(id);
        else next.delete(id);
        chosen.value = next;
      }}
    />
  );
}

function whyOf(reason: string | null, ran: Job["lastRun"]): string {
  if (reason !== null) return reasonText(reason);
  return ran === null ? "" : exitText(ran);
}

/** The instant of a tick. For a run by hand the tick is a ULID, not an instant. */
function instantOf(tick: string): string {
  if (!tick.startsWith("manual-")) return tick.slice(0, 20);
  // A ULID begins with its instant.
  let ms = 0;
  for (const letter of tick.slice(7, 17)) ms = ms * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".indexOf(letter);
  return new Date(ms).toISOString();
}

function scheduleOf({ schedule, timezone }: Job): string {
  const text = scheduleText(schedule);
  return text === "" || timezone === undefined || timezone === "UTC" ? text : `${text}, ${timezone}`;
}

function RowActions({ job, reload }: { job: Job; reload: () => void }): JSX.Element {
  const [open, setOpen] = useState<"menu" | "run" | "pause" | "delete" | undefined>();
  const close = (): void => setOpen(undefined);
  const asks = Object.keys(job.params ?? {}).length > 0 || job.state === "paused" || job.state === "disabled";
  const run = (): void => {
    if (asks) setOpen("run");
    else void runNow(job.id).then(reload);
  };
  const dialog = { job, onClose: close, onDone: reload };
  if (!may("operator")) return <span />;
  return (
    <span class="row-actions">
      <button class="run" aria-label={`Run ${job.id} now`} onClick={run} disabled={job.state === "invalid"}>
        Run
      </button>
      <button aria-label={`More for ${job.id}`} aria-haspopup="dialog" onClick={() => setOpen("menu")}>
        ⋯
      </button>
      {open === "menu" && (
        <Dialog title={job.id} onClose={close} class="menu">
          <button onClick={() => (close(), run())}>Run now</button>
          {job.paused === null ? (
            <button onClick={() => setOpen("pause")}>Pause</button>
          ) : (
            <button onClick={() => (close(), void resume(job.id).then(reload))}>Resume</button>
          )}
          {may("editor") && (
            <>
              <a class="button" href={`${jobLink(job.id)}?tab=change`}>
                Edit
              </a>
              <a class="button" href={`/new?from=${encodeURIComponent(job.id)}`}>
                Clone
              </a>
              <button class="danger" onClick={() => setOpen("delete")}>
                Delete
              </button>
            </>
          )}
          <button onClick={close}>Close</button>
        </Dialog>
      )}
      {open === "run" && <RunDialog {...dialog} />}
      {open === "pause" && <PauseDialog {...dialog} />}
      {open === "delete" && <DeleteDialog {...dialog} />}
    </span>
  );
}
