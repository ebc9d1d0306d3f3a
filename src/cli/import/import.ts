/**
 * `cicada import crontab`: creates jobs from the lines of a crontab through the API, and reports the result for each
 * line.
 *
 * An import can be repeated: jobs that exist and are unchanged are left alone. The crontab itself is never touched.
 * Cron keeps running it until a person turns it off, and the command says so.
 */
import type { Command } from "commander";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname } from "node:path";
import { CicadaError } from "../../errors.ts";
import { sameValue } from "../../schema/equal.ts";
import type { JobSpec } from "../../schema/job.ts";
import { ownerOfProcess } from "../start/host.ts";
import type { JobAnswer, PeerAnswer } from "../terminal/answers.ts";
import { openClient, withPeer, type Client, type PeerOptions } from "../terminal/client.ts";
import { readTextFile } from "../terminal/text-file.ts";
import { parseCrontab, type CrontabReading } from "./crontab.ts";
import { writable } from "../terminal/job-text.ts";
import { table } from "../terminal/table.ts";
import { paint, plain, type Colour, type Terminal } from "../terminal/terminal.ts";

interface ImportOptions extends PeerOptions {
  system?: true;
  dryRun?: true;
  update?: true;
  pin?: true;
  prefix: string;
}

export function importCommands(program: Command, terminal: Terminal): void {
  const imports = program.command("import").description("create jobs from those of another scheduler");
  withPeer(imports.command("crontab"))
    .description("create a job from each line of a crontab; the job behaves as the line does under cron")
    .argument("<file>", "a crontab; - reads standard input, such as the output of `crontab -l`")
    .option("--system", "the lines have a user field, as in /etc/crontab and /etc/cron.d")
    .option("--dry-run", "show what would be created, and create nothing")
    .option("--prefix <name>", "text to put before every id", "")
    .option("--pin", "let only the asked peer run the jobs (default: any peer)")
    .option("--update", "replace jobs of an earlier import whose lines have changed")
    .action((file: string, options: ImportOptions) => importCrontab(file, options, terminal));
}

/** What was done with a line, or would be done in a dry run. */
type LineResult = "create" | "created" | "unchanged" | "differs" | "update" | "updated" | "refused";

interface Outcome {
  line: number;
  spec: JobSpec;
  result: LineResult;
  why?: string;
}

async function importCrontab(file: string, options: ImportOptions, terminal: Terminal): Promise<void> {
  const text = readTextFile(file);
  const client = clientFor(options, terminal);
  const self = await askSelf(client, options);
  const reading = parseCrontab(text, {
    system: options.system === true,
    prefix: options.prefix,
    zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    ...ownerOf(file),
    host: hostname(),
    ...(options.pin === true && self !== undefined ? { pinTo: self.id } : {}),
    homes: homesOfHost(),
  });
  refuseSystemForm(reading, options);
  const outcomes: Outcome[] = [];
  for (const { line, spec } of reading.jobs) {
    outcomes.push({ line, spec, ...(await importJob(spec, client, options)) });
  }
  report(reading, outcomes, options, terminal);
  reportConsequences(file, reading, outcomes, options, self, terminal);
  terminal.exitCode = exitCodeOf(reading, outcomes);
}

/**
 * Refuses a file in which every line begins with a user's name: without --system, cicada would run that name as a
 * command.
 */
function refuseSystemForm({ jobs, userLike }: CrontabReading, { system, dryRun }: ImportOptions): void {
  if (system === true || dryRun === true || jobs.length === 0 || userLike < jobs.length) return;
  throw new CicadaError(
    "USAGE",
    "every line begins with the name of a user: use --system; nothing was created",
  );
}

/** A dry run also works without a peer. It then can't tell which jobs exist already. */
function clientFor(options: ImportOptions, terminal: Terminal): Client | undefined {
  try {
    return openClient(options, terminal);
  } catch (error) {
    if (options.dryRun === true && error instanceof CicadaError) return undefined;
    throw error;
  }
}

