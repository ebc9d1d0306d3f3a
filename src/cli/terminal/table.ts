/**
 * Draws tables and lists of fields. On a screen, a table fits: columns that matter least are left out if shortening others is
 * not enough, and names for other commands are cut last of all. `-o wide` and a pipe get everything.
 */
import { stripVTControlCharacters } from "node:util";
import { paint, type Terminal } from "./terminal.ts";

export interface Column {
  title: string;
  /** Which end of a long cell is cut off. Ids differ at their ends, so their fronts are cut off. */
  cut?: "front" | "end";
  /** It may be shortened to this many characters; absent = never. */
  min?: number;
  /** It may be left out: the highest number first. */
  spare?: number;
  /** People paste it into other commands, so it is cut only when nothing else is left to cut or to leave out. */
  isName?: true;
  /** Only shown with `-o wide`. */
  wide?: true;
}

const gap = "  ";

/** A column in which no row has anything is left out. */
export function table(
  terminal: Terminal,
  heading: readonly (string | Column)[],
  rows: readonly (readonly string[])[],
  wide = false,
): void {
  const all = heading
    .map((one, place) => (typeof one === "string" ? columnOf(one, place === heading.length - 1) : one))
    .map((column: Column, place) => ({ ...column, cells: rows.map((row) => row[place] ?? "") }))
    .filter((column) => wide || column.wide !== true)
    .filter(({ cells }, place) => place === 0 || cells.some((cell) => cell !== ""));
  const columns = (terminal.interactive && !wide ? fitted(all, terminal.columns) : all.map(withWidth)).map(
    (column) => ({ ...column, cut: endToCut(column) }),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, place) => {
        const { width = 0, cut } = columns[place] ?? {};
        const text = shorten(cell, width, cut);
        return text + " ".repeat(Math.max(0, width - shownLength(text)));
      })
      .join(gap)
      .trimEnd();
  terminal.print(paint(terminal, "dim", line(columns.map(({ title }) => title))));
  for (const row of rows.keys()) terminal.print(line(columns.map(({ cells }) => cells[row] ?? "")));
}

/** The last column often holds a text for people, which may be cut. */
function columnOf(title: string, isLast: boolean): Column {
  return isLast ? { title, min: 12 } : { title };
}

interface Filled extends Column {
  cells: readonly string[];
}
type Sized = Filled & { width: number };

function withWidth(column: Filled): Sized {
  return { ...column, width: Math.max(column.title.length, ...column.cells.map(shownLength)) };
}

function fitted(columns: readonly Filled[], room: number): Sized[] {
  let kept = columns.map(withWidth);
  for (;;) {
    const least = kept.map((one) => ({ ...one, width: one.isName === true ? one.width : leastWidth(one) }));
    const spare = kept.filter((one) => one.spare !== undefined);
    if (total(least) <= room || spare.length === 0) break;
    const goes = spare.reduce((a, b) => ((b.spare ?? 0) > (a.spare ?? 0) ? b : a));
    kept = kept.filter((one) => one !== goes);
  }
  const [names, others] = [kept.filter((one) => one.isName), kept.filter((one) => !one.isName)];
  narrow(names, narrow(others, total(kept) - room));
  return kept;
}

/** Takes that many characters off the columns, and returns how many could not be taken. */
function narrow(columns: readonly Sized[], characters: number): number {
  for (let over = characters; over > 0; over -= 1) {
    const long = columns.filter((one) => one.width > leastWidth(one));
    if (long.length === 0) return over;
    const roomiest = long.reduce((a, b) => (b.width - leastWidth(b) > a.width - leastWidth(a) ? b : a));
    roomiest.width -= 1;
  }
  return 0;
}

function leastWidth({ min, width, title }: Sized): number {
  return min === undefined ? width : Math.min(width, Math.max(min, title.length));
}

function total(columns: readonly Sized[]): number {
  return columns.reduce((sum, { width }) => sum + width + gap.length, -gap.length);
}

/** Prints the names and values of one thing, one per line. Undefined and empty values are left out. */
export function fields(terminal: Terminal, pairs: readonly (readonly [string, string | undefined])[]): void {
  const known = pairs.filter(([, value]) => value !== undefined && value !== "");
  const width = Math.max(...known.map(([name]) => name.length));
  for (const [name, value] of known) {
    terminal.print(`${paint(terminal, "dim", name.padEnd(width))}${gap} ${value ?? ""}`);
  }
}

// eslint-disable-next-line no-control-regex -- colours are control sequences
const pieces = /\u001b\[[\d;]*m|[\s\S]/gu;

/** Cuts off one end of the cell and puts `…` there. Its colours stay. */
function shorten(cell: string, room: number, end: Column["cut"] = "end"): string {
  const over = shownLength(cell) - room;
  if (over <= 0) return cell;
  const parts = cell.match(pieces) ?? [];
  const shown = shownLength(cell);
  let place = 0;
  return parts
    .map((part) => {
      if (part.length > 2 && part.startsWith("\u001b")) return part;
      place += 1;
      if (end === "front") return place <= over ? "" : place === over + 1 ? "…" : part;
      return place > shown - over ? "" : place === shown - over ? "…" : part;
    })
    .join("");
}

/** Ids that end alike are cut at their end instead, if fewer of them then look the same. */
function endToCut({ cells, width, cut = "end" }: Sized): "front" | "end" {
  if (cut === "end") return cut;
  const texts = [...new Set(cells)];
  const shownBy = (end: "front" | "end") => new Set(texts.map((text) => shorten(text, width, end))).size;
  return shownBy("front") < shownBy("end") ? "end" : "front";
}

function shownLength(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}
