/** How long a job's runs took, over time. The drawing is loaded when the first chart is shown. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Run } from "../../live/types.ts";
import { Empty } from "../../parts/parts.tsx";
import { spreadText } from "../../words.ts";
import type { Points } from "./chart.ts";

const height = 150;

export function Durations({ runs }: { runs: readonly Run[] }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const points = pointsOf(runs);
  const key = `${points.at.length} ${points.at.at(-1)}`;
  useEffect(() => {
    let remove = (): void => {};
    let isGone = false;
    const { current } = box;
    if (current !== null && points.at.length > 1) {
      void (async () => {
        const { drawChart } = await import("./chart.ts");
        if (!isGone) remove = drawChart(current, points, height);
      })();
    }
    return () => {
      isGone = true;
      remove();
    };
  }, [key]);
  if (points.at.length < 2) return <Empty title="Too few runs to draw." />;
  const all = [...points.succeeded, ...points.failed].filter((ms) => ms !== null).toSorted((a, b) => a - b);
  const words = spreadText(all);
  return (
    <figure>
      <div ref={box} class="chart" role="img" aria-label={words} />
      <figcaption class="small quiet">{words}</figcaption>
    </figure>
  );
}

function pointsOf(runs: readonly Run[]): Points {
  const points: Points = { at: [], succeeded: [], failed: [] };
  for (const { startedAt, finishedAt, state } of runs.toReversed()) {
    if (startedAt === null || finishedAt === null) continue;
    const ms = Date.parse(finishedAt) - Date.parse(startedAt);
    points.at.push(Date.parse(startedAt) / 1_000);
    points.succeeded.push(state === "succeeded" ? ms : null);
    points.failed.push(state === "succeeded" ? null : ms);
  }
  return points;
}
