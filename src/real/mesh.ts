/**
 * The real mesh: libp2p over TCP, as a full mesh of all peers that hold the cluster key.
 *
 * The folder mesh/ holds its parts: `host` is libp2p, `encrypter` and `refusals` stand at the gate, `links` says who
 * is linked, `dialler` dials what is missing, `book` remembers where peers are, `gossip` and `outgoing` carry what
 * is said. This file ties them together and is the door that ports.ts describes.
 */
import type { Connection, Stream } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import { assert } from "../errors.ts";
import type { Cancel, Clock, Log, Mesh, MeshEvents, Random } from "../ports.ts";
import type { PeerId } from "../schema/ids.ts";
import { messageCapBytes, protocols, type Protocol, type Topic } from "../schema/message.ts";
import { clusterFingerprint, peerIdOf } from "./keys.ts";
import {
  hostOf,
  joinAddress,
  type NamedAddress,
  parseAddress,
  sortForDialling,
  splitAddress,
} from "./mesh/addresses.ts";
import { AddressBook } from "./mesh/book.ts";
import { Counters } from "./mesh/counters.ts";
import { Dialler, type DialOutcome } from "./mesh/dialler.ts";
import { FrameReader } from "./mesh/frames.ts";
import { Gossip } from "./mesh/gossip.ts";
import { addressesCap, decodeGreeting, encodeGreeting, type Greeting } from "./mesh/greeting.ts";
import { createHost, type Host, startHost, streamWindowBytes } from "./mesh/host.ts";
import { type Line, Links } from "./mesh/links.ts";
import { Outgoing, type QueueLimit } from "./mesh/outgoing.ts";
import { Refusals } from "./mesh/refusals.ts";

export interface MeshOptions {
  peerKey: Uint8Array;
  clusterKey: Uint8Array;
  /** multiaddrs; `tcp/0` picks a port */
  listen: readonly string[];
  /** told to others instead of the addresses listened on; empty = those */
  announce: readonly string[];
  /** what a person named: multiaddrs with or without `/p2p/ID`, or `HOST[:PORT]` */
  bootstrap: readonly string[];
  /** what an earlier life handed to `remember` */
  remembered: readonly string[];
  /** called with the whole list, now and then, when it has changed */
  remember(addresses: readonly string[]): void;
  /** look for peers on the LAN */
  mdns: boolean;
  clock: Clock;
  random: Random;
  log: Log;
}

export interface RealMesh extends Mesh {
  counters(): Record<string, number>;
}

/** Listens already when it returns, but takes nobody in before `start`. Throws PORT_IN_USE, USAGE or BAD_KEY. */
export async function openMesh(options: MeshOptions): Promise<RealMesh> {
  const bootstrap = options.bootstrap.map((text) => parseAddress(text));
  const counters = new Counters();
  const refusals = new Refusals(options.clock, options.log, counters, clusterFingerprint(options.clusterKey));
  const host = await createHost({ ...options, gater: refusals.gater });
  const mesh = new Libp2pMesh(options, bootstrap, host, refusals, counters);
  await mesh.listen();
  return mesh;
}

const protocolName = (protocol: Protocol | "peers") => `/cicada/${protocol}/1`;
const allProtocols = ["peers", ...protocols] as const;
/** Inbound streams of one protocol over one connection. One is in use; a second while it is being replaced. */
const inboundStreamsCap = 4;

/** Of heartbeats only the latest counts. The others are sequences: what comes after a gap is of no use. */
const heartbeatQueue: QueueLimit = { frames: 3, bytes: 4 * messageCapBytes, drop: "oldest" };
const sequenceQueue: QueueLimit = { frames: 4_096, bytes: 32 * messageCapBytes, drop: "newest" };

const dialTimeoutMs = 3_000;
const checkEveryMs = 1_000;
/** A line over which nothing came for so long is asked for a sign of life. */
const quietMs = 2_000;
/**
 * And given up after so long. Less takes a busy peer for a lost one; more keeps the members waiting for a new
 * connection after a cut. The members' own rules (5 s of silence) don't wait for it.
 */
const silentMs = 8_000;
/** A stream from which nothing has left for so many checks is given up: about 10 s. */
const stuckChecks = 10;
/** A peer that takes a connection and never greets is not of this version, or hangs. */
const greetWithinMs = 3_000;
/** How long a greeted line waits for gossip to reach the other side before it counts as up without it. */
const gossipGraceMs = 500;
/** News of peers are collected for so long before they are passed on. */
const newsDelayMs = 50;
const rememberDelayMs = 100;
const goodbyeTimeoutMs = 500;
const stopTimeoutMs = 3_000;

