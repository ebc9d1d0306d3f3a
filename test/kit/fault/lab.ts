/**
 * A lab: real peers, each in its own network namespace, and all faults that can be injected. What was done, and when,
 * is kept in the form of the simulator's checkers (`src/sim/world/truth.ts`). A run is judged by that and by what the
 * jobs wrote (truth.ts), and by nothing else.
 *
 * `await using lab = await Lab.open(…)` always removes its processes, namespaces, small disks and folders. If this
 * process is killed, its peers die with it, and the next lab removes the rest.
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as passes } from "node:timers/promises";
import type { PeerId } from "../../../src/schema/ids.ts";
import type { Operation, ClientRequest } from "../../../src/sim/world/requests.ts";
import type { Cut, Evidence, Knowledge, Outage, Run, FaultWindow } from "../../../src/sim/world/truth.ts";
import {
  items,
  plainEnv,
  RunningPeer,
  Started,
  until,
  untilMembers,
  type Ended,
  type Reply,
} from "../cluster.ts";
import { clockEnv, writeClockStep } from "./clock.ts";
import { isAlive, Network, type HostSite, type Slowness } from "./net.ts";
import { knowledgeOf, readTruth, truthfulCommand, type LabJob } from "./truth.ts";

/** The id of the process that made the folder follows, so that a later lab knows whose leftovers there are. */
const folderPrefix = "cicada-faults-";
const meshPort = 7_401;
const httpPort = 7_400;
const names = ["ann", "ben", "cyd", "dot", "eve", "fay", "gus"] as const;

/** The size of a small disk for a peer's folder, bytes. */
const smallDiskBytes = 24 << 20;
/** How long an answer to a change during a fault is awaited, ms. */
const answerLimitMs = 3_000;

export interface LabSettings {
  peers: number;
  /** peers whose folder is on its own small disk, which can be filled */
  smallDisks?: readonly number[];
  /** peers with their own clock, which can be stepped */
  ownClocks?: readonly number[];
}

export interface LabPeer {
  readonly number: number;
  readonly name: string;
  readonly site: HostSite;
  /** contains the data folder; on a small disk if the peer has one */
  readonly folder: string;
  readonly running: RunningPeer;
  readonly id: PeerId;
}

export class Lab implements AsyncDisposable {
  readonly folder = mkdtempSync(path.join(tmpdir(), `${folderPrefix}${process.pid}-`));
  readonly truthFile = path.join(this.folder, "truth");
  readonly network: Network;
  readonly peers: LabPeer[] = [];
  readonly jobs: LabJob[] = [];
  readonly from = Date.now();
  readonly outages: Outage[] = [];
  readonly cuts: Cut[] = [];
  readonly faultWindows: FaultWindow[] = [];
  readonly #settings: LabSettings;
  readonly #operations: Operation[] = [];
  readonly #lives = new Map<PeerId, number[]>();
  readonly #earlierOutput = new Map<PeerId, string>();
  /** for each started peer: its present process */
  readonly #processes: (() => Started)[] = [];
  readonly #disks: string[] = [];

  private constructor(network: Network, settings: LabSettings) {
    this.network = network;
    this.#settings = settings;
    writeFileSync(this.truthFile, "");
    labs.add(this);
  }

