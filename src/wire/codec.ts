/**
 * The edge between bytes and messages. Bytes pass only if they are a complete, known message of this mesh, sent on the
 * right channel by the peer that the message names.
 *
 * A message travels in an envelope `{cluster, version, sender, seq, body}`, as JSON in UTF-8. A refusal is a value with
 * a reason and never an exception, so that a bad message costs its receiver no more than reading it. The caller counts
 * refusals. The transport has already proved who sent the bytes.
 */
import type { TSchema } from "typebox";
import { Clean } from "typebox/value";
import { checkOf } from "../schema/check.ts";
import { HeartbeatMessage, heartbeatLimits, type Heartbeat } from "../schema/heartbeat.ts";
import type { PeerId } from "../schema/ids.ts";
import { bodiesOf, messageCapBytes, type Channel, type Message } from "../schema/message.ts";
import { ownProtocol } from "../schema/protocol.ts";

/** The version of the envelope and its contents. Peers with different wire versions don't understand each other. */
export const wireVersion = ownProtocol.newest;

/**
 * How deep lists and objects may nest in a message. The known fields need 7. A higher limit lets an unknown field cost
 * more stack when it is written again; a lower one leaves newer versions less room.
 */
export const depthCap = 32;

export interface Envelope {
  /** `Keys.cluster` */
  cluster: string;
  sender: PeerId;
  /** counts the sender's messages */
  seq: number;
}

export type Decoded = { ok: true; message: Message; seq: number } | { ok: false; refusal: Refusal };

export type Refusal =
  | "too-large"
  | "too-deep"
  | "not-utf8"
  | "not-json"
  | "not-unicode"
  | "no-envelope"
  | "foreign-cluster"
  | "other-version"
  | "foreign-sender"
  | "forbidden-key"
  | "unknown-kind"
  | "wrong-shape";

/** How a peer writes and reads its messages. */
export interface Codec {
  encode(envelope: Envelope, message: Message): Uint8Array;
  decode(channel: Channel, bytes: Uint8Array, from: PeerId, cluster: string): Decoded;
}

export const wireCodec: Codec = { encode, decode };

/** The bytes of a message. Receivers refuse more than `messageCapBytes`, so the caller splits messages before. */
export function encode(envelope: Envelope, message: Message): Uint8Array {
  const { cluster, sender, seq } = envelope;
  const whole = { cluster, version: wireVersion, sender, seq, body: message };
  const text = JSON.stringify(whole);
  return Buffer.from(mayBeIllFormed(text) ? JSON.stringify(whole, wellFormed) : text);
}

/** A person's text may contain half a surrogate pair, which every receiver would refuse. It becomes U+FFFD. */
function wellFormed(_key: string, value: unknown): unknown {
  return typeof value === "string" ? value.toWellFormed() : value;
}

/** The message in the bytes that came from `from` on `channel`. */
export function decode(channel: Channel, bytes: Uint8Array, from: PeerId, cluster: string): Decoded {
  if (bytes.length > capOf(channel)) return refused("too-large");
  if (isTooDeep(bytes)) return refused("too-deep");
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return refused("not-utf8");
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return refused("not-json");
  }
  if (mayBeIllFormed(text) && hasIllFormedText(parsed)) return refused("not-unicode");
  if (!isEnvelope(parsed)) return refused("no-envelope");
  if (parsed.cluster !== cluster) return refused("foreign-cluster");
  if (parsed.version !== wireVersion) return refused("other-version");
  if (parsed.sender !== from) return refused("foreign-sender");
  if (mayHideKeys(text) && hasForbiddenKey(parsed.body)) return refused("forbidden-key");
  const decoded = decodeBody(channel, parsed.body, parsed.seq);
  if (decoded.ok && decoded.message.kind === "heartbeat") limitHeartbeat(decoded.message, bytes.length);
  return decoded;
}

function capOf(channel: Channel): number {
  return channel === "heartbeat" ? heartbeatLimits.bytes : messageCapBytes;
}

