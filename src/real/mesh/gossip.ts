/**
 * Messages to all peers, by gossipsub. Each is signed by the peer that published it.
 *
 * gossipsub opens its stream to a peer once per connection, and doesn't notice if only that stream is lost. The peer is
 * then linked but receives no gossip. So every link is checked. A missing stream is restored by identifying the peer
 * again, which makes gossipsub open one.
 */
import type { Stream } from "@libp2p/interface";
import { assert } from "../../errors.ts";
import type { PeerId } from "../../schema/ids.ts";
import { messageCapBytes, type Topic, topics } from "../../schema/message.ts";
import type { Counters } from "./counters.ts";
import type { Host } from "./host.ts";
import type { Line } from "./links.ts";

const topicPrefix = "cicada/1/";
const topicOf = new Map<string, Topic>(topics.map((topic) => [topicPrefix + topic, topic]));
const streamPrefix = "/meshsub/";
/** How many checks in a row must find gossip missing. Opening a stream takes less time than one check. */
const checksUntilRestore = 2;

export class Gossip {
  private readonly host: Host;
  private readonly counters: Counters;
  private readonly missing = new Map<PeerId, number>();

  constructor(host: Host, counters: Counters) {
    this.host = host;
    this.counters = counters;
  }

  /** `by` is the neighbour from which the message came: its author, or one that passed it on. */
  start(received: (from: PeerId, topic: Topic, bytes: Uint8Array, by: PeerId) => void): void {
    const { gossip } = this.host.services;
    gossip.addEventListener("gossipsub:message", ({ detail: { msg, propagationSource } }) => {
      const topic = topicOf.get(msg.topic);
      if (topic === undefined || msg.type !== "signed") return;
      this.counters.add("mesh_gossip_in");
      this.counters.add("mesh_gossip_bytes_in", msg.data.length);
      received(msg.from.toString() as PeerId, topic, msg.data, propagationSource.toString() as PeerId);
    });
    for (const topic of topics) gossip.subscribe(topicPrefix + topic);
  }

  publish(topic: Topic, bytes: Uint8Array): void {
    assert(bytes.length <= messageCapBytes, `a message has at most ${messageCapBytes} bytes`);
    this.counters.add("mesh_gossip_out");
    this.counters.add("mesh_gossip_bytes_out", bytes.length);
    this.pass(topic, bytes).catch(() => this.counters.add("mesh_gossip_lost"));
  }

  private async pass(topic: Topic, bytes: Uint8Array): Promise<void> {
    const { recipients } = await this.host.services.gossip.publish(topicPrefix + topic, bytes);
    if (recipients.length === 0) this.counters.add("mesh_gossip_lost");
  }

  /**
   * True if a message that is published now goes directly to this peer: it has subscribed, and a stream leads to it.
   */
  flows(peer: PeerId, lines: readonly Line[]): boolean {
    return this.isSubscribed(peer) && hasOutbound(lines);
  }

  /** Call it about once a second with the lines of a linked peer. */
  check(peer: PeerId, lines: readonly Line[]): void {
    if (this.flows(peer, lines)) {
      this.missing.delete(peer);
      return;
    }
    const times = (this.missing.get(peer) ?? 0) + 1;
    this.missing.set(peer, times);
    if (times % checksUntilRestore === 0) this.restore(peer, lines);
  }

  /** Restarts gossip if it does not flow, because a line was replaced or it has stopped by itself. */
  restore(peer: PeerId, lines: readonly Line[]): void {
    if (this.flows(peer, lines)) return;
    this.counters.add("mesh_gossip_repaired");
    const connection = lines.at(-1)?.connection;
    if (!hasOutbound(lines) && connection !== undefined) {
      this.host.services.identify.identify(connection).catch(() => undefined);
    } else {
      // The peer has not said what it subscribes to. It does so when it opens its stream again.
      for (const stream of gossipStreams(lines, "inbound")) stream.abort(new Error("no subscriptions came"));
    }
  }

  /** Stops gossip over this line, because gossip goes over only one line of a peer. */
  leave(line: Line): void {
    for (const stream of gossipStreams([line], "outbound"))
      stream.abort(new Error("another line has come up"));
  }

  private isSubscribed(peer: PeerId): boolean {
    const { gossip } = this.host.services;
    return topics.every((topic) =>
      gossip.getSubscribers(topicPrefix + topic).some((subscriber) => subscriber.toString() === peer),
    );
  }

  forget(peer: PeerId): void {
    this.missing.delete(peer);
  }
}

function hasOutbound(lines: readonly Line[]): boolean {
  return gossipStreams(lines, "outbound").some(({ writeStatus }) => writeStatus === "writable");
}

function gossipStreams(lines: readonly Line[], direction: "inbound" | "outbound"): Stream[] {
  return lines
    .flatMap(({ connection }) => connection.streams)
    .filter((stream) => stream.direction === direction && stream.protocol.startsWith(streamPrefix));
}
