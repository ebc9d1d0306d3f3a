/**
 * The simulated world: N hosts, each with a clock, a disk, children and a peer's process, on one queue.
 *
 * Whatever is done to it (kills, pauses, cuts, slow faultWindows) is written down as it is done, and so is what the
 * jobs' own processes did and what clients were answered. That is the evidence by which the checkers judge.
 */
import { recordKey } from "../../core/records/records.ts";
import type { Disk, Doors, Mesh, Write } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Channel } from "../../schema/message.ts";
import { Chronicle, recordsSeen } from "./chronicle.ts";
import { HostClock, SimClock } from "../clock.ts";
import { StableStorage, SimDisk, type DiskSettings } from "../disk.ts";
import { Children, SimExecutor, type ChildSettings } from "../executor.ts";
import type { Host, Life, MakePeer, Occasion, PeerTraits } from "./host.ts";
import { SimKeyring, SimKeys } from "../keys.ts";
import { SimLog, type LogLevel } from "../log.ts";
import { SimNetwork } from "../mesh.ts";
import { Network, type HostName, type NetworkSettings } from "./network.ts";
import { Process } from "./process.ts";
import { Queue } from "./queue.ts";
import { Dice, hashText } from "../random.ts";
import { commandFor } from "../client/commands.ts";
import { drawGarbage, forgedReason } from "../faults/garbage.ts";
import { jobOfRequest, describeRecord, describeVote } from "./describe.ts";
import { Watch } from "./watch.ts";
import type { Cut, Evidence, Knowledge, Operation, Run, FaultWindow, ClientRequest } from "./truth.ts";

export interface WorldSettings {
  seed: string;
  peers: number;
  /** true time at the beginning, ms since the epoch */
  epoch: number;
  network: NetworkSettings;
  disk: DiskSettings;
  children: ChildSettings;
  /** each host's clock is off by at most this, ms */
  skewMs: number;
  /** … and runs at most this much fast or slow */
  driftPpm: number;
  makePeer: MakePeer;
  traits?: (peer: PeerId) => PeerTraits;
  /** reads along, for `--trace` */
  onLine?: (at: number, host: HostName | undefined, line: string) => void;
}

/** Lives of a peer and of its copies are numbered apart by this. */
const livesOfOne = 1_000_000;
/** How soon a peer that ended itself is started again, ms. */
const startedAgainMs = 2_000;

const plainTraits: PeerTraits = { role: "worker", capacity: 100 };

export class World {
  readonly queue = new Queue();
  readonly dice: Dice;
  readonly peers: readonly PeerId[];
  readonly network: Network;
  readonly logCounts: Record<LogLevel, number> = { debug: 0, info: 0, warn: 0, error: 0 };
  private readonly settings: WorldSettings;
  private readonly simNetwork: SimNetwork;
  private readonly hosts = new Map<HostName, Host>();
  private copies = 0;
  private readonly chronicle = new Chronicle();
  private readonly watch = new Watch();
  private readonly faultTriggers = new Set<{
    on: Occasion;
    strike: (peer: PeerId, other?: PeerId) => void;
  }>();
  private readonly frames = new Map<Channel, { from: PeerId; bytes: Uint8Array }>();

  constructor(settings: WorldSettings) {
    this.settings = settings;
    this.dice = new Dice(settings.seed);
    this.network = new Network(settings.network, this.dice.fork("network"));
    this.simNetwork = new SimNetwork(this.queue, this.network, this.dice.fork("mesh"));
    this.peers = Array.from({ length: settings.peers }, (_, index) => `peer-${index + 1}` as PeerId);
    const [first] = this.peers;
    for (const peer of this.peers) {
      const dice = this.dice.fork(peer);
      const skewMs = dice.between(-settings.skewMs, settings.skewMs);
      const clock = new HostClock(this.queue, settings.epoch, skewMs, dice.between(1_000, 10_000_000));
      clock.drift(dice.between(-settings.driftPpm, settings.driftPpm));
      this.simNetwork.addHost(peer, peer, first === undefined ? [] : [first]);
      this.hosts.set(peer, {
        name: peer,
        peer,
        clock,
        storage: new StableStorage(),
        children: new Children(),
        lives: 0,
        startsAgain: false,
        life: undefined,
      });
    }
  }

