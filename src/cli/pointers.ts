/**
 * A peer names what it refuses by its place in the request (`/peer`, `/retry/attempts`). On the command line that place is a
 * flag, or a field of a file.
 */
import type { Command } from "commander";
import { CicadaError } from "../errors.ts";

/** Flags whose names differ from those in the request. */
const otherNames: Readonly<Record<string, string>> = { peer: "on", q: "query", groups: "group" };

/** The error with the flags of the command that was given; places without a flag are written like `retry.attempts`. */
export function inWordsOf(error: unknown, command: Command): unknown {
  if (!(error instanceof CicadaError) || error.problems.length === 0) return error;
  // A command that takes several files names the file and the place in it itself.
  if (Array.isArray(command.getOptionValue("file"))) return error;
  const problems = error.problems.map(({ pointer, message }) => ({
    pointer: pointer.startsWith("/") ? placeOf(pointer, command) : pointer,
    message,
  }));
  return new CicadaError(error.code, error.detail, problems);
}

function placeOf(pointer: string, command: Command): string {
  const [first = ""] = namesIn(pointer);
  // A file's own fields stay fields, although there are flags for them too.
  const isFile = command.getOptionValue("file") !== undefined;
  const named = (flag: string | undefined) => command.options.find((one) => one.attributeName() === flag);
  const option = isFile ? undefined : (named(otherNames[first]) ?? named(first));
  if (typeof option?.long === "string") return option.long;
  return fieldPath(pointer);
}

/** `/retry/attempts` → `retry.attempts`, `/except/0` → `except[0]` */
export function fieldPath(pointer: string): string {
  return namesIn(pointer).reduce((path, name) => {
    if (/^\d+$/.test(name)) return `${path}[${name}]`;
    return path === "" ? name : `${path}.${name}`;
  }, "");
}

/** RFC 6901 */
function namesIn(pointer: string): string[] {
  return pointer
    .slice(1)
    .split("/")
    .map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
}
