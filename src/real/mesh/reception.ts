/**
 * Brings lines up, and exchanges messages about peers over them (protocol `peers`, greeting.ts).
 *
 * Both sides greet at once. A peer that has greeted has accepted this one. It is linked when gossip flows to it or, if
 * gossip is slow, after a short time without gossip. Before a clean stop, all linked peers are told, and have a short
 * time to confirm.
 */
import type { IncompatiblePeers } from "../../core/members/incompatible.ts";
import type { Clock, Log } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import { withoutPeer } from "./addresses.ts";
import type { Counters } from "./counters.ts";
import type { Directory, Hello } from "./directory.ts";
import type { Gossip } from "./gossip.ts";
import { decodeGreeting, encodeGreeting, type Greeting } from "./greeting.ts";
import { GreetingShares } from "./greeting-shares.ts";
import type { Line, Links } from "./links.ts";
import { sendOver } from "./streams.ts";

/** A peer that accepts a connection and doesn't greet within this time hangs. */
const greetWithinMs = 3_000;
/**
 * How long a line to a peer without a common version stays open, so that the other side receives this one's greeting,
 * too.
 */
const refusalGraceMs = 250;
/**
 * How long to wait for the answers to a goodbye. A peer that misses it takes the leave for a broken link, which costs
 * some redials.
 */
const goodbyeMs = 500;
/** How long a greeted line waits for gossip before it counts as up without it, and how often gossip is checked. */
const gossipGraceMs = 500;
const gossipCheckMs = 10;

export interface ReceptionDoors {
  links: Links;
  directory: Directory;
  gossip: Gossip;
  counters: Counters;
  incompatible: IncompatiblePeers;
  clock: Clock;
  log: Log;
  /** True between the mesh's start and stop. Lines only come up then. */
  isOpen: () => boolean;
  after: (ms: number, ring: () => void) => void;
}

export class Reception {
  private readonly doors: ReceptionDoors;
  private readonly goodbyes = new Goodbyes();
  private readonly shares: GreetingShares;

  constructor(doors: ReceptionDoors) {
    this.doors = doors;
    const { clock, after } = doors;
    this.shares = new GreetingShares({ clock, after, take: (line, bytes) => this.read(line, bytes) });
  }

  greet(line: Line): void {
    this.send(line, this.doors.directory.hello());
    this.doors.after(greetWithinMs, () => {
      if (!line.greeted) line.connection.abort(new Error("no greeting came"));
    });
  }

  /** Asks the other side for an answer. */
  ping(line: Line): void {
    this.send(line, { kind: "ping" });
  }

  /** Greets all lines again, including those that are not up yet, because their first greeting may be out of date. */
  sendToAll(hello: Hello): void {
    const { links, counters } = this.doors;
    // With many peers it names many, so it is written once.
    const bytes = encodeGreeting(hello);
    for (const line of links.all()) sendOver(line, "peers", bytes, counters);
  }

  heard(line: Line, bytes: Uint8Array): void {
    this.shares.heard(line, bytes);
  }

  closed(line: Line): void {
    this.shares.closed(line);
  }

  private read(line: Line, bytes: Uint8Array): void {
    const greeting = decodeGreeting(bytes);
    if (greeting === undefined) this.doors.counters.add("mesh_frames_garbled");
    else this.take(line, greeting);
  }

  /** A line is up when the other side has greeted and gossip flows both ways, or after a short time without gossip. */
  consider(line: Line, waitedMs = 0): void {
    const { links, gossip, isOpen, after } = this.doors;
    if (!isOpen() || links.isUp(line.peer)) return;
    if (waitedMs >= gossipGraceMs || gossip.flows(line.peer, links.linesOf(line.peer))) links.raise(line);
    else after(gossipCheckMs, () => this.consider(line, waitedMs + gossipCheckMs));
  }

  /** Resolves when all linked peers know that the connections will end with a clean leave, or after a short time. */
  announceLeave(): Promise<void> {
    const { links } = this.doors;
    return this.goodbyes.announce(links.upPeers(), (peer) => {
      const line = links.currentLine(peer);
      if (line !== undefined) this.send(line, { kind: "bye" });
    });
  }

  /** The peer's last line has ended, so no answer will come from it. */
  gone(peer: PeerId): void {
    this.goodbyes.answered(peer);
  }

  private take(line: Line, greeting: Greeting): void {
    switch (greeting.kind) {
      case "hello":
        if (greeting.self.peer !== line.peer) this.doors.counters.add("mesh_frames_garbled");
        else this.learn(line, greeting);
        return;
      case "ping":
        this.send(line, { kind: "pong" });
        return;
      case "pong":
        return;
      case "bye":
        this.doors.links.hearGoodbye(line.peer);
        this.send(line, { kind: "bye-heard" });
        return;
      case "bye-heard":
        this.goodbyes.answered(line.peer);
    }
  }

  private learn(line: Line, hello: Hello): void {
    if (this.isRefused(line, hello)) return;
    line.theirKey = hello.key;
    line.life = hello.life;
    this.doors.directory.learn(line, hello);
    if (line.greeted) return;
    this.doors.links.greet(line);
    this.consider(line);
  }

  /**
   * Refuses a peer without a common version. Its line never counts as greeted, so it is never linked, and the dialler
   * tries less and less often.
   */
  private isRefused(line: Line, hello: Hello): boolean {
    const { incompatible, clock, log } = this.doors;
    const { peer } = line;
    const address = withoutPeer(line.connection.remoteAddr.toString());
    const { spoken, news } = incompatible.judge(peer, hello.protocol, address, clock.now().mono);
    if (news !== undefined) log[news.level](news.message, { peer, address });
    if (spoken !== "incompatible") {
      line.spoken = spoken;
      return false;
    }
    this.doors.counters.add("mesh_versions_refused");
    this.doors.after(refusalGraceMs, () => line.connection.abort(new Error("no common version")));
    return true;
  }

  private send(line: Line, greeting: Greeting): void {
    sendOver(line, "peers", encodeGreeting(greeting), this.doors.counters);
  }
}

/** Waits, before a clean stop, until the linked peers know that this is a leave and not a death. */
class Goodbyes {
  private readonly awaited = new Set<PeerId>();
  private whenHeard: () => void = () => undefined;

  /** Resolves when each of the peers has `answered`, or after a short time. */
  announce(peers: readonly PeerId[], bye: (peer: PeerId) => void): Promise<void> {
    for (const peer of peers) {
      this.awaited.add(peer);
      bye(peer);
    }
    if (this.awaited.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.whenHeard = resolve;
      setTimeout(resolve, goodbyeMs).unref();
    });
  }

  /** The peer has confirmed, or is gone. */
  answered(peer: PeerId): void {
    if (this.awaited.delete(peer) && this.awaited.size === 0) this.whenHeard();
  }
}
