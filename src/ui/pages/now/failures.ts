/**
 * The runs of the last day that went wrong, the newest first. All of them are asked for seldom, because they may be hundreds; the
 * newest ones soon after a run has gone wrong; none while all goes well.
 */
import { now } from "../../live/clock.ts";
import { useResource, type Resource } from "../../live/resource.ts";
import type { List, Run } from "../../live/types.ts";

export const wrongStates = "failed,timeout,lost,missed";

const dayMs = 86_400_000;
/** Addresses of questions stay the same for this long, and the newest failures are those of this time or twice as long. */
const stepMs = 600_000;
const allMax = 500;
const newestMax = 50;
const allEveryMs = 30_000;
const newestEveryMs = 2_000;
const pollMs = 60_000;

export interface Failures extends Pick<Resource<unknown>, "refused"> {
  /** undefined until they are known */
  items: readonly Run[] | undefined;
  /** The day had more of them than are read: only those since then (wall ms) are known. Undefined: it had not. */
  since: number | undefined;
}

export function useFailures(): Failures {
  const step = Math.floor(now.value / stepMs) * stepMs;
  const all = useResource<List<Run>>(pathOf(allMax, step - dayMs), {
    on: ["failure"],
    everyMs: allEveryMs,
    pollMs,
  });
  const newest = useResource<List<Run>>(pathOf(newestMax, step - stepMs), {
    on: ["failure"],
    everyMs: newestEveryMs,
    pollMs,
  });
  if (all.body === undefined) return { items: undefined, since: undefined, refused: all.refused };
  const { items, nextCursor } = all.body;
  const oldest = nextCursor === null ? undefined : items.at(-1);
  return {
    items: merged(newest.body?.items ?? [], items),
    since: oldest === undefined ? undefined : Date.parse(oldest.due),
    refused: all.refused,
  };
}

function pathOf(limit: number, from: number): string {
  return `/v1/runs?limit=${limit}&state=${wrongStates}&from=${new Date(from).toISOString()}`;
}

/** Each run once, as the newer answer has it. */
function merged(newest: readonly Run[], all: readonly Run[]): readonly Run[] {
  const known = new Map([...all, ...newest].map((run) => [`${run.id} ${run.slot}`, run]));
  return [...known.values()].toSorted((a, b) => (a.due > b.due ? -1 : 1));
}
