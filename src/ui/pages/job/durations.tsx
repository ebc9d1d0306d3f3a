/** How long a job's runs took, over time. */
import type { JSX } from "preact";
import type { Run } from "../../live/types.ts";
import { Empty } from "../../parts/parts.tsx";
import { browserZone, durationText, spreadText } from "../../words.ts";
import { pointsOf, timeTicks, valueTicks, type Point } from "./scales.ts";

/** The size of the drawing, which is stretched to that of its box. */
const width = 1_000;
const height = 100;
/** Of the longest run, so that its point isn't at the edge. */
const room = 1.1;

export function Durations({
  runs,
  zone = browserZone,
}: {
  runs: readonly Run[];
  zone: string | undefined;
}): JSX.Element {
  const points = pointsOf(runs);
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined || last.at === first.at)
    return <Empty title="Too few runs to draw." />;
  const lengths = points.map(({ ms }) => ms).toSorted((a, b) => a - b);
  const top = Math.max(1, (lengths.at(-1) ?? 0) * room);
  const x = (at: number): number => ((at - first.at) / (last.at - first.at)) * width;
  const y = (ms: number): number => height - (ms / top) * height;
  const place = ({ at, ms }: Point): string => `${x(at).toFixed(1)} ${y(ms).toFixed(1)}`;
  const good = points.filter(({ isGood }) => isGood).map(place);
  const bad = points.filter(({ isGood }) => !isGood).map(place);
  const [values, times] = [valueTicks(top), timeTicks(first.at, last.at, zone)];
  const words = spreadText(lengths);
  return (
    <figure>
      <div class="chart" role="img" aria-label={words}>
        <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
          <path class="grid" d={values.map((ms) => `M0 ${y(ms)}H${width}`).join("")} />
          <path class="grid" d={times.map(({ at }) => `M${x(at)} 0V${height}`).join("")} />
          {good.length > 1 && <path class="line" d={`M${good.join("L")}`} />}
          <path class="points" d={dots(good)} />
          <path class="points is-bad" d={dots(bad)} />
        </svg>
        {values.map((ms) => (
          <span key={ms} class="value" style={{ top: `${y(ms)}%` }}>
            {ms === 0 ? "0" : durationText(ms)}
          </span>
        ))}
        {times.map(({ at, text }) => (
          <span key={at} class="time" style={{ left: `${(x(at) / width) * 100}%` }}>
            {text}
          </span>
        ))}
      </div>
      <figcaption class="small quiet">{words}</figcaption>
    </figure>
  );
}

/** Lines without a length, whose round ends are all that is seen of them. */
function dots(places: readonly string[]): string {
  return places.map((place) => `M${place}h0`).join("");
}
