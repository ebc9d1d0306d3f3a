/**
 * Messages over the links. Streams keep their order per (peer, protocol). Gossip keeps no order, is forwarded by third
 * peers, may be lost or doubled, and doesn't flow over a connection in its first second. A message that is sent into a
 * cut waits at the sender, as with TCP.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Channel, Protocol, Topic } from "../../schema/message.ts";
import type { Queue } from "../world/queue.ts";
import type { Connection, Node } from "./connection.ts";
import type { Links } from "./links.ts";
import type { HostName, Wires } from "./wires.ts";

interface GossipMessage {
  origin: PeerId;
  topic: Topic;
  bytes: Uint8Array;
  /** the hosts that it has reached, or is on its way to */
  sentTo: Set<HostName>;
  receivedBy: Set<HostName>;
}

export class Traffic {
  private readonly links: Links;
  private readonly wires: Wires;
  private readonly queue: Queue;
  /** the queue's time at which all messages on their way will have arrived */
  arrivedBy = 0;

  constructor(links: Links) {
    this.links = links;
    this.wires = links.wires;
    this.queue = links.queue;
  }

  send(node: Node, to: PeerId, protocol: Protocol, bytes: Uint8Array): void {
    const connections = this.links.connectionsTo(node, to);
    // As in real/mesh.ts: every process with that identity receives heartbeats, and only the newest one everything
    // else.
    for (const connection of protocol === "heartbeat" ? connections : connections.slice(-1)) {
      this.count(bytes);
      const far = connection.farEndOf(node.host).node;
      this.transmit(connection, node, protocol, () => {
        far.events?.received(node.peer, protocol, bytes);
      });
    }
  }

  publish(node: Node, topic: Topic, bytes: Uint8Array): void {
    this.relay(node, {
      origin: node.peer,
      topic,
      bytes,
      sentTo: new Set([node.host]),
      receivedBy: new Set([node.host]),
    });
  }

  /** Forwards a gossiped message to every neighbour that it has not been sent to yet. */
  private relay(node: Node, message: GossipMessage): void {
    for (const [to, connection] of node.connections) {
      if (message.sentTo.has(to) || this.queue.now < connection.gossipFrom) continue;
      if (this.wires.reaches(node.host, to)) {
        message.sentTo.add(to);
        if (this.wires.losesGossip()) continue;
      }
      this.count(message.bytes);
      this.transmit(connection, node, message.topic, () => this.receiveGossip(to, message));
    }
  }

  private receiveGossip(to: HostName, message: GossipMessage): void {
    const node = this.links.node(to);
    if (message.receivedBy.has(to)) return;
    if (!this.wires.doublesGossip()) message.receivedBy.add(to);
    message.sentTo.add(to);
    const twice = !message.receivedBy.has(to);
    node.events?.received(message.origin, message.topic, message.bytes);
    if (twice) {
      message.receivedBy.add(to);
      this.queue.after(this.wires.delay(), node.process, () => {
        node.events?.received(message.origin, message.topic, message.bytes);
      });
    }
    this.relay(node, message);
  }

  private transmit(connection: Connection, node: Node, channel: Channel, arrive: () => void): void {
    const far = connection.farEndOf(node.host);
    if (!far.process.alive || !far.open) {
      this.links.answerWithReset(connection, node);
      return;
    }
    const deliver = () => {
      const usual = this.queue.now + this.wires.delay();
      const at = Math.max(usual, far.upAt, far.lastArrival.get(channel) ?? 0);
      far.lastArrival.set(channel, at);
      this.arrivedBy = Math.max(this.arrivedBy, at);
      this.queue.schedule(at, far.process, () => {
        if (far.open) arrive();
      });
    };
    if (this.wires.reaches(node.host, far.node.host)) deliver();
    else far.waiting.push(deliver);
  }

  private count(bytes: Uint8Array): void {
    this.wires.count(bytes.length);
    this.queue.trace(bytes.length);
  }
}
