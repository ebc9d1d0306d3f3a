/**
 * One page of the job table. Ordered by id, it goes through all jobs once and keeps only those of the page, so only the
 * jobs that are shown are read further. A table of 100,000 jobs costs one pass. Ordered otherwise, it needs the state or the
 * next tick of every job (show/overview.ts).
 */
import { setImmediate as turn } from "node:timers/promises";
import type { Control, View } from "../../ports/control.ts";
import type { JobId } from "../../schema/ids.ts";
import type { JobState } from "../../schema/job-vocabulary.ts";
import type { Job, Quarantined } from "../../schema/job.ts";
import { defaultLimit } from "../http/paging.ts";
import type { OverviewEntry } from "../show/overview.ts";

export interface JobFilter {
  group?: string;
  label?: string | string[];
  q?: string;
  limit?: number;
  /** the id after which the page begins */
  after: string | undefined;
}

type Item = Job | Quarantined;

/** Jobs whose state is looked at before other work gets a turn. */
const jobsAtOnce = 100;

/** Says which items are in a state. Only the peer knows what a job is doing. */
export async function inState(
  state: JobState,
  control: Control,
): Promise<(item: Job | Quarantined) => boolean> {
  if (state === "invalid") return (item) => !("spec" in item);
  const found = new Set<JobId>();
  const ids = [...control.view().jobs.keys()];
  for (let at = 0; at < ids.length; at += jobsAtOnce) {
    const some = ids.slice(at, at + jobsAtOnce);
    const statuses = await Promise.all(some.map((id) => control.status(id)));
    for (const [index, id] of some.entries()) if (statuses[index]?.state === state) found.add(id);
    await turn();
  }
  return (item) => "spec" in item && found.has(item.id);
}

export function filterJobs(
  view: View,
  filter: JobFilter,
  isInState: (item: Job | Quarantined) => boolean = () => true,
): { items: Item[]; next: string | null; total: number } {
  const limit = filter.limit ?? defaultLimit;
  const fits = matcher(filter);
  const items: Item[] = [];
  let total = 0;
  let more = false;
  for (const item of everyItem(view)) {
    if (!fits(item) || !isInState(item)) continue;
    total += 1;
    if (filter.after !== undefined && item.id <= filter.after) continue;
    const last = items[limit - 1];
    if (last !== undefined) {
      more = true;
      if (item.id >= last.id) continue;
      items.pop();
    }
    items.splice(placeOf(items, item.id), 0, item);
  }
  return { items, next: more ? (items.at(-1)?.id ?? null) : null, total };
}

/** `attention`: what needs a person comes first. `next`: what is due first comes first. Both then by id. */
export const jobOrders = ["id", "attention", "next"] as const;

/**
 * How much each state needs a person. A healthy job goes from `scheduled` to `running` and back all the time, and keeps its place
 * in the list.
 */
const attentionRanks: Readonly<Record<JobState, number>> = {
  invalid: 0,
  blocked: 1,
  failing: 2,
  paused: 3,
  waiting: 4,
  running: 4,
  scheduled: 4,
  manual: 4,
  disabled: 5,
  ended: 6,
};

/** A text that sorts as the items come in an order. */
type KeyOf = (item: Item) => string;

/** As `filterJobs`, in another order; a page begins after the place `filter.after`, which a page before it gave as `next`. */
export function orderJobs(
  view: View,
  filter: JobFilter,
  keyOf: KeyOf,
  isInState: (item: Item) => boolean = () => true,
): { items: Item[]; next: string | null; total: number } {
  const limit = filter.limit ?? defaultLimit;
  const fits = matcher(filter);
  const found: { place: string; item: Item }[] = [];
  for (const item of everyItem(view)) {
    if (!fits(item) || !isInState(item)) continue;
    found.push({ place: `${keyOf(item)} ${item.id}`, item });
  }
  found.sort((a, b) => (a.place < b.place ? -1 : 1));
  const { after } = filter;
  const rest = after === undefined ? found : found.filter(({ place }) => place > after);
  const shown = rest.slice(0, limit);
  const next = rest.length > limit ? (shown.at(-1)?.place ?? null) : null;
  return { items: shown.map(({ item }) => item), next, total: found.length };
}

export function byAttention(entries: ReadonlyMap<JobId, OverviewEntry>): KeyOf {
  return (item) => {
    const state = "spec" in item ? (entries.get(item.id)?.state ?? "scheduled") : "invalid";
    return String(attentionRanks[state]);
  };
}

/** Jobs without a next tick come last. */
export function byNextRun(nextRuns: ReadonlyMap<JobId, number>): KeyOf {
  return (item) => {
    const at = "spec" in item ? nextRuns.get(item.id) : undefined;
    return at === undefined ? "~" : String(at).padStart(16, "0");
  };
}

function* everyItem(view: View): Generator<Item> {
  yield* view.jobs.values();
  yield* view.quarantined;
}

/** Where the id belongs among items that are sorted by id. */
function placeOf(items: readonly Item[], id: string): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((items[middle]?.id ?? "") < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

function matcher({ group, label, q }: JobFilter): (item: Item) => boolean {
  const labels = (typeof label === "string" ? [label] : (label ?? [])).map(readLabel);
  const wanted = q?.toLowerCase();
  return (item) => {
    if (!("spec" in item)) {
      return group === undefined && labels.length === 0 && item.id.includes(wanted ?? "");
    }
    if (group !== undefined && (item.spec.group ?? "default") !== group) return false;
    if (!labels.every(([name, value]) => hasLabel(item, name, value))) return false;
    return wanted === undefined || mentions(item, wanted);
  };
}

function readLabel(text: string): [name: string, value: string | undefined] {
  const at = text.indexOf("=");
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function hasLabel(job: Job, name: string, value: string | undefined): boolean {
  const labels = job.spec.labels ?? {};
  if (!Object.hasOwn(labels, name)) return false;
  return value === undefined || labels[name] === value;
}

function mentions({ id, spec }: Job, wanted: string): boolean {
  const texts = [id, spec.description, spec.owner, spec.command, spec.argv?.join(" "), spec.http?.url];
  return texts.some((text) => text !== undefined && text.toLowerCase().includes(wanted));
}
