/** The days to come: when each peer would be busy, where a pool is too small, and when it is quiet. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { jobLink, query, setQuery } from "../../live/address.ts";
import { useResource } from "../../live/resource.ts";
import type { Forecast as Body } from "../../live/types.ts";
import { Nothing, Pending } from "../../parts/parts.tsx";
import { Table } from "../../parts/table.tsx";
import { browserZone, countText, durationText, minuteText } from "../../words.ts";
import { tightPools, type Stretch } from "./tight-pools.ts";
import { dayName, Scale, WeekMap, weekFrom, type Week } from "./week.tsx";

const hourMs = 3_600_000;
/** Maps beside each other. More can't be compared. */
const mapsMost = 12;
const busiestNamed = 3;
/** Of a pool. */
const stretchesNamed = 6;

/** What the squares show. */
const measures = [
  { key: "load", name: "Load" },
  { key: "runs", name: "Runs" },
] as const;
type Measure = (typeof measures)[number]["key"];

/** How often the page asks for what is counted so far. Unit: ms. */
const countingMs = 1_000;

interface Load {
  runs: readonly number[];
  busyMs: readonly number[];
}

export function Forecast(): JSX.Element {
  const [isWhole, setWhole] = useState(false);
  const found = useResource<Body>(
    "/v1/forecast" + (isWhole ? "" : "?soFar=true"),
    isWhole ? { on: ["job", "peer"], everyMs: 15_000, pollMs: 60_000 } : { pollMs: countingMs },
  );
  const { body } = found;
  // A whole forecast is then shown until there is a newer whole one.
  useEffect(() => {
    if (body?.complete === true) setWhole(true);
  }, [body]);
  return (
    <>
      <div class="head">
        <div>
          <h1>Forecast</h1>
          <p class="under">
            The next 7 days by the hour, as things are now: by the jobs' schedules, how long their runs
            usually take, and the peers that can run them at the moment.
          </p>
        </div>
      </div>
      {body === undefined ? <Pending of={found} what="the forecast" /> : <Shown body={body} />}
    </>
  );
}

function Shown({ body }: { body: Body }): JSX.Element {
  const from = Date.parse(body.from);
  const week = weekFrom(from, body.hours);
  const chosen = query.value.get("show");
  const measure: Measure = chosen === "runs" ? "runs" : "load";
  const { counted, uncounted } = body.jobs;
  return (
    <>
      {!body.complete && (
        <p class="notice" role="status">
          {counted.toLocaleString("en")} of {countText(counted + uncounted, "job")} are counted so far. The
          quiet hours and the pools follow once all are.
        </p>
      )}
      <Busy body={body} week={week} measure={measure} />
      {body.complete && (
        <div class="columns">
          <Quiet body={body} />
          <Collisions body={body} />
        </div>
      )}
    </>
  );
}

/** Names what the forecast leaves out, so that ticks which aren't counted don't look like no ticks. */
function Limits({ body: { jobs, unplaced, morePeers } }: { body: Body }): JSX.Element {
  const nowhere = unplaced.reduce((sum, count) => sum + count, 0);
  const { unknownDuration, unscheduled, beyond } = jobs;
  return (
    <>
      {nowhere > 0 && (
        <div class="notice">
          <strong>{countText(nowhere, "tick")} of these days could run on no living peer.</strong>{" "}
          {nowhere === 1 ? "It is" : "They are"} in none of the maps.
        </div>
      )}
      {beyond > 0 && (
        <div class="notice">
          {countText(beyond, "job is", "jobs are")} not counted, because there are so many.
        </div>
      )}
      <ul class="small quiet">
        {unknownDuration > 0 && (
          <li>
            {countText(unknownDuration, "job has", "jobs have")} not succeeded yet, so how long{" "}
            {unknownDuration === 1 ? "it takes isn't known: it is" : "they take isn't known: they are"} among
            the runs and not in the load.
          </li>
        )}
        {unscheduled > 0 && (
          <li>
            {countText(unscheduled, "job runs", "jobs run")} by hand or after others, which can't be foreseen.
          </li>
        )}
        {morePeers && <li>Only the busiest peers are in the maps.</li>}
      </ul>
    </>
  );
}

