/**
 * `cicada jobs`: what is to be run, as the mesh has it. Each command is one call (or two) of the API at any peer.
 */
import type { Command } from "commander";
import { randomUUID } from "node:crypto";
import { parseSchedule } from "../core/time/schedule.ts";
import { CicadaError } from "../errors.ts";
import type { JobAnswer, NextAnswer, TickAnswer } from "./terminal/answers.ts";
import { openClient, withPeer, type Client, type PeerOptions } from "./terminal/client.ts";
import { jobFromFlags, withJobFlags } from "./terminal/job-flags.ts";
import { editJob, readJobs, writable, type WrittenJob } from "./terminal/job-text.ts";
import { fields, show, table, withOutput, type Output } from "./terminal/output.ts";
import { waitForRun } from "./terminal/run-wait.ts";
import { repeatable } from "./program.ts";
import { runState } from "./terminal/run-words.ts";
import { paint, plain, tellFailure, type Terminal } from "./terminal/terminal.ts";
import { local, relative, utc } from "./terminal/times.ts";

interface JobOptions extends PeerOptions {
  output: Output;
}

export function jobsCommands(program: Command, terminal: Terminal): void {
  const jobs = program.command("jobs").description("what is to be run: list, create, change, pause, run");
  lookingCommands(jobs, terminal);
  writingCommands(jobs, terminal);
  runningCommands(jobs, terminal);
}

function pathOf(id: string, call = ""): string {
  return `/v1/jobs/${encodeURIComponent(id)}${call}`;
}

// ------------------------------------------------------------------------------------------------- looking

function lookingCommands(jobs: Command, terminal: Terminal): void {
  withOutput(withPeer(jobs.command("ls")))
    .description("every job with its next tick and its last run")
    .option("--group <group>", "only this group's")
    .option("--label <K=V>", "only those with this label")
    .option("--state <state>", "only those in this state")
    .option("-q, --query <text>", "only those with this text in id or description")
    .action(
      async (options: JobOptions & Record<"group" | "label" | "state" | "query", string | undefined>) => {
        const { group, label, state, query } = options;
        const answer = await openClient(options, terminal).list<JobAnswer>("/v1/jobs", {
          group,
          label,
          state,
          q: query,
        });
        show(terminal, options.output, answer, () => jobTable(terminal, answer.items));
      },
    );

  withOutput(withPeer(jobs.command("get")))
    .description("one job, whole")
    .argument("<id>")
    .action(async (id: string, options: JobOptions) => {
      const job = await openClient(options, terminal).ask<JobAnswer>(pathOf(id));
      show(terminal, options.output, job, () => jobFields(terminal, job));
    });

  withOutput(withPeer(jobs.command("next")))
    .description("future ticks, and who will run them: the runner first, then who steps in")
    .argument("<id>")
    .option("-n, --count <n>", "how many", "10")
    .action(async (id: string, options: JobOptions & { count: string }) => {
      const client = openClient(options, terminal);
      const query = { count: options.count };
      const answer = await client.ask<{ items: NextAnswer[] }>(pathOf(id, "/next"), { query });
      show(terminal, options.output, answer, () => nextTable(terminal, answer.items));
    });

  withOutput(withPeer(jobs.command("why")))
    .description("what was decided for a tick, by whom and why")
    .argument("<id>")
    .argument("<tick>", "such as 2026-11-20T02:00:00Z")
    .action(async (id: string, tick: string, options: JobOptions) => {
      const client = openClient(options, terminal);
      const answer = await client.ask<TickAnswer>(pathOf(id, "/why"), { query: { tick } });
      show(terminal, options.output, answer, () => {
        terminal.print(
          `${paint(terminal, "bold", `${id}@${answer.tick}`)}  ${runState(terminal, answer.state)}`,
        );
        for (const sentence of answer.why) terminal.print(`  ${plain(sentence)}`);
      });
    });
}

