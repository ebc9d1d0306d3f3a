/**
 * The simulated world: N hosts on one queue, each with a clock, a disk, children and a peer's process; wires between
 * them; and a client that sends requests to peers.
 *
 * Everything that is done to the world is written down at once, and so is what the jobs' own processes did and which
 * answers the client got. The checkers judge by this evidence.
 */
import { recordKey } from "../../core/records/records.ts";
import type { JobId, PeerId } from "../../schema/ids.ts";
import { Client } from "../client/ask.ts";
import { forgedReason } from "../faults/garbage.ts";
import { SimNetwork } from "../mesh.ts";
import { Wires } from "../mesh/wires.ts";
import { Dice } from "../random.ts";
import { Chronicle, recordsSeen } from "./chronicle.ts";
import { Disturbances } from "./disturbances.ts";
import { Folders } from "./folders.ts";
import { Hosts } from "./hosts.ts";
import { Leaps } from "./leaps.ts";
import { Occasions } from "./occasions.ts";
import { Queue } from "./queue.ts";
import type { WorldSettings } from "./settings.ts";
import type { ClientRequest, Operation } from "./requests.ts";
import type { Evidence, Knowledge, Run } from "./truth.ts";
import { VoteWatch } from "./vote-watch.ts";
import type { Observers } from "./watched-doors.ts";

export class World {
  readonly queue = new Queue();
  readonly dice: Dice;
  readonly peers: readonly PeerId[];
  readonly wires: Wires;
  readonly hosts: Hosts;
  readonly disturbances: Disturbances;
  readonly folders: Folders;
  readonly occasions: Occasions;
  readonly #settings: WorldSettings;
  readonly #simNetwork: SimNetwork;
  readonly #chronicle: Chronicle;
  readonly #votes = new VoteWatch();
  readonly #client: Client;
  readonly #leaps: Leaps;

  constructor(settings: WorldSettings) {
    this.#settings = settings;
    this.dice = new Dice(settings.seed);
    this.wires = new Wires(settings.network, this.dice.fork("network"));
    this.#simNetwork = new SimNetwork(this.queue, this.wires, this.dice.fork("mesh"));
    this.peers = Array.from({ length: settings.peers }, (_, index) => `peer-${index + 1}` as PeerId);
    this.#chronicle = new Chronicle(() => this.now(), settings.onLine);
    this.occasions = new Occasions(this.queue, this.#chronicle);
    const observers: Observers = {
      chronicle: this.#chronicle,
      votes: this.#votes,
      occasions: this.occasions,
      frames: new Map(),
    };
    this.hosts = new Hosts({
      settings,
      peers: this.peers,
      queue: this.queue,
      dice: this.dice,
      simNetwork: this.#simNetwork,
      observers,
    });
    this.disturbances = new Disturbances(this.queue, this.wires, this.hosts, observers);
    this.folders = new Folders(this.hosts, this.#chronicle);
    this.#client = new Client(this.queue, this.hosts, observers);
    this.#leaps = new Leaps({
      queue: this.queue,
      hosts: this.hosts,
      simNetwork: this.#simNetwork,
      chronicle: this.#chronicle,
    });
  }

  /** True time, ms since the epoch. */
  now(): number {
    return this.#settings.epoch + this.queue.now + this.queue.leaptMs;
  }

