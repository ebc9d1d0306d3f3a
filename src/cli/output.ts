/**
 * What was asked for, in one of three forms: a table for people, or the API's own answer as JSON or YAML.
 */
import { Option, type Command } from "commander";
import { stripVTControlCharacters } from "node:util";
import { stringify } from "yaml";
import { paint, type Terminal } from "./terminal.ts";

export const outputs = ["table", "json", "yaml"] as const;
export type Output = (typeof outputs)[number];

export function withOutput(command: Command): Command {
  return command.addOption(
    new Option("-o, --output <form>", "how to show it; json is exactly the API's")
      .choices(outputs)
      .default("table"),
  );
}

/** Shows the API's answer in the form that was asked for; `table` is drawn by `draw`. */
export function show(terminal: Terminal, output: Output, answer: unknown, draw: () => void): void {
  if (output === "json") terminal.print(JSON.stringify(answer, undefined, 2));
  else if (output === "yaml") terminal.print(stringify(answer).trimEnd());
  else draw();
}

const gap = "   ";

/** Aligned columns under a heading; the last one is as wide as it likes. */
export function table(terminal: Terminal, heading: readonly string[], rows: readonly string[][]): void {
  const widths = heading.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => shownLength(row[column] ?? ""))),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - shownLength(cell))))
      .join(gap)
      .trimEnd();
  terminal.print(paint(terminal, "dim", line(heading)));
  for (const row of rows) terminal.print(line(row));
}

/** Names and values of one thing, one a line; what is undefined is left out. */
export function fields(terminal: Terminal, pairs: readonly (readonly [string, string | undefined])[]): void {
  const known = pairs.filter(([, value]) => value !== undefined && value !== "");
  const width = Math.max(...known.map(([name]) => name.length));
  for (const [name, value] of known) {
    terminal.print(`${paint(terminal, "dim", name.padEnd(width))}${gap}${value ?? ""}`);
  }
}

function shownLength(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}