function jobTable(terminal: Terminal, jobs: readonly JobAnswer[]): void {
  if (jobs.length === 0) {
    terminal.print(
      "There are no jobs. Make one: cicada jobs create hello --schedule '@every 1m' --command 'date'",
    );
    return;
  }
  const now = terminal.now();
  const rows = jobs.map((job) => [
    plain(job.id),
    plain(scheduleText(job)),
    job.schedule === undefined ? "" : plain(job.timezone ?? "UTC"),
    jobState(terminal, job.state),
    job.nextTick === null ? "-" : utc(Date.parse(job.nextTick)),
    job.nextTick === null ? "" : relative(Date.parse(job.nextTick), now),
    lastRunText(terminal, job.lastRun, now),
  ]);
  table(terminal, ["ID", "SCHEDULE", "ZONE", "STATE", "NEXT TICK (UTC)", "", "LAST RUN"], rows);
}

function scheduleText(job: JobAnswer): string {
  if (job.schedule === undefined) return "by hand";
  return typeof job.schedule === "string" ? job.schedule : job.schedule.join("; ");
}

function jobState(terminal: Terminal, state: string): string {
  if (state === "paused" || state === "disabled") return paint(terminal, "yellow", state);
  if (state === "invalid") return paint(terminal, "red", state);
  return state === "running" ? paint(terminal, "cyan", state) : plain(state);
}

function lastRunText(terminal: Terminal, run: JobAnswer["lastRun"], now: number): string {
  if (run === null) return "-";
  const at = run.finishedAt ?? run.startedAt;
  return `${runState(terminal, run.state)}${at === null ? "" : ` ${relative(Date.parse(at), now)}`}`;
}

function jobFields(terminal: Terminal, job: JobAnswer): void {
  const now = terminal.now();
  const zone = job.timezone ?? "UTC";
  const next = job.nextTick === null ? undefined : Date.parse(job.nextTick);
  const { revision, createdAt, updatedAt, updatedBy, paused, problems, state } = job;
  const shown = new Set(["id", "schedule", "timezone"]);
  const rest = Object.entries(writable({ ...job })).filter(([field]) => !shown.has(field));
  fields(terminal, [
    ["id", paint(terminal, "bold", plain(job.id))],
    ["state", jobState(terminal, state)],
    ["schedule", plain(scheduleText(job))],
    ["timezone", plain(zone)],
    ["next tick", next === undefined ? "none" : `${utc(next)}  ${relative(next, now)}`],
    ["on", job.nextPeer === null ? undefined : plain(job.nextPeer.name)],
    ["there", next === undefined || zone === "UTC" ? undefined : local(next, zone)],
    ["last run", lastRunText(terminal, job.lastRun, now)],
    ...(paused === null ? [] : [["paused", pauseText(paused)] as const]),
    ...problems.map(({ pointer, message }) => ["problem", plain(`${pointer} ${message}`)] as const),
    ...rest.map(([field, value]) => [field, plain(valueText(value))] as const),
    ["created", createdAt ?? undefined],
    ["updated", updatedAt === null ? undefined : `${updatedAt} by ${plain(updatedBy ?? "?")}`],
    ["revision", revision ?? undefined],
  ]);
}

function pauseText(paused: NonNullable<JobAnswer["paused"]>): string {
  const until = paused.until === null ? "until resumed" : `until ${paused.until}`;
  return plain(`by ${paused.by}, ${until}${paused.note === null ? "" : `: ${paused.note}`}`);
}

function valueText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function nextTable(terminal: Terminal, items: readonly NextAnswer[]): void {
  if (items.length === 0) return terminal.print("There is no further tick.");
  const now = terminal.now();
  const rows = items.map(({ tick, startsAt, peers }) => {
    const [runner, ...fallbacks] = peers.map((peer) => plain(peer.name));
    const later = Date.parse(startsAt) === Date.parse(tick) ? "" : ` (starts ${startsAt})`;
    return [tick + later, relative(Date.parse(startsAt), now), runner ?? "nobody can", fallbacks.join(", ")];
  });
  table(terminal, ["TICK (UTC)", "", "RUNNER", "THEN"], rows);
}