  /** A mesh in which each peer sees all others alive. */
  static async open(settings: LabSettings): Promise<Lab> {
    sweepFolders();
    const lab = new Lab(await Network.open(settings.peers), settings);
    try {
      for (const [number, site] of lab.network.hosts.entries()) await lab.#startPeer(number, site);
      await lab.untilWhole();
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #startPeer(number: number, site: HostSite): Promise<void> {
    const name = names[number] ?? `peer${number}`;
    const folder = path.join(this.folder, name);
    mkdirSync(folder);
    if (this.#settings.smallDisks?.includes(number) === true) this.#mountSmallDisk(folder);
    const apiSocket = path.join(folder, "api");
    const [command, ...words] = site.prefix;
    const door = [
      process.execPath,
      path.join(import.meta.dirname, "door-child.ts"),
      apiSocket,
      String(httpPort),
    ];
    const leading = new Started(command, [...words, ...door], plainEnv());
    this.#processes.push(() => leading);
    const first = this.peers[0];
    const joining =
      first === undefined
        ? []
        : ["--bootstrap", first.running.address, "--cluster-key", first.running.keyFile];
    const data = path.join(folder, "data");
    const args = [
      `--data=${data}`,
      `--name=${name}`,
      `--http=127.0.0.1:${httpPort}`,
      `--listen=/ip4/${site.address}/tcp/${meshPort}`,
      "--log-format=json",
      ...joining,
    ];
    const env = this.#settings.ownClocks?.includes(number) === true ? clockEnv(folder) : {};
    const startedAt = Date.now();
    const running = new RunningPeer(name, data, args, env, { prefix: site.prefix, apiSocket });
    this.#processes.push(() => running.started);
    // The peer's own file says so.
    const id = (await running.untilReady()).peerId as PeerId;
    this.#lives.set(id, [startedAt]);
    this.peers.push({ number, name, site, folder, running, id });
  }

  #mountSmallDisk(folder: string): void {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${smallDiskBytes}`, "cicada-faults", folder]);
    this.#disks.push(folder);
  }

  untilWhole(limitMs = 60_000): Promise<void> {
    return untilMembers(
      this.peers.map(({ running }) => running),
      this.peers.length,
      limitMs,
    );
  }

  /**
   * Waits until every peer sees the right number of voters in the roster: one, three or five are promoted while the
   * mesh is well.
   */
  async untilVoters(limitMs = 90_000): Promise<void> {
    const wanted = this.peers.length >= 5 ? 5 : this.peers.length >= 3 ? 3 : 1;
    for (const { running } of this.peers) {
      await until(`${running.name} sees ${wanted} voters`, limitMs, async () => {
        const members = await items<{ voter: boolean }>(running, "/v1/peers");
        return members.filter(({ voter }) => voter).length === wanted;
      });
    }
  }

  peer(number: number): LabPeer {
    const peer = this.peers[number];
    if (peer === undefined) throw new Error(`the lab has no peer ${number}`);
    return peer;
  }

  // ------------------------------------------------------------------------------------------------- jobs

  /** Makes the jobs, at the peers in turn, and waits until every peer has them. */
  async make(jobs: readonly LabJob[]): Promise<void> {
    const made = await Promise.all(
      jobs.map(async (job, index) => {
        const peer = this.peer(index % this.peers.length);
        const askedAt = Date.now();
        await peer.running.ask("POST", "/v1/jobs", specOf(job, this.truthFile));
        return {
          request: { kind: "put" as const, rules: job.rules },
          peer: peer.id,
          askedAt,
          answeredAt: Date.now(),
        };
      }),
    );
    await this.#seenEverywhere(
      jobs.map(({ rules }) => rules.id),
      200,
    );
    const knownAt = Date.now();
    this.#operations.push(...made.map((one) => ({ ...one, accepted: true, tick: undefined, knownAt })));
    this.jobs.push(...jobs);
  }

  /** Makes a job during a fault, at a peer that is up. It may stay unclear whether it was made. */
  add(peer: LabPeer, job: LabJob): Promise<void> {
    this.jobs.push(job);
    const ask = () => peer.running.call("POST", "/v1/jobs", specOf(job, this.truthFile));
    return this.#change(peer, { kind: "put", rules: job.rules }, ask);
  }

  /** Deletes a job during a fault. */
  remove(peer: LabPeer, { rules }: LabJob): Promise<void> {
    const ask = () => peer.running.call("DELETE", `/v1/jobs/${rules.id}`);
    return this.#change(peer, { kind: "delete", id: rules.id }, ask);
  }