  /** True time, ms since the epoch. */
  now(): number {
    return this.settings.epoch + this.queue.now;
  }

  runUntil(at: number): void {
    this.queue.runUntil(at - this.settings.epoch);
  }

  /** At the given true time. */
  at(when: number, run: () => void): void {
    this.queue.schedule(when - this.settings.epoch, undefined, run);
  }

  // ---------------------------------------------------------------------------------------- processes

  start(name: HostName): void {
    const host = this.host(name);
    const { peer } = host;
    if (host.life !== undefined) return;
    host.lives++;
    const process = new Process(name, this.queue);
    const dice = this.dice.fork(`${name}#${host.lives}`);
    const disk = new SimDisk(this.queue, process, host.storage, this.settings.disk, dice.fork("disk"));
    const executor = new SimExecutor({
      peer,
      queue: this.queue,
      host: host.clock,
      process,
      children: host.children,
      settings: this.settings.children,
      dice: dice.fork("executor"),
      life: host.lives,
      record: (run) => this.recordRun(run),
      trueTime: () => this.now(),
    });
    const doors: Doors = {
      clock: new SimClock(this.queue, host.clock, process, dice.fork("clock")),
      random: dice.fork("random"),
      keys: new SimKeys(peer, this.settings.seed),
      keyring: new SimKeyring((act) => this.queue.after(0, process, act)),
      mesh: this.watchedMesh(host, this.simNetwork.mesh(process)),
      disk: this.watchedDisk(host, disk),
      executor,
      log: new SimLog((level, message, fields) => {
        this.logCounts[level]++;
        this.line(name, `${level} ${message}${fields === undefined ? "" : ` ${JSON.stringify(fields)}`}`);
      }),
    };
    this.line(name, "STARTED");
    if (name === peer) this.chronicle.outageEnds(peer, "down", this.now());
    const life: Life = {
      process,
      disk,
      executor,
      peer: this.settings.makePeer(doors, peer, this.settings.traits?.(peer) ?? plainTraits),
      ready: false,
      hear: undefined,
    };
    host.life = life;
    // Within an event of its own, so that a process is never entered from the outside.
    this.queue.after(0, process, () => {
      life.peer.start((failed) => {
        life.ready = failed === undefined;
        if (failed !== undefined) this.queue.after(0, process, () => this.gaveUp(name, failed));
      });
    });
  }

  /** The mesh, looked on by whoever collects evidence of votes, and open for garbage. */
  private watchedMesh(host: Host, mesh: Mesh): Mesh {
    const { peer } = host;
    const life = `${host.name}#${host.lives}`;
    return {
      ...mesh,
      start: (events) => {
        if (host.life !== undefined) host.life.hear = (...heard) => events.received(...heard);
        mesh.start(events);
      },
      publish: (topic, bytes) => {
        this.frames.set(topic, { from: peer, bytes });
        mesh.publish(topic, bytes);
      },
      send: (to, protocol, bytes) => {
        this.frames.set(protocol, { from: peer, bytes });
        if (protocol === "vote" && this.watch.sent(peer, life, bytes)) this.happens("vote told", peer, to);
        mesh.send(to, protocol, bytes);
      },
    };
  }

  private watchedDisk({ name, peer }: Host, disk: SimDisk): Disk {
    return {
      load: (since, done) => disk.load(since, done),
      store: (writes, done) => {
        if (writes.some(isAcceptedEpoch)) this.happens("epoch accepted", peer);
        disk.store(writes, (error) => {
          if (error === undefined) this.stored(name, peer, writes);
          done(error);
        });
      },
      history: (query, done) => disk.history(query, done),
      digests: (from, to, done) => disk.digests(from, to, done),
      bucket: (bucket, done) => disk.bucket(bucket, done),
      prune: (keep, notAfter, done) => disk.prune(keep, notAfter, done),
      close: (done) => disk.close(done),
    };
  }

