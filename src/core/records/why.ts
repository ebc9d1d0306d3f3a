/**
 * Why a tick ran where it ran, or why it didn't: turns the codes of its records into sentences for people. The records carry
 * the reasons (rank, which peers were skipped and why, how many peers were up), so every peer that has the records tells the
 * same story.
 */
import { instantOf, isPeerSlot, type PeerId, type TickId } from "../../schema/ids.ts";
import type { SkippedPeer, RunRecord } from "../../schema/run.ts";
import { isFinal } from "../../schema/run-states.ts";
import type { PendingTick, TickStory } from "../../ports/control.ts";
import { because } from "./reasons.ts";
import { duplicatesIn, endsRetries, finalWordOf, hasStarted, slotCountIn, slotStories } from "./records.ts";

/** The name of a peer by its id, or by its slot in a tick that runs on all peers. */
type NameOf = (peer: PeerId | string) => string;

const skippedBecause: Readonly<Record<SkippedPeer["why"], string>> = {
  dead: "was dead",
  left: "had left",
  suspect: "had fallen silent and did not start it",
  silent: "was up but did not start it in time",
  declined: "was full",
  draining: "was being stopped or drained",
  "warming-up": "had just started",
  settling: "had just started",
  "not-targeted": "is not a target of the job",
  clock: "had a clock too far off the others'",
  host: "could not start runs, because of a fault of its host",
  duplicate: "shared its identity with a newer process",
};

function clock(instant: number | undefined): string {
  return instant === undefined ? "" : ` at ${new Date(instant).toISOString()}`;
}

function peersUp(record: RunRecord): string {
  return record.view === 1 ? "it saw no other peer" : `${record.view} peers were up`;
}

const places = ["first", "second", "third"];

function placeInLine(rank: number): string {
  return places[rank] ?? `number ${rank + 1}`;
}

function chosen(record: RunRecord, nameOf: NameOf): string {
  const skipped = (record.passed ?? []).map(({ peer, why }) => `${nameOf(peer)} ${skippedBecause[why]}`);
  const before = skipped.length === 0 ? "" : ` Ahead of it in line: ${skipped.join("; ")}.`;
  const voted = record.epoch === undefined ? "" : ` The voters of epoch ${record.epoch} had chosen it.`;
  return `It was ${placeInLine(record.rank)} in line; ${peersUp(record)}.${voted}${before}`;
}

function sentenceFor(record: RunRecord, nameOf: NameOf): string {
  const who = nameOf(record.peer);
  const waits =
    record.waiting === "capacity"
      ? " and waits for a free place"
      : record.pool === undefined
        ? " and waits for an earlier run to end"
        : ` and waits for a free slot of the pool "${record.pool}"`;
  switch (record.state) {
    case "claimed":
      return `${who} claimed it${clock(record.claimedAt)}${record.waiting === undefined ? "" : waits}. ${chosen(record, nameOf)}`;
    case "running":
      return `${who} started it${clock(record.startedAt)} and is running it. ${chosen(record, nameOf)}`;
    case "withdrawn":
      if (record.by !== undefined && record.by !== record.peer) {
        return `${who} claimed it, and ${nameOf(record.by)} withdrew the claim${because(record)}.`;
      }
      return `${who} claimed it and gave the claim back${because(record)}.`;
    case "skipped":
    case "missed":
      if (hasStarted(record)) return ran(record, nameOf);
      if (endsRetries(record)) return unmade(record, nameOf);
      if (record.range !== undefined) {
        const { from, count } = record.range;
        const span = `${new Date(from).toISOString()} to ${new Date(record.due).toISOString()}`;
        return `${who} recorded the ${count} ticks from ${span} as ${record.state}${because(record)}. Any of them that ran have their own records.`;
      }
      return `${who} recorded it as ${record.state}${because(record)}.`;
    case "lost": {
      if (record.reason?.startsWith(notStarted) === true) return unstarted(record, nameOf);
      const by =
        record.by === undefined || record.by === record.peer ? "" : `, as ${nameOf(record.by)} found`;
      const began =
        record.startedAt === undefined
          ? `${who} was to run it; whether it started it isn't known`
          : `${who} started it${clock(record.startedAt)}; how it ended isn't known`;
      return `${began}${by}${because(record)}.${record.retryAt === undefined ? " It is not repeated." : ""}`;
    }
    case "succeeded":
    case "failed":
    case "timeout":
    case "cancelled":
      if (record.reason?.startsWith(notStarted) === true) return unstarted(record, nameOf);
      if (endsRetries(record)) return unmade(record, nameOf);
      if (record.state === "cancelled" && record.startedAt === undefined)
        return `${who} recorded that it was cancelled before it was started${because(record)}.`;
      return ran(record, nameOf);
  }
}

