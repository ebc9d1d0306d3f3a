/**
 * What all imports have in common: their flags, and how jobs are made through the API, with the result for each.
 *
 * Before anything is made, the import says which entries become no job and what is not carried over. On a terminal it then asks.
 * An import can be repeated: jobs that exist and are unchanged are left alone. The other scheduler is never touched. It keeps
 * running its jobs until a person turns them off, and the command says so.
 */
import type { Command } from "commander";
import { CicadaError } from "../../errors.ts";
import { groupPattern } from "../../schema/job-vocabulary.ts";
import type { JobAnswer, PeerAnswer } from "../terminal/answers.ts";
import { openClient, withPeer, type Client, type PeerOptions } from "../terminal/client.ts";
import { isForPeople, show, withOutput, type Output } from "../terminal/output.ts";
import { confirm, paint, plain, type Terminal } from "../terminal/terminal.ts";
import { jobsGone, makeJobs, removeJobs, type Outcome, type Source } from "./carry-out.ts";
import type { Reading } from "./reading.ts";
import { reportBefore, reportCounts, reportGone, reportJobs } from "./report.ts";

export interface ImportOptions extends PeerOptions {
  output: Output;
  dryRun?: true;
  update?: true;
  prune?: true;
  yes?: true;
  pin?: true;
  user?: string;
  tz?: string;
  group?: string;
  prefix: string;
}

export function withImportFlags(command: Command): Command {
  return withOutput(withPeer(command))
    .option(
      "--dry-run",
      "show what would be created, and create nothing; with -o yaml or json, as apply takes it",
    )
    .option("--prefix <name>", "text to put before every id", "")
    .option("--pin", "let only the asked peer run the jobs (default: any peer)")
    .option("--user <name>", "who the jobs run as, where the file doesn't say")
    .option("--tz <zone>", "the zone of the times, where the file doesn't say (default: this host's)")
    .option("--group <name>", "the group of the jobs (default: default)")
    .option("--update", "replace jobs of an earlier import that have changed, and list those that are gone")
    .option("--prune", "remove jobs of an earlier import that are gone, after listing them")
    .option("--yes", "don't ask before anything is written");
}

export interface Import {
  /** the heading of the column that says where a job stands */
  place: string;
  /** whether each job's user is shown */
  users: boolean;
  source: Source;
  /** what was imported, in words */
  what: string;
  other: { active: string; turnOff: string };
  /** the line above the jobs for which nothing stands any more */
  missing: string;
  /** `pinTo`: the id of the only peer that may run the jobs */
  read(pinTo: string | undefined): Reading;
}

export async function importJobs(options: ImportOptions, terminal: Terminal, made: Import): Promise<void> {
  if (!isForPeople(options.output) && options.dryRun !== true)
    throw new CicadaError("USAGE", `-o ${options.output} shows what an import would make: add --dry-run`);
  const client = clientFor(options, terminal);
  const self = await askSelf(client, options);
  const reading = inGroup(made.read(options.pin === true ? self?.id : undefined), options.group);
  if (!isForPeople(options.output)) return showJobs(reading, options.output, terminal);
  const dryRun = options.dryRun === true;
  const how = { dryRun, update: options.update === true };
  const gone = await goneJobs(client, made, reading, options);
  reportBefore(reading, terminal);
  reportGone(gone, made.missing, terminal);
  const isDecided = options.yes === true || terminal.ask === undefined || !hasSomethingToSay(reading, gone);
  if (!dryRun && !isDecided) await askFirst(reading, gone, client, options, terminal, made);
  const outcomes = await makeJobs(reading.jobs, client, how);
  const removed = options.prune === true ? gone : [];
  if (client !== undefined && !dryRun) await removeJobs(client, removed);
  reportJobs(outcomes, made, terminal);
  reportCounts(reading, outcomes, { count: removed.length, dryRun }, terminal);
  reportConsequences(made, outcomes, options, self, terminal);
  if (gone.length > 0 && options.prune !== true) {
    terminal.print(
      gone.length === 1
        ? "1 job is gone from the file and still runs; --prune removes it."
        : `${gone.length} jobs are gone from the file and still run; --prune removes them.`,
    );
  }
  terminal.exitCode = exitCodeOf(reading, outcomes);
}