  private stored(host: HostName, peer: PeerId, writes: readonly Write[]): void {
    this.watch.stored(peer, writes);
    if (this.settings.onLine === undefined) return;
    for (const write of writes) {
      if (write.kind === "record") this.line(host, `KEEPS ${describeRecord(write.record)}`);
      if (write.kind === "vote") this.line(host, `VOTES ${write.vote.decision} ${describeVote(write.vote)}`);
    }
  }

  /** The peer has ended itself; whoever watches over it (systemd, say) starts it again. */
  private gaveUp(name: HostName, why: string): void {
    this.line(name, `GAVE UP ${why}`);
    this.kill(name);
    const host = this.host(name);
    if (host.startsAgain) return;
    host.startsAgain = true;
    this.queue.after(startedAgainMs, undefined, () => {
      host.startsAgain = false;
      this.start(name);
    });
  }

  /** kill -9; with `hostToo`, the plug is pulled: no connection is reset, the children are gone at once. */
  kill(name: HostName, hostToo = false): void {
    const host = this.host(name);
    const life = host.life;
    if (life === undefined) return;
    this.line(name, hostToo ? "HOST WENT DARK" : "KILLED");
    this.resume(name);
    life.process.kill();
    life.disk.lost();
    life.executor.orphaned(hostToo);
    this.simNetwork.processDied(life.process, hostToo);
    this.gone(host);
  }

  /** SIGTERM: the peer ends as it thinks fit. */
  stop(name: HostName): void {
    const host = this.host(name);
    const life = host.life;
    if (life === undefined || !life.process.running) return;
    this.line(name, "TERMINATED");
    this.queue.after(0, life.process, () => {
      life.peer.stop(() => {
        if (host.life !== life) return;
        life.process.kill();
        life.executor.orphaned(false);
        this.simNetwork.processDied(life.process, false);
        this.gone(host);
      });
    });
  }

  private gone(host: Host): void {
    host.life = undefined;
    // A copy of a peer may come and go, and the peer itself is there all the while.
    if (host.name !== host.peer) return;
    this.chronicle.outageBegins(host.peer, "down", this.now());
  }

  pause(name: HostName): void {
    const { peer, life } = this.host(name);
    const process = life?.process;
    if (process === undefined || !process.running) return;
    this.line(name, "PAUSED");
    process.pause();
    this.simNetwork.processPaused(process);
    this.chronicle.outageBegins(peer, "paused", this.now());
  }

  resume(name: HostName): void {
    const { peer, life } = this.host(name);
    const process = life?.process;
    if (process === undefined || !process.paused) return;
    this.line(name, "RESUMED");
    process.resume();
    this.simNetwork.processPaused(process);
    this.chronicle.outageEnds(peer, "paused", this.now());
  }

  isUp(name: HostName): boolean {
    return this.host(name).life?.process.running ?? false;
  }

  // --------------------------------------------------------------------------------- wires, disks, clocks

  /** Nothing from `sender` reaches `receiver`, until the returned function mends it. */
  cut(sender: PeerId, receiver: PeerId): () => void {
    this.line(undefined, `CUT ${sender} > ${receiver}`);
    this.network.cut(sender, receiver);
    const cut: Cut = { sender, receiver, from: this.now(), to: Infinity };
    this.chronicle.cuts.push(cut);
    return () => {
      this.line(undefined, `MENDED ${sender} > ${receiver}`);
      this.network.mend(sender, receiver);
      cut.to = this.now();
    };
  }

  slowNetwork(slowMs: number): () => void {
    this.network.slowMs += slowMs;
    return this.faultWindow("slow network", undefined, () => (this.network.slowMs -= slowMs));
  }

  loseGossip(probability: number): () => void {
    this.network.extraLoss += probability;
    return this.faultWindow("lossy network", undefined, () => (this.network.extraLoss -= probability));
  }

  slowDisk(peer: PeerId, slowMs: number): () => void {
    const { storage } = this.host(peer);
    storage.slowMs += slowMs;
    return this.faultWindow("slow disk", peer, () => (storage.slowMs -= slowMs));
  }

  fillDisk(peer: PeerId): () => void {
    const { storage } = this.host(peer);
    storage.full = true;
    return this.faultWindow("full disk", peer, () => (storage.full = false));
  }

