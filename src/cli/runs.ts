/**
 * `cicada runs`: what was run, where, how it ended and what it printed.
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
import { lasting, relative } from "./terminal/times.ts";

interface RunsOptions extends PeerOptions {
  output: Output;
}

interface ListOptions extends RunsOptions {
  job?: string;
  state?: string;
  on?: string;
  from?: string;
  to?: string;
  limit: string;
}

export function runsCommands(program: Command, terminal: Terminal): void {
  const runs = program
    .command("runs")
    .description("list runs, show their output, cancel them, wait for them");

  withOutput(withPeer(runs.command("ls")))
    .description("list runs and decisions not to run, newest tick first")
    .option("--job <id>", "only of this job")
    .option(
      "--state <state>",
      `only in this state (several with commas): ${runStates.join(", ")}; default: all but claimed`,
    )
    .option("--on <peer>", "only on this peer (its name, id or a part of either)")
    .option("--from <instant>", "only ticks at or after it")
    .option("--to <instant>", "only ticks before it")
    .option("-n, --limit <n>", "at most so many", "50")
    .action(async (options: ListOptions) => {
      const { job, state = statesListed, on: peer, from, to } = options;
      const wanted = readCount("--limit", options.limit);
      const client = openClient(options, terminal);
      const query = { job, state, peer, from, to };
      const answer = await client.list<RunAnswer>("/v1/runs", query, wanted);
      // A misspelt job has no runs either: it is refused rather than shown as an empty list.
      if (answer.items.length === 0 && job !== undefined) {
        await client.send(`/v1/jobs/${encodeURIComponent(job)}/runs`, { query: { limit: 1 } });
      }
      show(terminal, options.output, answer, () => runTable(terminal, answer.items));
    });

  withOutput(withPeer(runs.command("get")))
    .description("show one run with all its fields")
    .argument("<run>", "JOB@TICK, or the whole id")
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
    .argument("<run>", "JOB@TICK, or the whole id")
    .option("-f, --follow", "go on printing until the run has ended")
    .option(
      "--raw",
      "the bytes as they are, also on a screen; without it, control characters are shown there as text",
    )
    .action(async (run: string, options: PeerOptions & { follow?: true; raw?: true }) => {
      const client = openClient(options, terminal);
      const write = outputWriter(terminal, options.raw === true);
      if (options.follow === true) return followLog(client, run, write);
      const reply = await client.send(pathOfRun(run, "/log"), { headers: { accept: "text/plain" } });
      write(reply.bytes);
      write();
      if (reply.headers.get("x-cicada-log-truncated") === "true") {
        terminal.tell("The middle of the output was left out: it is longer than the job's keep.logBytes.");
      }
    });

  withPeer(runs.command("cancel"))
    .description(
      "end a run: TERM to its processes, KILL after the job's killGrace; fails if its peer does not confirm",
    )
    .argument("<run>", "JOB@TICK, or the whole id")
    .action(async (run: string, options: PeerOptions) => {
      await openClient(options, terminal).send(pathOfRun(run, "/cancel"), { method: "POST", body: {} });
      terminal.print(`${plain(run)} is being cancelled`);
    });

  withOutput(withPeer(runs.command("wait")))
    .description("wait until a run has ended; exit with the job's own code (124 timeout, 128+n signal)")
    .argument("<run>", "JOB@TICK, or the whole id")
    .action(async (run: string, options: RunsOptions) => {
      terminal.exitCode = await waitForRun(openClient(options, terminal), run, options.output, terminal);
    });
}

/** Claims are of ticks to come, and on top of a list they would look like stuck runs. */
const statesListed = runStates.filter((state) => state !== "claimed").join(",");

function valueText(value: unknown): string | undefined {
  if (value === null || (Array.isArray(value) && value.length === 0)) return undefined;
  return plain(typeof value === "string" ? value : JSON.stringify(value));
}

function readCount(flag: string, text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new CicadaError("USAGE", `${flag} ${text}: give a whole number from 1`);
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
      started === undefined ? "-" : lasting(ended - started),
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

/** Between two looks for more output, ms. */
const lookEveryMs = 500;

/** Writes a run's output piece by piece; without a piece, what was kept back of a cut character. */
type WriteOutput = (bytes?: Uint8Array) => void;

/**
 * A run's output goes to a pipe or a file byte by byte. On a screen its control characters are shown as text, because an
 * output may hold what a stranger sent to the job, and a screen obeys it.
 */
function outputWriter(terminal: Terminal, raw: boolean): WriteOutput {
  if (raw || !terminal.interactive) return (bytes) => bytes && terminal.write(bytes);
  const decoder = new TextDecoder();
  return (bytes) => {
    const text = decoder.decode(bytes, { stream: bytes !== undefined });
    terminal.write(Buffer.from(plainLines(text)));
  };
}

/** Prints what is there and what comes, until no more will be written. */
async function followLog(client: Client, run: string, write: WriteOutput): Promise<void> {
  let offset = 0;
  for (;;) {
    // The state comes first: all that a run wrote before its end is then read after it.
    const { state } = await client.ask<RunAnswer>(pathOfRun(run));
    const reply = await client.send(pathOfRun(run, "/log"), {
      headers: { accept: "text/plain", range: `bytes=${offset}-` },
      // Nothing is kept yet, or nothing past the offset.
      allow: [404, 416],
    });
    if (reply.status < 400) {
      // All of it, if that is what came although a part was asked for.
      const bytes = reply.status === 200 ? reply.bytes.subarray(offset) : reply.bytes;
      write(bytes);
      offset += bytes.length;
    }
    if (reply.headers.get("x-cicada-log-complete") === "true" || isFinal(state)) return write();
    await sleep(lookEveryMs);
  }
}

/** The reason, and of a record that stands for many ticks how many. */
function reasonText({ reason, range }: RunAnswer): string {
  const ticks = range === null ? "" : `${range.count.toLocaleString("en")} ticks since ${range.from}`;
  return [reason ?? "", ticks].filter((text) => text !== "").join(", ");
}
