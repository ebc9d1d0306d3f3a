/**
 * The real mesh: libp2p over TCP, as a full mesh of all peers that hold the cluster key.
 *
 * The folder mesh/ holds its parts. `host` is libp2p. `openings`, `handshakes`, `encrypter` and `refusals` decide and explain
 * which peers are admitted, `connected-peers` how many stay. `links` knows which peers are linked, `reception` greets, `dialler`
 * dials missing peers, `book` remembers where peers are, `gossip` and `outgoing` carry messages, `upkeep` checks all of this
 * once a second, and `assembly` connects the parts. This file is the door that ports.ts describes.
 */
import type { Connection, MultiaddrConnection, Stream } from "@libp2p/interface";
import type { IncompatiblePeers } from "../core/members/incompatible.ts";
import { assert } from "../errors.ts";
import type { Cancel, Clock, Log, Mesh, MeshEvents, Random, Refusal } from "../ports.ts";
import type { PeerId } from "../schema/ids.ts";
import type { ProtocolRange } from "../schema/protocol.ts";
import type { Protocol, Topic } from "../schema/message.ts";
import type { ClusterKeys } from "./keyring.ts";
import { peerIdOf } from "./keys.ts";
import { joinAddress, type NamedAddress, parseAddress, splitAddress, withoutPeer } from "./mesh/addresses.ts";
import { assemble } from "./mesh/assembly.ts";
import type { AddressBook } from "./mesh/book.ts";
import type { ConnectedPeers } from "./mesh/connected-peers.ts";
import { Counters } from "./mesh/counters.ts";
import type { Dialler, DialOutcome } from "./mesh/dialler.ts";
import type { Directory } from "./mesh/directory.ts";
import { Encrypters } from "./mesh/encrypter.ts";
import type { Gossip } from "./mesh/gossip.ts";
import { handshakeLimitsFor, Handshakes } from "./mesh/handshakes.ts";
import { createHost, dialAddress, type Host, startHost } from "./mesh/host.ts";
import type { Line, Links } from "./mesh/links.ts";
import { DenyList } from "./mesh/deny-list.ts";
import { Openings } from "./mesh/openings.ts";
import type { Reception } from "./mesh/reception.ts";
import { Refusals } from "./mesh/refusals.ts";
import type { Renewal } from "./mesh/renewal.ts";
import {
  inboundStreamsCap,
  protocolName,
  readFrames,
  sendOver,
  type StreamProtocol,
  streamProtocols,
} from "./mesh/streams.ts";
import type { Upkeep } from "./mesh/upkeep.ts";

export interface MeshOptions {
  peerKey: Uint8Array;
  keyring: ClusterKeys;
  /** multiaddrs; `tcp/0` picks a port */
  listen: readonly string[];
  /** announced to other peers instead of the addresses listened on; empty = the latter */
  announce: readonly string[];
  /** addresses from a person: multiaddrs with or without `/p2p/ID`, or `HOST[:PORT]` */
  bootstrap: readonly string[];
  /** the list that an earlier process passed to `remember` */
  remembered: readonly string[];
  /** called with the whole list, some time after it has changed */
  remember(addresses: readonly string[]): void;
  /** the versions of the protocol that this program speaks */
  protocol: ProtocolRange;
  /** look for peers on the LAN */
  mdns: boolean;
  /** how many connections this process may have; absent = any number */
  connections?: number;
  handshakeMs?: number; // given only by tests: how long each half of a handshake may take
  peersMax?: number; // given only by tests: the most peers that are connected
  clock: Clock;
  random: Random;
  log: Log;
}

export interface RealMesh extends Mesh {
  counters(): Record<string, number>;
  /** What is wrong with the connection to the other peers, for the person who can fix it. */
  warnings(): string[];
}

/**
 * Opens the mesh. It listens when this returns, but admits no peer before `start`. Throws PORT_IN_USE, USAGE or
 * BAD_KEY.
 */
export async function openMesh(options: MeshOptions): Promise<RealMesh> {
  const bootstrap = options.bootstrap.map((text) => parseAddress(text));
  const counters = new Counters();
  const denyList = new DenyList();
  const { clock, log, keyring } = options;
  const limits = handshakeLimitsFor(options.connections ?? Infinity);
  const handshakes = new Handshakes<MultiaddrConnection>((host) => mesh.knowsHost(host), limits);
  const refusals = new Refusals(clock, log, counters, keyring, denyList, handshakes);
  const encrypters = new Encrypters(options.keyring, denyList, (by) => mesh.keySuperseded(by));
  const openings = new Openings({
    limits,
    knowsHost: (remote) => mesh.knowsHost(remote),
    refused: (address, opening) => refusals.inboundRefused(address, opening),
    limitMs: options.handshakeMs,
  });
  const host = await createHost({ ...options, gater: refusals.gater, encrypters, openings });
  const mesh: Libp2pMesh = new Libp2pMesh(options, bootstrap, host, openings, refusals, denyList, counters);
  options.keyring.onChange = () => {
    encrypters.refresh();
    mesh.keysChanged();
  };
  await mesh.listen();
  return mesh;
}

const stopTimeoutMs = 3_000;

