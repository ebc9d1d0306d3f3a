/** The next hours as a line of time for each peer: which ticks it would run as things are, and who would step in. */
import type { JSX } from "preact";
import { go, jobLink, query, setQuery } from "../../live/address.ts";
import { lostSince } from "../../live/ask.ts";
import { now } from "../../live/clock.ts";
import { mesh } from "../../live/mesh.ts";
import { useResource } from "../../live/resource.ts";
import type { Coming, ComingList } from "../../live/types.ts";
import { Empty, Pending } from "../../parts/parts.tsx";
import { At, AwayBeside } from "../../parts/times.tsx";
import { browserZone, countText, listText, minuteText, skipText } from "../../words.ts";

const spans = ["15", "60", "360", "1440"];
const spanNames: Readonly<Record<string, string>> = {
  "15": "15 min",
  "60": "1 h",
  "360": "6 h",
  "1440": "24 h",
};
const listed = 10;
/** Ticks of one job that are listed: those of a job that runs each second would hide all others. */
const listedPerJob = 2;

export function ComingTicks(): JSX.Element {
  const chosen = query.value.get("minutes") ?? "60";
  const minutes = spans.includes(chosen) ? chosen : "60";
  const found = useResource<ComingList>(`/v1/coming?minutes=${minutes}&limit=400`, {
    on: ["job", "peer", "run"],
    everyMs: 5_000,
    pollMs: 20_000,
  });
  // Ticks within half a second are left out, because they would be shown as past.
  const items = (found.body?.items ?? []).filter(({ startsAt }) => Date.parse(startsAt) >= now.value + 500);
  return (
    <section aria-labelledby="coming-title">
      <header>
        <h2 id="coming-title">Coming up</h2>
        <div class="spans" role="group" aria-label="How far ahead">
          {spans.map((span) => (
            <button
              key={span}
              class="chip"
              aria-pressed={span === minutes}
              onClick={() => setQuery({ minutes: span })}
            >
              {spanNames[span]}
            </button>
          ))}
        </div>
      </header>
      {found.body === undefined ? (
        <Pending of={found} what="the next ticks" />
      ) : items.length === 0 ? (
        <Empty title={`No tick comes in the next ${spanNames[minutes]}.`} />
      ) : (
        <div class="card">
          <Lanes
            items={items}
            minutes={Number(minutes)}
            completeUntil={found.body.more ? Date.parse(found.body.completeUntil) : Infinity}
          />
          <ol class="next-list">
            {firstOfEach(items).map((one) => (
              <NextLine key={`${one.job} ${one.tick}`} coming={one} />
            ))}
          </ol>
          {found.body.more && (
            <p class="quiet small lanes-end">
              Where the bars are hatched, further ticks are not shown
              {found.body.often.length > 0 && `: there are too many of ${found.body.often.join(", ")}`}.
            </p>
          )}
        </div>
      )}
    </section>
  );
}

function firstOfEach(items: readonly Coming[]): Coming[] {
  const counts = new Map<string, number>();
  const first = items.filter(({ job }) => {
    const count = (counts.get(job) ?? 0) + 1;
    counts.set(job, count);
    return count <= listedPerJob;
  });
  return first.slice(0, listed);
}

const width = 1_000;
const laneHeight = 30;
const barHeight = 16;

interface LanesProps {
  items: readonly Coming[];
  minutes: number;
  /** after this (wall ms) ticks are missing */
  completeUntil: number;
}

function Lanes({ items, minutes, completeUntil }: LanesProps): JSX.Element {
  const from = now.value;
  const until = from + minutes * 60_000;
  const peers = (mesh.value?.items ?? []).filter(
    ({ state, role }) => state !== "forgotten" && state !== "left" && role !== "witness",
  );
  const xOf = (ms: number): number => ((ms - from) / (until - from)) * width;
  const hatchedFrom = Math.max(0, xOf(completeUntil));
  const words = wordsOf(items, peers) + (hatchedFrom < width ? "; further ticks not shown" : "");
  return (
    <div class="lanes" role="img" aria-label={words}>
      {peers.map(({ id, name, state }) => {
        const own = items.filter((one) => runs(one, id));
        return (
          <div key={id} class={state === "alive" ? "lane" : "lane away"}>
            <span class="lane-name">{name}</span>
            <div class="lane-bar">
              <svg viewBox={`0 0 ${width} ${laneHeight}`} preserveAspectRatio="none" height={laneHeight}>
                <rect
                  class="lane-ground"
                  x="0"
                  y={(laneHeight - barHeight) / 2}
                  width={width}
                  height={barHeight}
                  rx="4"
                />
                {own.map((one) => {
                  const x = xOf(Date.parse(one.startsAt));
                  const wide = Math.max(4, ((one.usualMs ?? 0) / (until - from)) * width);
                  return (
                    <rect
                      key={`${one.job} ${one.tick}`}
                      class="lane-tick"
                      x={Math.max(0, x)}
                      y={(laneHeight - barHeight) / 2}
                      width={Math.max(1, Math.min(wide, width - x))}
                      height={barHeight}
                      rx="2"
                      onClick={() => go(jobLink(one.job))}
                    >
                      <title>{titleOf(one)}</title>
                    </rect>
                  );
                })}
              </svg>
              {hatchedFrom < width && (
                <span class="lane-unknown" style={{ left: `${(hatchedFrom / width) * 100}%` }} />
              )}
            </div>
          </div>
        );
      })}
      <div class="lane lane-axis" aria-hidden="true">
        <span class="lane-name" />
        <div class="axis">
          {[0, 0.25, 0.5, 0.75, 1].map((share) => (
            <span key={share}>
              {share === 0 && lostSince.value === undefined
                ? "now"
                : minuteText(from + share * (until - from))}
            </span>
          ))}
        </div>
      </div>
    </div>
  );
}

function runs({ peers, runners }: Coming, peer: string): boolean {
  return peers.slice(0, runners).some(({ id }) => id === peer);
}

function titleOf({ job, startsAt, peers, runners }: Coming): string {
  const others = peers.slice(runners);
  const then = others.length === 0 ? "" : `, then ${others.map(({ name }) => name).join(", ")}`;
  return `${job} at ${minuteText(Date.parse(startsAt))} ${browserZone}${then}`;
}

function wordsOf(items: readonly Coming[], peers: readonly { id: string; name: string }[]): string {
  return peers
    .map(({ id, name }) => `${name}: ${countText(items.filter((one) => runs(one, id)).length, "tick")}`)
    .join("; ");
}

function NextLine({ coming }: { coming: Coming }): JSX.Element {
  const { job, startsAt, skipped, peers, runners } = coming;
  const others = peers.slice(runners);
  return (
    <li>
      <span class="when">
        <At at={startsAt} />
      </span>
      <a href={jobLink(job)}>{job}</a>
      <span class="quiet">
        {skipped !== undefined ? (
          skipText({ skipped })
        ) : runners === 0 ? (
          <span class="bad">no peer can run it</span>
        ) : (
          <>
            on{" "}
            {runners > peers.length
              ? countText(runners, "peer")
              : listText(peers.slice(0, runners).map(({ name }) => name))}
            {others.length > 0 && `, else ${others.map(({ name }) => name).join(", ")}`}
          </>
        )}
      </span>
      <span class="quiet end">
        <AwayBeside at={startsAt} />
      </span>
    </li>
  );
}
