/**
 * Reads a text file that a person names on the command line. A file that can't be read, or isn't UTF-8, is refused,
 * with the place.
 */
import { readFileSync } from "node:fs";
import { CicadaError } from "../../errors.ts";
import { readUtf8 } from "../../schema/text.ts";
import { formatError } from "./client.ts";

/** `-` reads standard input. A byte order mark is no part of the text. Throws BAD_FILE. */
export function readTextFile(path: string): string {
  const read = readUtf8(readBytes(path));
  if (read.ok) return read.text.replace(/^\ufeff/, "");
  const source = path === "-" ? "standard input" : path;
  throw new CicadaError("BAD_FILE", `${source}: line ${read.line}, byte ${read.column} is not UTF-8`);
}

/** `-` reads standard input. Throws BAD_FILE. */
export function readBytes(path: string): Buffer {
  try {
    return readFileSync(path === "-" ? 0 : path);
  } catch (error) {
    throw new CicadaError("BAD_FILE", `${path}: ${formatError(error)}`);
  }
}
