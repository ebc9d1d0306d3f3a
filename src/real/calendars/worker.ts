/** The worker that reads iCalendar text, so that no text holds the peer up. It may take long: the peer ends it then. */
import { parentPort } from "node:worker_threads";
import { begun, type CalendarAnswer, type CalendarTask } from "./protocol.ts";
import { readICalendar } from "./read.ts";

const answer = (message: CalendarAnswer | typeof begun): void => parentPort?.postMessage(message);

parentPort?.on("message", ({ text, now }: CalendarTask) => {
  answer(begun);
  const read = readICalendar(text, now, (line) => answer({ kind: "at", line }));
  answer(read.ok ? { kind: "read", expanded: read.expanded } : { kind: "refused", problems: read.problems });
});
