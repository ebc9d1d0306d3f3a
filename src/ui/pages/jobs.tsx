/** All jobs: found by text, state and group, and acted on alone or together. All filters are in the address. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { jobLink, query, setQuery } from "../live/address.ts";
import { useHeldRows } from "../live/held.ts";
import { bulk, resume, runNow, type BulkAction } from "../live/job-actions.ts";
import { may } from "../live/me.ts";
import { summary } from "../live/mesh.ts";
import { useResource } from "../live/resource.ts";
import type { Job, JobState, List } from "../live/types.ts";
import { DeleteDialog, PauseDialog, RunDialog } from "../parts/job-dialogs.tsx";
import { Dialog, Empty, JobStateWord, Pending } from "../parts/parts.tsx";
import { Spark } from "../parts/spark.tsx";
import { At, Away } from "../parts/times.tsx";
import { actionText, countText, durationText, reasonText, scheduleText, toneOfRun } from "../words.ts";
import { FirstJob } from "./first-job.tsx";

/** Rows of the first page, and how many more come with each wish for more. */
const rowsAtOnce = 100;
const rowsMax = 1_000;
const orders: Readonly<Record<string, string>> = {
  attention: "what needs a look first",
  next: "next due first",
  id: "by name",
};
/** The states that have a chip even when no job is in them would be noise; these come first. */
const chipOrder: readonly JobState[] = [
  "failing",
  "blocked",
  "invalid",
  "running",
  "waiting",
  "paused",
  "scheduled",
  "manual",
  "disabled",
  "ended",
];

export function Jobs(): JSX.Element {
  const filter = query.value;
  const [limit, setLimit] = useState(rowsAtOnce);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const wanted = new URLSearchParams({
    limit: String(limit),
    recent: "true",
    sort: filter.get("sort") ?? "attention",
  });
  for (const name of ["q", "state", "group", "label"]) {
    for (const value of filter.getAll(name)) if (value !== "") wanted.append(name, value);
  }
  const list = useResource<List<Job>>(`/v1/jobs?${wanted}`, { on: ["run", "job"], everyMs: 2_000 });
  const items = list.body?.items ?? [];
  const held = useHeldRows(items, ({ id }) => id, wanted.toString());
  const isFiltered = ["q", "state", "group", "label"].some((name) => filter.get(name));
  const choose = (id: string, on: boolean): void => {
    const next = new Set(chosen);
    if (on) next.add(id);
    else next.delete(id);
    setChosen(next);
  };

  return (
    <>
      <div class="head">
        <h1>Jobs</h1>
        {may("editor") && (
          <div class="actions">
            <a class="button primary" href="/new">
              New job
            </a>
          </div>
        )}
      </div>
      <Filters />
      <StateChips />
      {list.body === undefined ? (
        <Pending of={list} what="the jobs" />
      ) : items.length === 0 && !isFiltered ? (
        <FirstJob />
      ) : items.length === 0 ? (
        <Empty title="No job fits.">
          <a href="/jobs">Show all jobs</a>
        </Empty>
      ) : (
        <>
          <ChosenBar chosen={chosen} clear={() => setChosen(new Set())} reload={list.reload} />
          <div
            class="table-wrap"
            ref={held.ref}
            onPointerMove={held.onPointerMove}
            onPointerLeave={held.onPointerLeave}
          >
            <table class="cards jobs" role="table" aria-label="Jobs">
              <thead role="rowgroup">
                <tr role="row">
                  <th role="columnheader" scope="col" class="check">
                    <input
                      type="checkbox"
                      aria-label="Choose all jobs that are shown"
                      checked={chosen.size > 0 && items.every(({ id }) => chosen.has(id))}
                      onChange={({ currentTarget }) =>
                        setChosen(new Set(currentTarget.checked ? items.map(({ id }) => id) : []))
                      }
                    />
                  </th>
                  <th role="columnheader" scope="col">
                    Job
                  </th>
                  <th role="columnheader" scope="col">
                    State
                  </th>
                  <th role="columnheader" scope="col">
                    Next tick
                  </th>
                  <th role="columnheader" scope="col">
                    Last ticks
                  </th>
                  <th role="columnheader" scope="col" class="number">
                    Usually
                  </th>
                  <th role="columnheader" scope="col">
                    <span class="unseen">Actions</span>
                  </th>
                </tr>
              </thead>
              <tbody role="rowgroup">
                {held.rows.map((job) => (
                  <Row
                    key={job.id}
                    job={job}
                    isChosen={chosen.has(job.id)}
                    choose={choose}
                    reload={list.reload}
                  />
                ))}
              </tbody>
            </table>
          </div>
          <p class="list-end quiet small">
            {items.length} of {countText(list.total ?? items.length, "job")}
            {list.body.nextCursor !== null && limit < rowsMax && (
              <button onClick={() => setLimit(Math.min(rowsMax, limit + 2 * rowsAtOnce))}>Show more</button>
            )}
            {list.body.nextCursor !== null && limit >= rowsMax && " are shown: search for the others"}
          </p>
        </>
      )}
    </>
  );
}

