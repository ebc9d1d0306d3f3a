/**
 * The Mesh door of the simulated world: connections, streams and gossip over the wires of `network.ts`.
 *
 * A connection behaves as TCP under libp2p does. A process that dies resets it, and its host then refuses dials.
 * A cut says nothing: what is sent waits, and after some seconds without a round trip either end may give up by
 * itself, so that for a while one end thinks it open. A restarted process may connect anew before the others have
 * noticed that the old connection is gone. Streams keep the order per (peer, protocol); gossip keeps none, goes
 * round by third parties, may be lost or doubled, and does not flow over a connection in its first second.
 */
import type { Mesh, MeshEvents } from "../ports.ts";
import type { PeerId } from "../schema/ids.ts";
import type { Channel, Protocol, Topic } from "../schema/message.ts";
import type { Network } from "./network.ts";
import type { Process } from "./process.ts";
import type { Queue } from "./queue.ts";
import type { Dice } from "./random.ts";

/** How long a connection may be up before gossip flows over it, ms (gossipsub grafts once a second). */
const graftMs = 1_200;
/** How long a dial waits for a host that says nothing, ms. */
const dialTimeoutMs = { least: 2_000, most: 4_000 };
/** The first pause after a failed dial, ms; doubled each time. */
const firstBackoffMs = 250;

interface GossipMessage {
  origin: PeerId;
  topic: Topic;
  bytes: Uint8Array;
  /** to whom it is on its way, or has come */
  sentTo: Set<PeerId>;
  heardBy: Set<PeerId>;
}

/** What one process has of a connection: its own end of it. */
interface End {
  node: Node;
  process: Process;
  open: boolean;
  /** when its process learns that the connection is there; nothing arrives before */
  upAt: number;
  /** when the last message of each protocol arrives here, so that the next one comes after it */
  lastArrival: Map<Channel, number>;
  /** sent to here, waiting for a cut to heal */
  waiting: (() => void)[];
}

class Connection {
  readonly ends: readonly [End, End];
  readonly gossipFrom: number;
  /** changes whenever a round trip becomes possible again; a give-up that was planned before is void */
  trouble = 0;
  troubled = false;

  constructor(a: End, b: End, gossipFrom: number) {
    this.ends = [a, b];
    this.gossipFrom = gossipFrom;
  }

  endAt(peer: PeerId): End {
    return this.ends[0].node.peer === peer ? this.ends[0] : this.ends[1];
  }

  endBeyond(peer: PeerId): End {
    return this.ends[0].node.peer === peer ? this.ends[1] : this.ends[0];
  }
}

/** A host's networking: what it remembers on disk, and what its present process has open. */
interface Node {
  peer: PeerId;
  /** addresses that its settings name */
  named: ReadonlySet<PeerId>;
  /** peers whose id and address it has learned; kept on disk */
  learned: Set<PeerId>;
  /** false: nobody is there to refuse a dial */
  powered: boolean;
  process: Process | undefined;
  events: MeshEvents | undefined;
  connections: Map<PeerId, Connection>;
  /** identities that its present process keeps out */
  refused: ReadonlySet<PeerId>;
  /** who is being dialled, and how often it refused since the connection broke; -1 = it never was connected */
  dials: Map<PeerId, Dial>;
}

interface Dial {
  refused: number;
  backoffMs: number;
}

export class Fabric {
  readonly network: Network;
  /** the queue's time at which the two had learned of each other */
  readonly introduced = new Map<string, number>();
  private readonly queue: Queue;
  private readonly dice: Dice;
  private readonly nodes = new Map<PeerId, Node>();

  constructor(queue: Queue, network: Network, dice: Dice) {
    this.queue = queue;
    this.network = network;
    this.dice = dice;
    network.onChange((from, to) => this.pathChanged(from, to));
  }

  addHost(peer: PeerId, named: readonly PeerId[]): void {
    this.nodes.set(peer, {
      peer,
      named: new Set(named.filter((other) => other !== peer)),
      learned: new Set(),
      powered: true,
      process: undefined,
      events: undefined,
      connections: new Map(),
      refused: new Set(),
      dials: new Map(),
    });
  }

