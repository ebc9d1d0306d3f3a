/** A job's last ticks as bars: the colour says how each went, the height how long it took. */
import type { JSX } from "preact";
import type { RecentTick } from "../live/types.ts";
import { countText, durationText, toneOfRun } from "../words.ts";

const barWidth = 4;
const gap = 2;
const height = 20;
const bars = 24;

export function Spark({ ticks }: { ticks: readonly RecentTick[] }): JSX.Element | null {
  if (ticks.length === 0) return null;
  const longest = Math.max(1, ...ticks.map(({ ms }) => ms ?? 0));
  const width = bars * (barWidth + gap) - gap;
  return (
    <svg
      class="spark"
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={wordsOf(ticks)}
    >
      {Array.from({ length: bars - ticks.length }, (_, index) => (
        <rect
          key={index}
          class="fill-none"
          x={index * (barWidth + gap)}
          y={height - 2}
          width={barWidth}
          height="2"
        />
      ))}
      {ticks.map(({ tick, state, ms }, index) => {
        // The square root lets short runs be seen beside long ones.
        const tall = ms === null ? height * 0.4 : Math.max(4, height * Math.sqrt(ms / longest));
        const x = width - (index + 1) * (barWidth + gap) + gap;
        return (
          <rect
            key={tick}
            class={`fill-${toneOfRun(state)}`}
            x={x}
            y={height - tall}
            width={barWidth}
            height={tall}
            rx="1"
          >
            <title>{`${tick}: ${state}${ms === null ? "" : `, ${durationText(ms)}`}`}</title>
          </rect>
        );
      })}
    </svg>
  );
}

function wordsOf(ticks: readonly RecentTick[]): string {
  const counts = new Map<string, number>();
  for (const { state } of ticks) counts.set(state, (counts.get(state) ?? 0) + 1);
  const parts = [...counts].map(([state, count]) => `${count} ${state}`);
  return `last ${countText(ticks.length, "tick")}: ${parts.join(", ")}`;
}
