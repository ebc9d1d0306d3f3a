/** Runs and decisions of all jobs, newest first, by job, state and peer. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { jobLink, query, runLink, setQuery } from "../live/address.ts";
import { mesh } from "../live/mesh.ts";
import { useResource } from "../live/resource.ts";
import type { List, Run } from "../live/types.ts";
import { Empty, Pending, RunStateWord } from "../parts/parts.tsx";
import { ListEnd, Table } from "../parts/table.tsx";
import { At, AwayBeside, Since } from "../parts/times.tsx";
import { countText, exitText, reasonText, runnerText, tookText } from "../words.ts";

const rowsAtOnce = 50;
const rowsMax = 1_000;
const shownStates = "running,succeeded,failed,timeout,cancelled,lost,skipped,missed";
const choices: readonly (readonly [string, string])[] = [
  [shownStates, "any state"],
  ["failed,timeout,lost,missed", "went wrong"],
  ["running", "running"],
  ["succeeded", "succeeded"],
  ["failed,timeout", "failed"],
  ["lost", "lost"],
  ["missed", "missed"],
  ["skipped", "skipped"],
  ["cancelled", "cancelled"],
];

export function Runs(): JSX.Element {
  const filter = query.value;
  const job = filter.get("job") ?? "";
  const peer = filter.get("peer") ?? "";
  const peers = mesh.value?.items ?? [];
  return (
    <>
      <div class="head">
        <h1>Runs</h1>
      </div>
      <div class="filters" role="search">
        <input
          type="search"
          aria-label="Job"
          placeholder="Job …"
          value={job}
          onChange={({ currentTarget: { value } }) => setQuery({ job: value.trim() })}
        />
        <select
          aria-label="State"
          value={filter.get("state") ?? shownStates}
          onChange={({ currentTarget: { value } }) =>
            setQuery({ state: value === shownStates ? undefined : value })
          }
        >
          {choices.map(([states, name]) => (
            <option key={states} value={states}>
              {name}
            </option>
          ))}
        </select>
        {peers.length > 1 && (
          <select
            aria-label="Peer"
            value={peer}
            onChange={({ currentTarget: { value } }) => setQuery({ peer: value })}
          >
            <option value="">on any peer</option>
            {peers.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        )}
      </div>
      <RunTable job={job} state={filter.get("state") ?? shownStates} peer={peer} showsJob />
    </>
  );
}

interface Props {
  job: string;
  state?: string;
  peer?: string;
  showsJob?: boolean;
  zone?: string | undefined;
}

export function RunTable({
  job,
  state = shownStates,
  peer = "",
  showsJob = false,
  zone,
}: Props): JSX.Element {
  const [limit, setLimit] = useState(rowsAtOnce);
  const wanted = new URLSearchParams({ limit: String(limit), state });
  if (job !== "") wanted.set("job", job);
  if (peer !== "") wanted.set("peer", peer);
  const list = useResource<List<Run>>(`/v1/runs?${wanted}`, {
    on: ["run"],
    everyMs: 1_500,
    ...(job === "" ? {} : { about: `${job}@` }),
  });
  if (list.body === undefined) return <Pending of={list} what="the runs" />;
  const { items, nextCursor } = list.body;
  if (items.length === 0) {
    const isFiltered = state !== shownStates || peer !== "" || (showsJob && job !== "");
    return <Empty title={isFiltered ? "No run matches." : "Nothing has run yet."} />;
  }
  return (
    <>
      <div class="table-wrap">
        <Table
          name="Runs"
          columns={[
            ...(showsJob ? ["Job", "State", "Tick"] : ["Tick", "State"]),
            "Peer",
            { name: "Took", class: "number" },
            "Why",
          ]}
        >
          {items.map((run) => (
            <RunRow key={`${run.id} ${run.slot}`} run={run} showsJob={showsJob} zone={zone} />
          ))}
        </Table>
      </div>
      <ListEnd hasMore={nextCursor !== null} limit={limit} limitMax={rowsMax} setLimit={setLimit}>
        {items.length} of {countText(list.total ?? items.length, "run")}
      </ListEnd>
    </>
  );
}

function RunRow({
  run,
  showsJob,
  zone,
}: {
  run: Run;
  showsJob: boolean;
  zone: string | undefined;
}): JSX.Element {
  const { id, job, state, due, startedAt, finishedAt, reason, attempt, trigger, range, duplicate } = run;
  const tick = (
    <>
      <At at={due} zone={zone} />{" "}
      <span class="quiet small off-card">
        <AwayBeside at={due} />
      </span>
      {trigger === "manual" && <span class="under">by hand</span>}
    </>
  );
  return (
    <tr role="row">
      <th role="rowheader" scope="row">
        {showsJob ? (
          <a href={jobLink(job)}>{job}</a>
        ) : startedAt === null ? (
          tick
        ) : (
          <a href={runLink(id)}>{tick}</a>
        )}
      </th>
      <td role="cell">
        {startedAt === null ? (
          <RunStateWord state={state} />
        ) : (
          <a href={runLink(id)}>
            <RunStateWord state={state} />
          </a>
        )}
        {attempt > 1 && <span class="under">attempt {attempt}</span>}
        {duplicate && <span class="under odd">ran twice</span>}
      </td>
      {showsJob && <td role="cell">{tick}</td>}
      <td role="cell">{startedAt === null ? "" : runnerText(run)}</td>
      <td role="cell" class="number">
        {startedAt !== null && finishedAt === null ? <Since at={startedAt} /> : tookText(run)}
      </td>
      <td role="cell" class="whole quiet">
        {reason === null
          ? state === "succeeded" || state === "running"
            ? ""
            : exitText(run)
          : reasonText(reason)}
        {range !== null && range.count > 1 && ` (${range.count} ticks)`}
      </td>
    </tr>
  );
}
