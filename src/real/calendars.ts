/**
 * Reads iCalendar text in a worker, one text at a time. The worker, and with it the library, is there only while a calendar is
 * being written.
 */
import type { Expanded } from "../schema/calendar.ts";
import { begun, type CalendarAnswer, type LineProblem } from "./calendars/protocol.ts";
import { startWorker } from "./worker.ts";

/** More lets a hostile text keep a processor busy for longer; less refuses large calendars on a slow host. */
const limitMs = 10_000;
/** How long a worker may take to begin, on a host that is busy with other things. */
const beginLimitMs = 60_000;
/** Unit: MiB. */
const heapCapMb = 128;

/** `unread`: why this host could not read it, whatever is in it. */
export type ReadCalendar =
  | { ok: true; expanded: Expanded }
  | { ok: false; problems: readonly LineProblem[] }
  | { ok: false; unread: string };

export class CalendarReader {
  private last: Promise<unknown> = Promise.resolve();

  /** `now`: wall clock, ms. */
  read(text: string, now: number): Promise<ReadCalendar> {
    const next = this.last.then(() => readIn(text, now));
    this.last = next;
    return next;
  }
}

function readIn(text: string, now: number): Promise<ReadCalendar> {
  return new Promise((resolve) => {
    const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const program = new URL(`./calendars/worker.${ending}`, import.meta.url);
    const worker = startWorker(program, { resourceLimits: { maxOldGenerationSizeMb: heapCapMb } });
    if (typeof worker === "string") {
      resolve({ ok: false, unread: worker });
      return;
    }
    /** where it is */
    let line = 1;
    let hasBegun = false;
    const done = (answer: ReadCalendar): void => {
      clearTimeout(limit);
      resolve(answer);
      void worker.terminate();
    };
    const fail = (message: string): void => done({ ok: false, problems: [{ line, message }] });
    const unread = (why: string): void => done({ ok: false, unread: why });
    let limit = setTimeout(
      () => unread(`its reader has not begun within ${beginLimitMs / 1_000} s`),
      beginLimitMs,
    );
    worker.on("message", (answer: CalendarAnswer | typeof begun) => {
      if (answer === begun) {
        clearTimeout(limit);
        hasBegun = true;
        limit = setTimeout(() => fail(`it took longer than ${limitMs / 1_000} s to read`), limitMs);
      } else if (answer.kind === "at") ({ line } = answer);
      else
        done(
          answer.kind === "read"
            ? { ok: true, expanded: answer.expanded }
            : { ok: false, problems: answer.problems },
        );
    });
    // What fails before it has begun has nothing to do with the text.
    worker.on("error", ({ message }) =>
      hasBegun ? fail(`it can't be read: ${message}`) : unread(`its reader could not begin (${message})`),
    );
    worker.on("exit", () => unread("its reader has ended"));
    worker.postMessage({ text, now });
  });
}
