/** One job: how it is and why, what it does, its ticks, runs and edits. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { go, jobPath, query, runLink, setQuery } from "../../live/address.ts";
import { lostSince } from "../../live/ask.ts";
import { resume, skip, unskip } from "../../live/job-actions.ts";
import { may } from "../../live/me.ts";
import { useResource } from "../../live/resource.ts";
import type { Job as JobItem, JobState, List, NextTick } from "../../live/types.ts";
import { DeleteDialog, PauseDialog, RunDialog } from "../../parts/job-dialogs.tsx";
import { JobStateWord, Pending } from "../../parts/parts.tsx";
import { At, Away, AwayBeside, Sentences } from "../../parts/times.tsx";
import { browserZone, runnersText, sentence, skipText } from "../../words.ts";
import { RunTable } from "../runs.tsx";
import { EditJob } from "../form/form.tsx";
import { Edits } from "./edits.tsx";
import { Picture } from "./picture.tsx";
import { Ticks } from "./ticks.tsx";

const tabs: Readonly<Record<string, string>> = {
  "": "Overview",
  ticks: "Ticks and why",
  runs: "Runs",
  edits: "Edits",
};

export function Job({ id }: { id: string }): JSX.Element {
  const path = jobPath(id);
  const found = useResource<JobItem>(path, { on: ["run", "job", "peer"] });
  const job = found.body;
  const tab = query.value.get("tab") ?? "";
  if (job === undefined) {
    const isGone = found.refused?.status === 404;
    return (
      <>
        <div class="head">
          <h1>{id}</h1>
        </div>
        <Pending of={found} what="the job" />
        {isGone && (
          <>
            <p class="small">
              <a href="/jobs">Show all jobs</a>
            </p>
            <Edits id={id} current={null} reload={found.reload} />
          </>
        )}
      </>
    );
  }
  const isOtherZone =
    job.timezone !== undefined && job.timezone !== browserZone && job.schedule !== undefined;
  const zone = isOtherZone && query.value.get("zone") === "job" ? job.timezone : undefined;
  return (
    <>
      <Head job={job} reload={found.reload} />
      <Trouble job={job} reload={found.reload} />
      <nav class="tabs" aria-label="Parts of this job">
        <ul>
          {Object.entries(tabs).map(([key, name]) => (
            <li key={key}>
              <a href={key === "" ? `?` : `?tab=${key}`} aria-current={key === tab ? "page" : undefined}>
                {name}
              </a>
            </li>
          ))}
        </ul>
        {isOtherZone && (
          <span class="small quiet">
            Times in {zone ?? browserZone} ·{" "}
            <button class="plain" onClick={() => setQuery({ zone: zone === undefined ? "job" : undefined })}>
              show {zone === undefined ? `the job's, ${job.timezone}` : "this browser's"}
            </button>
          </span>
        )}
      </nav>
      {tab === "change" ? (
        <EditJob job={job} />
      ) : tab === "ticks" ? (
        <Ticks id={id} zone={zone} />
      ) : tab === "runs" ? (
        <RunTable job={id} zone={zone} />
      ) : tab === "edits" ? (
        <Edits id={id} current={job.revision} reload={found.reload} />
      ) : (
        <>
          <Picture job={job} zone={zone} />
          <Next id={id} zone={zone} />
        </>
      )}
    </>
  );
}

function Head({ job, reload }: { job: JobItem; reload: () => void }): JSX.Element {
  const [open, setOpen] = useState<"run" | "pause" | "delete" | undefined>();
  const { id, state, description, nextTick, nextPeer, owner } = job;
  const dialog = { job, onClose: () => setOpen(undefined), onDone: reload };
  return (
    <div class="head">
      <div>
        <h1>{id}</h1>
        {description !== undefined && <p class="under">{description}</p>}
        <p class="under">
          <JobStateWord state={state} />
          {nextTick !== null && (
            <>
              {" "}
              · next <At at={nextTick} />
              {lostSince.value === undefined && (
                <>
                  {" "}
                  (<Away at={nextTick} />)
                </>
              )}
              {nextPeer !== null && ` on ${runnersText(job, nextPeer.name)}`}
            </>
          )}
          {owner !== undefined && " · "}
          {owner}
        </p>
      </div>
      <div class="actions">
        {may("operator") && (
          <>
            <button class="primary" onClick={() => setOpen("run")} disabled={state === "invalid"}>
              Run now
            </button>
            {job.paused === null ? (
              <button onClick={() => setOpen("pause")}>Pause</button>
            ) : (
              <button onClick={() => void resume(id).then(reload)}>Resume</button>
            )}
          </>
        )}
        {may("editor") && (
          <>
            <a class="button" href="?tab=change">
              Edit
            </a>
            <a class="button" href={`/new?from=${encodeURIComponent(id)}`}>
              Clone
            </a>
            <button class="danger" onClick={() => setOpen("delete")}>
              Delete
            </button>
          </>
        )}
      </div>
      {open === "run" && <RunDialog {...dialog} />}
      {open === "pause" && <PauseDialog {...dialog} />}
      {open === "delete" && <DeleteDialog {...dialog} onDone={() => go("/jobs")} />}
    </div>
  );
}

/** States of a job in which something keeps its ticks from running; a pause is shown with its note. */
const stopped: ReadonlySet<JobState> = new Set(["blocked", "waiting", "disabled", "ended"]);

