/**
 * `cicada demo`: a mesh of three peers on this machine, each a process of its own, with a few jobs to watch.
 *
 * It runs `cicada start` and calls the API like any other client; nothing is faked. The folders are temporary unless
 * `--data` names a place for them. Ctrl-C stops all three.
 */
import type { Command } from "commander";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CicadaError } from "../errors.ts";
import type { Ready } from "../schema/ready.ts";
import { isFinal } from "../schema/run-states.ts";
import type { PeerAnswer, RunAnswer } from "./terminal/answers.ts";
import { Client, readReady } from "./terminal/client.ts";
import { invocationOf, programFile, quoted } from "./program.ts";
import { runLine } from "./terminal/run-words.ts";
import { isBusy } from "./start/busy-port.ts";
import { stopSignal } from "./start/stop-signal.ts";
import { paint, plain, type Terminal } from "./terminal/terminal.ts";

/** The port of the first peer's page. The others follow in steps; each peer's mesh port is one higher. */
const firstPort = 7400;
const portStep = 10;
const names = ["demo-1", "demo-2", "demo-3"] as const;

/**
 * How long one peer may take to get ready. Unit: ms. Three peers that start at once on a small machine need several
 * seconds.
 */
const readyLimitMs = 60_000;
const lookEveryMs = 100;
const runsEveryMs = 1_000;

const script = 'echo "the script runs on $CICADA_PEER_NAME, with ${1:-no argument}"\n';

/** One job of each kind that a newcomer may look for. */
const sampleJobs = (sha256: string): object[] => [
  {
    id: "hello",
    description: "runs on one peer, whichever",
    schedule: "@every 5s",
    command: 'echo "hello from $CICADA_PEER_NAME"',
  },
  {
    id: "slow",
    description: "skips a tick while its last run is in progress",
    schedule: "@every 20s",
    command: "sleep 3; echo done",
    overlap: "skip",
  },
  {
    id: "flaky",
    description: "fails now and then, and is tried again on another peer",
    schedule: "@every 20s",
    command: "[ $(( $(date +%s) / 5 % 3 )) -ne 0 ]",
    retry: { attempts: 3, backoff: "4s", where: "other" },
  },
  {
    id: "extract",
    description: "the first link of a chain: hands a value on",
    schedule: "@every 15s",
    command: 'echo "rows=$(( $(date +%s) % 1000 ))" >> "$CICADA_OUTPUT"',
  },
  {
    id: "load",
    description: "runs after extract, wherever that ran, with what it has handed on",
    command: 'echo "loading from $(cat "$CICADA_PARENTS")"',
    after: { jobs: ["extract"], on: "success" },
  },
  {
    id: "ledger",
    description: "starts only when a majority of the voters has chosen its runner",
    schedule: "@every 15s",
    command: "echo booked",
    partition: "majority",
  },
  {
    id: "script",
    description: "a script that the mesh carries to the peer that runs it",
    schedule: "@every 30s",
    script: { interpreter: "sh", sha256, args: ["one argument"] },
  },
  {
    id: "everywhere",
    description: "runs on each peer; its tick succeeds when all have",
    schedule: "@every 30s",
    command: 'echo "here is $CICADA_PEER_NAME"',
    target: { count: "all" },
  },
  {
    id: "nightly",
    description: "as a crontab would have it",
    schedule: "30 2 * * *",
    timezone: "Europe/Berlin",
    command: "echo would back something up",
  },
];

interface DemoPeer {
  name: string;
  data: string;
  child: ChildProcess;
  ready: Ready;
  token: string;
}

export function demoCommand(program: Command, terminal: Terminal): void {
  program
    .command("demo")
    .option("--data <dir>", "where to keep the peers' folders (default: temporary folders)")
    .option("--port <port>", "port of the first page; the others follow in steps of 10", String(firstPort))
    .action(async (options: { data?: string; port: string }) => {
      const port = Number(options.port);
      if (!/^\d+$/.test(options.port) || port < 1 || port + 2 * portStep + 1 > 65_535) {
        throw new CicadaError("USAGE", `--port ${options.port}: give a port number`);
      }
      await checkPorts(port);
      await showMesh(port, options.data, terminal);
    });
}