  runUntil(at: number): void {
    this.queue.runUntil(at - this.#settings.epoch - this.queue.leaptMs);
  }

  /** Like `runUntil`, but leaps over quiet stretches. */
  leapUntil(at: number): void {
    this.#leaps.runUntil(at - this.#settings.epoch);
  }

  /** Calls `run` at the given true time. */
  at(when: number, run: () => void): void {
    this.queue.scheduleByCalendar(when - this.#settings.epoch, run);
  }

  ask(peer: PeerId, request: ClientRequest): Operation {
    return this.#client.ask(peer, request);
  }

  /** Hands the peer an edit as if it came from another peer. */
  handEdit(peer: PeerId, request: ClientRequest, update: Uint8Array): void {
    this.#client.handEdit(peer, request, update);
  }

  /** The peers that a client would ask: up, and not to be forgotten. */
  inService(): PeerId[] {
    return this.peers.filter((peer) => this.hosts.isUp(peer) && !this.hasForgotten(peer));
  }

  /** True if a client has asked to forget the peer. */
  hasForgotten(peer: PeerId): boolean {
    return this.#chronicle.hasForgotten(peer);
  }

  /** True if such a request was confirmed. */
  hasSurelyForgotten(peer: PeerId): boolean {
    return this.#chronicle.hasSurelyForgotten(peer);
  }

  /** True if the peer is up and has the job. */
  shows(peer: PeerId, job: JobId): boolean {
    const { life } = this.hosts.get(peer);
    return life?.ready === true && life.peer.revisions().has(job);
  }

  /** All runs that are going on now, the oldest first. */
  openRuns(): Run[] {
    return this.#chronicle.runs.filter((run) => run.end === undefined);
  }

  /** A run of the job that is going on now. */
  openRun(job: JobId): Run | undefined {
    return this.#chronicle.runs.findLast((run) => run.job === job && run.end === undefined);
  }

  /** Notes that the peer is not up from the beginning; it is started later. */
  joinsLater(peer: PeerId): void {
    this.#chronicle.outageBegins(peer, "down");
  }

  /** Notes how much every peer holds now. */
  measure(): void {
    for (const { name, peer, life, storage } of this.hosts.all()) {
      if (name !== peer || life === undefined || !life.ready || !life.process.running) continue;
      const document = storage.updates.reduce((bytes, update) => bytes + update.length, 0);
      const sizes = { ...life.peer.sizes?.(), documentBytes: document, votesOnDisk: storage.votes.size };
      this.#chronicle.sizes.push({ peer, at: this.now(), sizes });
    }
  }

  /** What each peer knows now, except forgotten peers, which get no more news. */
  knowledge(): Knowledge[] {
    return this.peers.flatMap((peer) => {
      if (this.#chronicle.hasForgotten(peer)) return [];
      const host = this.hosts.get(peer);
      const records = recordsSeen(host.storage.records(), this.now(), peer, this.#chronicle.arrivals);
      const life = host.life?.ready === true ? host.life : undefined;
      const complaint =
        life === undefined ? "not running" : (life.peer.complaint() ?? life.greeter.warnings()[0]);
      const needs = new Map(life?.peer.needs?.());
      return [{ peer, jobs: new Map(life?.peer.revisions()), needs, records, complaint }];
    });
  }

  evidence(healedAt: number, convergedViews: readonly Knowledge[][]): Evidence {
    const { epoch, network, traits } = this.#settings;
    return {
      peers: this.peers,
      ...this.#chronicle.evidence(),
      from: epoch,
      to: this.now(),
      healedAt,
      clockErrorMs: new Map(this.peers.map((peer) => [peer, this.hosts.get(peer).clock.worstWander()])),
      convergedViews,
      final: this.knowledge(),
      witnesses: this.peers.filter((peer) => traits?.(peer, 0).role === "witness"),
      gossipIsLost: network.gossipLoss > 0,
      introduced: new Map([...this.#simNetwork.introduced].map(([pair, at]) => [pair, at + epoch])),
      votes: this.#votes.seen(),
      forged: this.#forgeries(),
      takenAgain: this.#takenAgain(),
    };
  }

  /** The trace hash of all that has happened so far. */
  traceHash(): string {
    return this.queue.traceHash();
  }

  #takenAgain(): { peer: PeerId; record: string }[] {
    return this.hosts
      .all()
      .flatMap(({ peer, storage }) =>
        storage.takenAgain
          .filter((record) => record.peer !== peer)
          .map((record) => ({ peer, record: recordKey(record) })),
      );
  }

  #forgeries(): string[] {
    return this.hosts.all().flatMap(({ peer, storage }) =>
      storage
        .records()
        .filter(({ reason }) => reason === forgedReason)
        .map((record) => `${recordKey(record)} is on the disk of ${peer}`),
    );
  }
}
