/** The splits that this peer has seen: who is on which side while one lasts, and how its ticks ended once it is over. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { jobLink, runLink } from "../../live/address.ts";
import { now } from "../../live/clock.ts";
import { splits } from "../../live/mesh.ts";
import { useResource } from "../../live/resource.ts";
import type { Split, SplitStory } from "../../live/types.ts";
import { Pending, RunStateWord } from "../../parts/parts.tsx";
import { At, Since } from "../../parts/times.tsx";
import { countText, durationText, listText, reasonText } from "../../words.ts";
import { storyPace } from "./story-pace.ts";

export function Splits(): JSX.Element | null {
  const over = splits.value.filter(({ to, apart }) => to !== null || apart.some((one) => one.to !== null));
  const [shown, setShown] = useState<string | undefined>();
  if (over.length === 0) return null;
  const open = shown ?? over[0]?.id;
  return (
    <section aria-labelledby="splits-title">
      <header>
        <h2 id="splits-title">Past splits</h2>
        <span class="more">remembered for 7 days, or until this peer restarts</span>
      </header>
      <ol class="card ticks">
        {over.map((split) => (
          <li key={split.id}>
            <div class="tick-head">
              <strong>
                {listText(split.here.map(({ name }) => name))} ∣{" "}
                {listText(split.apart.map(({ name }) => name))}
              </strong>
              <span>
                <At at={split.from} /> to {split.to === null ? "now" : <At at={split.to} />}
              </span>
              <span class="quiet small end">
                {split.to !== null && durationText(Date.parse(split.to) - Date.parse(split.from))}
              </span>
            </div>
            {split.id === open ? (
              <Story split={split} />
            ) : (
              <button class="plain small" onClick={() => setShown(split.id)}>
                What ran where
              </button>
            )}
          </li>
        ))}
      </ol>
    </section>
  );
}

function Story({ split }: { split: Split }): JSX.Element {
  const found = useResource<SplitStory>(
    `/v1/splits/${encodeURIComponent(split.id)}`,
    storyPace(split, now.value),
  );
  const story = found.body;
  if (story === undefined) return <Pending of={found} what="what ran in the split" />;
  const { duplicates, gaps, late } = story;
  return (
    <div class="split-story">
      {split.apart.map((one) => (
        <p key={one.id} class="small quiet">
          {howItWas(one)}
        </p>
      ))}
      <div class="sides">
        <Side
          title={`This side: ${listText(split.here.map(({ name }) => name))}`}
          ran={story.ran.filter(({ here }) => here)}
        />
        <Side
          title={`Not heard from here: ${listText(split.apart.map(({ name }) => name))}`}
          ran={story.ran.filter(({ here }) => !here)}
        />
      </div>
      {split.apart.length > 1 && (
        <p class="quiet small">
          Whether {listText(split.apart.map(({ name }) => name))} heard each other is not known here: their
          own pages show it.
        </p>
      )}
      <Duplicates duplicates={duplicates} />
      <Gaps gaps={gaps} />
      {late > 0 && <p>{countText(late, "run")} of its ticks began only after it was over.</p>}
      {!story.complete && (
        <p class="quiet small">
          It has more records than are read here: only the latest of them are counted.
        </p>
      )}
    </div>
  );
}

const listedMax = 12;

function Duplicates({ duplicates: { total, items } }: Pick<SplitStory, "duplicates">): JSX.Element {
  if (total === 0) return <p>No tick ran more than once.</p>;
  return (
    <>
      <p>{countText(total, "tick")} ran more than once:</p>
      <ul class="plain-list">
        {items.slice(0, listedMax).map(({ job, tick, runs }) => (
          <li key={`${job}@${tick}`}>
            <a href={jobLink(job)}>{job}</a> <TickAt tick={tick} />:{" "}
            {runs.map(({ run, peer, state }, index) => (
              <span key={run}>
                {index > 0 && ", "}
                <a href={runLink(run)}>{peer}</a>
                {(index === runs.length - 1 || state !== runs[index + 1]?.state) && (
                  <>
                    {" "}
                    <RunStateWord state={state} />
                  </>
                )}
              </span>
            ))}
          </li>
        ))}
        <More rest={total - Math.min(listedMax, items.length)} />
      </ul>
    </>
  );
}

function Gaps({ gaps: { total, items } }: Pick<SplitStory, "gaps">): JSX.Element {
  if (total === 0) return <p>No tick was missed meanwhile.</p>;
  const isLost = items.some(({ state }) => state === "lost");
  const shown = items.slice(0, listedMax);
  return (
    <>
      <p>
        {countText(total, "tick")} did not run
        {isLost && `, or nobody knows how ${total === 1 ? "it" : "they"} ended`}:
      </p>
      <ul class="plain-list">
        {shown.map(({ job, tick, ticks, state, reason }) => (
          <li key={`${job}@${tick}`}>
            <a href={jobLink(job)}>{job}</a> <TickAt tick={tick} />: <RunStateWord state={state} />
            {ticks > 1 && `, ${ticks} ticks up to then`}
            {reason !== null && `, ${reasonText(reason)}`}
          </li>
        ))}
        <More rest={total - shown.reduce((sum, { ticks }) => sum + ticks, 0)} />
      </ul>
    </>
  );
}

/** `rest`: ticks that are counted and not listed. */
function More({ rest }: { rest: number }): JSX.Element | null {
  return rest <= 0 ? null : <li class="quiet small">… and {countText(rest, "more", "more")}</li>;
}

