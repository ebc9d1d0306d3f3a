/**
 * How a person in front of this terminal calls `cicada`, so that a line which is shown can be pasted: by npm in a
 * clone, by node with the program's path, or by its name where it is installed.
 */
import { basename, relative } from "node:path";
import type { Terminal } from "./terminal/terminal.ts";

export function howCalled(env: Terminal["env"]): { program: string; start: string } {
  if (env["npm_lifecycle_event"] !== undefined) {
    return { program: "npm run --silent cicada --", start: "npm start --" };
  }
  const script = process.argv[1] ?? "cicada";
  const program =
    basename(script) === "cicada.mjs" ? `node ${quoted(relative(process.cwd(), script))}` : "cicada";
  return { program, start: `${program} start` };
}

/** A word for a POSIX shell. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
