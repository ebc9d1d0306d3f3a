/**
 * The program itself, as its commands need to know it: its version, how the person in front of this terminal calls it
 * (so that a line we print can be pasted), and a flag that may be given several times.
 */
import { Option } from "commander";
import { createRequire } from "node:module";
import { basename, relative } from "node:path";
import type { Terminal } from "./terminal/terminal.ts";

/** The version in package.json. */
export function readVersion(): string {
  const described: unknown = createRequire(import.meta.url)("../../package.json");
  const hasVersion = typeof described === "object" && described !== null && "version" in described;
  return hasVersion ? String(described.version) : "unknown";
}

/** Called by npm in a clone, by node with the program's path, or by its name where it is installed. */
export function howCalled(env: Terminal["env"]): { program: string; start: string } {
  if (env["npm_lifecycle_event"] !== undefined) {
    return { program: "npm run --silent cicada --", start: "npm start --" };
  }
  const script = process.argv[1] ?? "cicada";
  const program =
    basename(script) === "cicada.mjs" ? `node ${quoted(relative(process.cwd(), script))}` : "cicada";
  return { program, start: `${program} start` };
}

/** The text with every `cicada …` in it written as this person calls it. */
export function asCalled(text: string, env: Terminal["env"]): string {
  const { program, start } = howCalled(env);
  return text.replaceAll(/`cicada (start\b)?/g, (_, starts) =>
    starts === undefined ? `\`${program} ` : `\`${start}`,
  );
}

/** A word for a POSIX shell. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** commander keeps only the last value of a flag; this flag keeps them all. */
export function repeatable(flags: string, help: string): Option {
  return new Option(flags, help).argParser<readonly string[]>((value, before) => [...(before ?? []), value]);
}
