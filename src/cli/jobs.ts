/**
 * `cicada jobs`: list, create, change, pause and run jobs. Each command is one or two calls of the API at any peer.
 */
import type { Command } from "commander";
import { CicadaError } from "../errors.ts";
import { jobStates } from "../schema/job-vocabulary.ts";
import type { JobAnswer, NextAnswer, OrderedAnswer, RevisionAnswer, WhyAnswer } from "./terminal/answers.ts";
import { openClient, withPeer, type Client, type PeerOptions } from "./terminal/client.ts";
import { bulk, deleteSelected, selectionOf, withSelection, type Selection } from "./terminal/bulk.ts";
import { inTermsOfFlags, jobFromFlags, pairsOf, withJobFlags } from "./terminal/job-flags.ts";
import type { WrittenJob } from "./terminal/job-text.ts";
import {
  describeWritten,
  jobFields,
  jobTable,
  nextTable,
  printWhy,
  revisionList,
  warn,
  whenNext,
  writable,
} from "./terminal/job-words.ts";
import { isForPeople, show, withOutput, type Output } from "./terminal/output.ts";
import { waitForRun } from "./terminal/run-wait.ts";
import { backfillCommand } from "./backfill.ts";
import { skipCommands } from "./skips.ts";
import { editCommand } from "./edit.ts";
import { asInvoked, repeatable } from "./program.ts";
import { scriptOption, upload, withScript, type ScriptOptions } from "./scripts.ts";
import { printFailure } from "./terminal/failures.ts";
import { checkGroup, readTickOf, revisionOf } from "./terminal/references.ts";
import { plain, type Terminal } from "./terminal/terminal.ts";
import { watching, withWatch, type Watched } from "./terminal/watch.ts";

interface JobOptions extends PeerOptions {
  output: Output;
}

interface ListOptions extends JobOptions, Watched {
  group?: string;
  label?: string;
  state?: string;
  query?: string;
  failed?: true;
}

export function jobsCommands(program: Command, terminal: Terminal): void {
  const jobs = program.command("jobs");
  readingCommands(jobs, terminal);
  writingCommands(jobs, terminal);
  editCommand(jobs, terminal);
  runningCommands(jobs, terminal);
  backfillCommand(jobs, terminal);
  skipCommands(jobs, terminal);
}

function pathOf(id: string, call = ""): string {
  return `/v1/jobs/${encodeURIComponent(id)}${call}`;
}

// ------------------------------------------------------------------------------------------------- reading