  mesh(process: Process): Mesh {
    const node = this.node(process.peer);
    node.refused = new Set();
    return {
      start: (events) => this.start(node, process, events),
      publish: (topic, bytes) => this.publish(node, topic, bytes),
      send: (to, protocol, bytes) => this.send(node, to, protocol, bytes),
      refuse: (peers) => this.refuse(node, process, peers),
      known: () => [...node.learned],
      unresolved: () =>
        [...node.named].filter((peer) => !node.learned.has(peer) && !node.refused.has(peer)).length,
      addresses: () => [`/sim/${process.peer}`],
      stop: (done) => this.stop(node, process, done),
    };
  }

  /** The process is gone. Its host's kernel resets its connections, unless the host itself went dark. */
  processDied(process: Process, hostToo: boolean): void {
    const node = this.node(process.peer);
    if (node.process !== process) return;
    node.powered = !hostToo;
    node.process = undefined;
    node.events = undefined;
    node.dials.clear();
    for (const [other, connection] of node.connections) {
      connection.endAt(node.peer).open = false;
      this.review(connection);
      if (!hostToo && this.network.reaches(node.peer, other))
        this.farEndHears(connection, node.peer, "reset");
    }
    node.connections.clear();
  }

  /** The process was stopped (SIGSTOP) or goes on. */
  processPaused(process: Process): void {
    for (const connection of this.node(process.peer).connections.values()) this.review(connection);
  }

  private start(node: Node, process: Process, events: MeshEvents): void {
    node.powered = true;
    node.process = process;
    node.events = events;
    for (const peer of new Set([...node.learned, ...node.named])) this.dial(node, peer, -1);
  }

  private refuse(node: Node, process: Process, peers: readonly PeerId[]): void {
    node.refused = new Set(peers);
    for (const peer of peers) {
      node.learned.delete(peer);
      node.dials.delete(peer);
      const connection = node.connections.get(peer);
      if (connection === undefined) continue;
      const near = connection.endAt(node.peer);
      this.queue.after(0, process, () => this.lose(connection, near, "reset"));
      if (this.network.reaches(node.peer, peer)) this.farEndHears(connection, node.peer, "reset");
    }
  }

  private stop(node: Node, process: Process, done: () => void): void {
    for (const [other, connection] of node.connections) {
      connection.endAt(node.peer).open = false;
      if (this.network.reaches(node.peer, other)) this.farEndHears(connection, node.peer, "closed");
    }
    node.connections.clear();
    node.dials.clear();
    node.events = undefined;
    this.queue.after(this.dice.between(1, 20), process, done);
  }

  // ------------------------------------------------------------------------------------------ messages

  private send(node: Node, to: PeerId, protocol: Protocol, bytes: Uint8Array): void {
    const connection = node.connections.get(to);
    if (connection === undefined) return;
    this.count(bytes);
    this.transmit(connection, node, protocol, () => {
      this.node(to).events?.received(node.peer, protocol, bytes);
    });
  }

  private publish(node: Node, topic: Topic, bytes: Uint8Array): void {
    this.relay(node, {
      origin: node.peer,
      topic,
      bytes,
      sentTo: new Set([node.peer]),
      heardBy: new Set([node.peer]),
    });
  }

  /** Passes a gossiped message on to every neighbour to which it is not yet on its way. */
  private relay(node: Node, message: GossipMessage): void {
    for (const [to, connection] of node.connections) {
      if (message.sentTo.has(to) || this.queue.now < connection.gossipFrom) continue;
      if (this.network.reaches(node.peer, to)) {
        message.sentTo.add(to);
        if (this.network.losesGossip()) continue;
      }
      this.count(message.bytes);
      this.transmit(connection, node, message.topic, () => this.hearGossip(to, message));
    }
  }

  private hearGossip(to: PeerId, message: GossipMessage): void {
    const node = this.node(to);
    if (message.heardBy.has(to)) return;
    if (!this.network.doublesGossip()) message.heardBy.add(to);
    message.sentTo.add(to);
    const twice = !message.heardBy.has(to);
    node.events?.received(message.origin, message.topic, message.bytes);
    if (twice) {
      message.heardBy.add(to);
      this.queue.after(this.network.delay(), node.process, () => {
        node.events?.received(message.origin, message.topic, message.bytes);
      });
    }
    this.relay(node, message);
  }

