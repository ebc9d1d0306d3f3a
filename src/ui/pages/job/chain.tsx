/** The chain that a job is in, from left to right: what runs before it, the job itself, what runs after it. */
import type { JSX } from "preact";
import { jobLink } from "../../live/address.ts";
import type { Chain } from "../../live/types.ts";
import { toneOfJob } from "../../words.ts";

const boxWidth = 170;
const boxHeight = 36;
const columnGap = 60;
const rowGap = 14;
/** Characters of an id that fit into its box. */
const idLength = 19;

export function ChainPicture({ chain, of }: { chain: Chain; of: string }): JSX.Element {
  const columns = [...Map.groupBy(chain.jobs, ({ level }) => level)]
    .toSorted(([a], [b]) => a - b)
    .map(([, jobs]) => jobs);
  const rows = Math.max(...columns.map((jobs) => jobs.length));
  const height = rows * (boxHeight + rowGap) - rowGap + 4;
  const width = columns.length * (boxWidth + columnGap) - columnGap + 4;
  const places = new Map(
    columns.flatMap((jobs, column) => {
      const top = (height - (jobs.length * (boxHeight + rowGap) - rowGap)) / 2;
      return jobs.map(
        ({ id }, row) =>
          [id, { x: 2 + column * (boxWidth + columnGap), y: top + row * (boxHeight + rowGap) }] as const,
      );
    }),
  );
  return (
    <div class="card chain">
      <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
        {chain.links.map(({ from, to, on }) => {
          const [a, b] = [places.get(from), places.get(to)];
          if (a === undefined || b === undefined) return null;
          const [x1, y1, x2, y2] = [a.x + boxWidth, a.y + boxHeight / 2, b.x, b.y + boxHeight / 2];
          const middle = (x1 + x2) / 2;
          return (
            <g key={`${from} ${to}`}>
              <path
                class={on === "failure" ? "link on-failure" : "link"}
                d={`M${x1} ${y1} C${middle} ${y1} ${middle} ${y2} ${x2 - 6} ${y2}`}
              />
              <path class="arrow" d={`M${x2 - 7} ${y2 - 4} L${x2} ${y2} L${x2 - 7} ${y2 + 4}Z`} />
              {on !== "success" && (
                <text class="map-label" x={middle} y={(y1 + y2) / 2 - 5} text-anchor="middle">
                  {on}
                </text>
              )}
            </g>
          );
        })}
        {chain.jobs.map(({ id, state }) => {
          const place = places.get(id);
          if (place === undefined) return null;
          const tone = state === null ? "bad" : toneOfJob(state);
          return (
            <a key={id} href={jobLink(id)} aria-label={`${id}, ${state ?? "there is no such job"}`}>
              <rect
                class={id === of ? "box is-this" : "box"}
                x={place.x}
                y={place.y}
                width={boxWidth}
                height={boxHeight}
                rx="6"
              />
              <circle class={`dot ${tone}`} cx={place.x + 14} cy={place.y + boxHeight / 2} r="4" />
              <text class="box-name" x={place.x + 26} y={place.y + boxHeight / 2 + 5}>
                {id.length > idLength ? `${id.slice(0, idLength - 1)}…` : id}
              </text>
              <title>{`${id}: ${state ?? "there is no such job"}`}</title>
            </a>
          );
        })}
      </svg>
    </div>
  );
}