function readingCommands(jobs: Command, terminal: Terminal): void {
  withWatch(withOutput(withPeer(jobs.command("ls"))))
    .description("list jobs with their next tick and last run")
    .option("--group <group>", "only jobs of this group")
    .option("--label <K=V>", "only jobs with this label")
    .option("--state <state>", `only jobs in this state: ${jobStates.join(", ")}`)
    .option("-q, --query <text>", "only jobs with this text in id, description, owner, command or address")
    .option("--failed", "only jobs whose last tick went wrong: --state failing")
    .action((options: ListOptions) =>
      watching(options, terminal, async (screen) => {
        const { group, label, query, failed } = options;
        if (failed === true && options.state !== undefined)
          throw new CicadaError("USAGE", "give --failed or --state, not both");
        const state = failed === true ? "failing" : options.state;
        const client = openClient(options, terminal);
        const answer = await client.list<JobAnswer>("/v1/jobs", { group, label, state, q: query });
        const isFiltered = [group, label, state, query].some((filter) => filter !== undefined);
        if (answer.items.length === 0 && group !== undefined) await checkGroup(client, group);
        show(screen, options.output, answer, (wide) => jobTable(screen, answer.items, { isFiltered, wide }));
      }),
    );

  withOutput(withPeer(jobs.command("get")))
    .description("show one job with all its fields")
    .argument("<id>")
    .action(async (id: string, options: JobOptions) => {
      const job = await openClient(options, terminal).ask<JobAnswer>(pathOf(id));
      show(terminal, options.output, job, () => jobFields(terminal, job));
    });

  withOutput(withPeer(jobs.command("next")))
    .description(
      "show the next ticks and which peers would run them: the runner first, then those that step in",
    )
    .argument("<id>")
    .option("-n, --count <n>", "how many ticks", "10")
    .action(async (id: string, options: JobOptions & { count: string }) => {
      const client = openClient(options, terminal);
      const query = { count: options.count };
      const answer = await client.ask<{ items: NextAnswer[] }>(pathOf(id, "/next"), { query });
      show(terminal, options.output, answer, () => nextTable(terminal, answer.items));
    });

  withOutput(withPeer(jobs.command("why")))
    .description("show what was decided for a tick and why; without a tick, for the last one that went wrong")
    .argument("<id>")
    .argument(
      "[tick...]",
      "03:00, yesterday 03:00 or 2026-11-28T03:54 in the job's zone, latest, or as the lists show it",
    )
    .action(async (id: string, words: string[], options: JobOptions) => {
      const client = openClient(options, terminal);
      const tick = words.length === 0 ? undefined : await readTickOf(client, id, words.join(" "), terminal);
      const answer = await client.ask<WhyAnswer>(pathOf(id, "/why"), { query: { tick } });
      show(terminal, options.output, answer, () => printWhy(terminal, id, answer));
    });

  withOutput(withPeer(jobs.command("history")))
    .description("show who changed which fields of a job and when, newest first, even if it was deleted")
    .argument("<id>")
    .action(async (id: string, options: JobOptions) => {
      const answer = await openClient(options, terminal).list<RevisionAnswer>(pathOf(id, "/history"));
      show(terminal, options.output, answer, () => {
        revisionList(terminal, answer.items);
        const isUnnamed = answer.items.some(({ by, change }) => by === null && change !== null);
        const way = `\`cicada audit --job ${plain(id)}\` shows who made the edits that have no name here: they were made at another peer.`;
        if (isUnnamed) terminal.notify(asInvoked(way, terminal.env));
      });
    });
}

// ------------------------------------------------------------------------------------------------- writing

interface CreateOptions extends JobOptions, ScriptOptions {
  file?: string;
  update?: true;
}

function writingCommands(jobs: Command, terminal: Terminal): void {
  withJobFlags(withOutput(withPeer(jobs.command("create"))))
    .description("create a job from flags, or jobs from a file")
    .usage(
      "ID --schedule S (--command TEXT | --script FILE --interpreter P | -- ARGV...) [options]\n       cicada jobs create -f FILE",
    )
    .argument("[id]", "the job's name, unique in the mesh")
    .argument("[argv...]", "after --: a program and its arguments, run without a shell")
    .option("-f, --file <file>", "jobs as YAML or JSON, in one or several documents; - reads standard input")
    .addOption(scriptOption())
    .option("--update", "replace the job if the id is taken")
    .action(async (id: string | undefined, argv: string[], options: CreateOptions) => {
      const written =
        options.file === undefined
          ? [await fromFlags(id, argv, options)]
          : (await import("./terminal/job-text.ts")).readJobs(options.file);
      if (
        options.file !== undefined &&
        (id !== undefined ||
          options.script !== undefined ||
          Object.keys(jobFromFlags({ ...options })).length > 0)
      ) {
        throw new CicadaError("USAGE", "give the job as flags or as a file, not both");
      }
      try {
        const client = openClient(options, terminal);
        const script = await upload(client, options);
        const complete = written.map(({ job, where }) => ({ job: withScript(job, script), where }));
        await createAll(client, complete, options, terminal);
      } catch (error) {
        throw options.file === undefined ? inTermsOfFlags(error) : error;
      }
    });

  withOutput(withPeer(jobs.command("revert")))
    .description("make a job what it was at an earlier revision, even if it was deleted")
    .argument("<id>")
    .argument("<revision>", "as `jobs history` shows it")
    .action(async (id: string, revision: string, options: JobOptions) => {
      const call = { method: "POST", body: { revision } } as const;
      const job = await openClient(options, terminal).ask<JobAnswer>(pathOf(id, "/revert"), call);
      show(terminal, options.output, job, () => describeWritten(terminal, job, "reverted"));
    });

  withSelection(withPeer(jobs.command("rm")))
    .description("delete jobs; runs in progress may finish")
    .argument("[id...]")
    .option("--yes", "don't ask before all selected jobs are deleted")
    .action(async (ids: string[], options: PeerOptions & Selection & { yes?: true }) => {
      const client = openClient(options, terminal);
      const select = selectionOf(options, ids);
      if (select !== undefined) return deleteSelected(client, { ...select }, options.yes === true, terminal);
      for (const id of ids) {
        await client.send(pathOf(id), { method: "DELETE" });
        terminal.print(`${plain(id)} deleted`);
      }
    });
}

