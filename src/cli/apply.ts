/**
 * `cicada apply`, `diff` and `export`: the table as files. A path is a file with one or several objects, or a folder of such
 * files. If one file can't be read, nothing is changed.
 */
import { Option, type Command } from "commander";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { CicadaError } from "../errors.ts";
import type { JobSpec } from "../schema/job.ts";
import { crontabOf } from "./crontab-text.ts";
import type { ExportAnswer, JobAnswer, PlanAnswer, PlanItem } from "./terminal/answers.ts";
import { formatError, openClient, withPeer, type Client, type PeerOptions } from "./terminal/client.ts";
import { readDocuments, type WrittenObject } from "./terminal/documents.ts";
import { explain } from "./terminal/failures.ts";
import { writable } from "./terminal/job-words.ts";
import { show, withOutput, type Output } from "./terminal/output.ts";
import { quoted, toYaml } from "./terminal/yaml-text.ts";
import { fieldPath } from "./pointers.ts";
import { asInvoked, repeatable } from "./program.ts";
import { warnOfEach } from "./terminal/job-words.ts";
import { confirm, escapeUnseen, paint, plain, type Terminal } from "./terminal/terminal.ts";

interface Options extends PeerOptions {
  file: readonly string[];
  source?: string;
  prune?: true;
  allowEmpty?: true;
  output: Output;
}

interface ApplyOptions extends Options {
  dryRun?: true;
  force?: true;
  yes?: true;
}

export function applyCommands(program: Command, terminal: Terminal): void {
  withFiles(program.command("apply"))
    .option("--dry-run", "only show what would change")
    .option("--force", "overwrite what others have changed since the last apply")
    .option("--yes", "don't ask before something is removed")
    .action(async (options: ApplyOptions) => {
      const objects = readAll(options.file);
      const client = openClient(options, terminal);
      const planned = await send(client, objects, options, { dryRun: true });
      if (options.dryRun === true) return showPlan(terminal, options.output, planned);
      const removed = planned.items.filter(({ action }) => action === "delete");
      if (removed.length > 0) {
        for (const item of removed) {
          for (const line of [lineOf(terminal, item), ...changeLines(terminal, item)]) terminal.notify(line);
        }
        await confirmRemoval(removed.length, options, terminal);
      }
      const applied = await send(client, objects, options, { plan: planned.plan });
      showPlan(terminal, options.output, applied, new Set(removed.map(lineKey)));
      printWayBack(removed, terminal);
    });

  withFiles(program.command("diff")).action(async (options: Options) => {
    try {
      const objects = readAll(options.file);
      const planned = await send(openClient(options, terminal), objects, options, { dryRun: true });
      showPlan(terminal, options.output, planned);
      terminal.exitCode = planned.items.some(({ action }) => action !== "unchanged") ? 1 : 0;
    } catch (error) {
      terminal.exitCode = Math.max(2, explain(terminal, error, "`cicada diff --help` shows the usage."));
    }
  });

  withOutput(withPeer(program.command("export")))
    .addOption(
      new Option(
        "--format <form>",
        "crontab: the jobs as lines for /etc/cron.d, with comments where a crontab can't express them",
      )
        .choices(["objects", "crontab"])
        .default("objects"),
    )
    .option("--user <name>", "with --format crontab: who jobs without a user run as")
    .action(async (options: PeerOptions & { output: Output; format: string; user?: string }) => {
      if (options.format === "crontab") return exportCrontab(options, terminal);
      const answer = await openClient(options, terminal).ask<ExportAnswer>("/v1/export");
      for (const left of answer.leftOut ?? []) terminal.notify(paint(terminal, "yellow", leftOutLine(left)));
      show(terminal, options.output, answer, () => terminal.print(asDocuments(answer, terminal)));
    });
}

