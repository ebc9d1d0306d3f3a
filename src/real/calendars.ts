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

export type ReadCalendar = { ok: true; expanded: Expanded } | { ok: false; problems: readonly LineProblem[] };

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
      resolve({ ok: false, problems: [{ line: 1, message: `it can't be read: ${worker}` }] });
      return;
    }
    /** where it is */
    let line = 1;
    const done = (answer: ReadCalendar): void => {
      clearTimeout(limit);
      resolve(answer);
      void worker.terminate();
    };
    const fail = (message: string): void => done({ ok: false, problems: [{ line, message }] });
    const within = (ms: number) => setTimeout(() => fail(`it took longer than ${ms / 1_000} s to read`), ms);
    let limit = within(beginLimitMs);
    worker.on("message", (answer: CalendarAnswer | typeof begun) => {
      if (answer === begun) {
        clearTimeout(limit);
        limit = within(limitMs);
      } else if (answer.kind === "at") ({ line } = answer);
      else
        done(
          answer.kind === "read"
            ? { ok: true, expanded: answer.expanded }
            : { ok: false, problems: answer.problems },
        );
    });
    worker.on("error", (error) => fail(`it can't be read: ${error.message}`));
    worker.on("exit", () => fail("its reader has ended"));
    worker.postMessage({ text, now });
  });
}
