/**
 * What commands need to know about the program itself: how the person at this terminal calls it (so that printed lines can
 * be pasted), and how a flag is declared that may be repeated.
 */
import { Option } from "commander";
import { basename, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Terminal } from "./terminal/terminal.ts";

/** The file that starts this program, beside the sources or beside the bundle. */
export const programFile = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "../cicada.mjs" : "../../src/cicada.mjs", import.meta.url),
);

/**
 * npm calls the program in a clone, npx the published package, node calls it by its path, and an installed program is
 * called by its name.
 */
export function invocationOf(env: Terminal["env"]): { program: string; start: string } {
  if (env["npm_lifecycle_event"] === "npx") {
    return { program: "npx cicada-cron", start: "npx cicada-cron start" };
  }
  if (env["npm_lifecycle_event"] !== undefined) {
    return { program: "npm run --silent cicada --", start: "npm start --" };
  }
  const script = process.argv[1] ?? "cicada";
  const program =
    basename(script) === "cicada.mjs" ? `node ${quoted(relative(process.cwd(), script))}` : "cicada";
  return { program, start: `${program} start` };
}

/** The text with every `cicada …` in it written as this person calls the program. */
export function asInvoked(text: string, env: Terminal["env"]): string {
  const { program, start } = invocationOf(env);
  return text.replaceAll(/`cicada (start\b)?/g, (_, starts) =>
    starts === undefined ? `\`${program} ` : `\`${start}`,
  );
}

/** Quotes a word for a POSIX shell, if necessary. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** A flag that keeps all of its values; commander would keep only the last. */
export function repeatable(flags: string, help: string): Option {
  return new Option(flags, help).argParser<readonly string[]>((value, before) => [...(before ?? []), value]);
}
