/**
 * The edge between bytes and messages: nothing passes that isn't a whole, known message of this mesh, said on the
 * channel where it belongs by the peer that it names.
 *
 * A message travels in an envelope `{cluster, version, sender, seq, body}`, as JSON in UTF-8. What is refused is a
 * value with a reason and never an exception, so that a bad sender costs its receiver no more than the reading.
 * The caller counts refusals; who sent the bytes has been proved by the transport before they come here.
 */
import { Compile } from "typebox/compile";
import type { TSchema } from "typebox";
import type { PeerId } from "../schema/ids.ts";
import { bodiesOf, messageCapBytes, type Channel, type Message } from "../schema/message.ts";

/** Of the envelope and what is in it. Peers of different versions don't understand each other. */
export const wireVersion = 1;

/**
 * How many lists and objects may stand inside each other in a message. The known fields need 7. More lets a stranger's
 * field cost more stack where it is written again; less leaves newer versions less room.
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

/** The bytes of a message. More than `messageCapBytes` will be refused by every receiver: split before. */
export function encode(envelope: Envelope, message: Message): Uint8Array {
  const { cluster, sender, seq } = envelope;
  const whole = { cluster, version: wireVersion, sender, seq, body: message };
  const text = JSON.stringify(whole);
  return Buffer.from(mayBeIllFormed(text) ? JSON.stringify(whole, wellFormed) : text);
}

/** A person's text may have half a surrogate pair in it, and no receiver would take the message. It becomes U+FFFD. */
function wellFormed(_key: string, value: unknown): unknown {
  return typeof value === "string" ? value.toWellFormed() : value;
}

/** The message in the bytes that came from `from` on `channel`. */
export function decode(channel: Channel, bytes: Uint8Array, from: PeerId, cluster: string): Decoded {
  if (bytes.length > messageCapBytes) return refused("too-large");
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
  return decodeBody(channel, parsed.body, parsed.seq);
}

function decodeBody(channel: Channel, body: unknown, seq: number): Decoded {
  if (typeof body !== "object" || body === null || !("kind" in body)) return refused("unknown-kind");
  const check = typeof body.kind === "string" ? checks[channel].get(body.kind) : undefined;
  if (check === undefined) return refused("unknown-kind");
  return check(body) ? { ok: true, message: body, seq } : refused("wrong-shape");
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

/** Whether the text nests deeper than `depthCap`: looked at before it is parsed, in one pass over the bytes. */
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
 * Maps such as `env` take any key, and `__proto__` is one that changes an object when it is copied. The text tells
 * at once whether there can be one, spelled out or with its letters escaped; only then the message is walked.
 */
function mayHideKeys(text: string): boolean {
  return text.includes("__proto__") || text.includes("\\u00");
}

function hasForbiddenKey(message: unknown): boolean {
  return contains(message, (value) => isObject(value) && Object.hasOwn(value, "__proto__"));
}

/**
 * Half a surrogate pair has no canonical form, so a record that quotes it could not be signed. UTF-8 can't hold one, but
 * an escape in JSON can.
 */
function mayBeIllFormed(text: string): boolean {
  return escapedSurrogate.test(text);
}

const escapedSurrogate = /\\u[dD][89a-fA-F]/;

function hasIllFormedText(message: unknown): boolean {
  return contains(message, (value) =>
    typeof value === "string"
      ? !value.isWellFormed()
      : isObject(value) && Object.keys(value).some((key) => !key.isWellFormed()),
  );
}

/** Whether a value in the message, at any depth, is as asked. */
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

/** One compiled check for each kind of message, so that a heartbeat is never tried against another's schema. */
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
  const validator = Compile(schema);
  return (body): body is Message => validator.Check(body);
}
