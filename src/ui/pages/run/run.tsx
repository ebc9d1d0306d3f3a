/** One run: its output, live, and its story from the claim to the end. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { jobLink, jobPath, runLink } from "../../live/address.ts";
import { cancel, runNow } from "../../live/job-actions.ts";
import { may } from "../../live/me.ts";
import { useResource } from "../../live/resource.ts";
import type { Run as RunItem, Tick } from "../../live/types.ts";
import { Pending, Question, RunStateWord } from "../../parts/parts.tsx";
import { At, Since, Sentences } from "../../parts/times.tsx";
import {
  bytesText,
  durationText,
  exitText,
  reasonText,
  runnerText,
  sentence,
  tookText,
  toneOfRun,
} from "../../words.ts";
import { Output } from "./output.tsx";

/** `id`: a run's id, or any reference to one that the API takes, such as `JOB@TICK`. */
export function Run({ id }: { id: string }): JSX.Element {
  const job = id.slice(0, id.search(/[@~]|$/));
  const found = useResource<RunItem>(`/v1/runs/${encodeURIComponent(id)}`, {
    on: ["run"],
    about: `${job}@`,
    everyMs: 700,
    pollMs: 5_000,
  });
  const run = found.body;
  if (run === undefined) {
    // A run that was just asked for has no record until its peer has claimed it.
    const isNew = found.refused?.status === 404 && id.includes("@manual-");
    return (
      <>
        <Head title={job} job={job} />
        {isNew ? (
          <p class="notice" role="status">
            It has been asked for; no peer has started it yet.
          </p>
        ) : (
          <Pending of={found} what="the run" />
        )}
        {found.refused?.status === 404 && (
          <p>
            <a href={`${jobLink(job)}?tab=runs`}>Show the runs of {job}</a>
          </p>
        )}
      </>
    );
  }
  return <Shown run={run} reload={found.reload} />;
}

function Head({ title, job, children }: { title: string; job: string; children?: JSX.Element }): JSX.Element {
  return (
    <div class="head">
      <div>
        <h1>
          <a class="title-link" href={jobLink(job)}>
            {title}
          </a>
        </h1>
        {children}
      </div>
    </div>
  );
}

function Shown({ run, reload }: { run: RunItem; reload: () => void }): JSX.Element {
  const { id, job, tick, state, startedAt, finishedAt, reason, trigger, attempt, phase } = run;
  const [isCancelling, setCancelling] = useState(false);
  const why = useResource<Tick>(`${jobPath(job)}/why?tick=${encodeURIComponent(tick)}`, {
    on: ["run"],
    about: `${job}@`,
  });
  const isOn = state === "running";
  return (
    <>
      <div class="head">
        <div>
          <h1>
            <a class="title-link" href={jobLink(job)}>
              {job}
            </a>
          </h1>
          <p class="under">
            <RunStateWord state={state} />
            {phase !== null && ` (${phase})`} · {trigger === "manual" ? "by hand" : "tick"}{" "}
            <At at={run.due} />
            {startedAt !== null && ` · on ${runnerText(run)}`}
            {attempt > 1 && ` · attempt ${attempt}`}
            {startedAt !== null && <> · {finishedAt === null ? <Since at={startedAt} /> : tookText(run)}</>}
          </p>
        </div>
        {may("operator") && (
          <div class="actions">
            {isOn && (
              <button class="danger" onClick={() => setCancelling(true)}>
                Cancel
              </button>
            )}
            <button onClick={() => void runNow(job, rerunOf(run))}>Run again</button>
          </div>
        )}
      </div>
      {reason !== null && (
        <p class={toneOfRun(state) === "bad" ? "trouble" : "notice"}>
          {sentence(reason.startsWith("by ") ? `${state} ${reason}` : reasonText(reason))}
        </p>
      )}
      {run.duplicate && (
        <p class="notice">
          Another peer ran the same tick too: the two did not hear each other then. Both runs are kept.
        </p>
      )}
      {run.notes.map((note) => (
        <p key={note} class="notice">
          {sentence(note)}
        </p>
      ))}
      {startedAt !== null && <Output key={id} run={id} end={endOf(run)} />}
      <div class="columns">
        <Story run={run} tick={why.body} />
        <Facts run={run} tick={why.body} />
      </div>
      {isCancelling && (
        <Question
          title="Cancel this run?"
          no="Let it run"
          yes="Cancel it"
          onClose={() => setCancelling(false)}
          onYes={() => (setCancelling(false), void cancel(id).then(reload))}
        >
          <p>
            Its processes get TERM, and KILL after the job's killGrace. What it has already done is not
            undone.
          </p>
        </Question>
      )}
    </>
  );
}