function decodeBody(channel: Channel, body: unknown, seq: number): Decoded {
  if (typeof body !== "object" || body === null || !("kind" in body)) return refused("unknown-kind");
  const check = typeof body.kind === "string" ? checks[channel].get(body.kind) : undefined;
  if (check === undefined) return refused("unknown-kind");
  return check(body) ? { ok: true, message: body, seq } : refused("wrong-shape");
}

/** Leaves in a long heartbeat only what its receiver has a use for. */
function limitHeartbeat(heartbeat: Heartbeat, bytes: number): void {
  if (bytes <= heartbeatLimits.plainBytes) return;
  Clean(HeartbeatMessage, heartbeat);
  heartbeat.tags = firstOf(heartbeat.tags, heartbeatLimits.tags);
  if (heartbeat.seenVotes !== undefined)
    heartbeat.seenVotes = firstOf(heartbeat.seenVotes, heartbeatLimits.voters);
}

function firstOf<Value>(values: Record<string, Value>, most: number): Record<string, Value> {
  return Object.fromEntries(Object.entries(values).slice(0, most));
}

function refused(refusal: Refusal): Decoded {
  return { ok: false, refusal };
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function isEnvelope(
  value: unknown,
): value is { cluster: unknown; version: unknown; sender: unknown; seq: number; body: unknown } {
  return (
    typeof value === "object" &&
    value !== null &&
    "cluster" in value &&
    "version" in value &&
    "sender" in value &&
    "body" in value &&
    "seq" in value &&
    Number.isSafeInteger(value.seq) &&
    Number(value.seq) >= 0
  );
}

const [quote, backslash] = [0x22, 0x5c];
const [openList, closeList, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d];

/** True if the text nests deeper than `depthCap`. Checked before parsing, in one pass over the bytes. */
function isTooDeep(bytes: Uint8Array): boolean {
  let depth = 0;
  let inText = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (inText) {
      if (byte === backslash) at++;
      else if (byte === quote) inText = false;
    } else if (byte === quote) inText = true;
    else if (byte === openList || byte === openObject) {
      if (++depth > depthCap) return true;
    } else if (byte === closeList || byte === closeObject) depth--;
  }
  return false;
}

/**
 * Maps such as `env` take any key, but copying a key `__proto__` changes the object itself. The text shows quickly
 * whether there may be such a key, spelled out or with escaped letters; only then is the message searched.
 */
function mayHideKeys(text: string): boolean {
  return text.includes("__proto__") || text.includes("\\u00");
}

function hasForbiddenKey(message: unknown): boolean {
  return contains(message, (value) => isObject(value) && Object.hasOwn(value, "__proto__"));
}

/**
 * Half a surrogate pair has no canonical form, so a record that quotes one could not be signed. UTF-8 can't contain
 * one, but an escape in JSON can.
 */
function mayBeIllFormed(text: string): boolean {
  return text.includes("\\u") && escapedSurrogate.test(text);
}

const escapedSurrogate = /\\u[dD][89a-fA-F]/;

function hasIllFormedText(message: unknown): boolean {
  return contains(message, (value) =>
    typeof value === "string"
      ? !value.isWellFormed()
      : isObject(value) && Object.keys(value).some((key) => !key.isWellFormed()),
  );
}

/** True if a value in the message, at any depth, meets the condition. */
function contains(message: unknown, isSought: (value: unknown) => boolean): boolean {
  const rest = [message];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (isSought(next)) return true;
    if (isObject(next)) for (const content of Object.values(next)) rest.push(content);
  }
  return false;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

type Check = (body: unknown) => body is Message;

/** One compiled check for each kind of message, so that a message is checked against its own schema only. */
const checks = Object.fromEntries(
  Object.entries(bodiesOf).map(([channel, union]) => [
    channel,
    new Map(union.anyOf.map((schema) => [kindOf(schema), compiled(schema)])),
  ]),
) as unknown as Record<Channel, ReadonlyMap<string, Check>>; // Object.fromEntries forgets the keys

function kindOf(schema: (typeof bodiesOf)[Channel]["anyOf"][number]): Message["kind"] {
  return schema.properties.kind.const;
}

function compiled(schema: TSchema): Check {
  const validator = checkOf(schema);
  return (body): body is Message => validator.accepts(body);
}
