/**
 * How a line comes up and what is said over it about peers: the conversation on protocol `peers` (greeting.ts).
 *
 * Both sides greet at once. A peer that has greeted has taken this one in, and is linked as soon as gossip flows to it
 * too; if gossip is slow it is linked without. A leave is told to all who are linked, and waits until they have heard.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Counters } from "./counters.ts";
import type { Directory, Hello } from "./directory.ts";
import { Goodbyes } from "./goodbye.ts";
import type { Gossip } from "./gossip.ts";
import { decodeGreeting, encodeGreeting, type Greeting } from "./greeting.ts";
import type { Line, Links } from "./links.ts";
import { sendOver } from "./streams.ts";

/** A peer that takes a connection and never greets is not of this version, or hangs. */
const greetWithinMs = 3_000;
/** How long a greeted line waits for gossip before it counts as up without it, and how often it looks. */
const gossipGraceMs = 500;
const gossipLookMs = 10;

export interface ReceptionDoors {
  links: Links;
  directory: Directory;
  gossip: Gossip;
  counters: Counters;
  /** True between the mesh's start and stop: only then does a line come up. */
  isOpen: () => boolean;
  after: (ms: number, ring: () => void) => void;
}

export class Reception {
  private readonly doors: ReceptionDoors;
  private readonly goodbyes = new Goodbyes();

  constructor(doors: ReceptionDoors) {
    this.doors = doors;
  }

  greet(line: Line): void {
    this.say(line, this.doors.directory.hello());
    this.doors.after(greetWithinMs, () => {
      if (!line.greeted) line.connection.abort(new Error("no greeting came"));
    });
  }

  /** Asks for a sign of life. */
  ping(line: Line): void {
    this.say(line, { kind: "ping" });
  }

  /** Also to those that are not up yet: what they were told when they came may be old by now. */
  sayToAll(hello: Hello): void {
    for (const line of this.doors.links.all()) this.say(line, hello);
  }

  heard(line: Line, bytes: Uint8Array): void {
    const greeting = decodeGreeting(bytes);
    if (greeting === undefined) this.doors.counters.add("mesh_frames_garbled");
    else this.take(line, greeting);
  }

  /** Up when the other side has greeted and gossip flows both ways; or, after a grace, without the latter. */
  consider(line: Line, waitedMs = 0): void {
    const { links, gossip, isOpen, after } = this.doors;
    if (!isOpen() || links.isUp(line.peer)) return;
    if (waitedMs >= gossipGraceMs || gossip.flows(line.peer, links.linesOf(line.peer))) links.raise(line);
    else after(gossipLookMs, () => this.consider(line, waitedMs + gossipLookMs));
  }

  /** Resolves when all who are linked know that the end will be a leave, or a short time has passed. */
  takeLeave(): Promise<void> {
    const { links } = this.doors;
    return this.goodbyes.say(links.upPeers(), (peer) => {
      const line = links.currentLine(peer);
      if (line !== undefined) this.say(line, { kind: "bye" });
    });
  }

  /** Its last line has ended: no answer will come from it. */
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
        this.say(line, { kind: "pong" });
        return;
      case "pong":
        return;
      case "bye":
        this.doors.links.hearGoodbye(line.peer);
        this.say(line, { kind: "bye-heard" });
        return;
      case "bye-heard":
        this.goodbyes.answered(line.peer);
    }
  }

  private learn(line: Line, hello: Hello): void {
    line.theirKey = hello.key;
    this.doors.directory.learn(line, hello);
    if (line.greeted) return;
    this.doors.links.greet(line);
    this.consider(line);
  }

  private say(line: Line, greeting: Greeting): void {
    sendOver(line, "peers", encodeGreeting(greeting), this.doors.counters);
  }
}
