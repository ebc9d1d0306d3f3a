/** What a person can do with jobs and runs. Each gives a receipt, with an undo where the API has one. */
import { ask } from "./ask.ts";
import { jobLink, jobPath, runLink } from "./address.ts";
import { carryOut } from "./receipts.ts";
import type { Job, List, Revision } from "./types.ts";
import { countText, instantText } from "../words.ts";

export function runNow(id: string, body: Readonly<Record<string, unknown>> = {}): Promise<boolean> {
  return carryOut(async () => {
    const { tick } = (await ask<{ tick: string }>(`${jobPath(id)}/run`, { method: "POST", body })).body;
    return {
      text: `${id} was asked to run.`,
      link: { href: runLink(`${id}@${tick}`), text: "Show its run" },
    };
  });
}

export function pause(id: string, body: { note?: string; until?: string }): Promise<boolean> {
  return carryOut(async () => {
    await ask(`${jobPath(id)}/pause`, { method: "POST", body });
    return {
      text: `${id} is paused.`,
      undo: async () => void (await ask(`${jobPath(id)}/resume`, { method: "POST" })),
    };
  });
}

export function resume(id: string): Promise<boolean> {
  return carryOut(async () => {
    await ask(`${jobPath(id)}/resume`, { method: "POST" });
    return { text: `${id} is resumed. What it missed while it was paused is not caught up.` };
  });
}

export function skip(id: string, tick: string, note?: string): Promise<boolean> {
  return carryOut(async () => {
    await ask(`${jobPath(id)}/skip`, {
      method: "POST",
      body: { tick, ...(note === undefined ? {} : { note }) },
    });
    return { text: `${id} will skip its tick of ${timeOf(tick)}.`, undo: () => unskipTick(id, tick) };
  });
}

export function unskip(id: string, tick: string): Promise<boolean> {
  return carryOut(async () => {
    await unskipTick(id, tick);
    return { text: `${id} will run at ${timeOf(tick)} after all.` };
  });
}

function timeOf(tick: string): string {
  return instantText(Date.parse(tick), Date.now());
}

async function unskipTick(id: string, tick: string): Promise<void> {
  await ask(`${jobPath(id)}/unskip`, { method: "POST", body: { tick } });
}

export function remove(job: Pick<Job, "id" | "revision">): Promise<boolean> {
  const { id, revision } = job;
  return carryOut(async () => {
    await ask(jobPath(id), { method: "DELETE" });
    if (revision === null) return { text: `${id} is deleted.` };
    return { text: `${id} is deleted. Its history stays for a while.`, undo: () => bringBack(id) };
  });
}

/** Reverts a deletion. */
async function bringBack(id: string): Promise<void> {
  await ask(`${jobPath(id)}/revert`, { method: "POST", body: { revision: await lastKept(id) } });
}

/** The newest revision of a deleted job that still has its fields. */
async function lastKept(id: string): Promise<string> {
  const { items } = (await ask<List<Revision>>(`${jobPath(id)}/history`)).body;
  const kept = items.find(({ change }) => change !== "deleted");
  if (kept === undefined) throw new Error("No earlier revision of it is kept any more.");
  return kept.revision;
}

export function revert(id: string, revision: string): Promise<boolean> {
  return carryOut(async () => {
    await ask(`${jobPath(id)}/revert`, { method: "POST", body: { revision } });
    return { text: `${id} is reverted.`, link: { href: jobLink(id), text: "Show it" } };
  });
}

export function cancel(run: string): Promise<boolean> {
  return carryOut(async () => {
    await ask(`/v1/runs/${encodeURIComponent(run)}/cancel`, { method: "POST", body: {} });
    return { text: "Its peer has confirmed the cancel." };
  });
}

interface BulkItem {
  job: string;
  ok: boolean;
  detail: string | null;
  /** what keeps a run from starting now */
  warnings: string[];
}

export type BulkAction = "pause" | "resume" | "run" | "delete";
const doneWords: Readonly<Record<BulkAction, string>> = {
  pause: "paused",
  resume: "resumed",
  run: "asked to run",
  delete: "deleted",
};

export function bulk(ids: readonly string[], action: BulkAction): Promise<boolean> {
  return carryOut(async () => {
    const { items } = (
      await ask<{ items: BulkItem[] }>("/v1/jobs:bulk", { method: "POST", body: { select: { ids }, action } })
    ).body;
    const done = items.filter(({ ok }) => ok);
    const [refused] = items.filter(({ ok }) => !ok);
    const [blocked] = items.filter(({ warnings }) => warnings.length > 0);
    const failed = items.length - done.length;
    const asked = `${countText(done.length, "job")} ${done.length === 1 ? "is" : "are"} ${doneWords[action]}.`;
    const text = blocked === undefined ? asked : `${asked} ${blocked.job}: ${blocked.warnings.join("; ")}.`;
    const undo = undoOf(
      action,
      done.map(({ job }) => job),
    );
    return {
      text:
        refused === undefined
          ? text
          : `${text} ${failed} refused: ${refused.job}: ${refused.detail ?? "no reason given"}`,
      ...(undo === undefined ? {} : { undo }),
    };
  });
}

/** What takes the action back; undefined where nothing does. */
function undoOf(action: BulkAction, ids: readonly string[]): (() => Promise<void>) | undefined {
  if (ids.length === 0) return undefined;
  if (action === "pause")
    return async () => {
      await ask("/v1/jobs:bulk", { method: "POST", body: { select: { ids }, action: "resume" } });
    };
  if (action !== "delete") return undefined;
  return async () => {
    // oxlint-disable-next-line no-await-in-loop -- a caller may have only so many calls open
    for (const id of ids) await bringBack(id);
  };
}
