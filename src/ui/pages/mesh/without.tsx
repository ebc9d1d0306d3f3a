/** What would become of the ticks of a peer, and of the jobs that only it can run, if it were gone. */
import type { JSX } from "preact";
import { jobLink } from "../../live/address.ts";
import { now } from "../../live/clock.ts";
import type { MeshPeer } from "../../live/mesh.ts";
import type { ComingList, Dependents } from "../../live/types.ts";
import { At } from "../../parts/times.tsx";
import { countText } from "../../words.ts";

const hourMs = 3_600_000;
/** How far ahead the ticks of the peers are counted. */
export const minutesAhead = 60;
/** … unless so many ticks come before that. */
export const ticksAhead = 1_000;

interface Props {
  peer: MeshPeer;
  /** undefined until they are known */
  coming: ComingList | undefined;
  dependents: readonly Dependents[] | undefined;
}

export function Without({ peer, coming, dependents }: Props): JSX.Element | null {
  if (coming === undefined) return null;
  return (
    <p class="small without">
      {nextHourText(peer, coming)} <Stranded peer={peer} dependents={dependents} />
    </p>
  );
}

/** What this peer would run in the next hour, and who would if it were gone. */
function nextHourText(peer: MeshPeer, { items, completeUntil }: ComingList): string {
  const hour = now.peek() + hourMs;
  const isMore = Date.parse(completeUntil) < hour;
  const own = items.filter(
    ({ peers, runners, startsAt }) =>
      Date.parse(startsAt) <= hour && peers.slice(0, runners).some(({ id }) => id === peer.id),
  );
  if (own.length > 0)
    return `Next hour: ${isMore ? "at least " : ""}${countText(own.length, "tick")}. Without it: ${fatesText(own)}.`;
  return isMore
    ? "It would run none of those ticks of the next hour that are listed; there are more."
    : "It would run nothing in the next hour.";
}

/** Who would run these ticks in place of the peer that would run them as things are. */
function fatesText(ticks: ComingList["items"]): string {
  const heirs = new Map<string, number>();
  let alone = 0;
  let stranded = 0;
  for (const { peers, runners } of ticks) {
    const next = peers[runners];
    if (next !== undefined) heirs.set(next.name, (heirs.get(next.name) ?? 0) + 1);
    else if (runners > 1) alone++;
    else stranded++;
  }
  return [
    ...[...heirs].map(([name, count]) => `${count} on ${name}`),
    ...(alone === 0
      ? []
      : [`${alone} on the other peers alone, which run ${alone === 1 ? "it" : "them"} anyway`]),
    ...(stranded === 0 ? [] : [`${stranded} nowhere`]),
  ].join(", ");
}

/** Jobs that are named. */
export const dependentsNamed = 8;

/** The jobs whose ticks, whenever they come, have to wait for this peer. */
export function Stranded({ peer, dependents }: Omit<Props, "coming">): JSX.Element | null {
  if (dependents === undefined)
    return <span class="quiet">Which jobs nobody else can run is not known yet.</span>;
  const own = dependents.find(({ peer: { id } }) => id === peer.id);
  if (own === undefined) return null;
  const others = own.total - own.jobs.length;
  return (
    <span class="bad">
      Nobody else can run{" "}
      {own.jobs.map(({ id, nextRun }, index) => (
        <span key={id}>
          {index > 0 && ", "}
          <a href={jobLink(id)}>{id}</a>
          {nextRun !== null && (
            <>
              {" "}
              (<At at={nextRun} />)
            </>
          )}
        </span>
      ))}
      {others > 0 && ` and ${countText(others, "other job")}`}.
    </span>
  );
}
