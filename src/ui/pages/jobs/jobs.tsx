/** All jobs: found by text, state and group, and acted on alone or together. */
import { useSignal, type Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { query } from "../../live/address.ts";
import { lostSince } from "../../live/ask.ts";
import { useHeldRows } from "../../live/held.ts";
import { may } from "../../live/me.ts";
import { useLate, useResource, type Resource } from "../../live/resource.ts";
import type { Job, List } from "../../live/types.ts";
import { Empty, Pending } from "../../parts/parts.tsx";
import { ListEnd, Table } from "../../parts/table.tsx";
import { countText } from "../../words.ts";
import { FirstJob } from "../first-job.tsx";
import { ChosenBar } from "./chosen.tsx";
import { Filters, StateChips } from "./filters.tsx";
import { JobRow } from "./row.tsx";

/** Rows at first, and at most. */
const rowsAtOnce = 100;
const rowsMax = 1_000;

export function Jobs(): JSX.Element {
  const filter = query.value;
  const [limit, setLimit] = useState(rowsAtOnce);
  // A signal, because the list itself is not drawn anew when a job is chosen.
  const chosen = useSignal<ReadonlySet<string>>(new Set());
  const { list, note } = useJobs(filter, limit);
  const items = list.body?.items ?? [];
  const held = useHeldRows(items, ({ id }) => id, `${limit} ${filter}`);
  const isFiltered = ["q", "state", "group", "label"].some((name) => filter.get(name));
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
      <StateChips note={note} />
      {list.body === undefined ? (
        <Pending of={list} what="the jobs" />
      ) : items.length === 0 && !isFiltered ? (
        <FirstJob />
      ) : items.length === 0 ? (
        <Empty title="No job matches.">
          <a href="/jobs">Show all jobs</a>
        </Empty>
      ) : (
        <>
          <ChosenBar chosen={chosen} reload={list.reload} />
          <div
            class="table-wrap"
            ref={held.ref}
            onPointerMove={held.onPointerMove}
            onPointerLeave={held.onPointerLeave}
          >
            <Table
              name="Jobs"
              class="cards jobs"
              columns={[
                {
                  name: "Chosen",
                  class: "check",
                  ...(may("operator")
                    ? { content: <ChooseAll items={items} chosen={chosen} /> }
                    : { isUnseen: true }),
                },
                "Job",
                "State",
                "Next tick",
                "Last ticks",
                { name: "Usually", class: "number" },
                { name: "Actions", isUnseen: true },
              ]}
            >
              {held.rows.map((job) => (
                <JobRow key={job.id} job={job} chosen={chosen} reload={list.reload} />
              ))}
            </Table>
          </div>
          <ListEnd
            hasMore={list.body.nextCursor !== null}
            limit={limit}
            limitMax={rowsMax}
            setLimit={setLimit}
          >
            {items.length} of {countText(list.total ?? items.length, "job")}
          </ListEnd>
        </>
      )}
    </>
  );
}

/**
 * The order of the jobs, and their states, are known once the peer has read all jobs. After its start that takes longer the more
 * jobs there are. Until then they are listed by name, and `note` says so.
 */
function useJobs(filter: URLSearchParams, limit: number): { list: Resource<List<Job>>; note?: string } {
  const { sort = "attention", state = "" } = Object.fromEntries(filter);
  const wanted = new URLSearchParams({ limit: String(limit), recent: "true" });
  for (const name of ["q", "group", "label"]) {
    for (const value of filter.getAll(name)) if (value !== "") wanted.append(name, value);
  }
  const ordered = new URLSearchParams([
    ...wanted,
    ["sort", sort],
    ...(state === "" ? [] : [["state", state]]),
  ]);
  const list = useResource<List<Job>>(`/v1/jobs?${ordered}`, { on: ["run", "job"], everyMs: 2_000 });
  const isLate = useLate() && list.body === undefined && list.refused === undefined;
  const byName = useResource<List<Job>>(isLate && state === "" ? `/v1/jobs?${wanted}` : undefined);
  if (!isLate || lostSince.value !== undefined) return { list };
  const note = `The ${sort === "next" ? "next ticks" : "states"} of all jobs are still being read`;
  return byName.body === undefined
    ? { list, note: `${note} …` }
    : { list: byName, note: `${note}. Until then the jobs are listed by name.` };
}

function ChooseAll({
  items,
  chosen,
}: {
  items: readonly Job[];
  chosen: Signal<ReadonlySet<string>>;
}): JSX.Element {
  return (
    <input
      type="checkbox"
      aria-label="Choose all jobs that are shown"
      checked={chosen.value.size > 0 && items.every(({ id }) => chosen.value.has(id))}
      onChange={({ currentTarget }) => {
        chosen.value = new Set(currentTarget.checked ? items.map(({ id }) => id) : []);
      }}
    />
  );
}
