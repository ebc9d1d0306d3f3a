/**
 * A calendar of results: a square for each day of the last months, or for each hour where the history is that short. It
 * distinguishes times without a run from times about which nothing is known.
 */
import type { JSX } from "preact";
import { now } from "../../live/clock.ts";
import type { Run } from "../../live/types.ts";
import { At } from "../../parts/times.tsx";
import { browserZone, countText, dateKey, dayText, minuteText, toneOfRun, type Tone } from "../../words.ts";

const size = 12;
const step = 15;
const dayMs = 86_400_000;
const weeksShown = 18;
/** A history shorter than this is shown by the hour. */
const shortMs = 4 * dayMs;
const labelWidth = 44;

/** From when on all runs are known. */
export interface KnownFrom {
  /** wall ms */
  at: number;
  /** why earlier runs may be unknown: `no longer kept` */
  why: string;
}

interface Props {
  runs: readonly Run[];
  knownFrom: KnownFrom;
  zone: string | undefined;
}

export function ResultMap({ runs, knownFrom, zone = browserZone }: Props): JSX.Element {
  const today = dateKey(now.value, zone);
  const oldest = Math.min(...runs.map(({ due }) => Date.parse(due)));
  const isShort = Date.parse(`${today}T23:59:59Z`) - oldest < shortMs;
  const shownFrom = Date.parse(`${today}T00:00:00Z`) - (isShort ? shortMs : weeksShown * 7 * dayMs);
  const map = { runs, knownFrom, zone };
  return (
    <>
      {isShort ? <Hours {...map} /> : <Days {...map} today={today} />}
      {knownFrom.at > shownFrom && (
        <p class="small quiet">
          Runs from before <At at={new Date(knownFrom.at).toISOString()} zone={zone} /> are {knownFrom.why}.
        </p>
      )}
    </>
  );
}

interface MapProps extends Props {
  zone: string;
}

/** The last four days, a row for each. */
function Hours({ runs, knownFrom, zone }: MapProps): JSX.Element {
  const keyOf = (ms: number): string => `${dateKey(ms, zone)} ${minuteText(ms, zone).slice(0, 2)}`;
  const byHour = Map.groupBy(runs, ({ due }) => keyOf(Date.parse(due)));
  const [first, last] = [keyOf(knownFrom.at), keyOf(now.value)];
  const width = labelWidth + 24 * step;
  const noon = Date.parse(`${dateKey(now.value, zone)}T12:00:00Z`);
  const days = [3, 2, 1, 0].map((ago) => new Date(noon - ago * dayMs).toISOString().slice(0, 10));
  return (
    <svg
      class="result-map"
      viewBox={`0 0 ${width} ${days.length * step + 16}`}
      role="img"
      aria-label={`Results of the last days by hour: ${wordsOf(runs)}`}
    >
      {days.map((day, row) => (
        <g key={day}>
          <text class="map-label" x="0" y={row * step + size - 2}>
            {dayText(Date.parse(`${day}T12:00:00Z`), "UTC")}
          </text>
          {Array.from({ length: 24 }, (_, hour) => {
            const key = `${day} ${String(hour).padStart(2, "0")}`;
            return key > last ? null : (
              <Square
                key={hour}
                x={labelWidth + hour * step}
                y={row * step}
                runs={byHour.get(key) ?? []}
                name={`${key}:00`}
                unknown={key < first ? knownFrom.why : undefined}
              />
            );
          })}
        </g>
      ))}
      {[0, 6, 12, 18].map((hour) => (
        <text key={hour} class="map-label" x={labelWidth + hour * step} y={days.length * step + 11}>
          {String(hour).padStart(2, "0")}:00
        </text>
      ))}
    </svg>
  );
}

/** Weeks from left to right, Monday on top. */
function Days({ runs, knownFrom, zone, today }: MapProps & { today: string }): JSX.Element {
  const byDay = Map.groupBy(runs, ({ due }) => dateKey(Date.parse(due), zone));
  const first = dateKey(knownFrom.at, zone);
  const end = Date.parse(`${today}T12:00:00Z`);
  const weekday = (new Date(end).getUTCDay() + 6) % 7;
  const monday = end - (weekday + (weeksShown - 1) * 7) * dayMs;
  const days = Array.from(
    { length: (weeksShown - 1) * 7 + weekday + 1 },
    (_, index) => monday + index * dayMs,
  );
  return (
    <svg
      class="result-map"
      viewBox={`0 0 ${labelWidth + weeksShown * step} ${7 * step + 16}`}
      role="img"
      aria-label={`Results by day: ${wordsOf(runs)}`}
    >
      {["Mon", "", "Wed", "", "Fri", "", "Sun"].map((name, row) => (
        <text key={row} class="map-label" x="0" y={row * step + size - 2}>
          {name}
        </text>
      ))}
      {days.map((at, index) => {
        const key = new Date(at).toISOString().slice(0, 10);
        const x = labelWidth + Math.floor(index / 7) * step;
        return (
          <Square
            key={key}
            x={x}
            y={(index % 7) * step}
            runs={byDay.get(key) ?? []}
            name={key}
            unknown={key < first ? knownFrom.why : undefined}
          />
        );
      })}
      {days.map((at, index) => {
        const isFirst = new Date(at).getUTCDate() <= 7 && index % 7 === 0;
        return isFirst ? (
          <text key={at} class="map-label" x={labelWidth + (index / 7) * step} y={7 * step + 11}>
            {dayText(at, "UTC").split(" ")[1]}
          </text>
        ) : null;
      })}
    </svg>
  );
}

interface SquareProps {
  x: number;
  y: number;
  runs: readonly Run[];
  name: string;
  /** why not all runs of that time are known */
  unknown: string | undefined;
}

function Square({ x, y, runs, name, unknown }: SquareProps): JSX.Element {
  const words = runs.length === 0 ? "no run" : wordsOf(runs);
  const fill = unknown === undefined || runs.length > 0 ? toneOf(runs) : "unknown";
  const text = unknown === undefined ? words : runs.length === 0 ? unknown : `${words}; others ${unknown}`;
  return (
    <rect class={`fill-${fill}`} x={x} y={y} width={size} height={size} rx="2.5">
      <title>{`${name}: ${text}`}</title>
    </rect>
  );
}

/** The tone of the worst run, because one failure in a day has to be seen. */
function toneOf(runs: readonly Run[]): Tone | "none" {
  const tones = new Set(runs.map(({ state }) => toneOfRun(state)));
  return (["bad", "odd", "busy", "good"] as const).find((tone) => tones.has(tone)) ?? "none";
}

function wordsOf(runs: readonly Run[]): string {
  const counts = new Map<string, number>();
  for (const { state } of runs) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].map(([state, count]) => countText(count, state, state)).join(", ");
}
