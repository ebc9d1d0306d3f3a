/** Reads a plain file and refuses anything else: reading a pipe or a device may never end, and would hold everything else up. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";

/** Throws the system's error, and an error for anything that is not a plain file. */
export function readPlainFile(path: string): string {
  // Without O_NONBLOCK, opening a pipe waits for its writer.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!fstatSync(file).isFile()) throw new Error("it is not a plain file");
    return readFileSync(file, "utf8");
  } finally {
    closeSync(file);
  }
}