// ------------------------------------------------------------------------------------------------- writing

interface CreateOptions extends JobOptions {
  file?: string;
  update?: true;
}

function writingCommands(jobs: Command, terminal: Terminal): void {
  withJobFlags(withOutput(withPeer(jobs.command("create"))))
    .description("make a job from flags, or jobs from a file")
    .usage("ID --schedule S (--command TEXT | -- ARGV...) [options]\n       cicada jobs create -f FILE")
    .argument("[id]", "its name, unique in the mesh")
    .argument("[argv...]", "after --: a program and its arguments, run without a shell")
    .option("-f, --file <file>", "jobs as YAML or JSON, several documents allowed; - reads standard input")
    .option("--update", "replace the job when the id is taken")
    .action(async (id: string | undefined, argv: string[], options: CreateOptions) => {
      const written = options.file === undefined ? [fromFlags(id, argv, options)] : readJobs(options.file);
      if (
        options.file !== undefined &&
        (id !== undefined || Object.keys(jobFromFlags({ ...options })).length > 0)
      ) {
        throw new CicadaError("USAGE", "give the job as flags or as a file, not both");
      }
      await createAll(openClient(options, terminal), written, options, terminal);
    });

  withJobFlags(withOutput(withPeer(jobs.command("edit"))))
    .description("change a job: with flags these fields alone, without any in $EDITOR, as YAML")
    .argument("<id>")
    .action(async (id: string, options: JobOptions) => {
      const client = openClient(options, terminal);
      const patch = jobFromFlags({ ...options });
      if (Object.keys(patch).length === 0) return editByHand(client, id, options, terminal);
      const job = await client.ask<JobAnswer>(pathOf(id), { method: "PATCH", body: patch });
      show(terminal, options.output, job, () => sayWritten(terminal, job, "changed"));
    });

  withPeer(jobs.command("rm"))
    .description("delete jobs; what is running ends by itself")
    .argument("<id...>")
    .action(async (ids: string[], options: PeerOptions) => {
      const client = openClient(options, terminal);
      for (const id of ids) {
        await client.send(pathOf(id), { method: "DELETE" });
        terminal.print(`${plain(id)} deleted`);
      }
    });
}

function fromFlags(id: string | undefined, argv: readonly string[], options: CreateOptions): WrittenJob {
  if (id === undefined) throw new CicadaError("USAGE", "name the job, or give a file with -f");
  const [program] = argv;
  // Taken for a program it would never tick, and fail when it is run by hand.
  if (program !== undefined && parseSchedule(program, "UTC", id).ok) {
    throw new CicadaError("USAGE", `${program} is a schedule, not a program: give it with --schedule`);
  }
  const action = program === undefined ? {} : { argv };
  return { job: { id, ...jobFromFlags({ ...options }), ...action }, where: "the command line" };
}

/** Creates what can be created; one that is refused is named, and the others still go in. */
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
      const reply = await client.send("/v1/jobs", {
        method: "POST",
        query: { update: options.update },
        headers: { "idempotency-key": randomUUID() },
        body: writable(job),
      });
      // The peer answers a write with the job as it now stands (openapi.json).
      const answer = JSON.parse(new TextDecoder().decode(reply.bytes)) as JobAnswer;
      made.push(answer);
      if (options.output === "table") {
        sayWritten(terminal, answer, reply.status === 201 ? "created" : "updated");
      }
    } catch (error) {
      if (!(error instanceof CicadaError) || written.length === 1) throw error;
      if (error.code === "PEER_UNREACHABLE" || error.code === "UNAUTHORISED") throw error;
      tellFailure(terminal, `refused: ${where} (${plain(String(job["id"]))}):`, error);
      refused.push(error);
      terminal.exitCode = error.exit;
    }
  }
  if (options.output !== "table")
    show(terminal, options.output, written.length === 1 ? made[0] : made, () => {});
  if (refused.length > 0) terminal.tell(`${made.length} taken, ${refused.length} refused`);
}

