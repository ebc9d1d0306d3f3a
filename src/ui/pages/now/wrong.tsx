/**
 * What went wrong in the last day, one line for each job: what and how often, and how the job is now. A person who has seen a
 * line can dismiss it in this browser; it comes back when the job goes wrong again.
 */
import type { JSX } from "preact";
import { jobLink, runLink } from "../../live/address.ts";
import type { Resource } from "../../live/resource.ts";
import type { Job, List, Run, WrongJob, WrongList } from "../../live/types.ts";
import { JobStateWord, Nothing, Pending } from "../../parts/parts.tsx";
import { Table } from "../../parts/table.tsx";
import { Away, Sentences, withoutInstants } from "../../parts/times.tsx";
import { countText, exitText, reasonText, sentence, wrongTexts } from "../../words.ts";
import { dismiss, dismissNone, useDismissed } from "./dismissed.ts";

const allOfThem = "/runs?state=failed,timeout,lost,missed";

interface Props {
  wrong: Resource<WrongList>;
  trouble: Resource<List<Job>>;
}

interface Line {
  id: string;
  /** set if the job is among those that need a person first */
  job: Job | undefined;
  wrong: WrongJob | undefined;
  mark: string;
}

const linesMax = 12;

export function WrongLately({ wrong, trouble }: Props): JSX.Element | null {
  const { items = [], total = 0 } = wrong.body ?? {};
  const lines = linesOf(items, trouble.body?.items ?? []);
  const dismissed = useDismissed().value;
  const shown = lines.filter(({ id, mark }) => dismissed[id] !== mark);
  const hidden = lines.length - shown.length;
  const left = Math.max(0, shown.length - linesMax) + total - items.length;
  // The sentence at the top says it already.
  if (wrong.body !== undefined && trouble.body !== undefined && lines.length === 0) return null;
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
      {wrong.body === undefined || (trouble.body === undefined && lines.length === 0) ? (
        <Pending of={wrong.refused === undefined ? trouble : wrong} what="what went wrong" />
      ) : shown.length === 0 && left === 0 ? (
        <Nothing>Nothing new.</Nothing>
      ) : (
        <div class="table-wrap">
          {shown.length > 0 && (
            <Table
              titledBy="wrong-title"
              columns={["Job", "What happened", "Last time", "Now", { name: "Dismiss", isUnseen: true }]}
            >
              {shown.slice(0, linesMax).map((line) => (
                <WrongRow key={line.id} line={line} />
              ))}
            </Table>
          )}
          {left > 0 && (
            <p class="list-end small">
              <a href={allOfThem}>and {countText(left, "job")} more</a>
            </p>
          )}
        </div>
      )}
    </section>
  );
}

/** Jobs that are in trouble now come first, then those that only were. */
function linesOf(items: readonly WrongJob[], jobs: readonly Job[]): Line[] {
  const wrong = new Map(items.map((one) => [one.job, one]));
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
  const now = job?.state ?? wrong?.state ?? null;
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
            <span class="bad">{wrongTexts(wrong.counts).join(", ")}</span>
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
      <td role="cell">{now !== null && <JobStateWord state={now} />}</td>
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
