/**
 * `cicada runs`: what has run, where, how it ended and what it printed.
 */
import type { Command } from "commander";
import { setTimeout as sleep } from "node:timers/promises";
import { CicadaError } from "../errors.ts";
import { isFinal, runStates } from "../schema/run-states.ts";
import type { RunAnswer } from "./terminal/answers.ts";
import { openClient, withPeer, type Client, type PeerOptions } from "./terminal/client.ts";
import type { Reply } from "./terminal/request.ts";
import { show, withOutput, type Output } from "./terminal/output.ts";
import { fields, table, type Column } from "./terminal/table.ts";
import { pathOfRun, waitForRun } from "./terminal/run-wait.ts";
import { exitText, runState, shortRunId, statesFailed } from "./terminal/run-words.ts";
import { checkGroup, readRun, readTime } from "./terminal/references.ts";
import { plain, plainLines, type Terminal } from "./terminal/terminal.ts";
import { durationText, relative } from "./terminal/times.ts";
import { watching, withWatch, type Watched } from "./terminal/watch.ts";

interface RunsOptions extends PeerOptions {
  output: Output;
}

interface ListOptions extends RunsOptions, Watched {
  failed?: true;
  since?: string;
  job?: string;
  group?: string;
  state?: string;
  on?: string;
  from?: string;
  to?: string;
  limit: string;
}

const runNames =
  "a run's id, JOB (its last run), JOB~failed (its last failed one), JOB@TICK, or JOB@03:00 and \"JOB@yesterday 03:00\" in the job's zone";

export function runsCommands(program: Command, terminal: Terminal): void {
  const runs = program.command("runs");
  for (const add of [listCommand, getCommand, logCommand, cancelCommand, waitCommand]) add(runs, terminal);
}

function listCommand(runs: Command, terminal: Terminal): void {
  withWatch(withOutput(withPeer(runs.command("ls"))))
    .description("list runs and decisions not to run, newest tick first")
    .option("--job <id>", "only runs of this job")
    .option("--group <name>", "only runs of the jobs that are in this group now")
    .option(
      "--state <state>",
      `only runs in this state (or several, separated by commas): ${runStates.join(", ")}; default: all but claimed`,
    )
    .option("--failed", `only those that went wrong: --state ${statesFailed}`)
    .option(
      "--since <time>",
      'only ticks of the last 2h (30m, 7d …), or since 03:00, "yesterday 03:00" or an instant',
    )
    .option("--on <peer>", "only runs on this peer (its name, its id or a part of either)")
    .option("--from <time>", "the same as --since")
    .option("--to <time>", "only ticks before this time")
    .option("-n, --limit <n>", "the most runs to list", "50")
    .action((options: ListOptions) =>
      watching(options, terminal, async (screen) => {
        const { items, nextCursor } = await listRuns(options, terminal);
        show(screen, options.output, { items, nextCursor }, (wide) => runTable(screen, items, wide));
      }),
    );
}

function getCommand(runs: Command, terminal: Terminal): void {
  withOutput(withPeer(runs.command("get")))
    .description("show one run with all its fields")
    .argument("<run>", runNames)
    .action(async (named: string, options: RunsOptions) => {
      const client = openClient(options, terminal);
      const answer = await client.ask<RunAnswer>(pathOfRun(await readRun(client, named, terminal)));
      show(terminal, options.output, answer, () => {
        fields(
          terminal,
          Object.entries(answer).map(([name, value]: [string, unknown]) => [name, valueText(value)]),
        );
      });
    });
}

function logCommand(runs: Command, terminal: Terminal): void {
  withPeer(runs.command("log"))
    .description("print a run's output, wherever it ran")
    .argument("<run>", runNames)
    .option("-f, --follow", "keep printing until the run has ended")
    .option(
      "--raw",
      "print the bytes unchanged, even on a screen, where control characters are otherwise shown as text",
    )
    .action(async (named: string, options: PeerOptions & { follow?: true; raw?: true }) => {
      const client = openClient(options, terminal);
      const run = await readRun(client, named, terminal);
      const write = outputWriter(terminal, options.raw === true);
      if (options.follow === true) return followLog(client, run, write);
      const reply = await readLog(client, run);
      write(reply.bytes);
      write();
      if (reply.headers.get("x-cicada-log-truncated") === "true") {
        terminal.notify(
          "The middle of the output is left out, because it is longer than the job's keep.logBytes.",
        );
      }
    });
}

