/**
 * The codec of a world's peers. It does what the wire's does, but not again what it has already done in this process:
 *
 * - A gossiped message is decoded once. The same bytes reach every peer of the world.
 * - Of most heartbeats the receiver gets the message that their sender has encoded. They are most of all messages, and nearly all
 *   of a quiet world's; parsing and checking them took a third of its time. Some are decoded all the same.
 *
 * So peers share messages, which none of them changes. Bytes that were changed on their way are always decoded.
 */
import type { Heartbeat } from "../../schema/heartbeat.ts";
import type { PeerId } from "../../schema/ids.ts";
import { topics, type Channel } from "../../schema/message.ts";
import { wireCodec, type Codec, type Decoded } from "../../wire/codec.ts";

/** One heartbeat in so many is decoded. Fewer test the codec less; more make the world slower. */
const decodedEvery = 16;

interface Gossiped {
  channel: Channel;
  from: PeerId;
  cluster: string;
  decoded: Decoded;
}

interface Beat {
  sender: PeerId;
  cluster: string;
  message: Heartbeat;
  seq: number;
}

const gossipChannels: ReadonlySet<Channel> = new Set(topics);
const gossiped = new WeakMap<Uint8Array, Gossiped>();
const beats = new WeakMap<Uint8Array, Beat>();

export const simCodec: Codec = {
  encode: (envelope, message) => {
    const bytes = wireCodec.encode(envelope, message);
    const isKept = message.kind === "heartbeat" && envelope.seq % decodedEvery !== 0;
    if (isKept) beats.set(bytes, { ...envelope, message });
    return bytes;
  },
  decode: (channel, bytes, from, cluster) => {
    if (channel === "heartbeat") return decodeBeat(bytes, from, cluster);
    return gossipChannels.has(channel)
      ? decodeGossip(channel, bytes, from, cluster)
      : wireCodec.decode(channel, bytes, from, cluster);
  },
};

function decodeBeat(bytes: Uint8Array, from: PeerId, cluster: string): Decoded {
  const beat = beats.get(bytes);
  if (beat?.sender !== from || beat.cluster !== cluster)
    return wireCodec.decode("heartbeat", bytes, from, cluster);
  return { ok: true, message: beat.message, seq: beat.seq };
}

function decodeGossip(channel: Channel, bytes: Uint8Array, from: PeerId, cluster: string): Decoded {
  const before = gossiped.get(bytes);
  if (before?.channel === channel && before.from === from && before.cluster === cluster)
    return before.decoded;
  const decoded = wireCodec.decode(channel, bytes, from, cluster);
  gossiped.set(bytes, { channel, from, cluster, decoded });
  return decoded;
}