function withFiles(command: Command): Command {
  return withOutput(withPeer(command))
    .addOption(
      repeatable(
        "-f, --file <path>",
        "YAML or JSON with one or several objects, or a folder of such files; - reads standard input; repeatable",
      ).makeOptionMandatory(),
    )
    .option(
      "--source <name>",
      "whose objects these are: --prune removes only what was made under the same name (default: default)",
    )
    .option("--prune", "remove what an earlier apply of this source made and the files no longer have")
    .option("--allow-empty", "accept files without any object");
}

function readAll(paths: readonly string[]): WrittenObject[] {
  return paths.flatMap(filesIn).flatMap(readDocuments);
}

/** The files of a folder and of the folders in it, by name; hidden ones are passed over. */
function filesIn(path: string): string[] {
  if (path === "-") return [path];
  try {
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path, { withFileTypes: true })
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .flatMap((entry) => {
        if (entry.name.startsWith(".")) return [];
        const inner = join(path, entry.name);
        if (statSync(inner).isDirectory()) return filesIn(inner);
        return /\.(ya?ml|json)$/i.test(entry.name) ? [inner] : [];
      });
  } catch (error) {
    throw new CicadaError("BAD_FILE", `${path}: ${formatError(error)}`);
  }
}

async function send(
  client: Client,
  objects: readonly WrittenObject[],
  { source, prune, allowEmpty, force }: Options & { force?: true },
  { dryRun, plan }: { dryRun?: true; plan?: string },
): Promise<PlanAnswer> {
  try {
    return await client.ask<PlanAnswer>("/v1/apply", {
      method: "POST",
      query: { dryRun, prune },
      body: {
        objects: objects.map(({ value }) => value),
        ...(source === undefined ? {} : { source }),
        ...(allowEmpty === undefined ? {} : { allowEmpty }),
        ...(force === undefined ? {} : { force }),
        ...(plan === undefined ? {} : { plan }),
      },
    });
  } catch (error) {
    throw withPlaces(error, objects);
  }
}

/** Names the file and the document instead of the place in the request. */
function withPlaces(error: unknown, objects: readonly WrittenObject[]): unknown {
  if (!(error instanceof CicadaError) || error.problems.length === 0) return error;
  const problems = error.problems.map(({ pointer, message }) => {
    const [, index, rest = ""] = /^\/objects\/(\d+)(.*)$/.exec(pointer) ?? [];
    const where = index === undefined ? undefined : objects[Number(index)]?.where;
    const said = message.replace(/ is also given at \/objects\/(\d+)$/, (whole, other: string) => {
      const place = objects[Number(other)]?.where;
      return place === undefined ? whole : ` is also given in ${place}`;
    });
    return where === undefined
      ? { pointer, message: said }
      : { pointer: rest === "" ? where : `${where}: ${fieldPath(rest)}`, message: said };
  });
  return new CicadaError(error.code, error.detail, problems);
}

async function confirmRemoval(count: number, { yes }: ApplyOptions, terminal: Terminal): Promise<void> {
  if (yes === true || terminal.ask === undefined) return;
  await confirm(terminal.ask, `Remove ${count === 1 ? "it" : `these ${count}`}?`);
}

async function exportCrontab(options: PeerOptions & { user?: string }, terminal: Terminal): Promise<void> {
  const { items } = await openClient(options, terminal).list<JobAnswer>("/v1/jobs");
  const jobs = items
    .filter(({ state }) => state !== "invalid")
    .map(({ inherited, ...job }) => {
      // The writable fields of a valid job are its spec.
      const own = writable(job) as unknown as JobSpec;
      const env = inherited?.env === undefined ? {} : { env: { ...inherited.env, ...own.env } };
      return { own, job: { ...inherited, ...own, ...env } };
    });
  const text = crontabOf(jobs, { user: options.user });
  terminal.print(terminal.interactive ? escapeUnseen(text) : text);
}

