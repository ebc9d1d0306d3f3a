/** Draws durations with uPlot, in the colours of the page. */
import UPlot from "uplot";
import { browserZone, dayText, durationText, instantText, minuteText } from "../../words.ts";

export interface Points {
  /** seconds since the epoch, ascending */
  at: number[];
  /** ms; null where a run of the other kind is */
  succeeded: (number | null)[];
  failed: (number | null)[];
}

/** Returns what removes the chart. */
export function drawChart(box: HTMLElement, points: Points, height: number): () => void {
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  let chart: UPlot | undefined;
  const draw = (): void => {
    chart?.destroy();
    const colours = getComputedStyle(box);
    const colour = (name: string): string => resolved(box, colours.getPropertyValue(name));
    const axis = {
      stroke: colour("--quiet"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
      font: "12px system-ui",
      space: 80,
    };
    chart = new UPlot(
      {
        width: box.clientWidth,
        height,
        // Room for half of the last label of the time axis, which is centred on its tick.
        padding: [null, 36, null, null],
        legend: { show: false },
        cursor: { show: false },
        tzDate: (seconds) => UPlot.tzDate(new Date(seconds * 1_000), browserZone),
        scales: { y: { range: (_chart, _min, max) => [0, Math.max(1, max * 1.1)] } },
        axes: [
          {
            ...axis,
            values: (_chart, values, _axis, _space, stepSeconds) =>
              values.map((at) => timeText(at * 1_000, stepSeconds)),
          },
          {
            ...axis,
            size: 64,
            space: 40,
            values: (_chart, values) => values.map((ms) => (ms === 0 ? "0" : durationText(ms))),
          },
        ],
        series: [
          {},
          {
            stroke: colour("--fill-good"),
            width: 1.5,
            spanGaps: true,
            points: { size: 4, fill: colour("--fill-good") },
          },
          { stroke: colour("--fill-bad"), width: 0, points: { size: 7, fill: colour("--fill-bad") } },
        ],
      },
      [points.at, points.succeeded, points.failed],
      box,
    );
  };
  draw();
  const watcher = new ResizeObserver(() => {
    if (chart !== undefined && chart.width !== box.clientWidth)
      chart.setSize({ width: box.clientWidth, height });
  });
  watcher.observe(box);
  scheme.addEventListener("change", draw);
  return () => {
    watcher.disconnect();
    scheme.removeEventListener("change", draw);
    chart?.destroy();
  };
}

function timeText(ms: number, stepSeconds: number): string {
  if (stepSeconds >= 86_400) return dayText(ms);
  return stepSeconds < 60 ? instantText(ms, ms) : minuteText(ms);
}

/** A canvas doesn't know `light-dark()`; an element's colour does. */
function resolved(box: HTMLElement, value: string): string {
  box.style.color = value;
  const { color } = getComputedStyle(box);
  box.style.color = "";
  return color;
}
