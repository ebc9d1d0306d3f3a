/** The peers: how each is, who hears whom, and what would happen to its ticks if it went away. */
import type { JSX } from "preact";
import { mesh, splits } from "../../live/mesh.ts";
import { useResource } from "../../live/resource.ts";
import type { ComingList, Dependents, List, Run } from "../../live/types.ts";
import { runLink } from "../../live/address.ts";
import { Pending } from "../../parts/parts.tsx";
import { At, AwayBeside } from "../../parts/times.tsx";
import { countText, listText, runnerText } from "../../words.ts";
import { WhoHears } from "./who-hears.tsx";
import { PeerCard } from "./peer-card.tsx";
import { OpenSplit, Splits } from "./splits.tsx";
import { dependentsNamed, minutesAhead, ticksAhead } from "./without.tsx";

export function Mesh(): JSX.Element {
  const asked = { on: ["job", "peer"], everyMs: 5_000, pollMs: 30_000 } as const;
  const coming = useResource<ComingList>(`/v1/coming?minutes=${minutesAhead}&limit=${ticksAhead}`, asked);
  const dependents = useResource<{ items: Dependents[] }>(`/v1/dependents?limit=${dependentsNamed}`, asked);
  const found = mesh.value;
  if (found === undefined) return <Pending of={{ refused: undefined }} what="the mesh" />;
  const { items, roster } = found;
  const present = items.filter(({ state }) => state !== "forgotten");
  const away = present.filter(({ state }) => state === "dead" || state === "suspect");
  const lasting = splits.value.filter(({ to }) => to === null);
  const voters = items.filter(({ voter, votesLost }) => voter || votesLost);
  const ableVoters = voters.filter(({ state, votesLost }) => state === "alive" && !votesLost);
  return (
    <>
      <div class="head">
        <div>
          <h1>Mesh</h1>
          <p class="under">
            {countText(present.length, "peer")}, as {items.find(({ self }) => self)?.name ?? "this peer"} sees{" "}
            {present.length === 1 ? "it" : "them"}
            {roster !== null &&
              `; ${ableVoters.length} of ${countText(voters.length, "voter")} can vote (epoch ${roster.epoch})`}
          </p>
        </div>
      </div>
      {lasting.map((split) => (
        <OpenSplit key={split.id} split={split} />
      ))}
      {away.length > 0 && (
        <p class="notice">
          {lasting.length === 0 && (
            <strong>
              {listText(away.map(({ name }) => name))} {away.length === 1 ? "is" : "are"} not heard.
            </strong>
          )}{" "}
          Jobs with <code>partition: available</code> run wherever a peer is up; those with{" "}
          <code>majority</code> only where most voters can vote.
          {voters.length > 0 &&
            (ableVoters.length * 2 > voters.length ? " Here they can." : " Here they can't.")}
        </p>
      )}
      <ul class="peers">
        {items.map((peer) => (
          <PeerCard key={peer.id} peer={peer} coming={coming.body} dependents={dependents.body?.items} />
        ))}
      </ul>
      <WhoHears peers={present} />
      <Splits />
      <Duplicates />
    </>
  );
}

const runsRead = 500;

/** Ticks that ran more than once, in pairs. Those of a split that the peer remembers are shown with that split. */
function Duplicates(): JSX.Element | null {
  const runs = useResource<List<Run>>(`/v1/runs?limit=${runsRead}`, {
    on: ["peer"],
    everyMs: 5_000,
    pollMs: 60_000,
  });
  const twice = [
    ...Map.groupBy(
      (runs.body?.items ?? []).filter(({ duplicate, due }) => duplicate && !isInSplit(due)),
      ({ job, tick }) => `${job}@${tick}`,
    ).values(),
  ];
  if (twice.length === 0) return null;
  return (
    <section aria-labelledby="twice-title">
      <header>
        <h2 id="twice-title">Ran twice</h2>
        <span class="more">
          peers that could not hear each other each ran these ticks; all runs are kept
          {runs.body?.nextCursor !== null && `; of the last ${runsRead} runs`}
        </span>
      </header>
      <ol class="card ticks">
        {twice.map((pair) => (
          <li key={pair[0]?.id}>
            <div class="tick-head">
              <strong>{pair[0]?.job}</strong>
              {pair[0] !== undefined && <At at={pair[0].due} />}
              <span class="quiet small end">{pair[0] !== undefined && <AwayBeside at={pair[0].due} />}</span>
            </div>
            <p class="tick-runs">
              {pair.map((run) => (
                <span key={run.id}>
                  <a href={runLink(run.id)}>{runnerText(run)}</a> <span class="quiet">{run.state}</span>
                </span>
              ))}
            </p>
          </li>
        ))}
      </ol>
    </section>
  );
}

function isInSplit(due: string): boolean {
  const at = Date.parse(due);
  return splits.value.some(({ from, to }) => at >= Date.parse(from) && (to === null || at < Date.parse(to)));
}