  private transmit(connection: Connection, node: Node, channel: Channel, arrive: () => void): void {
    const far = connection.endBeyond(node.peer);
    if (!far.process.alive || !far.open) {
      this.answerWithReset(connection, node);
      return;
    }
    const deliver = () => {
      const usual = this.queue.now + this.network.delay();
      const at = Math.max(usual, far.upAt, far.lastArrival.get(channel) ?? 0);
      far.lastArrival.set(channel, at);
      this.queue.schedule(at, far.process, () => {
        if (far.open) arrive();
      });
    };
    if (this.network.reaches(node.peer, far.node.peer)) deliver();
    else far.waiting.push(deliver);
  }

  /** The far end is gone or has given up; when its host can be reached and can answer, it says so. */
  private answerWithReset(connection: Connection, node: Node): void {
    const near = connection.endAt(node.peer);
    const far = connection.endBeyond(node.peer);
    if (!far.node.powered || !this.roundTrip(node.peer, far.node.peer)) return;
    this.queue.after(this.network.delay() + this.network.delay(), near.process, () =>
      this.lose(connection, near, "reset"),
    );
  }

  // --------------------------------------------------------------------------------------- connections

  private dial(node: Node, peer: PeerId, refused: number): void {
    if (node.dials.has(peer) || node.connections.has(peer) || node.refused.has(peer)) return;
    const dial = { refused, backoffMs: firstBackoffMs };
    node.dials.set(peer, dial);
    this.queue.after(this.dice.between(20, 150), node.process, () => this.attempt(node, peer, dial));
  }

  private attempt(node: Node, peer: PeerId, dial: Dial): void {
    const process = node.process;
    if (node.dials.get(peer) !== dial || process === undefined) return;
    if (node.connections.has(peer)) {
      node.dials.delete(peer);
      return;
    }
    const far = this.node(peer);
    const again = (inMs: number) => {
      dial.backoffMs = Math.min(dial.backoffMs * 2, this.network.settings.maxBackoffMs);
      this.queue.after(inMs, process, () => this.attempt(node, peer, dial));
    };
    const pause = dial.backoffMs * this.dice.between(0.8, 1.2);
    const roundTripMs = this.network.delay() + this.network.delay();
    if (!far.powered || !this.roundTrip(node.peer, peer) || far.process?.paused === true) {
      again(this.dice.between(dialTimeoutMs.least, dialTimeoutMs.most) + pause);
    } else if (far.events === undefined) {
      this.queue.after(roundTripMs, process, () => this.refused(node, peer, dial));
      again(roundTripMs + pause);
    } else if (far.refused.has(node.peer)) {
      this.queue.after(roundTripMs * 2, process, () => node.events?.turnedAway(peer));
      again(roundTripMs * 2 + pause);
    } else {
      this.queue.after(roundTripMs * 2, process, () => this.connect(node, far));
      again(roundTripMs * 2 + pause);
    }
  }

  private refused(node: Node, peer: PeerId, dial: Dial): void {
    if (node.dials.get(peer) !== dial || dial.refused < 0) return;
    dial.refused++;
    node.events?.redialRefused(peer, dial.refused);
  }