function Busy({ body, week, measure }: { body: Body; week: Week; measure: Measure }): JSX.Element {
  const { peers } = body;
  const whole = sumOf(body);
  const most = Math.max(...peers.flatMap((load) => valuesOf(load, measure)), 0);
  const wholeMost = Math.max(...valuesOf(whole, measure), 0);
  return (
    <section aria-labelledby="busy-title">
      <header>
        <h2 id="busy-title">When it is busy</h2>
        <div class="spans" role="group" aria-label="What the squares show">
          {measures.map(({ key, name }) => (
            <button
              key={key}
              class="chip"
              aria-pressed={key === measure}
              onClick={() => setQuery({ show: key === "load" ? "" : key })}
            >
              {name}
            </button>
          ))}
        </div>
      </header>
      <div class="card week-whole">
        <div class="week-head">
          <h3>All peers</h3>
          <Scale most={amountText(wholeMost, measure)} />
        </div>
        <Map load={whole} week={week} measure={measure} most={wholeMost} name="All peers" />
        <p class="small quiet">{busiestText(whole, week, measure)}</p>
      </div>
      {peers.length > 1 && (
        <>
          <div class="week-head">
            <h3>Each peer</h3>
            <Scale most={amountText(most, measure)} />
          </div>
          <ul class="weeks">
            {peers.slice(0, mapsMost).map((peer) => (
              <li key={peer.id} class="card">
                <h3>{peer.name}</h3>
                <Map load={peer} week={week} measure={measure} most={most} name={peer.name} />
              </li>
            ))}
          </ul>
          {peers.length > mapsMost && (
            <p class="small quiet">{countText(peers.length - mapsMost, "more peer")} would run something.</p>
          )}
        </>
      )}
      <Limits body={body} />
    </section>
  );
}

function Map({
  load,
  week,
  measure,
  most,
  name,
}: {
  load: Load;
  week: Week;
  measure: Measure;
  most: number;
  name: string;
}): JSX.Element {
  return (
    <WeekMap
      week={week}
      values={valuesOf(load, measure)}
      most={most}
      words={`${name}. ${busiestText(load, week, measure)}`}
      titleOf={(hour) =>
        `${countText(Math.round(load.runs[hour] ?? 0), "run")}, ${loadText((load.busyMs[hour] ?? 0) / hourMs)}`
      }
    />
  );
}

/** The load of all peers together, without ticks that nobody could run. */
function sumOf({ peers, hours }: Body): Load {
  const add = (of: keyof Load): number[] =>
    Array.from({ length: hours }, (_, hour) => peers.reduce((sum, load) => sum + (load[of][hour] ?? 0), 0));
  return { runs: add("runs"), busyMs: add("busyMs") };
}

function valuesOf({ runs, busyMs }: Load, measure: Measure): readonly number[] {
  return measure === "runs" ? runs : busyMs.map((ms) => ms / hourMs);
}

/** How long runs take in an hour, or how many are in progress on average where that is more than one. */
function loadText(atOnce: number): string {
  if (atOnce === 0) return "no load";
  return atOnce < 1 ? `busy for ${durationText(atOnce * hourMs)}` : `${atOnce.toFixed(1)} runs at a time`;
}

function amountText(value: number, measure: Measure): string {
  return measure === "runs" ? countText(Math.round(value), "run") : loadText(value);
}

