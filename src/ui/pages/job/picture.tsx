/** A job at a glance: what it does, how its ticks went over time, how long they took, and the chain that it is in. */
import type { JSX } from "preact";
import { jobPath } from "../../live/address.ts";
import { useResource } from "../../live/resource.ts";
import type { Chain, Job, List, Run } from "../../live/types.ts";
import { Empty, Pending } from "../../parts/parts.tsx";
import { At, Away } from "../../parts/times.tsx";
import { actionText, countText, scheduleText } from "../../words.ts";
import { ChainPicture } from "./chain.tsx";
import { Durations } from "./durations.tsx";
import { ResultMap, type KnownFrom } from "./result-map.tsx";

const runsRead = 1_000;
const shownStates = "succeeded,failed,timeout,cancelled,lost,skipped,missed";

export function Picture({ job, zone }: { job: Job; zone: string | undefined }): JSX.Element {
  const path = jobPath(job.id);
  const runs = useResource<List<Run>>(`${path}/runs?limit=${runsRead}&state=${shownStates}`, {
    on: ["run"],
    about: `${job.id}@`,
    everyMs: 5_000,
  });
  const chain = useResource<Chain>(`${path}/chain`, { on: ["job", "run"], everyMs: 3_000 });
  const items = runs.body?.items;
  const knownFrom = knownFromOf(job, runs.body);
  return (
    <>
      <div class="columns at-once">
        <section aria-labelledby="what-title">
          <header>
            <h2 id="what-title">What it does</h2>
          </header>
          <WhatItDoes job={job} />
        </section>
        <section aria-labelledby="results-title">
          <header>
            <h2 id="results-title">How it went</h2>
            <span class="more">
              {job.lastSuccess !== null && (
                <>
                  last success <Away at={job.lastSuccess} />
                </>
              )}
            </span>
          </header>
          {items === undefined ? (
            <Pending of={runs} what="its results" />
          ) : items.length === 0 ? (
            <Empty
              title={job.state === "running" ? "Its first run is still in progress." : "It has not run yet."}
            />
          ) : (
            <>
              <ResultMap runs={items} knownFrom={knownFrom} zone={zone} />
              <h3 class="sub">How long it took</h3>
              <Durations runs={items} zone={zone} />
            </>
          )}
        </section>
      </div>
      {chain.body !== undefined && chain.body.links.length > 0 && (
        <section aria-labelledby="chain-title">
          <header>
            <h2 id="chain-title">Its chain</h2>
            {chain.body.more && <span class="more">it has more jobs than are drawn</span>}
          </header>
          <ChainPicture chain={chain.body} of={job.id} />
        </section>
      )}
    </>
  );
}

function knownFromOf({ keptFrom }: Job, runs: List<Run> | undefined): KnownFrom {
  const kept = { at: keptFrom === null ? 0 : Date.parse(keptFrom), why: "no longer kept" };
  const oldest = (runs?.nextCursor ?? null) === null ? undefined : runs?.items.at(-1);
  const at = oldest === undefined ? 0 : Date.parse(oldest.due);
  return at > kept.at ? { at, why: `not shown here, because there are more than ${runsRead}` } : kept;
}

function WhatItDoes({ job }: { job: Job }): JSX.Element {
  const { target, retry, notify, keep } = job;
  const labels = Object.entries(job.labels ?? {});
  const facts: (readonly [string, JSX.Element | string | undefined])[] = [
    [
      "Schedule",
      job.schedule === undefined
        ? job.after === undefined
          ? "none: it runs by hand"
          : undefined
        : `${scheduleText(job.schedule)} · ${job.timezone ?? "UTC"}`,
    ],
    [
      "After",
      job.after === undefined ? undefined : `${job.after.jobs.join(", ")}, on ${job.after.on ?? "success"}`,
    ],
    ["Leaves out", job.except?.join(", ")],
    ["Where", target === undefined ? "one peer, any of them" : targetText(target)],
    [
      "In a split",
      job.partition === "majority" ? "only on the side with a majority of the voters" : undefined,
    ],
    ["Overlap", job.overlap],
    ["Retry", retryText(retry)],
    ["Params", paramsText(job.params)],
    ["Time limit", job.timeout === undefined ? undefined : String(job.timeout)],
    ["Pool", job.pool],
    ["As", job.user],
    [
      "Notifies",
      notify === undefined || notify.length === 0
        ? undefined
        : notify.map(({ on, to }) => `${to.join(", ")}: ${on.join(", ")}`).join("; "),
    ],
    [
      "Group",
      job.group === undefined ? undefined : (
        <a href={`/jobs?group=${encodeURIComponent(job.group)}`}>{job.group}</a>
      ),
    ],
    ["Labels", labels.length === 0 ? undefined : <Labels labels={labels} />],
    ["Keeps", keep === undefined ? undefined : `${countText(keep.runs ?? 100, "run")}, ${keep.age ?? "30d"}`],
  ];
  return (
    <div class="card">
      <pre class="command" tabIndex={0}>
        {actionText(job)}
      </pre>
      <dl class="pairs">
        {facts.map(([name, value]) =>
          value === undefined ? null : [<dt key={name}>{name}</dt>, <dd key={`${name} value`}>{value}</dd>],
        )}
        <dt>Written</dt>
        <dd>
          {job.updatedBy} {job.updatedAt !== null && <At at={job.updatedAt} />}
        </dd>
      </dl>
    </div>
  );
}

/** The job's labels. Each links to the jobs that have it. */
function Labels({ labels }: { labels: readonly (readonly [string, string])[] }): JSX.Element {
  return (
    <>
      {labels.map(([name, value], index) => (
        <span key={name}>
          {index > 0 && ", "}
          <a href={`/jobs?label=${encodeURIComponent(`${name}=${value}`)}`}>{`${name}=${value}`}</a>
        </span>
      ))}
    </>
  );
}

function paramsText(params: Job["params"]): string | undefined {
  const all = Object.entries(params ?? {});
  if (all.length === 0) return undefined;
  return all
    .map(([name, { default: given, required }]) =>
      given !== undefined ? `${name}=${given}` : required === true ? `${name} (required)` : name,
    )
    .join(", ");
}

function retryText(retry: Job["retry"]): string | undefined {
  const { attempts = 0, backoff = "10s", on = [] } = retry ?? {};
  if (attempts === 0) return undefined;
  const lost = on.includes("lost") ? "; also when a run was lost, so it may run twice" : "";
  return `${attempts} more ${attempts === 1 ? "attempt" : "attempts"}, the first after ${backoff}${lost}`;
}

function targetText({ peers, tags, count, prefer }: NonNullable<Job["target"]>): string {
  const who = [
    ...(peers === undefined ? [] : [peers.join(", ")]),
    ...Object.entries(tags ?? {}).map(([name, value]) => `${name}=${value}`),
  ].join(", ");
  const isOne = peers?.length === 1 && tags === undefined && (count === undefined || count === 1);
  if (isOne) return who;
  const many =
    count === "all" ? "each peer" : count === undefined || count === 1 ? "one peer" : `${count} peers`;
  const preferred = Object.entries(prefer?.tags ?? {}).map(([name, value]) => `${name}=${value}`);
  return `${many}${who === "" ? "" : ` of ${who}`}${preferred.length === 0 ? "" : `, preferably ${preferred.join(", ")}`}`;
}