  /** Takes a backup of the peer's folder. What is returned kills the peer and starts it anew from that backup. */
  backUp(peer: PeerId): () => void {
    const host = this.host(peer);
    const copy = host.storage.copy();
    const logs = new Set(host.children.logs.keys());
    const copiedAt = this.now();
    this.line(peer, "BACKED UP");
    return () => {
      this.kill(peer);
      host.storage.restore(copy);
      for (const run of host.children.logs.keys()) if (!logs.has(run)) host.children.logs.delete(run);
      const now = this.now();
      this.line(peer, `PUT BACK to what it was ${Math.round(now - copiedAt)} ms ago`);
      this.chronicle.putBack(peer, copiedAt, now);
      this.start(peer);
    };
  }

  /**
   * Starts a copy of the peer's folder, as it is now, beside it: two lives of one identity. What is returned ends the copy
   * and starts the peer anew, as whoever has found it out would.
   */
  startCopy(peer: PeerId): () => void {
    const host = this.host(peer);
    const number = ++this.copies;
    const name = `${peer}/copy-${number}`;
    const storage = host.storage.copy();
    this.hosts.set(name, {
      ...host,
      name,
      storage,
      children: new Children(),
      lives: number * livesOfOne,
      life: undefined,
    });
    this.simNetwork.addCopy(name, peer);
    const now = this.now();
    this.chronicle.rollbacks.push({ peer, copiedAt: now, startedAt: now, kind: "twin" });
    const end = this.faultWindow("twin", peer, () => undefined);
    this.start(name);
    return () => {
      this.kill(name);
      this.kill(peer);
      this.hosts.delete(name);
      this.simNetwork.removeHost(name);
      this.start(peer);
      end();
    };
  }

  /** The folder can't be read any more; a peer that is started on it ends itself, until the folder is put back. */
  damageDisk(peer: PeerId): void {
    this.line(peer, "DISK DAMAGED");
    this.kill(peer);
    this.host(peer).storage.damaged = true;
    this.start(peer);
  }

  /** The peer isn't there from the beginning on. */
  joinsLater(peer: PeerId): void {
    this.chronicle.outageBegins(peer, "down", this.settings.epoch);
  }

  /** Hands the peer bytes that nobody had the right to send, and looks what that changes. */
  sendGarbage(peer: PeerId, dice: Dice): void {
    const life = this.host(peer).life;
    const garbage = drawGarbage(this.frames, peer, dice);
    if (life === undefined || !life.ready || garbage === undefined) return;
    this.queue.after(0, life.process, () => {
      const before = life.peer.authority?.() ?? "";
      life.hear?.(garbage.from, garbage.channel, garbage.bytes);
      const after = life.peer.authority?.() ?? "";
      this.chronicle.garbage.push({ peer, at: this.now(), what: garbage.what, before, after });
    });
  }

  /** Strikes once, a moment after the occasion has come; what is returned calls it off. */
  waitFor(on: Occasion, strike: (peer: PeerId, other?: PeerId) => void): () => void {
    const trigger = { on, strike };
    this.faultTriggers.add(trigger);
    return () => this.faultTriggers.delete(trigger);
  }

  private happens(on: Occasion, peer: PeerId, other?: PeerId): void {
    for (const trigger of this.faultTriggers) {
      if (trigger.on !== on) continue;
      this.faultTriggers.delete(trigger);
      this.queue.after(0, undefined, () => {
        this.line(peer, `TRIGGER: ${on}`);
        trigger.strike(peer, other);
      });
    }
  }

  /** Notes how much every peer holds now. */
  measure(): void {
    for (const { name, peer, life, storage } of this.hosts.values()) {
      if (name !== peer || life === undefined || !life.ready || !life.process.running) continue;
      const document = storage.updates.reduce((bytes, update) => bytes + update.length, 0);
      const sizes = { ...life.peer.sizes?.(), documentBytes: document, votesOnDisk: storage.votes.size };
      this.chronicle.sizes.push({ peer, at: this.now(), sizes });
    }
  }

  stepClock(peer: PeerId, ms: number): () => void {
    this.host(peer).clock.step(ms);
    return this.faultWindow("clock step", peer, () => this.host(peer).clock.step(-ms));
  }