async function askSelf(client: Client | undefined, options: ImportOptions): Promise<PeerAnswer | undefined> {
  if (client !== undefined) return client.ask<PeerAnswer>("/v1/peers/self");
  if (options.pin !== true) return undefined;
  throw new CicadaError(
    "PEER_UNREACHABLE",
    "--pin needs the peer that is to run the jobs, but no peer is running here",
  );
}

/** A crontab in cron's spool belongs to the user that it is named after, any other to the person who imports it. */
function ownerOf(file: string): { user: string; home: string } {
  const inSpool = /\/cron(\/crontabs|\/tabs)?$/.test(dirname(file));
  const owner = basename(file);
  const home = inSpool ? homeOf(owner) : undefined;
  if (home !== undefined) return { user: owner, home };
  const self = ownerOfProcess();
  return { user: self.name ?? "", home: self.home ?? "/" };
}

/** The users of this host and their homes, also those of a directory that lists its users. */
function homesOfHost(): ReadonlyMap<string, string> {
  return new Map(passwordLines().map(({ user, home }) => [user, home] as const));
}

/** A user's home. A directory may know a user that it doesn't list. */
function homeOf(user: string): string | undefined {
  return homesOfHost().get(user) ?? passwordLines(user).find((line) => line.user === user)?.home;
}

function passwordLines(...users: readonly string[]): { user: string; home: string }[] {
  return passwordText(users)
    .split("\n")
    .flatMap((line) => {
      const [user, , , , , home] = line.split(":");
      return user === undefined || home === undefined ? [] : [{ user, home }];
    });
}

