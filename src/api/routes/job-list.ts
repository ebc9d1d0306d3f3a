/**
 * One page of the job table, ordered by id. It goes through all jobs once and keeps only those of the page, so only the
 * jobs that are shown are read further. A table of 100,000 jobs costs one pass.
 */
import type { Control, View } from "../../ports/control.ts";
import type { Job, JobState, Quarantined } from "../../schema/job.ts";
import { defaultLimit } from "../http/paging.ts";

export interface JobFilter {
  group?: string;
  label?: string | string[];
  q?: string;
  limit?: number;
  /** the id after which the page begins */
  after: string | undefined;
}

type Item = Job | Quarantined;

/** Says which items are in a state. Only the peer knows what a job is doing. */
export async function inState(
  state: JobState,
  control: Control,
): Promise<(item: Job | Quarantined) => boolean> {
  if (state === "invalid") return (item) => !("spec" in item);
  const found = await control.inState(state);
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
