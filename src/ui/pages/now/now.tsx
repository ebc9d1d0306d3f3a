/** What is going on: how things are in one sentence, what runs, what went wrong lately, what comes next and where. */
import type { JSX } from "preact";
import { jobLink, runLink } from "../../live/address.ts";
import { lostSince } from "../../live/ask.ts";
import { now } from "../../live/clock.ts";
import { mesh, splits, summary } from "../../live/mesh.ts";
import { useResource, type Resource } from "../../live/resource.ts";
import type { Job, List, Running, WrongList } from "../../live/types.ts";
import { Nothing, Pending, Progress, RunStateWord } from "../../parts/parts.tsx";
import { Since } from "../../parts/times.tsx";
import {
  ableText,
  countText,
  durationText,
  listText,
  midnight,
  minuteText,
  runnerText,
  sentence,
  waitText,
} from "../../words.ts";
import { FirstJob } from "../first-job.tsx";
import { ComingTicks } from "./coming.tsx";
import { WrongLately } from "./wrong.tsx";

export function Now(): JSX.Element {
  const wrong = useResource<WrongList>("/v1/failures?limit=100", {
    on: ["failure"],
    everyMs: 2_000,
    pollMs: 60_000,
  });
  const trouble = useResource<List<Job>>("/v1/jobs?sort=attention&limit=50", {
    on: ["run", "job", "peer"],
    everyMs: 2_000,
  });
  return (
    <>
      <Health wrong={wrong} />
      {summary.value?.jobs === 0 ? (
        <FirstJob />
      ) : (
        <>
          <WrongLately wrong={wrong} trouble={trouble} />
          <RunningNow />
          <ComingTicks />
        </>
      )}
    </>
  );
}

/** The sentence at the top. If the peer doesn't answer, it only says what was known before. */
function Health({ wrong }: { wrong: Resource<WrongList> }): JSX.Element {
  const counted = summary.value;
  if (counted === undefined) return <Counting />;
  const { states, jobs, peers, notReady, warnings } = counted;
  const count = (state: string): number => states[state] ?? 0;
  const able = jobs - count("disabled") - count("blocked") - count("invalid");
  const since = midnight(now.value);
  const { items = [], total = 0 } = wrong.body ?? {};
  const failed = items.filter(({ last }) => Date.parse(last.due) >= since);
  const isPart = failed.length === items.length && total > items.length;
  const isGood = count("failing") + count("blocked") + count("invalid") === 0 && notReady.length === 0;
  const isWhole = peers.alive === peers.known;
  const members = mesh.value?.items ?? [];
  const names = members.map(({ name }) => name);
  const drained = members.filter((one) => one.drained).map(({ name }) => name);
  const away = members.filter(({ state }) => state === "dead" || state === "suspect");
  return (
    <div class="health-line">
      <h1 class={`health ${lostSince.value !== undefined ? "" : isGood ? "is-good" : "is-bad"}`}>
        {lostSince.value !== undefined && `At ${minuteText(lostSince.value)}: `}
        {isWhole
          ? countText(peers.known, "peer")
          : `${peers.alive} of ${countText(peers.known, "peer")}`},{" "}
        {ableText(able, jobs)}
        {["blocked", "invalid", "failing"].map(
          (state) =>
            count(state) > 0 && (
              <span key={state}>
                , <a href={`/jobs?state=${state}`}>{`${count(state)} ${state}`}</a>
              </span>
            ),
        )}
        .
      </h1>
      <p class="quiet">
        {wrong.body === undefined
          ? ""
          : failed.length === 0
            ? isGood
              ? "Nothing has gone wrong since midnight."
              : "No tick has gone wrong since midnight."
            : `${isPart ? "At least " : ""}${countText(failed.length, "job")} went wrong since midnight: ${failed
                .slice(0, 3)
                .map(({ job }) => job)
                .join(", ")}${failed.length > 3 ? ` and ${failed.length - 3} more` : ""}.`}
        {["paused", "disabled"].map(
          (state) => count(state) > 0 && ` ${countText(count(state), `${state} job`)}.`,
        )}
        {drained.length > 0 && ` Drained: ${listText(drained)}.`}
      </p>
      {notReady.map((why) => (
        <p key={why} class="trouble">
          This peer is not ready: {sentence(why)}
        </p>
      ))}
      {away.length > 0 && (
        <p class="notice">
          {splits.value.some(({ to }) => to === null)
            ? `Split: ${listText(away.map(({ name }) => name))} not heard on this side. Jobs with partition: available may run on both sides.`
            : `Not heard: ${listText(away.map(({ name }) => name))}. The others take the ticks that they may run.`}{" "}
          <a href="/mesh">Show the mesh</a>
        </p>
      )}
      {warnings.map((why) => (
        <p key={why} class="notice">
          {sentence(why, names)}
        </p>
      ))}
    </div>
  );
}

/** The sentence while the peer still counts the jobs, which takes longer the more there are. */
function Counting(): JSX.Element {
  const members = mesh.value?.items.filter(({ state }) => state !== "left");
  return (
    <div class="health-line">
      <h1 class="health">{members === undefined ? "…" : countText(members.length, "peer")}</h1>
      <p class="quiet">{lostSince.value === undefined && "The jobs are being counted …"}</p>
    </div>
  );
}

const shownAtMost = 12;

function RunningNow(): JSX.Element {
  const found = useResource<{ items: Running[]; more: boolean }>("/v1/running", {
    on: ["run"],
    everyMs: 1_000,
    pollMs: 5_000,
  });
  const items = found.body?.items ?? [];
  return (
    <section aria-labelledby="running-title">
      <header>
        <h2 id="running-title">Running now</h2>
        {items.length > shownAtMost && (
          <a class="more" href="/runs?state=running">
            all {items.length}
          </a>
        )}
      </header>
      {found.body === undefined ? (
        <Pending of={found} what="what runs" />
      ) : items.length === 0 ? (
        <Nothing>Nothing runs at this moment.</Nothing>
      ) : (
        <ul class="running">
          {items.slice(0, shownAtMost).map((run) => (
            <li key={run.id} class="card">
              <RunningCard run={run} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function RunningCard({ run }: { run: Running }): JSX.Element {
  const { id, job, state, startedAt, usualMs, waiting, attempt } = run;
  const ms = startedAt === null ? 0 : Math.max(0, now.value - Date.parse(startedAt));
  return (
    <>
      <div class="running-head">
        <a href={state === "running" ? runLink(id) : jobLink(job)}>{job}</a>
        <span class="quiet">{runnerText(run)}</span>
      </div>
      <div class="small">
        {state === "running" && startedAt !== null ? (
          <>
            <Since at={startedAt} />
            <span class="quiet">
              {usualMs === null ? "" : ` of usually ${durationText(usualMs)}`}
              {attempt > 1 && `, attempt ${attempt}`}
            </span>
          </>
        ) : (
          <>
            <RunStateWord state="pending" /> {waitText(waiting as "capacity" | null)}
          </>
        )}
      </div>
      {startedAt !== null && <Progress ms={ms} usualMs={usualMs} />}
    </>
  );
}