class Libp2pMesh implements RealMesh {
  private readonly options: MeshOptions;
  private readonly self: PeerId;
  private readonly host: Host;
  private readonly openings: Openings;
  private readonly refusals: Refusals;
  private readonly denyList: DenyList;
  private readonly count: Counters;
  private readonly book: AddressBook;
  private readonly directory: Directory;
  private readonly links: Links;
  private readonly dialler: Dialler;
  private readonly gossip: Gossip;
  /** undefined before `start` and after `stop` */
  private events: MeshEvents | undefined;
  private stopping = false;
  private readonly alarms = new Set<Cancel>();
  private readonly reception: Reception;
  private readonly renewal: Renewal;
  private readonly upkeep: Upkeep;
  private readonly incompatible: IncompatiblePeers;
  private readonly connectedPeers: ConnectedPeers;

  constructor(
    options: MeshOptions,
    bootstrap: readonly NamedAddress[],
    host: Host,
    openings: Openings,
    refusals: Refusals,
    denyList: DenyList,
    counters: Counters,
  ) {
    this.options = options;
    this.self = peerIdOf(options.peerKey);
    this.host = host;
    this.openings = openings;
    this.refusals = refusals;
    this.denyList = denyList;
    this.count = counters;
    const parts = assemble({
      self: this.self,
      protocol: options.protocol,
      peersMax: options.peersMax,
      host,
      keyring: options.keyring,
      denyList,
      counters,
      clock: options.clock,
      random: options.random,
      log: options.log,
      events: () => this.events,
      isOpen: () => this.events !== undefined && !this.stopping,
      linkUp: (peer) => this.linkUp(peer),
      linkDown: (peer, why) => this.linkDown(peer, why),
      dial: (address, peer, force) => this.dial(address, peer, force),
      remember: (addresses) => options.remember(addresses),
      after: (ms, ring) => this.after(ms, ring),
    });
    this.book = parts.book;
    this.gossip = parts.gossip;
    this.links = parts.links;
    this.dialler = parts.dialler;
    this.directory = parts.directory;
    this.reception = parts.reception;
    this.renewal = parts.renewal;
    this.upkeep = parts.upkeep;
    this.incompatible = parts.incompatible;
    this.connectedPeers = parts.connectedPeers;
    this.loadAddresses(bootstrap);
  }

  private loadAddresses(bootstrap: readonly NamedAddress[]): void {
    this.book.restore(
      this.options.remembered.map((text) => splitAddress(text)).filter((address) => address !== undefined),
    );
    for (const { address, peer } of bootstrap) {
      if (peer === undefined) this.dialler.name(address);
      else this.book.name(peer, address);
    }
    for (const peer of this.book.peers()) this.dialler.expect(peer, false);
  }

  /** True for a host at which a member of the mesh has an address. */
  knowsHost(host: string): boolean {
    return this.book.knowsHost(host);
  }

  async listen(): Promise<void> {
    const { host } = this;
    host.addEventListener("connection:open", ({ detail }) => this.opened(detail));
    host.addEventListener("connection:close", ({ detail }) => {
      // Deferred, so that no event is reported from within a call of this door.
      queueMicrotask(() => this.links.closed(detail));
    });
    host.addEventListener("peer:discovery", ({ detail }) => {
      const addresses = detail.multiaddrs.map((address) => address.toString());
      this.directory.discover(detail.id.toString() as PeerId, addresses);
    });
    for (const protocol of streamProtocols) {
      // oxlint-disable-next-line no-await-in-loop -- before the start there is no hurry
      await host.handle(
        protocolName(protocol),
        (stream, connection) => this.accept(stream, connection, protocol),
        { maxInboundStreams: inboundStreamsCap },
      );
    }
    await startHost(host, this.options.listen);
    this.gossip.start((from, topic, bytes, by) => {
      if (!this.stopping) this.events?.received(from, topic, bytes, by);
    });
  }

  start(events: MeshEvents): void {
    assert(this.events === undefined && !this.stopping, "a mesh is started once");
    this.events = events;
    for (const line of this.links.all()) this.reception.greet(line);
    setImmediate(() => {
      if (this.stopping) return;
      this.dialler.start();
      for (const line of this.links.all()) if (line.greeted) this.reception.consider(line);
    });
    this.upkeep.start();
  }

  publish(topic: Topic, bytes: Uint8Array): void {
    this.gossip.publish(topic, bytes);
  }

  send(to: PeerId, protocol: Protocol, bytes: Uint8Array): void {
    const line = this.links.isUp(to) && !this.stopping ? this.links.currentLine(to) : undefined;
    if (line === undefined) {
      this.count.add("mesh_frames_dropped");
      return;
    }
    // Two processes with one identity learn of each other from heartbeats, so those go to both. If both answered other
    // messages, too, each answer would bring two questions, and those four answers.
    const lines = protocol === "heartbeat" ? this.links.linesOfLives(to) : [line];
    for (const one of lines) sendOver(one, protocol, bytes, this.count);
  }

