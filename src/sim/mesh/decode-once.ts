/**
 * Decodes a gossiped message once for all peers of the world: the same bytes reach each of them, and decoding them again would
 * give an equal message. The peers share that message, which none of them changes.
 */
import type { PeerId } from "../../schema/ids.ts";
import { topics, type Channel } from "../../schema/message.ts";
import { decode, type Decoded } from "../../wire/codec.ts";

interface Known {
  channel: Channel;
  from: PeerId;
  cluster: string;
  decoded: Decoded;
}

const gossiped: ReadonlySet<Channel> = new Set(topics);
const known = new WeakMap<Uint8Array, Known>();

export function decodeOnce(channel: Channel, bytes: Uint8Array, from: PeerId, cluster: string): Decoded {
  if (!gossiped.has(channel)) return decode(channel, bytes, from, cluster);
  const before = known.get(bytes);
  if (before?.channel === channel && before.from === from && before.cluster === cluster)
    return before.decoded;
  const decoded = decode(channel, bytes, from, cluster);
  known.set(bytes, { channel, from, cluster, decoded });
  return decoded;
}