function passwordText(users: readonly string[]): string {
  try {
    return execFileSync("getent", ["passwd", "--", ...users], {
      encoding: "utf8",
      timeout: directoryLimitMs,
      maxBuffer: directoryLimitBytes,
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    // The user is unknown, the directory doesn't answer, or there is no getent.
    return readOrNothing("/etc/passwd");
  }
}

/** There may be no /etc/passwd. Unknown homes are reported with their lines. */
function readOrNothing(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** How long a directory of users may take, and how much of it is read. */
const directoryLimitMs = 10_000;
const directoryLimitBytes = 16 * 1_048_576;

async function importJob(
  spec: JobSpec,
  client: Client | undefined,
  options: ImportOptions,
): Promise<{ result: LineResult; why?: string }> {
  if (client === undefined) return { result: "create" };
  try {
    const known = await existing(client, spec.id);
    if (known === undefined) {
      if (options.dryRun !== true) await client.send("/v1/jobs", { method: "POST", body: spec });
      return { result: options.dryRun === true ? "create" : "created" };
    }
    if (sameValue(known, spec)) return { result: "unchanged" };
    if (options.update !== true) return { result: "differs", why: differences(known, spec) };
    if (options.dryRun === true) return { result: "update", why: differences(known, spec) };
    await client.send(`/v1/jobs/${encodeURIComponent(spec.id)}`, { method: "PUT", body: spec });
    return { result: "updated", why: differences(known, spec) };
  } catch (error) {
    // This refuses only the one job. When the peer can't be reached, the import stops.
    if (!(error instanceof CicadaError) || !aboutTheJob.has(error.code)) throw error;
    return { result: "refused", why: error.detail };
  }
}
const aboutTheJob: ReadonlySet<string> = new Set(["INVALID_JOB", "JOB_EXISTS"]);

async function existing(client: Client, id: string): Promise<Record<string, unknown> | undefined> {
  try {
    return writable({ ...(await client.ask<JobAnswer>(`/v1/jobs/${encodeURIComponent(id)}`)) });
  } catch (error) {
    if (error instanceof CicadaError && error.code === "JOB_NOT_FOUND") return undefined;
    throw error;
  }
}

/** Names the fields in which the job differs from the line. */
function differences(known: Record<string, unknown>, spec: JobSpec): string {
  const wanted: Record<string, unknown> = { ...spec };
  const names = new Set([...Object.keys(known), ...Object.keys(wanted)]);
  return [...names].filter((name) => !sameValue(known[name], wanted[name])).join(", ");
}

// ----------------------------------------------------------------------------------------------- reporting

const colours: Readonly<Partial<Record<LineResult, Colour>>> = {
  create: "green",
  created: "green",
  update: "yellow",
  updated: "yellow",
  differs: "yellow",
  refused: "red",
};

function report(
  reading: CrontabReading,
  outcomes: readonly Outcome[],
  options: ImportOptions,
  terminal: Terminal,
): void {
  // Each line of the system form names its user. All lines of a user's own crontab have the same.
  const users = options.system === true;
  const rows = outcomes.map(({ line, spec, result, why }) => {
    const colour = colours[result];
    return [
      String(line),
      plain(spec.id),
      (colour === undefined ? result : paint(terminal, colour, result)) +
        (why === undefined ? "" : `: ${plain(why)}`),
      plain([spec.schedule ?? ""].flat().join("; ")),
      plain(spec.timezone ?? "UTC"),
      ...(users ? [plain(spec.user ?? "")] : []),
      plain(spec.command ?? (spec.argv ?? []).join(" ")),
    ];
  });
  const heading = ["LINE", "JOB", "", "SCHEDULE", "ZONE", ...(users ? ["USER"] : []), "COMMAND"];
  if (rows.length > 0) table(terminal, heading, rows);
  if (reading.refused.length > 0) {
    terminal.print("");
    terminal.print(paint(terminal, "red", `Not imported (${reading.refused.length}):`));
    for (const { line, text, reason } of reading.refused) {
      terminal.print(`  line ${line}: ${plain(text)}`);
      terminal.print(`    ${plain(reason)}`);
    }
  }
  if (reading.notes.length > 0) {
    terminal.print("");
    terminal.print("Not carried over:");
    for (const note of reading.notes) terminal.print(`  ${plain(note)}`);
  }
}

function reportConsequences(
  file: string,
  reading: CrontabReading,
  outcomes: readonly Outcome[],
  options: ImportOptions,
  self: PeerAnswer | undefined,
  terminal: Terminal,
): void {
  const count = (...results: readonly LineResult[]) =>
    outcomes.filter(({ result }) => results.includes(result)).length;
  const counts = [
    ["to create", count("create")],
    ["created", count("created")],
    ["to update", count("update")],
    ["updated", count("updated")],
    ["unchanged", count("unchanged")],
    ["different", count("differs")],
    ["not imported", reading.refused.length + count("refused")],
  ] as const;
  const parts = counts.filter(([, number]) => number > 0).map(([what, number]) => `${number} ${what}`);
  terminal.print("");
  terminal.print(parts.length === 0 ? "It contains no jobs." : `${parts.join(", ")}.`);
  if (count("differs") > 0) {
    terminal.print("Jobs that differ from their lines were not changed; --update replaces them.");
  }
  if (outcomes.length === 0) return;
  if (options.dryRun === true) terminal.print("Nothing was created: this was a dry run.");
  const whose = file === "-" ? "The crontab" : `The crontab ${plain(file)}`;
  const twice = options.dryRun === true ? "" : " Disable its lines, or each job runs twice.";
  terminal.print(
    paint(
      terminal,
      "yellow",
      `${whose} is still active: cicada doesn't touch it, and cron keeps running it.${twice}`,
    ),
  );
  terminal.print(
    options.pin === true && self !== undefined
      ? `Only ${plain(self.name)} may run these jobs (--pin), so they don't run while that peer is down.`
      : "Any peer may run these jobs, so every peer needs the programs, files and users that they name; --pin keeps them here.",
  );
}

/** 0 if every line has its job, 4 if jobs differ from their lines, 1 if lines were refused. */
function exitCodeOf(reading: CrontabReading, outcomes: readonly Outcome[]): number {
  if (reading.refused.length > 0 || outcomes.some(({ result }) => result === "refused")) return 1;
  return outcomes.some(({ result }) => result === "differs") ? 4 : 0;
}
