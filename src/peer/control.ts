/**
 * `Control`, by which the API asks this peer. The only promises in this room: the simulator never calls it.
 */
import { isTickOf, planJob } from "../core/job/plan.ts";
import { tellTick } from "../core/records/why.ts";
import { CicadaError } from "../errors.ts";
import type { Control, Disk, RunQuery, TickStory, View } from "../ports.ts";
import { instantOf, type JobId, type PeerId, type TickId } from "../schema/ids.ts";
import type { RunRecord } from "../schema/run.ts";
import type { Peer } from "./peer.ts";

/** Records fetched for each tick that is to be told: a claim, a step-in and a run of one tick fit. */
const recordsPerTick = 4;

export function controlOf(peer: Peer): Control {
  const { disk } = peer.doors;
  return {
    ask: (command) => new Promise((resolve) => peer.command(command, resolve)),
    view: () => peer.view(),
    next: (id, count) => peer.next(id, count),
    history: (query) => readHistory(disk, query),
    ticks: (id, query) => tellTicks(peer, id, query),
    log: (run, offset, length) =>
      new Promise((resolve) => peer.living.logs.read(run, offset, length, resolve)),
    subscribe: (listener) => peer.subscribe(listener),
  };
}

function readHistory(
  disk: Disk,
  query: RunQuery,
): Promise<{ records: RunRecord[]; next: string | null; total: number }> {
  return new Promise((resolve, reject) => {
    disk.history(query, (page) => (page instanceof CicadaError ? reject(page) : resolve(page)));
  });
}

type TickQuery = Parameters<Control["ticks"]>[1];

async function tellTicks(
  peer: Peer,
  id: JobId,
  query: TickQuery,
): Promise<{ stories: TickStory[]; next: string | null } | undefined> {
  const view = peer.view();
  const { tick, from, limit, after } = query;
  const to = after === undefined ? query.to : Math.min(query.to ?? Infinity, Number(after));
  const page = await readHistory(peer.doors.disk, {
    job: id,
    limit: limit * recordsPerTick,
    ...(tick === undefined ? {} : { tick }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  });
  const byTick = new Map<TickId, RunRecord[]>();
  for (const record of page.records) {
    const records = byTick.get(record.tick);
    if (records === undefined) byTick.set(record.tick, [record]);
    else records.push(record);
  }
  const job = view.jobs.get(id);
  if (byTick.size === 0) {
    if (job === undefined) return undefined;
    const plan = planJob(job);
    const isTick = tick !== undefined && !Array.isArray(plan) && isTickOf(plan, instantOf(tick));
    return { stories: isTick ? [tellTick(tick, [], nameIn(view))] : [], next: null };
  }
  const ticks = [...byTick];
  // The last tick of a page that goes on may be told only in part; the next page begins with it.
  if (page.next !== null && ticks.length > 1) ticks.pop();
  const shown = ticks.slice(0, limit);
  const last = shown.at(-1);
  const more = page.next !== null || shown.length < byTick.size;
  return {
    stories: shown.map(([named, records]) => tellTick(named, records, nameIn(view))),
    next: more && last !== undefined ? String(instantOf(last[0])) : null,
  };
}

function nameIn(view: View): (peer: PeerId) => string {
  const names = new Map(view.members.map((member) => [member.id, member.name]));
  return (peer) => names.get(peer) ?? peer.slice(-8);
}
