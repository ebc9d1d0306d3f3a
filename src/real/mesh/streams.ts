/**
 * The streams of a line: which protocols there are, how frames are sent over them, and how incoming frames are read.
 */
import type { Stream } from "@libp2p/interface";
import { messageCapBytes, type Protocol, protocols } from "../../schema/message.ts";
import type { Counters } from "./counters.ts";
import { FrameReader } from "./frames.ts";
import { streamWindowBytes } from "./host.ts";
import type { Line } from "./links.ts";
import { Outgoing, type QueueLimit } from "./outgoing.ts";

/** `peers` is the mesh's own protocol (greeting.ts). The others are those of ports.ts. */
export type StreamProtocol = Protocol | "peers";
export const streamProtocols: readonly StreamProtocol[] = ["peers", ...protocols];

/**
 * The most inbound streams of one protocol over one connection. One is in use; there are more while it is being
 * replaced.
 */
export const inboundStreamsCap = 4;

/** Of heartbeats only the latest counts. The other protocols are sequences, where nothing after a gap is useful. */
const heartbeatQueue: QueueLimit = { frames: 3, bytes: 4 * messageCapBytes, drop: "oldest" };
const sequenceQueue: QueueLimit = { frames: 4_096, bytes: 32 * messageCapBytes, drop: "newest" };

export function protocolName(protocol: StreamProtocol): string {
  return `/cicada/${protocol}/1`;
}

export function sendOver(line: Line, protocol: StreamProtocol, bytes: Uint8Array, counters: Counters): void {
  const known = line.outgoing.get(protocol);
  if (known !== undefined) return known.send(bytes);
  const made = new Outgoing(
    () => line.connection.newStream(protocolName(protocol)),
    protocol === "heartbeat" ? heartbeatQueue : sequenceQueue,
    counters,
    line.waiting,
  );
  line.outgoing.set(protocol, made);
  made.send(bytes);
}

/** Reads frames until the stream ends. A stream with a frame that is too long is reset; nothing else is affected. */
export function readFrames(stream: Stream, counters: Counters, heard: (frame: Uint8Array) => void): void {
  // The stream is emptied at once. libp2p bounds what arrives before this listener is attached.
  stream.maxReadBufferLength = streamWindowBytes;
  const reader = new FrameReader();
  let ended = false;
  stream.addEventListener("message", ({ data }) => {
    if (ended) return;
    counters.add("mesh_bytes_in", data.byteLength);
    const frames = reader.read(data.subarray());
    if (frames === undefined) {
      ended = true;
      counters.add("mesh_frames_oversized");
      stream.abort(new Error("a frame is too long"));
      return;
    }
    counters.add("mesh_frames_in", frames.length);
    for (const frame of frames) heard(frame);
  });
  const end = () => {
    if (!ended && reader.isTorn) counters.add("mesh_frames_torn");
    ended = true;
  };
  stream.addEventListener("close", end);
  stream.addEventListener("remoteCloseWrite", () => {
    end();
    stream.close().catch(() => undefined);
  });
}