function Filters(): JSX.Element {
  const filter = query.value;
  const groups = summary.value?.groups ?? [];
  const field = useRef<HTMLInputElement>(null);
  const typed = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => {
    if (!filter.has("find")) return;
    setQuery({ find: undefined });
    field.current?.focus();
  }, []);
  const search = (text: string): void => {
    clearTimeout(typed.current);
    typed.current = setTimeout(() => setQuery({ q: text.trim() }), 200);
  };
  return (
    <div class="filters" role="search">
      <input
        ref={field}
        type="search"
        aria-label="Find jobs"
        placeholder="Find by name, text, command …"
        defaultValue={filter.get("q") ?? ""}
        onInput={({ currentTarget }) => search(currentTarget.value)}
      />
      {groups.length > 1 && (
        <select
          aria-label="Group"
          value={filter.get("group") ?? ""}
          onChange={({ currentTarget }) => setQuery({ group: currentTarget.value })}
        >
          <option value="">all groups</option>
          {groups.map(({ name, jobs }) => (
            <option key={name} value={name}>
              {name} ({jobs})
            </option>
          ))}
        </select>
      )}
      <select
        aria-label="Order"
        value={filter.get("sort") ?? "attention"}
        onChange={({ currentTarget: { value } }) =>
          setQuery({ sort: value === "attention" ? undefined : value })
        }
      >
        {Object.entries(orders).map(([order, words]) => (
          <option key={order} value={order}>
            {words}
          </option>
        ))}
      </select>
      {filter.getAll("label").map((label) => (
        <button key={label} class="chip" aria-pressed="true" onClick={() => setQuery({ label: undefined })}>
          {label} ✕
        </button>
      ))}
    </div>
  );
}

function StateChips(): JSX.Element | null {
  const states = summary.value?.states;
  if (states === undefined) return null;
  const chosen = query.value.get("state");
  const shown = chipOrder.filter((state) => (states[state] ?? 0) > 0 || state === chosen);
  if (shown.length < 2) return null;
  return (
    <div class="chips" role="group" aria-label="State">
      {shown.map((state) => (
        <button
          key={state}
          class="chip"
          aria-pressed={state === chosen}
          onClick={() => setQuery({ state: state === chosen ? undefined : state })}
        >
          {state} <b>{states[state] ?? 0}</b>
        </button>
      ))}
    </div>
  );
}

interface RowProps {
  job: Job;
  isChosen: boolean;
  choose: (id: string, on: boolean) => void;
  reload: () => void;
}

function Row({ job, isChosen, choose, reload }: RowProps): JSX.Element {
  const { id, description, state, nextTick, nextPeer, lastTick, lastRun, recent, problems } = job;
  const about = description ?? actionText(job);
  return (
    <tr role="row">
      <td role="cell" class="check">
        <input
          type="checkbox"
          aria-label={`Choose ${id}`}
          checked={isChosen}
          onChange={({ currentTarget }) => choose(id, currentTarget.checked)}
        />
      </td>
      <th role="rowheader" scope="row">
        <a href={jobLink(id)}>{id}</a>
        {about !== "" && <span class="under cut">{about}</span>}
      </th>
      <td role="cell">
        <JobStateWord state={state} />
        {problems[0] !== undefined && <span class="under why">{problems[0].message}</span>}
        {job.paused?.note && <span class="under why">{job.paused.note}</span>}
      </td>
      <td role="cell">
        {nextTick === null ? (
          <span class="quiet">{job.after === undefined ? "–" : `after ${job.after.jobs.join(", ")}`}</span>
        ) : (
          <>
            <At at={nextTick} /> <span class="quiet">{nextPeer === null ? "" : `on ${nextPeer.name}`}</span>
          </>
        )}
        <span class="under">{scheduleOf(job)}</span>
      </td>
      <td role="cell">
        {recent !== undefined && <Spark ticks={recent.ticks} />}
        {lastTick !== null && (
          <span class="under">
            <span class={toneOfRun(lastTick.state) === "good" ? "" : toneOfRun(lastTick.state)}>
              {lastTick.state}
            </span>{" "}
            <Away
              at={
                lastRun !== null && lastRun.tick === lastTick.tick
                  ? (lastRun.finishedAt ?? instantOf(lastTick.tick))
                  : instantOf(lastTick.tick)
              }
            />
            {lastTick.reason !== null && <span class="why"> · {reasonText(lastTick.reason)}</span>}
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

/** Of a run that was asked for by hand the tick is no instant. */
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

interface ChosenProps {
  chosen: ReadonlySet<string>;
  clear: () => void;
  reload: () => void;
}

/** What can be done with the chosen jobs together. A deletion is asked about first. */
function ChosenBar({ chosen, clear, reload }: ChosenProps): JSX.Element | null {
  const [isDeleting, setDeleting] = useState(false);
  if (chosen.size === 0 || !may("operator")) return null;
  const ids = [...chosen];
  const act = async (action: BulkAction): Promise<void> => {
    setDeleting(false);
    if (await bulk(ids, action)) clear();
    reload();
  };
  return (
    <div class="chosen" role="group" aria-label="For the chosen jobs">
      <span>{countText(ids.length, "job")} chosen</span>
      <button onClick={() => void act("run")}>Run</button>
      <button onClick={() => void act("pause")}>Pause</button>
      <button onClick={() => void act("resume")}>Resume</button>
      <button class="danger" onClick={() => setDeleting(true)}>
        Delete
      </button>
      <button class="plain" onClick={clear}>
        Choose none
      </button>
      {isDeleting && (
        <Dialog title={`Delete ${countText(ids.length, "job")}?`} onClose={() => setDeleting(false)}>
          <p class="names">
            {ids.slice(0, 30).join(", ")}
            {ids.length > 30 && ` and ${ids.length - 30} more`}
          </p>
          <div class="actions">
            <button onClick={() => setDeleting(false)} autoFocus>
              Keep them
            </button>
            <button class="danger" onClick={() => void act("delete")}>
              Delete them
            </button>
          </div>
        </Dialog>
      )}
    </div>
  );
}
