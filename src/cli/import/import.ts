/**
 * `cicada import crontab`: creates jobs from the lines of a crontab, through the API, and says what became of each line.
 *
 * A job that is there already and unchanged is left alone, so an import can be repeated. The crontab itself is never
 * touched: cron keeps running it until a person turns it off, and the command says so.
 */
import type { Command } from "commander";
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
import { table } from "../terminal/output.ts";
import { paint, plain, type Colour, type Terminal } from "../terminal/terminal.ts";

interface ImportOptions extends PeerOptions {
  system?: true;
  dryRun?: true;
  update?: true;
  pin?: true;
  prefix: string;
}

export function importCommands(program: Command, terminal: Terminal): void {
  const imports = program.command("import").description("create jobs from what another scheduler has");
  withPeer(imports.command("crontab"))
    .description("create a job from each line of a crontab; it does what cron does with that line")
    .argument("<file>", "a crontab; - reads standard input, as of `crontab -l`")
    .option("--system", "the lines have a user field, as in /etc/crontab and /etc/cron.d")
    .option("--dry-run", "show what would be created, and create nothing")
    .option("--prefix <name>", "put before every id", "")
    .option("--pin", "only the peer that is asked may run the jobs (default: any peer)")
    .option("--update", "replace jobs of an earlier import whose lines have changed")
    .action((file: string, options: ImportOptions) => importCrontab(file, options, terminal));
}

/** What was done, or would be done, with a line. */
type Fate = "create" | "created" | "unchanged" | "differs" | "update" | "updated" | "refused";

interface Outcome {
  line: number;
  spec: JobSpec;
  fate: Fate;
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
    outcomes.push({ line, spec, ...(await carryOut(spec, client, options)) });
  }
  report(reading, outcomes, options, terminal);
  sayWhatHolds(file, reading, outcomes, options, self, terminal);
  terminal.exitCode = exitCodeOf(reading, outcomes);
}

/** Every line of a file of /etc/cron.d, read as a user's crontab, would run the name of a user. */
function refuseSystemForm({ jobs, userLike }: CrontabReading, { system, dryRun }: ImportOptions): void {
  if (system === true || dryRun === true || jobs.length === 0 || userLike < jobs.length) return;
  throw new CicadaError(
    "USAGE",
    "every line begins with the name of a user: give --system; nothing was created",
  );
}

/** A dry run works without a peer, and then can't tell what is there already. */
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
    "--pin needs the peer that is to run the jobs, and no peer is up",
  );
}

/** A crontab in cron's spool belongs to the user that it is named after, any other to the person who imports it. */
function ownerOf(file: string): { user: string; home: string } {
  const inSpool = /\/cron(\/crontabs|\/tabs)?$/.test(dirname(file));
  const owner = basename(file);
  const home = inSpool ? homesOfHost().get(owner) : undefined;
  if (home !== undefined) return { user: owner, home };
  const self = ownerOfProcess();
  return { user: self.name ?? "", home: self.home ?? "/" };
}

/** Users and their homes, as this host's own list has them. */
function homesOfHost(): ReadonlyMap<string, string> {
  try {
    const lines = readFileSync("/etc/passwd", "utf8").split("\n");
    return new Map(
      lines.flatMap((line) => {
        const [user, , , , , home] = line.split(":");
        return user === undefined || home === undefined ? [] : [[user, home] as const];
      }),
    );
  } catch {
    // No such list; unknown homes are reported with their lines.
    return new Map();
  }
}