async function showMesh(port: number, data: string | undefined, terminal: Terminal): Promise<void> {
  const folder = data === undefined ? mkdtempSync(join(tmpdir(), "cicada-demo-")) : resolve(data);
  const children: ChildProcess[] = [];
  const stopped = new AbortController();
  using stop = stopSignal();
  void stop.first.then(() => stopped.abort());
  stop.beforeEnd(() => children.forEach((child) => child.kill("SIGKILL")));
  try {
    terminal.print("Starting three peers…");
    const peers: DemoPeer[] = [];
    for (const [index, name] of names.entries()) {
      const peer = beginPeer(name, join(folder, name), port + index * portStep, peers[0]);
      children.push(peer.child);
      peers.push(await untilReady(peer, stopped.signal));
    }
    await untilMembers(peers, stopped.signal);
    await createJobs(peers);
    introduce(peers, folder, data !== undefined, terminal);
    watchEnds(peers, stopped.signal, terminal);
    await followRuns(peers, stopped.signal, terminal);
  } catch (error) {
    if (!stopped.signal.aborted) throw error;
  } finally {
    if (stopped.signal.aborted)
      terminal.print("\nStopping the three peers. Press Ctrl-C again to stop them at once.");
    await Promise.all(children.map(end));
    if (data === undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

async function checkPorts(first: number): Promise<void> {
  const wanted = names.flatMap((_, index) => [first + index * portStep, first + index * portStep + 1]);
  const taken: number[] = [];
  for (const port of wanted) if (await isBusy({ host: "127.0.0.1", port })) taken.push(port);
  if (taken.length === 0) return;
  const other = first === firstPort ? firstPort + 100 : firstPort;
  throw new CicadaError(
    "PORT_IN_USE",
    `the demo needs the ports ${wanted.join(", ")}, but other programs use ${taken.join(", ")}; \`cicada demo --port ${other}\` uses other ports`,
  );
}

interface Beginning {
  name: string;
  data: string;
  child: ChildProcess;
  /** What the peer has written to standard error so far. */
  errorText: () => string;
}

function beginPeer(name: string, data: string, port: number, first: DemoPeer | undefined): Beginning {
  const joining =
    first === undefined
      ? []
      : [`--bootstrap=${first.ready.listen[0] ?? ""}`, `--cluster-key=${join(first.data, "cluster.key")}`];
  const child = spawn(
    process.execPath,
    [
      programFile,
      "start",
      `--data=${data}`,
      `--name=${name}`,
      `--http=127.0.0.1:${port}`,
      `--listen=/ip4/127.0.0.1/tcp/${port + 1}`,
      "--drain=5s",
      "--log-level=warn",
      "--log-format=json",
      ...joining,
    ],
    // The children stay in this process group, so closing the terminal ends all of them.
    { stdio: ["ignore", "ignore", "pipe"], env: withoutSettings(process.env) },
  );
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-4_096)));
  return { name, data, child, errorText: () => stderr };
}

function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("CICADA_")));
}

async function untilReady(peer: Beginning, stopped: AbortSignal): Promise<DemoPeer> {
  const { name, data, child, errorText } = peer;
  const giveUpAt = performance.now() + readyLimitMs;
  for (;;) {
    const ready = readReady(data);
    if (ready !== undefined && ready.pid === child.pid) {
      return { name, data, child, ready, token: readFileSync(ready.tokenFile, "utf8").trim() };
    }
    if (hasEnded(child) || performance.now() > giveUpAt) {
      throw new CicadaError(
        "INTERNAL",
        `${name} did not become ready: ${errorText().trim() || "it printed nothing"}`,
      );
    }
    await sleep(lookEveryMs, undefined, { signal: stopped });
  }
}

/** Waits until the first peer sees the others alive: only then can it make voters of them. */
async function untilMembers([first, ...others]: readonly DemoPeer[], stopped: AbortSignal): Promise<void> {
  if (first === undefined) return;
  const client = new Client(first.ready.http, first.token);
  const giveUpAt = performance.now() + readyLimitMs;
  for (;;) {
    const { items } = await client.ask<{ items: PeerAnswer[] }>("/v1/peers");
    const alive = new Set<string>(items.filter(({ state }) => state === "alive").map(({ id }) => id));
    if (others.every(({ ready }) => alive.has(ready.peerId))) return;
    if (performance.now() > giveUpAt)
      throw new CicadaError("INTERNAL", "the three peers did not find each other");
    await sleep(lookEveryMs, undefined, { signal: stopped });
  }
}

