/**
 * Reads a file that a person names on the command line. One that can't be read, has no end or isn't UTF-8 is refused, with the
 * place.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { CicadaError } from "../../errors.ts";
import { readUtf8 } from "../../schema/text.ts";
import { formatError } from "./client.ts";

/**
 * More than anything that a person writes, and little enough to be held in memory. A limit is needed because /dev/zero, for
 * example, never ends. Unit: bytes.
 */
const fileBytesMax = 64 * 1_048_576;
const pieceBytes = 65_536;

/** `-` reads standard input. A byte order mark is no part of the text. Throws BAD_FILE. */
export function readTextFile(path: string): string {
  return readExactText(path).replace(/^\ufeff/, "");
}

/** … with the byte order mark, because the text is a value that must stay as it is. */
export function readExactText(path: string): string {
  const read = readUtf8(readBytes(path));
  if (read.ok) return read.text;
  const source = path === "-" ? "standard input" : path;
  throw new CicadaError("BAD_FILE", `${source}: line ${read.line}, byte ${read.column} is not UTF-8`);
}

/** `-` reads standard input. Throws BAD_FILE. */
export function readBytes(path: string): Buffer {
  try {
    return readToEnd(path);
  } catch (error) {
    throw new CicadaError("BAD_FILE", `${path}: ${formatError(error)}`);
  }
}

/** Throws what the system says, and an error for a file with more bytes than a person's file has. */
export function readToEnd(path: string): Buffer {
  const file = path === "-" ? 0 : openSync(path, "r");
  try {
    const pieces: Buffer[] = [];
    for (let bytes = 0; bytes <= fileBytesMax;) {
      const piece = Buffer.allocUnsafe(pieceBytes);
      const length = readSync(file, piece, 0, pieceBytes, null);
      if (length === 0) return Buffer.concat(pieces);
      pieces.push(piece.subarray(0, length));
      bytes += length;
    }
    throw new Error(`it has more than ${fileBytesMax / 1_048_576} MiB`);
  } finally {
    if (path !== "-") closeSync(file);
  }
}