/** Prints the jobs as `apply` takes them; everything else goes to standard error. */
function showJobs(reading: Reading, output: Output, terminal: Terminal): void {
  reportBefore(reading, { ...terminal, print: (line) => terminal.notify(line) });
  const items = reading.jobs.map(({ spec }) => ({ kind: "job", ...spec }));
  show(terminal, output, { items }, () => undefined);
  terminal.exitCode = exitCodeOf(reading, []);
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

async function goneJobs(
  client: Client | undefined,
  { source }: Import,
  { jobs }: Reading,
  { update, prune }: ImportOptions,
): Promise<JobAnswer[]> {
  if (client === undefined || (update !== true && prune !== true)) return [];
  const gone = await jobsGone(client, source, jobs);
  if (prune === true && jobs.length === 0 && gone.length > 0) {
    throw new CicadaError(
      "USAGE",
      `it contains no job at all, so --prune would remove all ${gone.length} of the earlier import: \`cicada jobs rm\` removes them`,
    );
  }
  return gone;
}

function hasSomethingToSay({ refused, notes, doubts }: Reading, gone: readonly JobAnswer[]): boolean {
  return refused.length + notes.length + doubts.length + gone.length > 0;
}

function inGroup(reading: Reading, group: string | undefined): Reading {
  if (group === undefined) return reading;
  if (!new RegExp(groupPattern).test(group)) {
    throw new CicadaError("USAGE", "--group: a group is 1 to 64 characters from a-z, 0-9, '.', '_' and '-'");
  }
  return { ...reading, jobs: reading.jobs.map(({ at, spec }) => ({ at, spec: { ...spec, group } })) };
}

/** Shows what would be made, and asks, unless nothing would be. */
async function askFirst(
  { jobs }: Reading,
  gone: readonly JobAnswer[],
  client: Client | undefined,
  options: ImportOptions,
  terminal: Terminal,
  made: Import,
): Promise<void> {
  const planned = await makeJobs(jobs, client, { dryRun: true, update: options.update === true });
  const changes = planned.filter(({ result }) => result === "create" || result === "update").length;
  const removes = options.prune === true ? gone.length : 0;
  if (changes + removes === 0) return;
  reportJobs(planned, made, terminal);
  const removing = removes === 0 ? "" : `, and remove ${removes}`;
  if (terminal.ask !== undefined)
    await confirm(terminal.ask, `Write ${changes} of these ${jobs.length} jobs${removing}?`);
}

function reportConsequences(
  { what, other }: Import,
  outcomes: readonly Outcome[],
  options: ImportOptions,
  self: PeerAnswer | undefined,
  terminal: Terminal,
): void {
  if (outcomes.some(({ result }) => result === "differs")) {
    terminal.print("Jobs that differ from what the file says were not changed; --update replaces them.");
  }
  if (outcomes.length === 0) return;
  const dryRun = options.dryRun === true;
  if (dryRun) terminal.print("Nothing was created: this was a dry run.");
  const twice = dryRun ? "" : ` ${other.turnOff}, or each job runs twice.`;
  terminal.print(
    paint(
      terminal,
      "yellow",
      `${what} is still active: cicada doesn't touch it, and ${other.active}.${twice}`,
    ),
  );
  if (outcomes.some(({ spec }) => spec.user === undefined && spec.http === undefined)) {
    terminal.print("Jobs without a user run as the user of the peer that runs them; --user names another.");
  }
  terminal.print(
    options.pin === true && self !== undefined
      ? `Only ${plain(self.name)} may run these jobs (--pin), so they don't run while that peer is down.`
      : "Any peer may run these jobs, so every peer needs the programs, files and users that they name; --pin keeps them here.",
  );
}

/** 0 if each entry of the file has its job, 4 if jobs differ from their entries, 1 if entries were refused. */
function exitCodeOf(reading: Reading, outcomes: readonly Outcome[]): number {
  if (reading.refused.length > 0 || outcomes.some(({ result }) => result === "refused")) return 1;
  return outcomes.some(({ result }) => result === "differs") ? 4 : 0;
}