async function fromFlags(
  id: string | undefined,
  argv: readonly string[],
  options: CreateOptions,
): Promise<WrittenJob> {
  if (id === undefined) throw new CicadaError("USAGE", "name the job, or give a file with -f");
  const [program] = argv;
  // Taken as a program, the job would have no ticks, and would fail when run by hand.
  if (program !== undefined && (await isSchedule(program, id))) {
    throw new CicadaError("USAGE", `${program} is a schedule, not a program: give it with --schedule`);
  }
  const job: Record<string, unknown> = { id, ...jobFromFlags({ ...options }) };
  const isScript = options.script !== undefined || "script" in job;
  if (program !== undefined)
    Object.assign(job, isScript ? { script: { ...Object(job["script"]), args: argv } } : { argv });
  return { job, where: "the command line" };
}

async function isSchedule(text: string, id: string): Promise<boolean> {
  const { parseSchedule } = await import("../core/time/schedule.ts");
  return parseSchedule(text, "UTC", id).ok;
}

/** Creates every job that can be created. A refused job is named, and the others are still created. */
async function createAll(
  client: Client,
  written: readonly WrittenJob[],
  options: CreateOptions,
  terminal: Terminal,
): Promise<void> {
  const made: JobAnswer[] = [];
  const refused: unknown[] = [];
  for (const { job, where } of written) {
    try {
      const before = options.update === true ? await revisionOf(client, String(job["id"])) : undefined;
      const reply = await client.send("/v1/jobs", {
        method: "POST",
        query: { update: options.update },
        headers: { "idempotency-key": crypto.randomUUID() },
        body: writable(job),
      });
      // The peer answers with the job as it is now (openapi.json).
      const answer = JSON.parse(new TextDecoder().decode(reply.bytes)) as JobAnswer;
      made.push(answer);
      if (isForPeople(options.output)) {
        const verb = before === answer.revision ? "unchanged" : "updated";
        describeWritten(terminal, answer, reply.status === 201 ? "created" : verb);
      }
    } catch (error) {
      if (!(error instanceof CicadaError) || written.length === 1) throw error;
      if (error.code === "PEER_UNREACHABLE" || error.code === "UNAUTHORISED") throw error;
      printFailure(terminal, `refused: ${where} (${plain(String(job["id"]))}):`, error);
      refused.push(error);
      terminal.exitCode = error.exit;
    }
  }
  if (!isForPeople(options.output))
    show(terminal, options.output, written.length === 1 ? made[0] : made, () => {});
  if (refused.length > 0) terminal.notify(`${made.length} accepted, ${refused.length} refused`);
}

// ------------------------------------------------------------------------------------------------- running

type PauseOptions = PeerOptions & Selection & { note?: string; until?: string };