/** The instant of a tick; nothing for a run by hand. */
function TickAt({ tick }: { tick: string }): JSX.Element | null {
  return Number.isNaN(Date.parse(tick)) ? null : <At at={tick} />;
}

function Side({ title, ran }: { title: string; ran: SplitStory["ran"] }): JSX.Element {
  return (
    <div>
      <h3>{title}</h3>
      {ran.length === 0 && <p class="quiet small">Nothing was started.</p>}
      {ran.map(({ id, name, runs, jobs }) => (
        <p key={id} class="small">
          <strong>{name}</strong> started {countText(runs, "run")}:{" "}
          {jobs.map(({ job, runs: count }, index) => (
            <span key={job}>
              {index > 0 && ", "}
              <a href={jobLink(job)}>{job}</a>
              {count > 1 && ` ${count} times`}
            </span>
          ))}
        </p>
      ))}
    </div>
  );
}

function howItWas({ name, from, to, restarted }: Split["apart"][number]): JSX.Element {
  if (to === null)
    return (
      <>
        {name} has not been heard since <At at={from} />.
      </>
    );
  return (
    <>
      {name} was not heard for {durationText(Date.parse(to) - Date.parse(from))}, and{" "}
      {restarted
        ? "was restarted meanwhile."
        : "kept running meanwhile: it was cut off, or its host stood still."}
    </>
  );
}

/** The split that is still open, as far as it can be seen from here. */
export function OpenSplit({ split }: { split: Split }): JSX.Element {
  const missing = split.apart.filter(({ to }) => to === null);
  return (
    <div class="notice split" role="status">
      <h2>Split: {listText(missing.map(({ name }) => name))} not heard</h2>
      <div class="sides">
        <div>
          <h3>This side</h3>
          <ul class="plain-list">
            {split.here.map(({ id, name }) => (
              <li key={id}>{name}</li>
            ))}
          </ul>
        </div>
        <div>
          <h3>Not heard from here</h3>
          <ul class="plain-list">
            {split.apart.map(({ id, name, from, to, refused }) => (
              <li key={id}>
                {name}{" "}
                {to !== null ? (
                  <>
                    is back since <At at={to} />
                  </>
                ) : (
                  <>
                    since <At at={from} /> (<Since at={from} />)
                    {refused ? ": its host answers, and its process is gone" : ": silent"}
                  </>
                )}
              </li>
            ))}
          </ul>
        </div>
      </div>
      <p class="small">
        A silent peer is down, or on another side, where it carries on: its own page shows which. Once it is
        heard again, this page shows what ran where.
      </p>
    </div>
  );
}