  refuse(peers: readonly Refusal[]): void {
    const others = peers.filter(({ peer }) => peer !== this.self);
    const refused = new Set(others.map(({ peer }) => peer));
    this.denyList.set(others);
    this.book.refuse(refused);
    for (const peer of refused) {
      this.dialler.forget(peer);
      for (const line of this.links.linesOf(peer)) line.connection.abort(new Error("it has been forgotten"));
    }
    this.directory.remember();
  }

  known(): readonly PeerId[] {
    return this.book.peers();
  }

  unresolved(): number {
    return this.dialler.unresolved();
  }

  addresses(): readonly string[] {
    return this.directory.ownAddresses().map((address) => joinAddress(address, this.self));
  }

  counters(): Record<string, number> {
    return this.count.snapshot();
  }

  warnings(): string[] {
    const incompatible = this.incompatible.warnings(this.options.clock.now().mono);
    if (this.links.upPeers().length > 0 || !this.refusals.wasTurnedAway()) return incompatible;
    return [
      ...incompatible,
      "no peer accepts this one, because the others have another cluster key: if the mesh's key was rotated while " +
        "this peer was away, rejoin with what `cicada peers invite` prints there (the identity stays the same)",
    ];
  }

  stop(done: () => void): void {
    const wasStopping = this.stopping;
    this.stopping = true;
    this.dialler.stop();
    for (const cancel of this.alarms) cancel();
    this.alarms.clear();
    this.directory.remember();
    const closed = wasStopping ? Promise.resolve() : this.leave();
    const limit = new Promise<void>((resolve) => {
      setTimeout(resolve, stopTimeoutMs).unref();
    });
    Promise.race([closed, limit])
      .catch((error: unknown) =>
        this.options.log.warn("the mesh did not stop cleanly", { why: String(error) }),
      )
      .finally(() => {
        this.events = undefined;
        done();
      })
      .catch(() => undefined);
  }

  private async leave(): Promise<void> {
    await this.reception.announceLeave();
    this.openings.stop();
    await this.host.stop();
  }

  // ---------------------------------------------------------------------------------------------- links

  private opened(connection: Connection): void {
    if (this.stopping || !this.connectedPeers.mayStay(connection)) return;
    if (connection.direction === "outbound") {
      const address = withoutPeer(connection.remoteAddr.toString());
      this.dialler.identified(address, connection.remotePeer.toString() as PeerId);
    }
    const line = this.links.open(connection, this.now());
    if (line !== undefined && this.events !== undefined) this.reception.greet(line);
  }

  private linkUp(peer: PeerId): void {
    this.dialler.linked(peer);
    this.options.log.debug("linked", { peer, protocol: this.links.currentLine(peer)?.spoken });
    this.events?.linkUp(peer);
  }

  private linkDown(peer: PeerId, why: "closed" | "reset"): void {
    this.gossip.forget(peer);
    this.reception.gone(peer);
    if (this.stopping) return;
    this.options.log.debug("link lost", { peer, why });
    this.events?.linkDown(peer, why);
    this.dialler.lost(peer, why);
  }

  /**
   * The accepted keys have changed: tells the others which key this peer prefers now, and cuts lines under old keys.
   */
  keysChanged(): void {
    if (this.events === undefined || this.stopping) return;
    this.reception.sendToAll(this.directory.hello());
    this.renewal.cutOld();
  }

  /** The peer `by` has proved that this peer's present key was replaced by a later one. */
  keySuperseded(by: PeerId): void {
    this.count.add("mesh_keys_superseded");
    if (!this.stopping) this.events?.keySuperseded(by);
  }

  // -------------------------------------------------------------------------------------------- streams

  private accept(stream: Stream, connection: Connection, protocol: StreamProtocol): void {
    const line = this.links.lineOf(connection);
    if (line === undefined) {
      stream.abort(new Error("one connection is enough"));
      return;
    }
    readFrames(stream, this.count, (frame) => this.heard(line, protocol, frame));
  }

  private heard(line: Line, protocol: StreamProtocol, bytes: Uint8Array): void {
    line.heardAt = this.now();
    if (protocol === "peers") {
      this.reception.heard(line, bytes);
      return;
    }
    if (this.events === undefined || this.stopping) return;
    // A peer that sends a message over a line has accepted this one, even if its greeting is still on its way.
    this.links.raise(line);
    this.events.received(line.peer, protocol, bytes);
  }

  // ------------------------------------------------------------------------------------- dials and alarms

  private async dial(address: string, peer: PeerId | undefined, force: boolean): Promise<DialOutcome> {
    if (this.stopping) return "failed";
    this.count.add("mesh_dials");
    const outcome = await dialAddress(this.host, address, peer, force);
    if (outcome === "turned-away") this.refusals.turnedAway(address);
    if (outcome !== "linked") {
      this.count.add("mesh_dials_failed");
      this.options.log.debug("a dial failed", { address, outcome });
    }
    return outcome;
  }

  private now(): number {
    return this.options.clock.now().mono;
  }

  private after(ms: number, ring: () => void): void {
    if (this.stopping) return;
    const cancel = this.options.clock.alarm(this.now() + ms, () => {
      this.alarms.delete(cancel);
      ring();
    });
    this.alarms.add(cancel);
  }
}
