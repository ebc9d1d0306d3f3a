/** A job's past ticks: how each ended, and in plain words what was decided about it, by whom and why. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { jobPath, runLink } from "../../live/address.ts";
import { useResource } from "../../live/resource.ts";
import type { List, Tick } from "../../live/types.ts";
import { Empty, Pending, RunStateWord } from "../../parts/parts.tsx";
import { ListEnd } from "../../parts/table.tsx";
import { At, AwayBeside, Sentences } from "../../parts/times.tsx";
import { runnerText, tookText, waitText } from "../../words.ts";

const ticksAtOnce = 30;
const ticksMax = 500;

export function Ticks({ id, zone }: { id: string; zone: string | undefined }): JSX.Element {
  const [limit, setLimit] = useState(ticksAtOnce);
  const path = `${jobPath(id)}/ticks?limit=${limit}`;
  const found = useResource<List<Tick>>(path, { on: ["run", "job"], about: id, everyMs: 1_500 });
  if (found.body === undefined) return <Pending of={found} what="its ticks" />;
  const { items, nextCursor } = found.body;
  if (items.length === 0) return <Empty title="No tick of it has come yet." />;
  return (
    <>
      <ol class="card ticks">
        {items.map((tick) => (
          <OneTick key={tick.tick} tick={tick} zone={zone} />
        ))}
      </ol>
      <ListEnd hasMore={nextCursor !== null} limit={limit} limitMax={ticksMax} setLimit={setLimit} />
    </>
  );
}

function OneTick({ tick, zone }: { tick: Tick; zone: string | undefined }): JSX.Element {
  const { due, state, waitsFor, runs, why, duplicate } = tick;
  const started = runs.filter(({ startedAt }) => startedAt !== null);
  return (
    <li>
      <div class="tick-head">
        <At at={due} zone={zone} />
        <RunStateWord state={state} />
        {state === "pending" && <span class="odd small">{waitText(waitsFor)}</span>}
        {duplicate && <span class="odd small">ran twice</span>}
        <span class="quiet small end">
          <AwayBeside at={due} />
        </span>
      </div>
      {why.map((one, index) => (
        <p key={index} class="quiet">
          <Sentences sentences={[one]} zone={zone} />
        </p>
      ))}
      {started.length > 0 && (
        <p class="small tick-runs">
          {started.map((run) => (
            <span key={run.id}>
              <a href={runLink(run.id)}>
                {started.some(({ attempt }) => attempt > 1) ? `attempt ${run.attempt} on ` : "output on "}
                {runnerText(run)}
              </a>{" "}
              <span class="quiet">
                {run.state}
                {run.finishedAt !== null && `, ${tookText(run)}`}
              </span>
            </span>
          ))}
        </p>
      )}
    </li>
  );
}