interface RunOptions extends JobOptions {
  wait?: true;
  force?: true;
  env?: string[];
  param?: string[];
  targetPeer?: string[];
}

function runningCommands(jobs: Command, terminal: Terminal): void {
  withSelection(withOutput(withPeer(jobs.command("run"))))
    .description("run a job now; with --wait, exit with the job's own exit code")
    .argument("[id]")
    .option("--wait", "wait until the run has ended")
    .option("--force", "run it even if it is paused, disabled or in maintenance")
    .addOption(repeatable("-p, --param <NAME=VALUE>", "the value of one of the job's parameters; repeatable"))
    .addOption(repeatable("--env <K=V>", "add to the job's environment; repeatable"))
    .addOption(
      repeatable("--target-peer <peer>", "run it on this peer instead of the job's target; repeatable"),
    )
    .action(async (id: string | undefined, options: RunOptions & Selection) => {
      const client = openClient(options, terminal);
      const { env } = jobFromFlags({ env: options.env });
      const body = {
        ...(options.param === undefined ? {} : { params: pairsOf("--param", options.param) }),
        ...(env === undefined ? {} : { env }),
        ...(options.force === undefined ? {} : { force: true }),
        ...(options.targetPeer === undefined ? {} : { target: { peers: options.targetPeer } }),
      };
      const select = selectionOf(options, id === undefined ? [] : [id]);
      if (select !== undefined && options.wait === true)
        throw new CicadaError("USAGE", "--wait waits for the run of one job: name it");
      if (select !== undefined) {
        return bulk(client, select, { action: "run", ...body }, terminal, options.output);
      }
      const answer = await client.ask<OrderedAnswer>(pathOf(id ?? "", "/run"), {
        method: "POST",
        headers: { "idempotency-key": crypto.randomUUID() },
        body,
      });
      const run = `${answer.job}@${answer.tick}`;
      if (options.wait !== true) {
        show(terminal, options.output, answer, () => {
          terminal.print(`${run} ordered`);
          warn(terminal, answer);
        });
        return;
      }
      if (isForPeople(options.output)) {
        terminal.notify(`${run} ordered; waiting for it to end`);
        warn(terminal, answer);
      }
      terminal.exitCode = await waitForRun(client, run, options.output, terminal);
    });

  withSelection(withPeer(jobs.command("pause")))
    .description("start no more runs of a job until it is resumed")
    .argument("[id]")
    .option("--note <text>", "the reason; shown with the pause")
    .option("--until <instant>", "when the pause ends by itself, such as 2026-12-24T18:00:00Z")
    .action(async (named: string | undefined, options: PauseOptions) => {
      const { note, until } = options;
      const body = { ...(note === undefined ? {} : { note }), ...(until === undefined ? {} : { until }) };
      const select = selectionOf(options, named === undefined ? [] : [named]);
      const client = openClient(options, terminal);
      if (select !== undefined) return bulk(client, select, { action: "pause", ...body }, terminal);
      const id = named ?? "";
      await client.send(pathOf(id, "/pause"), { method: "POST", body });
      terminal.print(`${plain(id)} paused${until === undefined ? "" : ` until ${plain(until)}`}`);
    });

  withSelection(withPeer(jobs.command("resume")))
    .description("end the pause of a job")
    .argument("[id]")
    .action(async (named: string | undefined, options: PeerOptions & Selection) => {
      const select = selectionOf(options, named === undefined ? [] : [named]);
      const client = openClient(options, terminal);
      if (select !== undefined) return bulk(client, select, { action: "resume" }, terminal);
      const id = named ?? "";
      const { paused } = await client.ask<JobAnswer>(pathOf(id));
      const job = await client.ask<JobAnswer>(pathOf(id, "/resume"), { method: "POST", body: {} });
      const verb = paused === null ? "was not paused" : "resumed";
      terminal.print(`${plain(id)} ${verb}, ${whenNext(terminal, job)}`);
    });
}