/** One document per object; comments above them name what was left out. */
function asDocuments({ items, leftOut = [] }: ExportAnswer, terminal: Terminal): string {
  const texts = items.map((item) => {
    const text = toYaml(item);
    // On a screen, no text of a job may move the cursor or reverse letters.
    const isPlain = !terminal.interactive || escapeUnseen(text) === text;
    return isPlain ? text : escapeUnseen(toYaml(item, quoted));
  });
  const comments = leftOut.map((left) => `# ${leftOutLine(left)}\n`).join("");
  return `${comments}${texts.join("\n---\n")}`;
}

function leftOutLine({ kind, name, reason }: NonNullable<ExportAnswer["leftOut"]>[number]): string {
  return `left out: ${kind} ${plain(name)}: ${plain(reason)}`;
}

function printWayBack(removed: readonly PlanItem[], terminal: Terminal): void {
  const job = removed.find(({ kind }) => kind === "job");
  if (job === undefined) return;
  const way = `\`cicada jobs history ${job.name}\` lists its revisions, \`cicada jobs revert ${job.name} REVISION\` brings it back.`;
  terminal.notify(asInvoked(way, terminal.env));
}

/** `shown`: the keys of lines that were shown before a question. */
function showPlan(
  terminal: Terminal,
  output: Output,
  answer: PlanAnswer,
  shown: ReadonlySet<string> = new Set(),
): void {
  warnOfEach(
    terminal,
    (answer.warnings ?? []).map(({ kind, name, job, message }) => ({
      of: job ?? `${kind} ${name}`,
      message,
    })),
  );
  show(terminal, output, answer, () => {
    for (const item of answer.items) {
      if (item.action === "unchanged" || shown.has(lineKey(item))) continue;
      terminal.print(lineOf(terminal, item));
      for (const line of changeLines(terminal, item)) terminal.print(line);
    }
    const { create, update, delete: removed, unchanged } = answer.counts;
    const [made, changed, gone] = answer.applied
      ? ["created", "updated", "removed"]
      : ["to create", "to update", "to remove"];
    terminal.print(`${create} ${made}, ${update} ${changed}, ${removed} ${gone}, ${unchanged} unchanged`);
  });
}

function lineKey({ kind, name }: PlanItem): string {
  return `${kind} ${name}`;
}

function lineOf(terminal: Terminal, { kind, name, action, fields, conflict }: PlanItem): string {
  const sign = { create: "+", update: "~", delete: "-", unchanged: " " }[action];
  const colour = { create: "green", update: "yellow", delete: "red", unchanged: "dim" } as const;
  const what = action === "update" ? `: ${fields.map(plain).join(", ")}` : "";
  const but = conflict === null ? "" : paint(terminal, "red", ` (conflict: ${plain(conflict)})`);
  return `${paint(terminal, colour[action], `${sign} ${kind} ${plain(name)}`)}${what}${but}`;
}

/** How many characters of a value are shown if no screen says how many fit. `-o json` shows all of them. */
const valueLength = 100;

/** The values before and after, one field a line; none for a removed job, because its history has them. */
function changeLines(terminal: Terminal, { kind, action, changes = [] }: PlanItem): string[] {
  if (action === "create" || (action === "delete" && kind === "job")) return [];
  const room = terminal.interactive ? Math.max(20, (terminal.columns - 12) / 2) : valueLength;
  const width = Math.max(0, ...changes.map(({ field }) => plain(field).length));
  return changes.map(({ field, before, after }) => {
    const name = `      ${paint(terminal, "dim", plain(field).padEnd(width))}  `;
    if (action === "delete") return `${name}${valueText(before, room * 2)}`;
    return `${name}${paint(terminal, "red", valueText(before, room))} → ${paint(terminal, "green", valueText(after, room))}`;
  });
}

function valueText(value: unknown, room: number): string {
  if (value === null) return "nothing";
  const text = plain(JSON.stringify(value));
  return text.length <= room ? text : `${text.slice(0, room - 1)}…`;
}
