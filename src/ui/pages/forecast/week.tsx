/** Hours as a map: a row for each day, a column for each hour of the day in this browser's zone. */
import type { JSX } from "preact";
import { browserZone, dateKey, dayText, minuteText } from "../../words.ts";

const size = 13;
const step = 15;
const labelWidth = 68;
const hourMs = 3_600_000;
const levels = 5;

interface Place {
  /** which hours of the forecast: two where the clock is set back */
  hours: number[];
  column: number;
}

export interface Week {
  days: { name: string; places: Place[] }[];
  nameOf: (hour: number) => string;
}

export function weekFrom(from: number, hours: number): Week {
  const days = new Map<string, { name: string; places: Place[] }>();
  for (let hour = 0; hour < hours; hour++) {
    const at = from + hour * hourMs;
    const key = dateKey(at);
    const day = days.get(key) ?? { name: dayName(at), places: [] };
    days.set(key, day);
    const column = Number(minuteText(at).slice(0, 2));
    const before = day.places.at(-1);
    if (before?.column === column) before.hours.push(hour);
    else day.places.push({ hours: [hour], column });
  }
  const nameOf = (hour: number): string =>
    `${dayName(from + hour * hourMs)} ${minuteText(from + hour * hourMs)}`;
  return { days: [...days.values()], nameOf };
}

const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "short", timeZone: browserZone });

/** `Mon 30 Nov` */
export function dayName(at: number): string {
  return `${weekday.format(at)} ${dayText(at)}`;
}

interface Props {
  week: Week;
  /** by hour */
  values: readonly number[];
  /** the value of the darkest squares */
  most: number;
  words: string;
  titleOf: (hour: number) => string;
}

export function WeekMap({ week, values, most, words, titleOf }: Props): JSX.Element {
  const height = week.days.length * step;
  return (
    <svg
      class="week-map"
      viewBox={`0 0 ${labelWidth + 24 * step} ${height + 14}`}
      role="img"
      aria-label={words}
    >
      {week.days.map(({ name, places }, row) => (
        <g key={name}>
          <text class="map-label" x="0" y={row * step + size - 3}>
            {name}
          </text>
          {places.map(({ hours, column }) => {
            const value = Math.max(...hours.map((hour) => values[hour] ?? 0));
            return (
              <rect
                key={column}
                class={`heat-${levelOf(value, most)}`}
                x={labelWidth + column * step}
                y={row * step}
                width={size}
                height={size}
                rx="2.5"
              >
                <title>{hours.map((hour) => `${week.nameOf(hour)}: ${titleOf(hour)}`).join("; ")}</title>
              </rect>
            );
          })}
        </g>
      ))}
      {[0, 6, 12, 18].map((hour) => (
        <text key={hour} class="map-label" x={labelWidth + hour * step} y={height + 10}>
          {String(hour).padStart(2, "0")}:00
        </text>
      ))}
    </svg>
  );
}

/** 0 for nothing at all; anything is at least 1. */
function levelOf(value: number, most: number): number {
  return value <= 0 || most <= 0 ? 0 : Math.max(1, Math.ceil((value / most) * levels));
}

export function Scale({ most }: { most: string }): JSX.Element {
  return (
    <span class="heat-scale small quiet">
      nothing
      <svg
        viewBox={`0 0 ${(levels + 1) * step} ${size}`}
        width={(levels + 1) * step}
        height={size}
        aria-hidden="true"
      >
        {Array.from({ length: levels + 1 }, (_, level) => (
          <rect key={level} class={`heat-${level}`} x={level * step} width={size} height={size} rx="2.5" />
        ))}
      </svg>
      {most}
    </span>
  );
}
