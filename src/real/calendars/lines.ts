/** The content lines of iCalendar text (RFC 5545, 3.1), each with the number of its first line, and the components they form. */
import type { LineProblem } from "./protocol.ts";

export interface Line {
  /** counted from 1 */
  readonly number: number;
  /** in upper case */
  readonly name: string;
  /** unfolded */
  readonly text: string;
}

export interface Component {
  /** in upper case */
  readonly name: string;
  readonly begin: Line;
  readonly lines: Line[];
  readonly components: Component[];
}

/** More lines, or deeper components, are no calendar. */
const depthMax = 4;

export function readComponents(text: string): Component[] | LineProblem {
  const roots: Component[] = [];
  const open: Component[] = [];
  for (const line of contentLines(text)) {
    const at = { line: line.number };
    const inside = open.at(-1);
    const colon = line.text.indexOf(":");
    if (colon < 0) return { ...at, message: `${shown(line)} is not a content line: it has no colon` };
    if (!/^[A-Za-z0-9-]+$/.test(line.name)) return { ...at, message: `${shown(line)} has no property name` };
    const value = line.text
      .slice(colon + 1)
      .trim()
      .toUpperCase();
    if (line.name === "BEGIN") {
      if (open.length >= depthMax) return { ...at, message: "components are nested too deeply" };
      const component = { name: value, begin: line, lines: [], components: [] };
      (inside?.components ?? roots).push(component);
      open.push(component);
    } else if (inside === undefined) {
      return { ...at, message: `${shown(line)} is outside of BEGIN:VCALENDAR … END:VCALENDAR` };
    } else if (line.name === "END") {
      if (value !== inside.name)
        return {
          ...at,
          message: `END:${value} doesn't end BEGIN:${inside.name} of line ${inside.begin.number}`,
        };
      open.pop();
    } else inside.lines.push(line);
  }
  const [left] = open;
  if (left === undefined) return roots;
  return { line: left.begin.number, message: `BEGIN:${left.name} has no END` };
}

/** Long lines are folded: a line that begins with a space or a tab continues the one before it. */
function* contentLines(text: string): Generator<Line> {
  let parts: string[] = [];
  let first = 0;
  const whole = (): Line => {
    const unfolded = parts.join("");
    const end = unfolded.search(/[;:]/);
    const name = (end < 0 ? unfolded : unfolded.slice(0, end)).toUpperCase();
    return { number: first, name, text: unfolded };
  };
  let number = 0;
  for (const line of text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/)) {
    number++;
    if (/^[ \t]/.test(line) && parts.length > 0) {
      parts.push(line.slice(1));
      continue;
    }
    if (parts.length > 0) yield whole();
    parts = line.trim() === "" ? [] : [line];
    first = number;
  }
  if (parts.length > 0) yield whole();
}

function shown({ text }: Line): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