class Libp2pMesh implements RealMesh {
  private readonly options: MeshOptions;
  private readonly self: PeerId;
  private readonly host: Host;
  private readonly refusals: Refusals;
  private readonly count: Counters;
  private readonly book: AddressBook;
  private readonly links: Links;
  private readonly dialler: Dialler;
  private readonly gossip: Gossip;
  /** undefined before `start` and after `stop` */
  private events: MeshEvents | undefined;
  private stopping = false;
  private readonly alarms = new Set<Cancel>();
  private newsPlanned = false;
  private rememberPlanned = false;
  private lastCheckAt = 0;
  private goodbyesAwaited = new Set<PeerId>();
  private goodbyesHeard: () => void = () => undefined;

  constructor(
    options: MeshOptions,
    bootstrap: readonly NamedAddress[],
    host: Host,
    refusals: Refusals,
    counters: Counters,
  ) {
    this.options = options;
    this.self = peerIdOf(options.peerKey);
    this.host = host;
    this.refusals = refusals;
    this.count = counters;
    this.book = new AddressBook(this.self, options.clock.now().wall);
    this.gossip = new Gossip(host, counters);
    this.links = new Links(
      this.self,
      {
        up: (peer) => this.linkUp(peer),
        down: (peer, why) => this.linkDown(peer, why),
        gone: (peer) => this.dialler.lost(peer, "unheeded"),
      },
      counters,
    );
    this.dialler = new Dialler({
      clock: options.clock,
      random: options.random,
      self: this.self,
      dial: (address, peer) => this.dial(address, peer),
      addressesOf: (peer) => {
        const { proven, others } = this.book.addressesOf(peer);
        return { proven, others: sortForDialling(others) };
      },
      isConnected: (peer) => this.links.linesOf(peer).length > 0,
      isAlone: () => this.links.upPeers().length === 0,
      refused: (peer, times) => this.events?.redialRefused(peer, times),
      resolved: (address, peer) => this.book.name(peer, address),
    });
    this.enter(bootstrap);
  }

  private enter(bootstrap: readonly NamedAddress[]): void {
    this.book.recall(
      this.options.remembered.map((text) => splitAddress(text)).filter((address) => address !== undefined),
    );
    for (const { address, peer } of bootstrap) {
      if (peer === undefined) this.dialler.name(address);
      else this.book.name(peer, address);
    }
    for (const peer of this.book.peers()) this.dialler.expect(peer, false);
  }

  async listen(): Promise<void> {
    const { host } = this;
    host.addEventListener("connection:open", ({ detail }) => this.opened(detail));
    host.addEventListener("connection:close", ({ detail }) => {
      // Put off, so that no event is reported from within a call of this door.
      queueMicrotask(() => this.links.closed(detail));
    });
    host.addEventListener("peer:discovery", ({ detail }) => {
      for (const address of detail.multiaddrs) {
        const found = splitAddress(
          joinAddress(withoutPeer(address.toString()), detail.id.toString() as PeerId),
        );
        if (found?.peer === undefined || found.peer === this.self) continue;
        this.book.recall([found]);
        this.dialler.expect(found.peer, true);
      }
    });
    for (const protocol of allProtocols) {
      // oxlint-disable-next-line no-await-in-loop -- before the start nothing is saved by haste
      await host.handle(
        protocolName(protocol),
        (stream, connection) => this.accept(stream, connection, protocol),
        { maxInboundStreams: inboundStreamsCap },
      );
    }
    await startHost(host, this.options.listen);
    this.gossip.start(
      (from, topic, bytes) => this.events?.received(from, topic, bytes),
      (peer) => this.subscriptionsChanged(peer),
    );
  }

  start(events: MeshEvents): void {
    assert(this.events === undefined && !this.stopping, "a mesh is started once");
    this.events = events;
    for (const line of this.links.all()) this.greet(line);
    setImmediate(() => {
      if (this.stopping) return;
      this.dialler.start();
      for (const line of this.links.all()) this.consider(line);
    });
    this.lastCheckAt = this.now();
    this.after(checkEveryMs, () => this.check());
  }

  publish(topic: Topic, bytes: Uint8Array): void {
    this.gossip.publish(topic, bytes);
  }

  send(to: PeerId, protocol: Protocol, bytes: Uint8Array): void {
    const line = this.links.isUp(to) && !this.stopping ? this.links.currentLine(to) : undefined;
    if (line === undefined) this.count.add("mesh_frames_dropped");
    else this.outgoing(line, protocol).send(bytes);
  }

  known(): readonly PeerId[] {
    return this.book.peers();
  }

  unresolved(): number {
    return this.dialler.unresolved();
  }

  addresses(): readonly string[] {
    return this.ownAddresses().map((address) => joinAddress(address, this.self));
  }

  counters(): Record<string, number> {
    return this.count.snapshot();
  }