function cancelCommand(runs: Command, terminal: Terminal): void {
  withPeer(runs.command("cancel"))
    .description(
      "end a run: TERM to its processes, KILL after the job's killGrace; fails if its peer does not confirm",
    )
    .argument("<run>", runNames)
    .action(async (named: string, options: PeerOptions) => {
      const call = { method: "POST", body: {} } as const;
      const client = openClient(options, terminal);
      const run = await readRun(client, named, terminal);
      const answer = await client.ask<{ run: string }>(pathOfRun(run, "/cancel"), call);
      terminal.print(`${plain(answer.run)} is being cancelled`);
    });
}

function waitCommand(runs: Command, terminal: Terminal): void {
  withOutput(withPeer(runs.command("wait")))
    .description("wait until a run has ended; exit with the job's own code (124 timeout, 128+n signal)")
    .argument("<run>", runNames)
    .action(async (named: string, options: RunsOptions) => {
      const client = openClient(options, terminal);
      const run = await readRun(client, named, terminal);
      terminal.exitCode = await waitForRun(client, run, options.output, terminal);
    });
}

async function listRuns(
  options: ListOptions,
  terminal: Terminal,
): Promise<{ items: RunAnswer[]; nextCursor: string | null }> {
  const { job, group, on: peer, to, failed, since } = options;
  if (failed === true && options.state !== undefined)
    throw new CicadaError("USAGE", "give --failed or --state, not both");
  if (since !== undefined && options.from !== undefined)
    throw new CicadaError("USAGE", "give --since or --from, not both");
  const client = openClient(options, terminal);
  const state = failed === true ? statesFailed : (options.state ?? statesListed);
  const from = await readTime("--since", since, job, client, terminal);
  const query = {
    job,
    group,
    state,
    peer,
    from: from ?? (await readTime("--from", options.from, job, client, terminal)),
    to: await readTime("--to", to, job, client, terminal),
  };
  const answer = await client.list<RunAnswer>("/v1/runs", query, readCount("--limit", options.limit));
  if (answer.items.length > 0) return answer;
  // A misspelt name has no runs either, so it is refused. An empty list would hide the mistake.
  if (job !== undefined)
    await client.send(`/v1/jobs/${encodeURIComponent(job)}/runs`, { query: { limit: 1 } });
  if (group !== undefined) await checkGroup(client, group);
  return answer;
}

/** Claims are for future ticks. At the top of a list they would look like stuck runs. */
const statesListed = runStates.filter((state) => state !== "claimed").join(",");

function valueText(value: unknown): string | undefined {
  if (value === null || (Array.isArray(value) && value.length === 0)) return undefined;
  return plain(typeof value === "string" ? value : JSON.stringify(value));
}

function readCount(flag: string, text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new CicadaError("USAGE", `${flag} ${text}: give a whole number, at least 1`);
}

const runColumns: readonly (string | Column)[] = [
  { title: "RUN", cut: "front", min: 38, isName: true },
  "STATE",
  { title: "PEER", cut: "front", min: 10, spare: 2 },
  "STARTED",
  { title: "LASTED", spare: 3 },
  { title: "REASON", min: 14 },
];

/** On a narrower screen, run ids are short. Unit: characters. */
const narrowScreen = 110;

