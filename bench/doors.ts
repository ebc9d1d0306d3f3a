/**
 * The bench of the doors: programs of this repository (flood.ts) flood three real peers, one flood after the other, each with new
 * peers. All traffic stays on this machine's loopback.
 *
 *   npm run bench:doors -- [--seconds 15] [--sockets 4000] [--messages 20000] [--only KIND]... [--json FILE]
 *
 * The bench measures what others notice: the lines that the jobs themselves write; the answers to an honest client that asks each
 * peer ten times a second over new connections; how soon a peer that restarts in the middle of the flood is linked again; memory;
 * and the descriptors that are left open afterwards. A silence is the longest time without an answer. Held loops lengthen it, but
 * so do other programs that compete for the cores, such as the flood itself. Therefore the bench also measures, in CPU time, how
 * long a peer's own work holds its loop (own-loop.ts).
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as passes } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ticksOf } from "../test/kit/cluster-judge.ts";
import { Cluster, items, until, untilMembers, type PeerItem, type RunningPeer } from "../test/kit/cluster.ts";
import type { FloodOrder, FloodTarget, Tally } from "./flood-order.ts";
import { HonestClient } from "./honest-client.ts";
import { memberFloods } from "./member-floods.ts";
import { longestHold, measuredEnv } from "./own-loop.ts";
import { percentile, printTable, writeJson } from "./report.ts";
import { strangerFloods } from "./stranger-floods.ts";
import { usageOf } from "./usage.ts";

const jobs = 5;
const periodMs = 2_000;
const quietMs = 5_000;
/** How long the bench waits after a flood, for requests that end late and for the jobs' last lines. */
const afterMs = 12_000;
const linkLimitMs = 60_000;
const sampleMs = 250;

interface Figures {
  kind: string;
  sent: Tally;
  ticks: number;
  missed: number;
  doubled: number;
  lateMaxMs: number;
  answers: number;
  failedAnswers: number;
  p99Ms: number;
  silenceMs: number;
  /** for how long a peer's own work held its loop, in CPU time */
  heldMs: number;
  /** undefined: nobody was restarted */
  linkedMs: number | undefined;
  moreMemoryMiB: number;
  moreDescriptors: number;
}

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "15" },
    sockets: { type: "string", default: "4000" },
    messages: { type: "string", default: "20000" },
    only: { type: "string", multiple: true, default: [] },
    json: { type: "string" },
  },
});

function descriptorsOf(peer: RunningPeer): number {
  return readdirSync(`/proc/${peer.started.pid}/fd`).length;
}

function memoryOf(peers: readonly RunningPeer[]): number {
  return Math.max(...peers.map(({ started }) => usageOf(started.pid).rssBytes));
}

function targetOf(peer: RunningPeer): FloodTarget {
  const { http, peerId } = peer.ready;
  const mesh = /\/tcp\/(\d+)/.exec(peer.address)?.[1];
  return { api: Number(new URL(http).port), mesh: Number(mesh), address: peer.address, peer: peerId };
}

async function makeJobs([peer]: readonly RunningPeer[], file: string): Promise<void> {
  const command = `echo "$CICADA_JOB@$CICADA_TICK $(date +%s%3N)" >> ${file}`;
  for (let job = 0; job < jobs; job++) {
    // oxlint-disable-next-line no-await-in-loop -- five requests
    await peer?.ask("POST", "/v1/jobs", {
      id: `beat-${job}`,
      schedule: `@every ${periodMs / 1_000}s`,
      command,
    });
  }
}

/** Stops a peer cleanly in the middle of the flood and starts it again. Returns how long it took until all peers see it alive. */
async function relink(peers: readonly RunningPeer[]): Promise<number> {
  const [witness, , leaving] = peers;
  if (witness === undefined || leaving === undefined) throw new Error("three peers are needed");
  const isAlive = async (): Promise<boolean> =>
    (await items<PeerItem>(witness, "/v1/peers")).some(
      ({ id, state }) => id === leaving.ready.peerId && state === "alive",
    );
  await leaving.stop();
  await until("the others know that it has left", linkLimitMs, async () => !(await isAlive()));
  await leaving.restart();
  const from = performance.now();
  await until("it is linked again", linkLimitMs, isAlive);
  return performance.now() - from;
}

async function flood(order: FloodOrder, middle: () => Promise<void>): Promise<Tally> {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, "flood.ts"), JSON.stringify(order)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  const ended = once(child, "close");
  await until("the flood begins", 30_000, () => said.includes("flooding"));
  await passes((order.seconds * 1_000) / 3);
  await middle();
  await ended;
  return JSON.parse(said.trim().split("\n").at(-1) ?? "") as Tally; // what flood.ts prints
}