function busiestText(load: Load, { nameOf }: Week, measure: Measure): string {
  const values = valuesOf(load, measure);
  const busiest = values
    .map((value, hour) => ({ value, hour }))
    .filter(({ value }) => value > 0)
    // Compared to the second, because sums of shares may differ by less.
    .toSorted((a, b) => Math.round((b.value - a.value) * 3_600) || a.hour - b.hour)
    .slice(0, busiestNamed);
  if (busiest.length === 0) return measure === "runs" ? "No run is expected." : "No load is expected.";
  const [first] = busiest;
  const last = Math.min(...values.slice(1, -1));
  if (first !== undefined && last > 0 && last > first.value * 0.95)
    return `About the same at all hours: ${amountText(first.value, measure)}${measure === "load" && first.value >= 1 ? "" : " in an hour"}.`;
  return `Busiest: ${busiest.map(({ value, hour }) => `${nameOf(hour)} (${amountText(value, measure)})`).join(", ")}.`;
}

function Quiet({ body: { quiet, hours } }: { body: Body }): JSX.Element {
  const isEven = quiet[0] !== undefined && quiet[0].hours >= hours - 1;
  return (
    <section aria-labelledby="quiet-title">
      <header>
        <h2 id="quiet-title">Quiet hours</h2>
        <span class="more">the longest stretches, in {browserZone}</span>
      </header>
      {isEven ? (
        <Nothing>No hour is quieter than the others.</Nothing>
      ) : (
        <ol class="card quiet-hours">
          {quiet.map((one) => {
            const from = Date.parse(one.from);
            return (
              <li key={one.from}>
                <span>
                  {dayName(from)} {minuteText(from)}, for {one.hours} h
                </span>
                <span class="small quiet">
                  {countText(Math.round(one.runs), "run")}
                  {one.busyMs > 0 && `, on for ${durationText(one.busyMs)} in all`}
                </span>
              </li>
            );
          })}
        </ol>
      )}
    </section>
  );
}

function Collisions({ body: { collisions, moreCollisions } }: { body: Body }): JSX.Element {
  return (
    <section aria-labelledby="pools-title">
      <header>
        <h2 id="pools-title">Pools that are too small</h2>
        <span class="more">hours in which runs would wait for a slot</span>
      </header>
      {collisions.length === 0 ? (
        <Nothing>
          {moreCollisions
            ? "None were found, but there are so many ticks that not all were looked at."
            : "Every pool has enough slots for the runs that are expected at once."}
        </Nothing>
      ) : (
        <div class="table-wrap">
          <Table titledBy="pools-title" columns={["Pool", "Runs at once", "Hours", "Jobs"]}>
            {tightPools(collisions).map(({ pool, wanted, slots, stretches, jobs, moreJobs }) => (
              <tr key={pool} role="row">
                <th role="rowheader" scope="row">
                  {pool}
                </th>
                <td role="cell" data-label="Runs at once">
                  <span class="odd">
                    {wanted} of {countText(slots, "slot")}
                  </span>
                </td>
                <td role="cell">
                  {stretches.slice(0, stretchesNamed).map((one) => (
                    <span key={one.from} class="line-of">
                      {stretchText(one)}
                    </span>
                  ))}
                  {stretches.length > stretchesNamed && (
                    <span class="line-of quiet">
                      and {countText(stretches.length - stretchesNamed, "more time")}
                    </span>
                  )}
                </td>
                <td role="cell">
                  {jobs.map((job, index) => (
                    <span key={job}>
                      {index > 0 && ", "}
                      <a href={jobLink(job)}>{job}</a>
                    </span>
                  ))}
                  {moreJobs && " and others"}
                </td>
              </tr>
            ))}
          </Table>
          {moreCollisions && (
            <p class="list-end small quiet">Later hours are not listed: there are so many.</p>
          )}
        </div>
      )}
    </section>
  );
}

/** `Sun 29 Nov 21:00 to 23:00`, with the second day where that is another one. */
function stretchText({ from, to }: Stretch): string {
  const [first, last] = [dayName(from), dayName(to)];
  return `${first} ${minuteText(from)} to ${first === last ? "" : `${last} `}${minuteText(to)}`;
}