function unstarted(record: RunRecord, nameOf: NameOf): string {
  const why = (record.reason ?? "").slice(notStarted.length);
  return `${nameOf(record.peer)} was to run it and could not start it: ${why}. ${chosen(record, nameOf)}`;
}

function unmade(record: RunRecord, nameOf: NameOf): string {
  return `${nameOf(record.peer)} recorded that it is not repeated${because(record)}.`;
}

function ran(record: RunRecord, nameOf: NameOf): string {
  const began = `${nameOf(record.peer)} started it${clock(record.startedAt)}`;
  const notes = (record.notes ?? []).map((one) => ` Note: ${one}.`).join("");
  return `${began}; ${describeEnd(record)}. ${chosen(record, nameOf)}${notes}`;
}

/** The beginning of the reason of a run whose process could not be started (orders/runs.ts). */
const notStarted = "not started: ";

function describeEnd(record: RunRecord): string {
  const at = clock(record.finishedAt);
  if (record.state === "skipped" && record.reason?.startsWith("precheck") === true) {
    const code = record.exitCode === undefined ? "" : ` with exit code ${record.exitCode}`;
    const detail = record.reason === "precheck" ? "" : because(record);
    return `its precheck ended${code}${at}, so the job itself was not started${detail}`;
  }
  return `it ${endInWords(record)}${at}${because(record)}`;
}

function endInWords(record: RunRecord): string {
  if (record.state === "succeeded") return "succeeded";
  if (record.state === "timeout") return "timed out";
  if (record.state === "cancelled") return "was cancelled";
  if (record.state === "skipped" && record.exitCode !== undefined)
    return `ended with exit code ${record.exitCode}`;
  if (record.signal !== undefined) return `was ended by ${record.signal}`;
  return record.exitCode === undefined ? "failed" : `failed with exit code ${record.exitCode}`;
}

/** How the slots of a tick have fared, in one sentence; none for a tick with one slot. */
function summaryOf(records: readonly RunRecord[]): string[] {
  const of = slotCountIn(records);
  if (of === 1) return [];
  const states = slotStories(records).map(({ record }) => record.state);
  const parts = [...Map.groupBy(states, (state) => state)].map(([state, some]) => `${some.length} ${state}`);
  return [`It has ${of} runs: ${parts.join(", ")}.`];
}

function slotPrefix({ slot, of }: RunRecord, nameOf: NameOf): string {
  if (of === undefined) return "";
  return isPeerSlot(slot) ? `On ${nameOf(slot)}: ` : `Run #${slot}: `;
}

function byTime(a: RunRecord, b: RunRecord): number {
  return (
    (a.claimedAt ?? a.finishedAt ?? 0) - (b.claimedAt ?? b.finishedAt ?? 0) || (a.peer < b.peer ? -1 : 1)
  );
}

/**
 * The story of one tick from all its records. While the tick is due and undecided it is pending, and `pending` says what it
 * waits for. A tick without any record is pending too. It is `withdrawn` when the job was edited, disabled or deleted before
 * the start.
 */
export function describeTick(
  tick: TickId,
  records: readonly RunRecord[],
  nameOf: NameOf,
  pending?: PendingTick,
): TickStory {
  const ordered = records.toSorted(byTime);
  const story = finalWordOf(ordered);
  const doubles = duplicatesIn(ordered);
  const why = [
    ...summaryOf(ordered),
    ...ordered.map((record) => slotPrefix(record, nameOf) + sentenceFor(record, nameOf)),
  ];
  if (doubles.length > 0) {
    const where = doubles.map((record) => `${nameOf(record.peer)} (${peersUp(record)})`).join(" and on ");
    why.push(
      `It was started ${doubles.length} times, on ${where}: these peers did not hear each other at the time.`,
    );
  }
  if (pending?.waitsFor === "retry") why.push(`It did not succeed and is repeated: ${pending.why}.`);
  else if (pending !== undefined)
    why.push(`It has been due since ${clock(pending.due).slice(" at ".length)} and waits: ${pending.why}.`);
  else if (story === undefined)
    why.push("Nothing has been decided about it yet, or its records have been removed.");
  const late = story !== undefined && hasStarted(story) ? (story.startedAt ?? story.due) - story.due : 0;
  if (late > 2_000) why.push(`It started ${Math.round(late / 1_000)} s after it was due.`);
  const isGivenBack = story?.state === "withdrawn" && ordered.every((record) => isFinal(record.state));
  // After a claim was given back another peer runs the tick, unless an edit or a deletion has removed the tick.
  const isRemoved = ordered.some(({ reason }) => reason === "job-changed");
  const undecided = story === undefined || (isGivenBack && !isRemoved);
  return {
    tick,
    due: story?.due ?? instantOf(tick),
    state: pending !== undefined || undecided ? "pending" : story.state,
    duplicate: doubles.length > 0,
    ...(pending === undefined ? {} : { waitsFor: pending.waitsFor }),
    records: ordered,
    why,
  };
}
