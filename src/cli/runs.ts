/**
 * `cicada runs`: what has run, where, how it ended and what it printed.
 */
import type { Command } from "commander";
import { setTimeout as sleep } from "node:timers/promises";
import { CicadaError } from "../errors.ts";
import { isFinal, runStates } from "../schema/run.ts";
import type { RunAnswer } from "./terminal/answers.ts";
import { openClient, withPeer, type Client, type PeerOptions } from "./terminal/client.ts";
import { fields, show, table, withOutput, type Output } from "./terminal/output.ts";
import { pathOfRun, waitForRun } from "./terminal/run-wait.ts";
import { runState } from "./terminal/run-words.ts";
import { plain, plainLines, type Terminal } from "./terminal/terminal.ts";
import { durationText, relative } from "./terminal/times.ts";

interface RunsOptions extends PeerOptions {
  output: Output;
}

interface ListOptions extends RunsOptions {
  job?: string;
  group?: string;
  state?: string;
  on?: string;
  from?: string;
  to?: string;
  limit: string;
}

const runNames = "a run's id, JOB@TICK, JOB (its last run) or JOB~failed (its last failed run)";

export function runsCommands(program: Command, terminal: Terminal): void {
  const runs = program
    .command("runs")
    .description("list runs, show their output, cancel them, wait for them");

  withOutput(withPeer(runs.command("ls")))
    .description("list runs and decisions not to run, newest tick first")
    .option("--job <id>", "only runs of this job")
    .option("--group <name>", "only runs of the jobs that are in this group now")
    .option(
      "--state <state>",
      `only runs in this state (or several, separated by commas): ${runStates.join(", ")}; default: all but claimed`,
    )
    .option("--on <peer>", "only runs on this peer (its name, its id or a part of either)")
    .option("--from <instant>", "only ticks at or after this instant")
    .option("--to <instant>", "only ticks before this instant")
    .option("-n, --limit <n>", "the most runs to list", "50")
    .action(async (options: ListOptions) => {
      const { job, group, state = statesListed, on: peer, from, to } = options;
      const wanted = readCount("--limit", options.limit);
      const client = openClient(options, terminal);
      const query = { job, group, state, peer, from, to };
      const answer = await client.list<RunAnswer>("/v1/runs", query, wanted);
      // A misspelt job has no runs either, but is refused instead of shown as an empty list.
      if (answer.items.length === 0 && job !== undefined) {
        await client.send(`/v1/jobs/${encodeURIComponent(job)}/runs`, { query: { limit: 1 } });
      }
      show(terminal, options.output, answer, () => runTable(terminal, answer.items));
    });

  withOutput(withPeer(runs.command("get")))
    .description("show one run with all its fields")
    .argument("<run>", runNames)
    .action(async (run: string, options: RunsOptions) => {
      const answer = await openClient(options, terminal).ask<RunAnswer>(pathOfRun(run));
      show(terminal, options.output, answer, () => {
        fields(
          terminal,
          Object.entries(answer).map(([name, value]: [string, unknown]) => [name, valueText(value)]),
        );
      });
    });

  withPeer(runs.command("log"))
    .description("print a run's output, wherever it ran")
    .argument("<run>", runNames)
    .option("-f, --follow", "keep printing until the run has ended")
    .option(
      "--raw",
      "print the bytes unchanged, even on a screen, where control characters are otherwise shown as text",
    )
    .action(async (run: string, options: PeerOptions & { follow?: true; raw?: true }) => {
      const client = openClient(options, terminal);
      const write = outputWriter(terminal, options.raw === true);
      if (options.follow === true) return followLog(client, run, write);
      const reply = await client.send(pathOfRun(run, "/log"), { headers: { accept: "text/plain" } });
      write(reply.bytes);
      write();
      if (reply.headers.get("x-cicada-log-truncated") === "true") {
        terminal.notify(
          "The middle of the output is left out, because it is longer than the job's keep.logBytes.",
        );
      }
    });

  withPeer(runs.command("cancel"))
    .description(
      "end a run: TERM to its processes, KILL after the job's killGrace; fails if its peer does not confirm",
    )
    .argument("<run>", runNames)
    .action(async (run: string, options: PeerOptions) => {
      const call = { method: "POST", body: {} } as const;
      const answer = await openClient(options, terminal).ask<{ run: string }>(
        pathOfRun(run, "/cancel"),
        call,
      );
      terminal.print(`${plain(answer.run)} is being cancelled`);
    });

  withOutput(withPeer(runs.command("wait")))
    .description("wait until a run has ended; exit with the job's own code (124 timeout, 128+n signal)")
    .argument("<run>", runNames)
    .action(async (run: string, options: RunsOptions) => {
      terminal.exitCode = await waitForRun(openClient(options, terminal), run, options.output, terminal);
    });
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

function runTable(terminal: Terminal, runs: readonly RunAnswer[]): void {
  if (runs.length === 0) return terminal.print("There are no runs.");
  const now = terminal.now();
  const rows = runs.map((run) => {
    const started = run.startedAt === null ? undefined : Date.parse(run.startedAt);
    const ended = run.finishedAt === null ? now : Date.parse(run.finishedAt);
    const exit = run.exitCode === null ? (run.signal ?? "") : String(run.exitCode);
    return [
      plain(run.id),
      runState(terminal, run.state),
      plain(exit),
      plain(run.peerName ?? run.peer),
      started === undefined ? "-" : relative(started, now),
      started === undefined ? "-" : durationText(ended - started),
      [
        run.trigger === "schedule" ? "" : run.trigger,
        run.duplicate ? "duplicate" : "",
        plain(reasonText(run)),
      ]
        .filter((note) => note !== "")
        .join(", "),
    ];
  });
  table(terminal, ["RUN", "STATE", "EXIT", "PEER", "STARTED", "LASTED", "NOTE"], rows);
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

/** The reason; for a range record, also how many ticks it stands for. */
function reasonText({ reason, range }: RunAnswer): string {
  const ticks = range === null ? "" : `${range.count.toLocaleString("en")} ticks since ${range.from}`;
  return [reason ?? "", ticks].filter((text) => text !== "").join(", ");
}