  private connect(near: Node, far: Node): void {
    const [process, farProcess] = [near.process, far.process];
    if (process === undefined || farProcess === undefined || !farProcess.running) return;
    if (near.events === undefined || far.events === undefined) return;
    if (near.refused.has(far.peer) || far.refused.has(near.peer)) return;
    if (near.connections.has(far.peer) || !this.roundTrip(near.peer, far.peer)) return;
    const end = (node: Node, of: Process): End => ({
      node,
      process: of,
      open: true,
      upAt: this.queue.now + (node === near ? 0 : this.network.delay()),
      lastArrival: new Map(),
      waiting: [],
    });
    const gossipFrom = this.queue.now + this.dice.between(50, graftMs);
    const connection = new Connection(end(near, process), end(far, farProcess), gossipFrom);
    this.replaceHalfOpen(far, near.peer);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.connections.set(other.peer, connection);
      one.dials.delete(other.peer);
      this.learn(one, [other.peer]);
      const opened = connection.endAt(one.peer);
      this.queue.schedule(opened.upAt, opened.process, () => {
        if (opened.open) one.events?.linkUp(other.peer);
      });
      this.queue.after(this.dice.between(20, 200), opened.process, () => this.learn(one, [...other.learned]));
    }
  }

  /** A peer has come anew over a connection that looked open: at times the old one's end is noticed first. */
  private replaceHalfOpen(node: Node, peer: PeerId): void {
    const old = node.connections.get(peer);
    if (old === undefined) return;
    old.endAt(node.peer).open = false;
    old.trouble++;
    if (this.dice.chance(0.5)) {
      this.queue.after(0, node.process, () => node.events?.linkDown(peer, "reset"));
    }
  }

  private learn(node: Node, peers: readonly PeerId[]): void {
    const fresh = peers.filter(
      (peer) => peer !== node.peer && !node.learned.has(peer) && !node.refused.has(peer),
    );
    for (const peer of fresh) {
      node.learned.add(peer);
      if (this.node(peer).learned.has(node.peer))
        this.introduced.set(pairOf(node.peer, peer), this.queue.now);
      this.dial(node, peer, -1);
    }
    if (fresh.length === 0) return;
    for (const [other, connection] of node.connections) {
      const far = connection.endAt(other);
      this.queue.after(this.dice.between(20, 200), far.process, () =>
        this.learn(far.node, [...node.learned]),
      );
    }
  }

  /** The far end of what `peer` closed hears of it when the news has travelled. */
  private farEndHears(connection: Connection, peer: PeerId, why: "closed" | "reset"): void {
    const far = connection.endBeyond(peer);
    this.queue.after(this.network.delay(), far.process, () => this.lose(connection, far, why));
  }

  /** One end's process learns that the connection is over, and begins to dial. */
  private lose(connection: Connection, end: End, why: "closed" | "reset"): void {
    if (!end.open) return;
    const peer = connection.endBeyond(end.node.peer).node.peer;
    end.open = false;
    end.node.connections.delete(peer);
    end.node.events?.linkDown(peer, why);
    this.dial(end.node, peer, why === "reset" ? 0 : -1);
  }

  private count(bytes: Uint8Array): void {
    this.network.count(bytes.length);
    this.queue.trace(bytes.length);
  }

  private roundTrip(a: PeerId, b: PeerId): boolean {
    return this.network.reaches(a, b) && this.network.reaches(b, a);
  }

  private pathChanged(from: PeerId, to: PeerId): void {
    const connection = this.node(from).connections.get(to) ?? this.node(to).connections.get(from);
    if (connection === undefined) return;
    this.review(connection);
    if (!this.network.reaches(from, to)) return;
    // What TCP had kept is sent again at its next try.
    const waiting = connection.endAt(to).waiting;
    if (waiting.length === 0) return;
    this.queue.after(this.dice.between(50, 1_500), undefined, () => {
      if (this.network.reaches(from, to)) for (const deliver of waiting.splice(0)) deliver();
    });
  }

  /** Plans to give up a connection over which no round trip is possible, or takes that plan back. */
  private review(connection: Connection): void {
    const [a, b] = connection.ends;
    const answers =
      this.roundTrip(a.node.peer, b.node.peer) && [a, b].every(({ process }) => process.running);
    if (answers === !connection.troubled) return;
    connection.troubled = !answers;
    const trouble = ++connection.trouble;
    const patience = this.network.settings.giveUpAfterMs;
    if (answers || patience === undefined) return;
    for (const end of connection.ends) {
      this.queue.after(this.dice.between(patience.least, patience.most), undefined, () => {
        if (connection.trouble === trouble && end.open && end.process.running) this.giveUp(connection, end);
      });
    }
  }

  private giveUp(connection: Connection, end: End): void {
    const peer = end.node.peer;
    const far = connection.endBeyond(peer);
    this.lose(connection, end, "reset");
    if (this.network.reaches(peer, far.node.peer)) this.farEndHears(connection, peer, "reset");
  }

  private node(peer: PeerId): Node {
    const node = this.nodes.get(peer);
    if (node === undefined) throw new Error(`assertion failed: no host ${peer}`);
    return node;
  }
}

/** The same for both orders of the two. */
function pairOf(a: PeerId, b: PeerId): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}
