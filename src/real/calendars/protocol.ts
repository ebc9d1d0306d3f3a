/** The messages between the peer and the worker that reads iCalendar text. It has one task at a time. */
import type { Expanded } from "../../schema/calendar.ts";

export interface CalendarTask {
  text: string;
  /** wall clock, ms: events that recur for ever are expanded for some years from now */
  now: number;
}

/** Sent when the worker begins a task. Until then it may have waited for the processor. */
export const begun = "begun";

/** What is wrong, and in which line of the text; lines count from 1. */
export interface LineProblem {
  line: number;
  message: string;
}

export type CalendarAnswer =
  | { kind: "read"; expanded: Expanded }
  | { kind: "refused"; problems: readonly LineProblem[] }
  /** the line whose rule is being expanded */
  | { kind: "at"; line: number };