function runTable(terminal: Terminal, runs: readonly RunAnswer[], wide: boolean): void {
  if (runs.length === 0) return terminal.print("There are no runs.");
  const now = terminal.now();
  const isShort = terminal.interactive && !wide && terminal.columns < narrowScreen;
  const names = runs.map(({ id }) => (isShort ? shortRunId(id) : id));
  const rows = runs.map((run, place) => {
    const started = run.startedAt === null ? undefined : Date.parse(run.startedAt);
    const ended = run.finishedAt === null ? now : Date.parse(run.finishedAt);
    // Two peers that ran the same tick are told apart by their names alone.
    const isOne = names.filter((name) => name === names[place]).length === 1;
    return [
      plain(isOne ? (names[place] ?? run.id) : run.id),
      runState(terminal, run.state),
      plain(run.peerName ?? run.peer),
      started === undefined ? "-" : relative(started, now),
      started === undefined ? "-" : durationText(ended - started),
      [endText(run), run.duplicate ? "duplicate" : "", run.trigger === "schedule" ? "" : run.trigger]
        .filter((note) => note !== "")
        .join(", "),
    ];
  });
  table(terminal, runColumns, rows, wide);
}

// -------------------------------------------------------------------------------------------------- output

/** How often to ask for more output, ms. */
const pollEveryMs = 500;

/** Writes the next piece of a run's output. A call without a piece writes the rest of a character that was cut. */
type WriteOutput = (bytes?: Uint8Array) => void;

/**
 * Writes a run's output to a pipe or a file unchanged. On a screen, control characters are shown as text, because the
 * output may contain what a stranger sent to the job, and a screen would obey it.
 */
function outputWriter(terminal: Terminal, raw: boolean): WriteOutput {
  if (raw || !terminal.interactive) return (bytes) => bytes && terminal.write(bytes);
  const decoder = new TextDecoder();
  return (bytes) => {
    const text = decoder.decode(bytes, { stream: bytes !== undefined });
    terminal.write(Buffer.from(plainLines(text)));
  };
}

/** The whole output. For a run that never started, the error says why. */
async function readLog(client: Client, run: string): Promise<Reply> {
  try {
    return await client.send(pathOfRun(run, "/log"), { headers: { accept: "text/plain" } });
  } catch (error) {
    if (!(error instanceof CicadaError) || error.code !== "LOG_NOT_FOUND") throw error;
    const { id, state, startedAt, reason } = await client.ask<RunAnswer>(pathOfRun(run));
    if (startedAt !== null || !isFinal(state)) throw error;
    const why = reason === null || reason === "" ? "" : `: ${reason}`;
    throw new CicadaError("LOG_NOT_FOUND", `${id} never started; it is ${state}${why}`);
  }
}

/** Prints the output so far and what is added, until no more will be written. */
async function followLog(client: Client, run: string, write: WriteOutput): Promise<void> {
  let offset = 0;
  for (;;) {
    // The state is read first, so that all output of a run that has ended is read after its end.
    const { state } = await client.ask<RunAnswer>(pathOfRun(run));
    const reply = await client.send(pathOfRun(run, "/log"), {
      headers: { accept: "text/plain", range: `bytes=${offset}-` },
      // There is no output yet, or none after the offset.
      allow: [404, 416],
    });
    if (reply.status < 400) {
      // The answer may be the whole output although a part was asked for.
      const bytes = reply.status === 200 ? reply.bytes.subarray(offset) : reply.bytes;
      write(bytes);
      offset += bytes.length;
    }
    if (reply.headers.get("x-cicada-log-complete") === "true" || isFinal(state)) return write();
    await sleep(pollEveryMs);
  }
}

/** How it ended; empty if the reason says that already. */
function endText(run: RunAnswer): string {
  const reason = plain(reasonText(run));
  const exit = run.state === "succeeded" && run.exitCode === 0 ? "" : exitText(run);
  return reason.includes(exit) ? reason : [exit, reason].filter((text) => text !== "").join(", ");
}

/** The reason; for a range record, also how many ticks it stands for. */
function reasonText({ reason, range }: RunAnswer): string {
  const ticks = range === null ? "" : `${range.count.toLocaleString("en")} ticks since ${range.from}`;
  return [reason ?? "", ticks].filter((text) => text !== "").join(", ");
}