async function carryOut(
  spec: JobSpec,
  client: Client | undefined,
  options: ImportOptions,
): Promise<{ fate: Fate; why?: string }> {
  if (client === undefined) return { fate: "create" };
  try {
    const known = await existing(client, spec.id);
    if (known === undefined) {
      if (options.dryRun !== true) await client.send("/v1/jobs", { method: "POST", body: spec });
      return { fate: options.dryRun === true ? "create" : "created" };
    }
    if (sameValue(known, spec)) return { fate: "unchanged" };
    if (options.update !== true) return { fate: "differs", why: differences(known, spec) };
    if (options.dryRun === true) return { fate: "update", why: differences(known, spec) };
    await client.send(`/v1/jobs/${encodeURIComponent(spec.id)}`, { method: "PUT", body: spec });
    return { fate: "updated", why: differences(known, spec) };
  } catch (error) {
    // Only this job is refused; a failure on the way to the peer stops the import.
    if (!(error instanceof CicadaError) || !aboutTheJob.has(error.code)) throw error;
    return { fate: "refused", why: error.detail };
  }
}
const aboutTheJob: ReadonlySet<string> = new Set(["INVALID_JOB", "NOT_YET", "JOB_EXISTS"]);

async function existing(client: Client, id: string): Promise<Record<string, unknown> | undefined> {
  try {
    return writable({ ...(await client.ask<JobAnswer>(`/v1/jobs/${encodeURIComponent(id)}`)) });
  } catch (error) {
    if (error instanceof CicadaError && error.code === "JOB_NOT_FOUND") return undefined;
    throw error;
  }
}

/** Names the fields in which the job is not what the line says. */
function differences(known: Record<string, unknown>, spec: JobSpec): string {
  const wanted: Record<string, unknown> = { ...spec };
  const names = new Set([...Object.keys(known), ...Object.keys(wanted)]);
  return [...names].filter((name) => !sameValue(known[name], wanted[name])).join(", ");
}

// ------------------------------------------------------------------------------------------------- telling

const colours: Readonly<Partial<Record<Fate, Colour>>> = {
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
  // Each line of the system form names its user; those of a user's own crontab are all the same.
  const users = options.system === true;
  const rows = outcomes.map(({ line, spec, fate, why }) => {
    const colour = colours[fate];
    return [
      String(line),
      plain(spec.id),
      (colour === undefined ? fate : paint(terminal, colour, fate)) +
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
    terminal.print(paint(terminal, "red", `Not taken (${reading.refused.length}):`));
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

function sayWhatHolds(
  file: string,
  reading: CrontabReading,
  outcomes: readonly Outcome[],
  options: ImportOptions,
  self: PeerAnswer | undefined,
  terminal: Terminal,
): void {
  const count = (...fates: readonly Fate[]) => outcomes.filter(({ fate }) => fates.includes(fate)).length;
  const counts = [
    ["to create", count("create")],
    ["created", count("created")],
    ["to update", count("update")],
    ["updated", count("updated")],
    ["unchanged", count("unchanged")],
    ["different", count("differs")],
    ["not taken", reading.refused.length + count("refused")],
  ] as const;
  const said = counts.filter(([, number]) => number > 0).map(([what, number]) => `${number} ${what}`);
  terminal.print("");
  terminal.print(said.length === 0 ? "No job in it." : `${said.join(", ")}.`);
  if (count("differs") > 0) {
    terminal.print("Jobs that differ from their lines were left as they are; --update replaces them.");
  }
  if (outcomes.length === 0) return;
  if (options.dryRun === true) terminal.print("Nothing was created: this was a dry run.");
  const whose = file === "-" ? "The crontab" : `The crontab ${plain(file)}`;
  const twice = options.dryRun === true ? "" : " Turn its lines off, or each runs twice.";
  terminal.print(
    paint(
      terminal,
      "yellow",
      `${whose} is still active: cicada doesn't touch it, and cron keeps running it.${twice}`,
    ),
  );
  terminal.print(
    options.pin === true && self !== undefined
      ? `Only ${plain(self.name)} may run these jobs (--pin), so they don't run while it is down.`
      : "These jobs may run on any peer, which needs the programs, files and users that they name; --pin keeps them here.",
  );
}

/** 0 if every line has its job, 4 if jobs differ from their lines, 1 if lines were refused. */
function exitCodeOf(reading: CrontabReading, outcomes: readonly Outcome[]): number {
  if (reading.refused.length > 0 || outcomes.some(({ fate }) => fate === "refused")) return 1;
  return outcomes.some(({ fate }) => fate === "differs") ? 4 : 0;
}