/** All three vote, so that majority jobs go on when one is killed. */
async function createJobs([first, ...others]: readonly DemoPeer[]): Promise<void> {
  if (first === undefined) return;
  const client = new Client(first.ready.http, first.token);
  for (const { name } of others) await client.send(`/v1/peers/${name}/promote`, { method: "POST" });
  const body = new TextEncoder().encode(script);
  const { sha256 } = await client.ask<{ sha256: string }>("/v1/scripts", { method: "PUT", body });
  for (const job of sampleJobs(sha256)) {
    await client.send("/v1/jobs", { method: "POST", query: { update: true }, body: job });
  }
}

function introduce(peers: readonly DemoPeer[], folder: string, kept: boolean, terminal: Terminal): void {
  const [first] = peers;
  if (first === undefined) return;
  terminal.print("");
  for (const { name, ready, token } of peers) {
    terminal.print(
      `${paint(terminal, "bold", name)}  ${paint(terminal, "cyan", ready.http)}  token ${token}`,
    );
    terminal.print(paint(terminal, "dim", `        process ${ready.pid}, mesh ${ready.listen[0] ?? ""}`));
  }
  terminal.print("");
  terminal.print("Open any of these pages and log in with its token; each shows the same mesh. Then try:");
  const { program } = invocationOf(terminal.env);
  const data = `--data ${quoted(first.data)}`;
  terminal.print(`  ${program} jobs ls ${data}`);
  terminal.print(`  ${program} jobs next hello ${data}`);
  terminal.print(`  kill -9 ${peers.at(-1)?.ready.pid ?? ""}   (and watch the other two take its share)`);
  terminal.print("");
  terminal.print(
    paint(
      terminal,
      "dim",
      `${kept ? "Kept in" : "Temporary folders in"} ${folder}. Ctrl-C stops all three. Runs:`,
    ),
  );
}

function watchEnds(peers: readonly DemoPeer[], stopped: AbortSignal, terminal: Terminal): void {
  for (const { name, child } of peers) {
    child.once("exit", (code, signal) => {
      if (stopped.aborted) return;
      const how = signal ?? `exit code ${code}`;
      terminal.print(paint(terminal, "yellow", `${name} has ended (${how}); the others continue`));
    });
  }
}

/** Prints each run when it ends, as reported by any living peer, until stopped or until no peer is left. */
async function followRuns(
  peers: readonly DemoPeer[],
  stopped: AbortSignal,
  terminal: Terminal,
): Promise<void> {
  const printed = new Set<string>();
  const from = new Date(terminal.now()).toISOString();
  for (;;) {
    await sleep(runsEveryMs, undefined, { signal: stopped });
    const asked = peers.find(({ child }) => !hasEnded(child));
    if (asked === undefined) throw new CicadaError("PEER_UNREACHABLE", "none of the three peers is left");
    const runs = await recentRuns(new Client(asked.ready.http, asked.token), from);
    for (const run of runs.toReversed()) {
      if (!isFinal(run.state) || printed.has(run.id)) continue;
      printed.add(run.id);
      const line = runLine(terminal, {
        ...run,
        startedAt: run.startedAt === null ? null : Date.parse(run.startedAt),
        finishedAt: run.finishedAt === null ? null : Date.parse(run.finishedAt),
      });
      terminal.print(`${line}  ${paint(terminal, "dim", `on ${plain(run.peerName ?? run.peer)}`)}`);
    }
  }
}

async function recentRuns(client: Client, from: string): Promise<RunAnswer[]> {
  try {
    return (await client.list<RunAnswer>("/v1/runs", { from }, 100)).items;
  } catch (error) {
    // The peer has just been killed; the next round notices that.
    if (error instanceof CicadaError && error.code === "PEER_UNREACHABLE") return [];
    throw error;
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}
