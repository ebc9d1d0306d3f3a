/**
 * The table of a job's fields in src/docs/jobs.md, from the one list of flags that the command line has (cli/terminal/job-flag-table.ts).
 * `node test/kit/job-reference.ts` writes it there; test/readme.test.ts compares.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { jobFlags } from "../../src/cli/terminal/job-flag-table.ts";

const begins = "<!-- the job's fields -->\n";
const ends = "<!-- end of the job's fields -->\n";
export const reference = new URL("../../src/docs/jobs.md", import.meta.url);

export function referenceTable(): string {
  const rows = jobFlags.map(({ path, flags, help }) => [
    `\`${path.filter((name) => name !== undefined).join(".")}\``,
    `\`${shortFlag(flags)}\``,
    help,
  ]);
  const table = [
    ["field", "flag of `jobs create`", "meaning"],
    ["`id`", "`ID`", "the job's name, unique in the mesh"],
    ["`argv`", "`-- ARGV…`", "a program and its arguments, run without a shell"],
    ...rows,
  ];
  const lines = table.map((row) => `| ${row.join(" | ")} |\n`);
  return [lines[0], "| --- | --- | --- |\n", ...lines.slice(1)].join("");
}

/** The last of several names of a flag is the one that its field has. */
function shortFlag(flags: string): string {
  return (flags.split(", ").at(-1) ?? flags).replaceAll("|", "\\|");
}

/** The text with the table between its marks; undefined if it has no marks. */
export function withReference(text: string): string | undefined {
  const from = text.indexOf(begins);
  const to = text.indexOf(ends);
  if (from < 0 || to < from) return undefined;
  return `${text.slice(0, from)}${begins}\n${referenceTable()}\n${text.slice(to)}`;
}

if (import.meta.main) {
  const written = withReference(readFileSync(reference, "utf8"));
  if (written === undefined) throw new Error("src/docs/jobs.md has no marks for the table");
  writeFileSync(reference, written);
}