  stop(done: () => void): void {
    const wasStopping = this.stopping;
    this.stopping = true;
    this.dialler.stop();
    for (const cancel of this.alarms) cancel();
    this.alarms.clear();
    this.options.remember(this.book.toRemember());
    const closed = wasStopping ? Promise.resolve() : this.sayGoodbye().then(() => this.host.stop());
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

  // ---------------------------------------------------------------------------------------------- links

  private opened(connection: Connection): void {
    if (this.stopping) return;
    if (connection.direction === "outbound") {
      const address = withoutPeer(connection.remoteAddr.toString());
      this.dialler.identified(address, connection.remotePeer.toString() as PeerId);
    }
    const line = this.links.open(connection, this.now());
    if (line !== undefined && this.events !== undefined) this.greet(line);
  }

  private greet(line: Line): void {
    this.say(line, this.hello());
    this.after(greetWithinMs, () => {
      if (!line.greeted) line.connection.abort(new Error("no greeting came"));
    });
  }

  /** Up when the other side has greeted and gossip reaches it; or, after a grace, without the latter. */
  private consider(line: Line): void {
    if (this.events === undefined || this.stopping || !line.greeted) return;
    if (this.gossip.reaches(line.peer)) this.links.raise(line);
  }

  private subscriptionsChanged(peer: PeerId): void {
    const line = this.links.currentLine(peer);
    if (line !== undefined) this.consider(line);
  }

  private linkUp(peer: PeerId): void {
    this.dialler.linked(peer);
    this.options.log.debug("linked", { peer });
    this.events?.linkUp(peer);
  }

  private linkDown(peer: PeerId, why: "closed" | "reset"): void {
    this.gossip.forget(peer);
    this.goodbyeHeard(peer);
    if (this.stopping) return;
    this.options.log.debug("link lost", { peer, why });
    this.events?.linkDown(peer, why);
    this.dialler.lost(peer, why);
  }

  /** Once a second: looks after lines that have gone quiet, streams that are stuck, and gossip that has stopped. */
  private check(): void {
    this.after(checkEveryMs, () => this.check());
    const now = this.now();
    // This process itself was held up: what the others said meanwhile may not have been read yet.
    const heldUpMs = Math.max(0, now - this.lastCheckAt - 2 * checkEveryMs);
    this.lastCheckAt = now;
    for (const line of this.links.all()) {
      line.heardAt += heldUpMs;
      const quiet = now - line.heardAt;
      if (quiet > silentMs) {
        this.count.add("mesh_lines_silent");
        line.connection.abort(new Error("nothing was heard"));
      } else if (quiet > quietMs && line.greeted) {
        this.say(line, { kind: "ping" });
      }
      for (const outgoing of line.outgoing.values()) outgoing.check(stuckChecks);
    }
    for (const peer of this.links.upPeers()) this.gossip.check(peer, this.links.linesOf(peer));
  }

  // -------------------------------------------------------------------------------------------- streams

  private outgoing(line: Line, protocol: Protocol | "peers"): Outgoing {
    const known = line.outgoing.get(protocol);
    if (known !== undefined) return known;
    const made = new Outgoing(
      () => line.connection.newStream(protocolName(protocol)),
      protocol === "heartbeat" ? heartbeatQueue : sequenceQueue,
      this.count,
    );
    line.outgoing.set(protocol, made);
    return made;
  }

  private accept(stream: Stream, connection: Connection, protocol: Protocol | "peers"): void {
    const line = this.links.lineOf(connection);
    if (line === undefined) {
      stream.abort(new Error("that connection is one too many"));
      return;
    }
    // Everything is taken out of the stream at once; what comes before this listener is bounded by libp2p.
    stream.maxReadBufferLength = streamWindowBytes;
    const reader = new FrameReader();
    let ended = false;
    stream.addEventListener("message", ({ data }) => {
      if (ended) return;
      this.count.add("mesh_bytes_in", data.byteLength);
      line.heardAt = this.now();
      const frames = reader.read(data.subarray());
      if (frames === undefined) {
        ended = true;
        this.count.add("mesh_frames_oversized");
        stream.abort(new Error("a frame is too long"));
        return;
      }
      this.count.add("mesh_frames_in", frames.length);
      for (const frame of frames) this.heard(line, protocol, frame);
    });
    const end = () => {
      if (!ended && reader.isTorn) this.count.add("mesh_frames_torn");
      ended = true;
    };
    stream.addEventListener("close", end);
    stream.addEventListener("remoteCloseWrite", () => {
      end();
      stream.close().catch(() => undefined);
    });
  }

  private heard(line: Line, protocol: Protocol | "peers", bytes: Uint8Array): void {
    if (protocol !== "peers") {
      if (this.events === undefined || this.stopping) return;
      // Whoever speaks over a line has taken us in, even if its greeting is still on its way.
      this.links.raise(line);
      this.events.received(line.peer, protocol, bytes);
      return;
    }
    const greeting = decodeGreeting(bytes);
    if (greeting === undefined) this.count.add("mesh_frames_garbled");
    else this.greeted(line, greeting);
  }

  private say(line: Line, greeting: Greeting): void {
    this.outgoing(line, "peers").send(encodeGreeting(greeting));
  }

  // -------------------------------------------------------------------------------------- who is where

  private hello(): Greeting {
    return { kind: "hello", self: this.book.ownEntry(this.ownAddresses()), others: this.book.others() };
  }

  private greeted(line: Line, greeting: Greeting): void {
    switch (greeting.kind) {
      case "hello":
        if (greeting.self.peer !== line.peer) this.count.add("mesh_frames_garbled");
        else this.learn(line, greeting);
        return;
      case "ping":
        this.say(line, { kind: "pong" });
        return;
      case "pong":
        return;
      case "bye":
        this.links.hearGoodbye(line.peer);
        this.say(line, { kind: "bye-heard" });
        return;
      case "bye-heard":
        this.goodbyeHeard(line.peer);
    }
  }

  private learn(line: Line, { self, others }: Greeting & { kind: "hello" }): void {
    let isNews = this.book.hearFromItself(self);
    const reached = withoutPeer(line.connection.remoteAddr.toString());
    const isProof =
      line.connection.direction === "outbound"
        ? this.book.prove(line.peer, { dialled: reached })
        : this.book.prove(line.peer, { host: hostOf(reached) });
    for (const one of others) {
      if (!this.book.hearFromAnother(one)) continue;
      isNews = true;
      if (one.peer !== this.self) this.dialler.expect(one.peer, true);
    }
    this.dialler.expect(line.peer, false);
    if (isNews) this.passOnNews();
    if (isNews || isProof) this.planRemember();
    if (!line.greeted) {
      this.links.greet(line);
      this.after(gossipGraceMs, () => {
        if (this.events !== undefined) this.links.raise(line);
      });
    }
    this.consider(line);
  }

  private passOnNews(): void {
    if (this.newsPlanned) return;
    this.newsPlanned = true;
    this.after(newsDelayMs, () => {
      this.newsPlanned = false;
      const hello = this.hello();
      for (const peer of this.links.upPeers()) {
        const line = this.links.currentLine(peer);
        if (line !== undefined) this.say(line, hello);
      }
    });
  }

  private planRemember(): void {
    if (this.rememberPlanned) return;
    this.rememberPlanned = true;
    this.after(rememberDelayMs, () => {
      this.rememberPlanned = false;
      this.options.remember(this.book.toRemember());
    });
  }

  private ownAddresses(): string[] {
    const all = this.host.getMultiaddrs().map((address) => withoutPeer(address.toString()));
    return sortForDialling([...new Set(all)]).slice(0, addressesCap);
  }

  private async dial(address: string, peer: PeerId | undefined): Promise<DialOutcome> {
    if (this.stopping) return "failed";
    this.count.add("mesh_dials");
    try {
      const target = multiaddr(peer === undefined ? address : joinAddress(address, peer));
      await this.host.dial(target, { signal: AbortSignal.timeout(dialTimeoutMs) });
      return "linked";
    } catch (error) {
      this.count.add("mesh_dials_failed");
      return this.dialFailure(address, error);
    }
  }

  private dialFailure(address: string, error: unknown): DialOutcome {
    const { name, message } = error instanceof Error ? error : { name: "", message: String(error) };
    if (name === "InvalidPeerIdError") return "self";
    if (error instanceof Error && "code" in error && error.code === "ECONNREFUSED") return "refused";
    if (name === "EncryptionFailedError" && message.includes("Protocol selection failed")) {
      this.refusals.turnedAway(address);
    }
    this.options.log.debug("a dial failed", { address, why: message });
    return "failed";
  }

  // ---------------------------------------------------------------------------------------------- end

  /** Resolves when all linked peers have understood, or a short time has passed. */
  private sayGoodbye(): Promise<void> {
    const lines = this.links.upPeers().map((peer) => this.links.currentLine(peer));
    for (const line of lines) {
      if (line === undefined) continue;
      this.goodbyesAwaited.add(line.peer);
      this.say(line, { kind: "bye" });
    }
    if (this.goodbyesAwaited.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.goodbyesHeard = resolve;
      setTimeout(resolve, goodbyeTimeoutMs).unref();
    });
  }

  private goodbyeHeard(peer: PeerId): void {
    if (this.goodbyesAwaited.delete(peer) && this.goodbyesAwaited.size === 0) this.goodbyesHeard();
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

function withoutPeer(address: string): string {
  return address.split("/p2p/")[0] ?? address;
}
