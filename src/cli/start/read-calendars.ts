/** The API's control, which reads iCalendar text before it is written, or refuses it and names the lines. */
import { CicadaError } from "../../errors.ts";
import type { Change, Command } from "../../ports/command.ts";
import type { Control } from "../../ports/control.ts";
import { CalendarSchema, icalCapBytes, type Expanded } from "../../schema/calendar.ts";
import { shapeOf } from "../../schema/shape.ts";

type Read = (
  text: string,
) => Promise<
  | { ok: true; expanded: Expanded }
  | { ok: false; problems: readonly { readonly line: number; readonly message: string }[] }
  | { ok: false; unread: string }
>;

const shape = shapeOf(CalendarSchema, 'such as {"dates": ["2026-12-24"]}');

export function withReadCalendars(control: Control, read: Read): Control {
  return {
    ...control,
    async ask(command) {
      if (command.kind === "apply") {
        const changes: Change[] = [];
        for (const change of command.changes) {
          const done = await readChange(change, read);
          if (done instanceof CicadaError) return { kind: "refused", error: done };
          changes.push(done);
        }
        return control.ask({ ...command, changes });
      }
      if (command.kind !== "put-setting" || command.setting !== "calendars") return control.ask(command);
      const value = await readValue(command.value, read);
      return value instanceof CicadaError
        ? { kind: "refused", error: value }
        : control.ask({ ...command, value } satisfies Command);
    },
  };
}

async function readChange(change: Change, read: Read): Promise<Change | CicadaError> {
  if (change.kind !== "setting" || change.setting !== "calendars" || change.value === null) return change;
  const value = await readValue(change.value, read);
  if (!(value instanceof CicadaError)) return { ...change, value };
  const problems = value.problems.map((one) => ({ ...one, pointer: `${change.at}${one.pointer}` }));
  return new CicadaError(value.code, value.detail, problems);
}

async function readValue(written: unknown, read: Read): Promise<unknown> {
  const shaped = shape.check(written);
  if (!shaped.ok) return refusal(shaped.problems);
  const { ical } = shaped.value;
  if (ical === undefined) return shaped.value;
  const bytes = Buffer.byteLength(ical);
  if (bytes > icalCapBytes) {
    const message = `it has ${bytes} bytes, and the maximum is ${icalCapBytes}: leave out descriptions and past events`;
    return refusal([{ pointer: "/ical", message }]);
  }
  const found = await read(ical);
  if (found.ok) return { ...shaped.value, expanded: found.expanded };
  if ("unread" in found)
    return new CicadaError("NOT_READY", `the calendar could not be read here: ${found.unread}`);
  return refusal(
    found.problems.map(({ line, message }) => ({ pointer: "/ical", message: `line ${line}: ${message}` })),
  );
}

function refusal(problems: readonly { pointer: string; message: string }[]): CicadaError {
  return new CicadaError("UNPROCESSABLE", problems.map(({ message }) => message).join("; "), problems);
}