function sayWritten(terminal: Terminal, job: JobAnswer, verb: string): void {
  const next = job.nextTick === null ? "no further tick" : `next tick ${utc(Date.parse(job.nextTick))}`;
  const when = job.nextTick === null ? "" : ` (${relative(Date.parse(job.nextTick), terminal.now())})`;
  terminal.print(`${plain(job.id)} ${verb}, ${next}${when}`);
}

async function editByHand(
  client: Client,
  id: string,
  options: JobOptions,
  terminal: Terminal,
): Promise<void> {
  const reply = await client.send(pathOf(id));
  const etag = reply.headers.get("etag");
  // The peer answers with the job as it stands (openapi.json).
  const before = JSON.parse(new TextDecoder().decode(reply.bytes)) as Record<string, unknown>;
  const draft = editJob(writable(before), terminal);
  if (draft.job === undefined) {
    draft.done();
    terminal.print(`${plain(id)} not changed`);
    return;
  }
  try {
    const job = await client.ask<JobAnswer>(pathOf(id), {
      method: "PUT",
      headers: etag === null ? {} : { "if-match": etag },
      body: draft.job,
    });
    draft.done();
    show(terminal, options.output, job, () => sayWritten(terminal, job, "changed"));
  } catch (error) {
    terminal.tell(`Your text is kept: mend it, then cicada jobs create -f ${draft.path} --update`);
    throw error;
  }
}

// ------------------------------------------------------------------------------------------------- running

interface RunOptions extends JobOptions {
  wait?: true;
  force?: true;
  env?: string[];
  targetPeer?: string[];
}

function runningCommands(jobs: Command, terminal: Terminal): void {
  withOutput(withPeer(jobs.command("run")))
    .description("run it now; with --wait, end with the job's own exit code")
    .argument("<id>")
    .option("--wait", "until the run has ended")
    .option("--force", "although it is paused or disabled")
    .addOption(repeatable("--env <K=V>", "added to the job's own; repeatable"))
    .addOption(repeatable("--target-peer <peer>", "instead of the job's target; repeatable"))
    .action(async (id: string, options: RunOptions) => {
      const client = openClient(options, terminal);
      const { env } = jobFromFlags({ env: options.env });
      const answer = await client.ask<{ job: string; tick: string }>(pathOf(id, "/run"), {
        method: "POST",
        headers: { "idempotency-key": randomUUID() },
        body: {
          ...(env === undefined ? {} : { env }),
          ...(options.force === undefined ? {} : { force: true }),
          ...(options.targetPeer === undefined ? {} : { target: { peers: options.targetPeer } }),
        },
      });
      const run = `${answer.job}@${answer.tick}`;
      if (options.wait !== true) {
        show(terminal, options.output, answer, () => terminal.print(`${run} ordered`));
        return;
      }
      if (options.output === "table") terminal.tell(`${run} ordered, waiting for its end`);
      terminal.exitCode = await waitForRun(client, run, options.output, terminal);
    });

  withPeer(jobs.command("pause"))
    .description("start no further run until it is resumed")
    .argument("<id>")
    .option("--note <text>", "why, for whoever finds it paused")
    .option("--until <instant>", "resume by itself then, such as 2026-12-24T18:00:00Z")
    .action(async (id: string, options: PeerOptions & { note?: string; until?: string }) => {
      const { note, until } = options;
      const body = { ...(note === undefined ? {} : { note }), ...(until === undefined ? {} : { until }) };
      await openClient(options, terminal).send(pathOf(id, "/pause"), { method: "POST", body });
      terminal.print(`${plain(id)} paused${until === undefined ? "" : ` until ${plain(until)}`}`);
    });

  withPeer(jobs.command("resume"))
    .description("take its ticks again")
    .argument("<id>")
    .action(async (id: string, options: PeerOptions) => {
      await openClient(options, terminal).send(pathOf(id, "/resume"), { method: "POST", body: {} });
      terminal.print(`${plain(id)} resumed`);
    });
}