  private faultWindow(kind: FaultWindow["kind"], peer: PeerId | undefined, end: () => void): () => void {
    this.line(peer, `BEGINS ${kind}`);
    const faultWindow: FaultWindow = { kind, peer, from: this.now(), to: Infinity };
    this.chronicle.faultWindows.push(faultWindow);
    return () => {
      this.line(peer, `ENDS ${kind}`);
      end();
      faultWindow.to = this.now();
    };
  }

  // ------------------------------------------------------------------------------------------- clients

  /** Asks one peer for something, as a client of its API would. A dead or paused peer doesn't answer. */
  ask(peer: PeerId, request: ClientRequest): Operation {
    const operation: Operation = {
      request,
      peer,
      askedAt: this.now(),
      answeredAt: undefined,
      accepted: false,
      tick: undefined,
    };
    this.chronicle.operations.push(operation);
    const life = this.host(peer).life;
    if (life === undefined || !life.ready) {
      operation.answeredAt = this.now();
      return operation;
    }
    this.queue.after(0, life.process, () => {
      life.peer.command(commandFor(request), (answer) => {
        // Of a change that couldn't be stored nobody promises that it was undone.
        const unclear = answer.kind === "refused" && answer.error.code === "DISK_FAILED";
        if (!unclear) operation.answeredAt = this.now();
        operation.accepted = answer.kind !== "refused";
        if (operation.accepted) this.happens("confirmed", peer);
        if (answer.kind === "ordered") operation.tick = answer.tick;
        const refusal = answer.kind === "refused" ? `: ${answer.error.message}` : "";
        this.line(peer, `ANSWERED ${request.kind} ${jobOfRequest(request)} ${answer.kind}${refusal}`);
      });
    });
    return operation;
  }

  // ------------------------------------------------------------------------------------------ evidence

  knowledge(): Knowledge[] {
    return this.peers.map((peer) => {
      const host = this.host(peer);
      const records = recordsSeen(host.storage.records(), this.now());
      const life = host.life?.ready === true ? host.life.peer : undefined;
      const complaint = life === undefined ? "not running" : life.complaint();
      return { peer, jobs: new Map(life?.revisions()), records, complaint };
    });
  }

  evidence(healedAt: number, settled: readonly Knowledge[][]): Evidence {
    return {
      peers: this.peers,
      ...this.chronicle.evidence(),
      from: this.settings.epoch,
      to: this.now(),
      healedAt,
      clockErrorMs: new Map(this.peers.map((peer) => [peer, this.host(peer).clock.worstOffset()])),
      settled,
      final: this.knowledge(),
      witnesses: this.peers.filter((peer) => this.settings.traits?.(peer).role === "witness"),
      gossipIsLost: this.settings.network.gossipLoss > 0,
      introduced: new Map(
        [...this.simNetwork.introduced].map(([pair, at]) => [pair, at + this.settings.epoch]),
      ),
      votes: this.watch.seen(),
      forged: this.forgeries(),
    };
  }

  private forgeries(): string[] {
    return [...this.hosts.values()].flatMap(({ peer, storage }) =>
      storage
        .records()
        .filter(({ reason }) => reason === forgedReason)
        .map((record) => `${recordKey(record)} is on the disk of ${peer}`),
    );
  }

  /** The trace hash of all that has happened so far. */
  traceHash(): string {
    return this.queue.traceHash();
  }

  private recordRun(run: Run): void {
    this.chronicle.runs.push(run);
    this.happens("start", run.peer);
    this.queue.trace(hashText(`${run.job}@${run.tick}~${run.attempt}@${run.peer}`));
    this.line(run.peer, `RUNS ${run.job}@${run.tick}~${run.attempt}`);
  }

  private line(host: HostName | undefined, line: string): void {
    this.settings.onLine?.(this.now(), host, line);
  }

  private host(name: HostName): Host {
    const host = this.hosts.get(name);
    if (host === undefined) throw new Error(`assertion failed: no host ${name}`);
    return host;
  }
}

function isAcceptedEpoch(write: Write): boolean {
  return (
    write.kind === "vote" &&
    write.vote.decision.startsWith("roster/") &&
    write.vote.vote.accepted !== undefined
  );
}
