/**
 * Which notices people get about a tick: a pure function of the job's rules, and of what became of this tick and of those before
 * it. Only the final word of a tick counts, never a single attempt's.
 */
import { overdueMs } from "../limits.ts";
import type { RunRecord } from "../../schema/run.ts";
import { isFinal, type RunState } from "../../schema/run-states.ts";
import type { NoticeEvent, NotifyRule } from "../../schema/notice.ts";
import { duplicatesIn, finalWordOf, slotCountIn, slotStories } from "./records.ts";
import { settles } from "./ledger.ts";

/** What is known of a tick whose final word is in. */
export interface DecidedTick {
  /** every record of the tick */
  records: readonly RunRecord[];
  /** the states of the job's earlier ticks, newest first, without those that are not over */
  earlier: readonly RunState[];
  /** the events of this tick of which people were notified already */
  notified: ReadonlySet<NoticeEvent>;
}

/** Which channels are to be notified of which event, once each. `long` and `paused` don't depend on a final word. */
export function noticesOf(rules: readonly NotifyRule[], tick: DecidedTick): Map<NoticeEvent, Set<string>> {
  const due = new Map<NoticeEvent, Set<string>>();
  const notifiesLost = rules.some(({ on }) => on.includes("lost"));
  for (const { on, to, afterFailures = 1 } of rules) {
    for (const event of on) {
      if (tick.notified.has(event) || !isDue(event, tick, afterFailures, notifiesLost)) continue;
      const channels = due.get(event) ?? new Set();
      for (const channel of to) channels.add(channel);
      due.set(event, channels);
    }
  }
  return due;
}

function isDue(
  event: NoticeEvent,
  { records, earlier, notified }: DecidedTick,
  afterFailures: number,
  notifiesLost: boolean,
): boolean {
  const story = finalWordOf(records);
  if (story === undefined || !isDecided(records)) return false;
  switch (event) {
    case "failed":
      return isFailed(story.state) && 1 + failuresIn(earlier).length >= afterFailures;
    case "recovered":
      // A run that was taken for lost has reported its end after all, or the job works again.
      return (
        story.state === "succeeded" &&
        (notified.has("lost") || hasNotified(earlier, afterFailures, notifiesLost))
      );
    case "missed":
    case "skipped":
    case "lost":
      return story.state === event;
    case "late":
      return story.startedAt !== undefined && story.startedAt - story.due > overdueMs;
    case "duplicate":
      return duplicatesIn(records).length > 0;
    case "long":
    case "paused":
      return false;
  }
}

/** Whether all runs that the tick is to have are over, with all their attempts. A range that was withdrawn says nothing of it. */
export function isDecided(all: readonly RunRecord[]): boolean {
  const records = all.filter(({ range, state }) => range === undefined || state !== "withdrawn");
  const stories = slotStories(records);
  const slots = slotCountIn(records);
  const settled = new Set(records.flatMap((one) => (isFinal(one.state) && settles(one) ? one.slot : [])));
  return (
    stories.length >= slots && stories.every(({ slot, record }) => isFinal(record.state) && settled.has(slot))
  );
}

function isFailed(state: RunState): boolean {
  return state === "failed" || state === "timeout";
}

/** Whether people were told that the job doesn't work, since it last did: a lost tick is told by a rule for `lost` alone. */
function hasNotified(earlier: readonly RunState[], afterFailures: number, notifiesLost: boolean): boolean {
  const failures = failuresIn(earlier);
  return failures.some((state, index) =>
    isFailed(state) ? failures.length - index >= afterFailures : notifiesLost,
  );
}

/** The failed and lost ticks among those since the last success. Skipped and missed ones change nothing. */
function failuresIn(states: readonly RunState[]): RunState[] {
  const success = states.indexOf("succeeded");
  const since = success < 0 ? states : states.slice(0, success);
  return since.filter((state) => isFailed(state) || state === "lost");
}
