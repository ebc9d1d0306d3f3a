/** How every bench prints its figures: as a table for people, and as JSON for programs. */
import { writeFileSync } from "node:fs";

/** Prints columns as wide as their widest cell, with numbers aligned right and words left. */
export function printTable(
  head: readonly string[],
  rows: readonly (readonly (string | number | undefined)[])[],
): void {
  const cells = rows.map((row) => head.map((_, column) => String(row[column] ?? "")));
  const widths = head.map((title, column) =>
    Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        isNumber(cell) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd();
  console.log([line(head), line(widths.map((width) => "-".repeat(width))), ...cells.map(line)].join("\n"));
}

function isNumber(cell: string): boolean {
  return cell !== "" && Number.isFinite(Number(cell.replaceAll(",", "")));
}

/** The value at or below which `percent` of the ascending values are; 100 = the last one. 0 if there are no values. */
export function percentile(ascending: readonly number[], percent: number): number {
  const index = Math.ceil((ascending.length * percent) / 100) - 1;
  return ascending[Math.min(ascending.length - 1, Math.max(0, index))] ?? 0;
}

export interface Spread {
  p50: number;
  p99: number;
  max: number;
}

/** The median, the 99th percentile and the largest of the values. */
export function spreadOf(values: readonly number[]): Spread {
  const ascending = values.toSorted((a, b) => a - b);
  return { p50: percentile(ascending, 50), p99: percentile(ascending, 99), max: percentile(ascending, 100) };
}

export function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

export function writeJson(file: string, figures: unknown): void {
  writeFileSync(file, `${JSON.stringify(figures, undefined, 2)}\n`);
}
