/** `cicada top`: the peers, what runs now and what comes next, on a screen again and again, otherwise once as a list. */
import type { Command } from "commander";
import { CicadaError } from "../errors.ts";
import type { JobAnswer, PeerAnswer, PeersAnswer, RunAnswer } from "./terminal/answers.ts";
import { openClient, withPeer, type Client, type PeerOptions } from "./terminal/client.ts";
import { exitText, runState, shortRunId, statesFailed } from "./terminal/run-words.ts";
import { table, type Column } from "./terminal/table.ts";
import { paint, plain, type Terminal } from "./terminal/terminal.ts";
import { durationText, relative, utc } from "./terminal/times.ts";
import { watching, type Watched } from "./terminal/watch.ts";

const runsShown = 20;
const nextShown = 10;
const failedShown = 5;
const failedWithinMs = 3_600_000;

export function topCommand(program: Command, terminal: Terminal): void {
  withPeer(program.command("top"))
    .option("--once", "show it once, even on a terminal")
    .action(async (options: PeerOptions & { once?: true }) => {
      const client = openClient(options, terminal);
      const isLive = terminal.interactive && options.once !== true;
      const watched: Watched = isLive ? { watch: true } : {};
      await watching({ ...watched, output: "table" }, terminal, async (screen) =>
        drawAll(screen, await askAll(client, terminal.now())),
      );
    });
}

interface Seen {
  peers: readonly PeerAnswer[];
  running: readonly RunAnswer[];
  failed: readonly RunAnswer[];
  next: readonly JobAnswer[];
}

async function askAll(client: Client, now: number): Promise<Seen> {
  const from = new Date(now - failedWithinMs).toISOString();
  const [peers, running, failed, next] = await Promise.all([
    client.ask<PeersAnswer>("/v1/peers"),
    client.list<RunAnswer>("/v1/runs", { state: "running" }, runsShown),
    client.list<RunAnswer>("/v1/runs", { state: statesFailed, from }, failedShown),
    soonest(client),
  ]);
  return { peers: peers.items, running: running.items, failed: failed.items, next };
}

/** An older peer doesn't sort. */
async function soonest(client: Client): Promise<JobAnswer[]> {
  try {
    return (await client.list<JobAnswer>("/v1/jobs", { sort: "next" }, nextShown)).items.filter(isDue);
  } catch (error) {
    if (!(error instanceof CicadaError) || error.code !== "BAD_REQUEST") throw error;
    const { items } = await client.list<JobAnswer>("/v1/jobs");
    const due = items.filter(isDue).toSorted((a, b) => ((a.nextTick ?? "") < (b.nextTick ?? "") ? -1 : 1));
    return due.slice(0, nextShown);
  }
}

/** A blocked job's tick comes, and nobody will run it: a person should know. */
function isDue({ nextTick, state }: JobAnswer): boolean {
  return nextTick !== null || state === "blocked";
}

function drawAll(terminal: Terminal, { peers, running, failed, next }: Seen): void {
  const now = terminal.now();
  const known = peers.filter(({ state }) => state !== "forgotten");
  const alive = known.filter(({ state }) => state === "alive").length;
  const head = `${utc(now)}  ${alive} of ${known.length} peers up, ${running.length}${running.length === runsShown ? "+" : ""} running`;
  terminal.print(paint(terminal, "bold", head));
  terminal.print("");
  table(
    terminal,
    [{ title: "PEER", cut: "front", min: 16 }, { title: "STATE", min: 8 }, "LOAD", ""],
    known.map((peer) => peerRow(terminal, peer)),
  );
  section(
    terminal,
    "RUNNING",
    runColumns,
    running.map((run) => runRow(terminal, run, now)),
    "Nothing runs now.",
  );
  const lately = failed.map((run) => runRow(terminal, run, now));
  section(terminal, "FAILED IN THE LAST HOUR", runColumns, lately, undefined);
  const coming = next.map((job) => nextRow(terminal, job, now));
  section(
    terminal,
    "NEXT",
    ["JOB", "", { title: "TICK (UTC)", spare: 2 }, "ON"],
    coming,
    "No job has a next tick.",
  );
}

const barLength = 20;

function peerRow(terminal: Terminal, { name, self, state, load, capacity, draining }: PeerAnswer): string[] {
  const isUp = state === "alive" || state === "suspect";
  const colour = { alive: "green", suspect: "yellow", dead: "red", left: "dim", forgotten: "dim" } as const;
  const share = load === null || !capacity ? 0 : Math.min(1, load / capacity);
  const filled = load === null || load === 0 ? 0 : Math.max(1, Math.round(share * barLength));
  return [
    `${plain(name)}${self ? " *" : ""}`,
    paint(terminal, colour[state], draining ? `${state}, drained` : state),
    isUp && load !== null ? `${load}/${capacity ?? "?"}` : "-",
    isUp ? `${"█".repeat(filled)}${"·".repeat(barLength - filled)}` : "",
  ];
}

const runColumns: readonly (string | Column)[] = [
  { title: "RUN", cut: "front", min: 30 },
  "STATE",
  { title: "ON", cut: "front", min: 10 },
  "FOR",
  { title: "REASON", min: 12 },
];

function runRow(terminal: Terminal, run: RunAnswer, now: number): string[] {
  const started = run.startedAt === null ? undefined : Date.parse(run.startedAt);
  const ended = run.finishedAt === null ? now : Date.parse(run.finishedAt);
  return [
    plain(shortRunId(run.id)),
    runState(terminal, run.state),
    plain(run.peerName ?? run.peer),
    started === undefined ? "-" : durationText(ended - started),
    [exitText(run), plain(run.reason ?? "")].filter((text) => text !== "").join(", "),
  ];
}

function nextRow(terminal: Terminal, { id, nextTick, nextPeer }: JobAnswer, now: number): string[] {
  const on = nextPeer === null ? paint(terminal, "red", "no peer can") : plain(nextPeer.name);
  if (nextTick === null) return [plain(id), "", "-", on];
  const tick = Date.parse(nextTick);
  return [plain(id), relative(tick, now), utc(tick), on];
}

function section(
  terminal: Terminal,
  title: string,
  columns: readonly (string | Column)[],
  rows: readonly string[][],
  otherwise: string | undefined,
): void {
  if (rows.length === 0 && otherwise === undefined) return;
  terminal.print("");
  terminal.print(paint(terminal, "bold", title));
  if (rows.length === 0) terminal.print(otherwise ?? "");
  else table(terminal, columns, rows);
}