async function measure(kind: string): Promise<Figures> {
  await using cluster = new Cluster();
  const file = path.join(cluster.folder, "starts");
  appendFileSync(file, "");
  const loopFile = path.join(cluster.folder, "loops");
  appendFileSync(loopFile, "");
  const peers = await cluster.mesh(["one", "two", "three"], ["--log-level=error"], measuredEnv(loopFile));
  await makeJobs(peers, file);
  await untilMembers(peers, peers.length);
  // Memory, descriptors and loops are measured on the peers that aren't restarted.
  const steady = peers.slice(0, 2);
  const client = new HonestClient(steady);
  await passes(quietMs);
  const [memory, descriptors] = [memoryOf(steady), steady.map(descriptorsOf)];
  let most = memory;
  const sampling = setInterval(() => (most = Math.max(most, memoryOf(steady))), sampleMs);
  client.begin();
  const from = Date.now();
  let linkedMs: number | undefined;
  const order: FloodOrder = {
    kind,
    seconds: Number(values.seconds),
    targets: peers.map(targetOf),
    sockets: Number(values.sockets),
    messages: Number(values.messages),
    keyFile: peers[0]?.keyFile ?? "",
  };
  const sent = await flood(order, async () => {
    if (kind in strangerFloods) linkedMs = await relink(peers);
  });
  const to = Date.now();
  await passes(afterMs);
  await client.end();
  clearInterval(sampling);
  const left = steady.map((peer, index) => descriptorsOf(peer) - (descriptors[index] ?? 0));
  return {
    kind,
    sent,
    ...judgeLines(file, from, to),
    ...client.figures(),
    heldMs: longestHold(
      loopFile,
      steady.map(({ started }) => started.pid),
      from,
      to,
    ),
    linkedMs,
    moreMemoryMiB: (most - memory) / (1 << 20),
    moreDescriptors: Math.max(...left),
  };
}

function judgeLines(
  file: string,
  from: number,
  to: number,
): Pick<Figures, "ticks" | "missed" | "doubled" | "lateMaxMs"> {
  const lines = new Map<string, number[]>();
  for (const line of readFileSync(file, "utf8").split("\n")) {
    const [start = "", at = ""] = line.split(" ");
    lines.set(start, [...(lines.get(start) ?? []), Number(at)]);
  }
  const due = ticksOf(periodMs, from, to).flatMap((tick) =>
    Array.from({ length: jobs }, (_, job) => ({ start: `beat-${job}@${tick}`, at: Date.parse(tick) })),
  );
  const late = due.flatMap(({ start, at }) => (lines.get(start) ?? []).slice(0, 1).map((seen) => seen - at));
  return {
    ticks: due.length,
    missed: due.length - late.length,
    doubled: due.filter(({ start }) => (lines.get(start)?.length ?? 0) > 1).length,
    lateMaxMs: percentile(
      late.toSorted((a, b) => a - b),
      100,
    ),
  };
}

function row(figures: Figures): (string | number)[] {
  const { kind, sent, ticks, missed, doubled, lateMaxMs, answers, failedAnswers } = figures;
  const link = figures.linkedMs === undefined ? "" : Math.round(figures.linkedMs);
  const whole = [lateMaxMs, figures.p99Ms, figures.silenceMs, figures.heldMs].map(Math.round);
  const more = [Math.round(figures.moreMemoryMiB), figures.moreDescriptors];
  return [
    kind,
    sent.most,
    sent.sent,
    ticks,
    missed,
    doubled,
    ...whole,
    answers,
    failedAnswers,
    link,
    ...more,
  ];
}

const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
console.log(
  `descriptors that a process may have here: ${limit}; ${values.sockets} sockets at each port, ${values.seconds} s`,
);
const kinds = [...Object.keys(strangerFloods), ...Object.keys(memberFloods)].filter(
  (kind) => values.only.length === 0 || values.only.includes(kind),
);
const all: Figures[] = [];
for (const kind of kinds) {
  // oxlint-disable-next-line no-await-in-loop -- one flood after the other
  const figures = await measure(kind);
  all.push(figures);
  console.error(JSON.stringify(figures));
}
printTable(
  [
    "flood",
    "sockets",
    "sent",
    "ticks",
    "missed",
    "doubled",
    "late max ms",
    "answer p99 ms",
    "silence ms",
    "held ms",
    "answers",
    "failed",
    "linked ms",
    "+ MiB",
    "+ fds",
  ],
  all.map(row),
);
if (values.json !== undefined) writeJson(values.json, all);
if (all.some(({ missed, doubled }) => missed + doubled > 0)) process.exitCode = 1;
