/**
 * Shows the result of a command in one of three forms: a table for people, or the API's own answer as JSON or YAML.
 */
import { Option, type Command } from "commander";
import { stripVTControlCharacters } from "node:util";
import { stringify } from "yaml";
import { escapeUnseen, paint, type Terminal } from "./terminal.ts";

export const outputs = ["table", "json", "yaml"] as const;
export type Output = (typeof outputs)[number];

export function withOutput(command: Command): Command {
  return command.addOption(
    new Option("-o, --output <form>", "the form of the result; json is exactly the API's answer")
      .choices(outputs)
      .default("table"),
  );
}

/** Shows the API's answer in the requested form; `draw` draws a table. */
export function show(terminal: Terminal, output: Output, answer: unknown, draw: () => void): void {
  if (output === "table") return draw();
  const text = output === "json" ? JSON.stringify(answer, undefined, 2) : toYaml(answer);
  if (!terminal.interactive || escapeUnseen(text) === text) return terminal.print(text);
  // On a screen no text of a job or a host may move the cursor or turn letters around.
  terminal.print(escapeUnseen(output === "json" ? text : toYaml(answer, quoted)));
}

/** Without the last line's end, which `print` adds. More must not go: a text at the end may have empty lines of its own. */
export function toYaml(value: unknown, options: typeof quoted | Record<string, never> = {}): string {
  return stringify(value, options).replace(/\n$/, "");
}

/** YAML in which every unusual character can be an escape. */
export const quoted = {
  defaultStringType: "QUOTE_DOUBLE",
  defaultKeyType: "QUOTE_DOUBLE",
  lineWidth: 0,
} as const;

const gap = "   ";
/** A shortened cell shows at least this many characters. */
const roomMin = 12;

/** Prints aligned columns under a heading. On a screen, the last column is shortened to fit. */
export function table(terminal: Terminal, heading: readonly string[], rows: readonly string[][]): void {
  const widths = heading.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => shownLength(row[column] ?? ""))),
  );
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + gap.length, 0);
  const room = terminal.interactive ? Math.max(roomMin, terminal.columns - before) : Infinity;
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => {
        const isLast = column === widths.length - 1;
        return isLast
          ? cut(cell, room)
          : cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - shownLength(cell)));
      })
      .join(gap)
      .trimEnd();
  terminal.print(paint(terminal, "dim", line(heading)));
  for (const row of rows) terminal.print(line(row));
}

/** Prints the names and values of one thing, one per line. Undefined and empty values are left out. */
export function fields(terminal: Terminal, pairs: readonly (readonly [string, string | undefined])[]): void {
  const known = pairs.filter(([, value]) => value !== undefined && value !== "");
  const width = Math.max(...known.map(([name]) => name.length));
  for (const [name, value] of known) {
    terminal.print(`${paint(terminal, "dim", name.padEnd(width))}${gap}${value ?? ""}`);
  }
}

/** Shortens a cell. Coloured cells are short anyway and stay whole. */
function cut(cell: string, room: number): string {
  const isPlain = stripVTControlCharacters(cell) === cell;
  return !isPlain || cell.length <= room ? cell : `${cell.slice(0, room - 1)}…`;
}

function shownLength(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}
