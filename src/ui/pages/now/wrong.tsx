/**
 * What went wrong in the last day, one line for each job: what and how often, and how the job is now. A person who has seen a
 * line can dismiss it in this browser; it comes back when the job goes wrong again.
 */
import type { JSX } from "preact";
import { jobLink, runLink } from "../../live/address.ts";
import type { Resource } from "../../live/resource.ts";
import type { Job, List, Run } from "../../live/types.ts";
import { JobStateWord, Nothing, Pending } from "../../parts/parts.tsx";
import { Table } from "../../parts/table.tsx";
import { At, Away, Sentences, withoutInstants } from "../../parts/times.tsx";
import { countText, exitText, reasonText, sentence } from "../../words.ts";
import { dismiss, dismissNone, useDismissed } from "./dismissed.ts";
import { wrongStates, type Failures } from "./failures.ts";

interface WrongJob {
  job: string;
  last: Run;
  /** state → how often */
  counts: ReadonlyMap<string, number>;
}

/** The newest first. A range of missed ticks counts as many times as it has ticks. */
export function groupWrong(runs: readonly Run[]): WrongJob[] {
  // An attempt that is repeated is not yet how its tick ended.
  const final = runs.filter(({ retryAt }) => retryAt === null);
  return [...Map.groupBy(final, ({ job }) => job)].map(([job, all]) => {
    const counts = new Map<string, number>();
    for (const { state, range } of all) counts.set(state, (counts.get(state) ?? 0) + (range?.count ?? 1));
    const [last = all[0]] = all.toSorted((a, b) => (a.due > b.due ? -1 : 1));
    return { job, last: last as Run, counts };
  });
}

interface Props {
  failures: Failures;
  trouble: Resource<List<Job>>;
}

interface Line {
  id: string;
  job: Job | undefined;
  wrong: WrongJob | undefined;
  mark: string;
}

const linesMax = 12;

export function WrongLately({ failures, trouble }: Props): JSX.Element | null {
  const lines = linesOf(failures.items ?? [], trouble.body?.items ?? []);
  const dismissed = useDismissed().value;
  const shown = lines.filter(({ id, mark }) => dismissed[id] !== mark);
  const hidden = lines.length - shown.length;
  // The sentence at the top says it already.
  if (failures.items !== undefined && trouble.body !== undefined && lines.length === 0) return null;
  return (
    <section aria-labelledby="wrong-title">
      <header>
        <h2 id="wrong-title">Went wrong in the last 24 hours</h2>
        <span class="more">
          {hidden > 0 && (
            <>
              {hidden} dismissed{" "}
              <button class="plain" onClick={dismissNone}>
                Show
              </button>{" "}
            </>
          )}
          {shown.length > 1 && (
            <button class="plain" onClick={() => dismiss(shown.map(({ id, mark }) => [id, mark]))}>
              Dismiss all
            </button>
          )}
        </span>
      </header>
      {failures.items === undefined || (trouble.body === undefined && lines.length === 0) ? (
        <Pending of={failures.refused === undefined ? trouble : failures} what="what went wrong" />
      ) : shown.length === 0 ? (
        <Nothing>Nothing new.</Nothing>
      ) : (
        <div class="table-wrap">
          <Table
            titledBy="wrong-title"
            columns={["Job", "What happened", "Last time", "Now", { name: "Dismiss", isUnseen: true }]}
          >
            {shown.slice(0, linesMax).map((line) => (
              <WrongRow key={line.id} line={line} />
            ))}
          </Table>
          {failures.since !== undefined && (
            <p class="under-list quiet small">
              So much went wrong that only what did since <At at={new Date(failures.since).toISOString()} />{" "}
              is counted. <a href={`/runs?state=${wrongStates}`}>Show all of it</a>
            </p>
          )}
          {shown.length > linesMax && (
            <p class="list-end small">
              <a href={`/runs?state=${wrongStates}`}>and {countText(shown.length - linesMax, "job")} more</a>
            </p>
          )}
        </div>
      )}
    </section>
  );
}

/** Jobs in trouble now come first, then those that have only been. */
function linesOf(runs: readonly Run[], jobs: readonly Job[]): Line[] {
  const wrong = new Map(groupWrong(runs).map((one) => [one.job, one]));
  const inTrouble = jobs.filter(({ state }) => ["failing", "blocked", "invalid"].includes(state));
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const ids = new Set([...inTrouble.map(({ id }) => id), ...wrong.keys()]);
  return [...ids].map((id) => {
    const job = byId.get(id);
    const one = wrong.get(id);
    return {
      id,
      job,
      wrong: one,
      mark:
        one === undefined ? `${job?.state} ${withoutInstants(job?.problems[0]?.message ?? "")}` : one.last.id,
    };
  });
}

function WrongRow({ line: { id, job, wrong, mark } }: { line: Line }): JSX.Element {
  return (
    <tr role="row">
      <th role="rowheader" scope="row">
        <a href={jobLink(id)}>{id}</a>
      </th>
      <td role="cell" class="whole">
        {wrong === undefined ? (
          <span>
            <Sentences
              sentences={[
                sentence(job?.problems[0]?.message ?? job?.lastTick?.reason ?? "its last tick went wrong"),
              ]}
            />
          </span>
        ) : (
          <>
            {[...wrong.counts].map(([state, count], index) => (
              <span key={state} class="bad">
                {index > 0 && ", "}
                {state}
                {count > 1 && ` ${count} times`}
              </span>
            ))}
            <span class="under">{whyOf(wrong.last)}</span>
            {job?.state === "blocked" && job.problems[0] !== undefined && (
              <span class="under">
                <Sentences sentences={[sentence(job.problems[0].message)]} />
              </span>
            )}
          </>
        )}
      </td>
      <td role="cell">
        {wrong !== undefined &&
          (wrong.last.startedAt === null ? (
            <Away at={wrong.last.due} />
          ) : (
            <a href={runLink(wrong.last.id)}>
              <Away at={wrong.last.finishedAt ?? wrong.last.due} />
            </a>
          ))}
      </td>
      <td role="cell">{job === undefined ? "" : <JobStateWord state={job.state} />}</td>
      <td role="cell" class="end number">
        <button class="plain small" aria-label={`Dismiss ${id}`} onClick={() => dismiss([[id, mark]])}>
          Dismiss
        </button>
      </td>
    </tr>
  );
}

function whyOf(run: Run): string {
  const where = run.peerName === null ? "" : ` on ${run.peerName}`;
  if (run.reason !== null) return `${reasonText(run.reason)}${run.startedAt === null ? "" : where}`;
  return `${exitText(run)}${where}`.trim();
}