/** What keeps the job from running well: its problems, its pause, and why its last tick went wrong. */
function Trouble({ job, reload }: { job: JobItem; reload: () => void }): JSX.Element {
  const { id, problems, paused, state } = job;
  const why = useResource<{ tick: string | null; why?: string[]; obstacles: string[] }>(
    state === "failing" || stopped.has(state) ? `${jobPath(id)}/why` : undefined,
    { on: ["run", "job", "peer"], about: id },
  );
  const isFailing = state === "failing" && why.body !== undefined && why.body.tick !== null;
  const obstacles = stopped.has(state)
    ? (why.body?.obstacles ?? []).filter((one) => !problems.some(({ message }) => one.includes(message)))
    : [];
  return (
    <div class="troubles">
      {problems.map(({ code, message }) => (
        <p key={code + message} class="trouble">
          <Sentences sentences={[sentence(message)]} />
        </p>
      ))}
      {obstacles.map((one) => (
        <p key={one} class="notice">
          <Sentences sentences={[one]} />
        </p>
      ))}
      {paused !== null && (
        <p class="notice">
          Paused by {paused.by} <Away at={paused.at} />
          {paused.until === null ? (
            " until somebody resumes it"
          ) : (
            <>
              {" "}
              until <At at={paused.until} />
            </>
          )}
          {paused.note === null ? "." : ": "}
          {paused.note}{" "}
          {may("operator") && (
            <button class="plain" onClick={() => void resume(id).then(reload)}>
              Resume
            </button>
          )}
        </p>
      )}
      {isFailing && (
        <div class="trouble">
          <strong>Its last tick went wrong.</strong> <Sentences sentences={why.body?.why ?? []} />{" "}
          <a href={runLink(`${id}~failed`)}>Show its output</a>
        </div>
      )}
    </div>
  );
}

const nextShown = 8;

function Next({ id, zone }: { id: string; zone: string | undefined }): JSX.Element | null {
  const path = `${jobPath(id)}/next?count=${nextShown}`;
  const found = useResource<List<NextTick>>(path, { on: ["job", "peer", "run"], everyMs: 2_000 });
  const items = found.body?.items ?? [];
  if (found.body !== undefined && items.length === 0) return null;
  return (
    <section aria-labelledby="next-title">
      <header>
        <h2 id="next-title">Next ticks</h2>
        <span class="more">the runner first, then who would step in</span>
      </header>
      {found.body === undefined ? (
        <Pending of={found} what="the next ticks" />
      ) : (
        <ol class="card next-list aligned">
          {items.map(({ tick, startsAt, skipped, skippedBy, note, peers }) => {
            const [runner, ...others] = peers;
            return (
              <li key={tick} class={skipped === undefined ? "" : "is-skipped"}>
                <span class="when">
                  <At at={startsAt} zone={zone} />
                </span>
                <span class="grow">
                  {skipped !== undefined ? (
                    skipText({ skipped, skippedBy, note })
                  ) : runner === undefined ? (
                    <span class="bad">no peer can run it now</span>
                  ) : (
                    `on ${runner.name}${others.length === 0 ? "" : `, else ${others.map(({ name }) => name).join(", ")}`}`
                  )}
                </span>
                <span class="quiet">
                  <AwayBeside at={startsAt} />
                </span>
                {may("operator") && skipped === "asked" && (
                  <button class="plain small" onClick={() => void unskip(id, tick).then(found.reload)}>
                    Run it after all
                  </button>
                )}
                {may("operator") && skipped === undefined && (
                  <button
                    class="plain small"
                    aria-label={`Skip ${tick}`}
                    onClick={() => void skip(id, tick).then(found.reload)}
                  >
                    Skip
                  </button>
                )}
              </li>
            );
          })}
        </ol>
      )}
    </section>
  );
}