  async #change(peer: LabPeer, request: ClientRequest, ask: () => Promise<Reply>): Promise<void> {
    const askedAt = Date.now();
    // The peer may be killed, stopped or unable to write before it answers.
    const status = await Promise.race([
      ask().then(
        (reply) => reply.status,
        () => undefined,
      ),
      passes(answerLimitMs, undefined, { ref: false }),
    ]);
    const answeredAt = status === undefined || status >= 500 ? undefined : Date.now();
    const accepted = status !== undefined && status < 300;
    this.#operations.push({ request, peer: peer.id, askedAt, answeredAt, accepted, tick: undefined });
  }

  /** The peers that are neither down nor stopped now. */
  up(): LabPeer[] {
    const away = new Set(this.outages.filter(({ to }) => to === Infinity).map(({ peer }) => peer));
    return this.peers.filter(({ id }) => !away.has(id));
  }

  async #seenEverywhere(ids: readonly string[], status: number): Promise<void> {
    for (const { running } of this.peers) {
      await until(`${running.name} answers ${status} for ${ids.join(", ")}`, 10_000, async () => {
        const replies = await Promise.all(ids.map((id) => running.call("GET", `/v1/jobs/${id}`)));
        return replies.every((reply) => reply.status === status);
      });
    }
  }

  // ------------------------------------------------------------------------------------------------ faults

  /** kill -9. */
  async kill(...peers: readonly LabPeer[]): Promise<void> {
    const from = Date.now();
    for (const { id } of peers) this.outages.push({ peer: id, kind: "down", from, to: Infinity });
    await Promise.all(peers.map(({ running }) => running.crash()));
  }

  /** SIGTERM; waits for the clean end. */
  async stop(peer: LabPeer): Promise<Ended> {
    this.outages.push({ peer: peer.id, kind: "down", from: Date.now(), to: Infinity });
    return peer.running.stop();
  }

  /** Starts killed or stopped peers again, and waits until they are ready. */
  async restart(...peers: readonly LabPeer[]): Promise<void> {
    await Promise.all(
      peers.map(async ({ id, running }) => {
        this.#lives.get(id)?.push(Date.now());
        this.#earlierOutput.set(id, `${this.#earlierOutput.get(id) ?? ""}${running.started.said}`);
        await running.restart();
        endLast(this.outages, ({ peer, kind }) => peer === id && kind === "down");
      }),
    );
  }

  /** SIGSTOP; the returned function resumes the process. */
  pause(peer: LabPeer): () => void {
    this.outages.push({ peer: peer.id, kind: "paused", from: Date.now(), to: Infinity });
    peer.running.started.kill("SIGSTOP");
    return () => {
      peer.running.started.kill("SIGCONT");
      endLast(this.outages, (outage) => outage.peer === peer.id && outage.kind === "paused");
    };
  }

  /** Nothing from `sender` reaches `receiver`, until the returned function is called. */
  async cut(sender: LabPeer, receiver: LabPeer): Promise<() => Promise<void>> {
    const cut: Cut = { sender: sender.id, receiver: receiver.id, from: Date.now(), to: Infinity };
    this.cuts.push(cut);
    await this.network.cut(sender.site, receiver.site);
    return async () => {
      await this.network.mend(sender.site, receiver.site);
      cut.to = Date.now();
    };
  }

  /** Cuts every wire between the two groups, in both directions. */
  async split(some: readonly LabPeer[], others: readonly LabPeer[]): Promise<() => Promise<void>> {
    const pairs = some.flatMap((one) => others.map((other) => [one, other] as const));
    const mends = await Promise.all(
      pairs.flatMap(([one, other]) => [this.cut(one, other), this.cut(other, one)]),
    );
    return async () => {
      await Promise.all(mends.map((mend) => mend()));
    };
  }

  async slowDown(how: Slowness): Promise<() => Promise<void>> {
    const end = this.#faultWindow("slow network", undefined);
    await this.network.slow(how);
    return async () => {
      await this.network.quicken();
      end();
    };
  }

  async lose(perThousand: number): Promise<() => Promise<void>> {
    const end = this.#faultWindow("lossy network", undefined);
    await this.network.lose(perThousand);
    return async () => {
      await this.network.lose(0);
      end();
    };
  }

  /** Fills the small disk with the peer's folder. */
  fillDisk(peer: LabPeer): () => void {
    const end = this.#faultWindow("full disk", peer.id);
    const filler = path.join(peer.folder, "filler");
    fill(filler);
    return () => {
      rmSync(filler);
      end();
    };
  }

  /** Steps the wall clock of a peer that has its own; its monotonic clock is not affected. */
  stepClock(peer: LabPeer, ms: number): () => void {
    const end = this.#faultWindow("clock step", peer.id, ms);
    writeClockStep(peer.folder, ms);
    return () => {
      writeClockStep(peer.folder, 0);
      end();
    };
  }

  #faultWindow(kind: FaultWindow["kind"], peer: PeerId | undefined, steppedMs?: number): () => void {
    const stepped = steppedMs === undefined ? {} : { steppedMs };
    const faultWindow: FaultWindow = { kind, peer, from: Date.now(), to: Infinity, ...stepped };
    this.faultWindows.push(faultWindow);
    return () => (faultWindow.to = Date.now());
  }

  // ---------------------------------------------------------------------------------------------- evidence

  runs(): Run[] {
    return readTruth(this.truthFile, this.#lives, this.outages);
  }

  knowledge(): Promise<Knowledge[]> {
    return Promise.all(this.peers.map(({ running }) => knowledgeOf(running)));
  }

  evidence(convergedViews: readonly (readonly Knowledge[])[], final: readonly Knowledge[]): Evidence {
    const { from, outages, cuts, faultWindows } = this;
    const ends = [...outages, ...cuts, ...faultWindows].map(({ to }) => to);
    return {
      from,
      to: Date.now(),
      healedAt: Math.max(from, ...ends),
      peers: this.peers.map(({ id }) => id),
      runs: this.runs(),
      operations: this.#operations,
      outages,
      cuts,
      faultWindows,
      clockErrorMs: new Map(this.peers.map(({ id }) => [id, 0])),
      convergedViews,
      final,
    };
  }

  /** All output of all the peers' processes, to look into a failure. */
  said(): string {
    const lives = ({ id, running }: LabPeer) => `${this.#earlierOutput.get(id) ?? ""}${running.started.said}`;
    return this.peers.map((peer) => `--- ${peer.name} ${peer.id}\n${lives(peer)}`).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const processes = this.#processes.map((current) => current());
    for (const one of processes) if (!one.hasEnded) one.kill("SIGKILL");
    await Promise.all(processes.map((one) => one.ended));
    this.network.close();
    this.removeFolders();
  }

  /** Removes small disks and folders; may be called twice. */
  removeFolders(): void {
    for (const disk of this.#disks.splice(0)) unmount(disk);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 });
    labs.delete(this);
  }
}

function specOf({ rules, partition, lastsMs }: LabJob, truthFile: string): Record<string, unknown> {
  return {
    id: rules.id,
    schedule: rules.schedule.text,
    command: truthfulCommand(truthFile, lastsMs),
    overlap: rules.overlap,
    catchUp: { policy: rules.catchUp.policy, window: `${rules.catchUp.windowMs}ms` },
    keep: { runs: 100_000 },
    // A version without majority jobs refuses the field.
    ...(partition === "majority" ? { partition } : {}),
  };
}

/** Writes until not even one more byte fits. */
function fill(file: string): void {
  const handle = openSync(file, "w");
  try {
    for (const size of [1 << 20, 1 << 12, 1]) writeWhileItFits(handle, Buffer.alloc(size));
  } finally {
    closeSync(handle);
  }
}

function writeWhileItFits(handle: number, piece: Buffer): void {
  try {
    for (;;) writeSync(handle, piece);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
  }
}

function endLast(outages: readonly Outage[], which: (outage: Outage) => boolean): void {
  const open = outages.findLast((outage) => which(outage) && outage.to === Infinity);
  if (open !== undefined) open.to = Date.now();
}

function unmount(disk: string): void {
  execFileSync("umount", ["--lazy", disk], { stdio: "ignore" });
}

/** Removes folders and small disks of labs whose process was killed before it could do so. */
function sweepFolders(): void {
  for (const name of readdirSync(tmpdir())) {
    const maker = new RegExp(`^${folderPrefix}(\\d+)-`).exec(name)?.[1];
    if (maker === undefined || isAlive(Number(maker))) continue;
    const folder = path.join(tmpdir(), name);
    const below = readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .map((line) => line.split(" ")[1] ?? "");
    for (const disk of below.filter((mounted) => mounted.startsWith(`${folder}/`))) unmount(disk);
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

const labs = new Set<Lab>();
process.once("exit", () => {
  for (const lab of labs) lab.removeFolders();
});