function rerunOf({ params }: RunItem): Record<string, unknown> {
  return params === null ? {} : { params };
}

function endOf(run: RunItem): string {
  const { state, logTruncated, logBytes } = run;
  const took = tookText(run);
  const how = exitText(run) || state;
  const whole = logBytes === null ? "more" : `${bytesText(logBytes)}, more`;
  const cut = logTruncated
    ? ` It wrote ${whole} than the job keeps (keep.logBytes): the middle is left out here.`
    : "";
  return `Ended: ${how}${took === "" ? "" : ` after ${took}`}.${cut}`;
}

interface Step {
  at: string;
  what: string;
  tone?: string;
}

/** The run's life as a line of instants, with the other attempts and slots of its tick. */
function Story({ run, tick }: { run: RunItem; tick: Tick | undefined }): JSX.Element {
  const where = runnerText(run);
  const steps: Step[] = [
    { at: run.due, what: run.trigger === "manual" ? "A person asked for it" : "The tick was due" },
    ...(run.claimedAt === null ? [] : [{ at: run.claimedAt, what: `${where} claimed it` }]),
    ...(run.startedAt === null ? [] : [{ at: run.startedAt, what: `${where} started it` }]),
    ...(run.finishedAt === null
      ? []
      : [{ at: run.finishedAt, what: `It ended: ${exitText(run) || run.state}`, tone: run.state }]),
    ...(run.retryAt === null ? [] : [{ at: run.retryAt, what: "The next attempt is due" }]),
  ].toSorted((a, b) => (a.at < b.at ? -1 : 1));
  const others = (tick?.runs ?? []).filter(({ id, state }) => id !== run.id && state !== "withdrawn");
  const from = Date.parse(run.due);
  return (
    <section aria-labelledby="story-title">
      <header>
        <h2 id="story-title">Its story</h2>
      </header>
      <ol class="story">
        {steps.map(({ at, what }) => (
          <li key={`${at} ${what}`}>
            <span class="when">
              <At at={at} />
            </span>
            <span>{what}</span>
            <span class="quiet small">
              {Date.parse(at) === from
                ? ""
                : `${Date.parse(at) < from ? "−" : "+"}${durationText(Date.parse(at) - from)}`}
            </span>
          </li>
        ))}
      </ol>
      {tick !== undefined && (
        <div class="sentences">
          <Sentences sentences={tick.why} />
        </div>
      )}
      {others.length > 0 && (
        <>
          <h3 class="sub">Other runs of this tick</h3>
          <ul class="others">
            {others.map((other) => (
              <li key={other.id}>
                {other.startedAt === null ? (
                  `attempt ${other.attempt}`
                ) : (
                  <a href={runLink(other.id)}>attempt {other.attempt}</a>
                )}{" "}
                on {runnerText(other)} <RunStateWord state={other.state} />
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function Facts({ run, tick }: { run: RunItem; tick: Tick | undefined }): JSX.Element {
  const params = Object.entries(run.params ?? {});
  const outputs = Object.entries(run.outputs ?? {});
  return (
    <section aria-labelledby="facts-title">
      <header>
        <h2 id="facts-title">Facts</h2>
      </header>
      <dl class="pairs">
        <dt>Run</dt>
        <dd class="mono">{run.id}</dd>
        <dt>Exit</dt>
        <dd>{exitText(run) || "–"}</dd>
        <dt>In line</dt>
        <dd>
          {run.rank === 0 ? "it was first" : `${run.rank} before it`}; {run.livingMembers}{" "}
          {run.livingMembers === 1 ? "peer was" : "peers were"} up
        </dd>
        {run.logBytes !== null && (
          <>
            <dt>Output</dt>
            <dd>
              {bytesText(run.logBytes)}
              {run.logTruncated && ", not all of it kept"}
            </dd>
          </>
        )}
        {run.backfills !== null && (
          <>
            <dt>Makes up for</dt>
            <dd>{run.backfills}</dd>
          </>
        )}
        {[
          ...params.map(([name, value]) => [`param ${name}`, String(value)]),
          ...outputs.map(([name, value]) => [`wrote ${name}`, value]),
        ].map(([name, value]) => [<dt key={name}>{name}</dt>, <dd key={`${name} value`}>{value}</dd>])}
        <dt>Job then</dt>
        <dd>
          <a href={`${jobLink(run.job)}?tab=edits`}>revision {run.revision.slice(0, 8)}</a>
        </dd>
        {tick !== undefined && tick.state !== run.state && (
          <>
            <dt>The tick</dt>
            <dd>
              <RunStateWord state={tick.state} />
            </dd>
          </>
        )}
      </dl>
    </section>
  );
}
