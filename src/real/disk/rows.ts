/**
 * Rows of the database: JSON text, or the bytes of a table update, each with a checksum. A disk may return other bytes
 * than were written, so each read checks the sum. A row that fails the check is reported as damage.
 */
import { crc32 } from "node:zlib";
import { CicadaError } from "../../errors.ts";

export type Row = Record<string, unknown>;

/** CRC-32 of a row's content. It finds every single flipped bit, and misses one in four billion of other damages. */
export function sumOf(content: string | Uint8Array): number {
  return crc32(content);
}

/** The content, if it has the row's sum. Rows that were written before sums existed have none. */
export function checkSum<Content extends string | Uint8Array>(content: Content, sum: unknown): Content {
  if (sum === null || sum === sumOf(content)) return content;
  throw new CicadaError("DATA_FOLDER_DAMAGED", "cicada.db holds a row whose content has changed by itself");
}

/** The states of open records, as SQL. */
export const openStates = "('claimed', 'running')";

/** The text of a row, if it has the row's sum. */
export function textIn(row: Readonly<Row>): string {
  return checkSum(String(row["body"]), row["sum"]);
}

/** Copied, because SQLite's own buffer may be part of a larger one. */
export function bytesIn(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? Uint8Array.from(value) : new Uint8Array();
}
