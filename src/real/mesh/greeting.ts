/**
 * What two connected peers tell each other about peers (`/cicada/peers/1`), as JSON, and how it is checked.
 *
 * `hello` opens every connection. With it the sender accepts the other side, unless they have no common version of the
 * protocol, and says where it and the other peers can be dialled. Its form is the same in all versions, because the
 * versions are found out by it. It is sent again when something changes, for example the sender's key. Its `life`
 * distinguishes a process that has lost its old connection from a second process with the same identity. The addresses
 * of a peer carry the time since when they are valid. Only that peer sets it, so of two lists the later one counts,
 * whichever peer passes it on. `ping` asks for a `pong`. `bye` announces that the connection will end with a clean
 * leave, and `bye-heard` confirms it.
 */
import type { PeerId } from "../../schema/ids.ts";
import { messageCapBytes } from "../../schema/message.ts";
import { readProtocol, assumedProtocol, type ProtocolRange } from "../../schema/protocol.ts";
import { isDialable, isPeerId } from "./addresses.ts";

export interface Whereabouts {
  peer: PeerId;
  /** wall clock of the peer itself, ms; 0 = the peer has not said it */
  since: number;
  /** multiaddrs without the peer id */
  addresses: readonly string[];
}

export type Greeting =
  /** `key`: fingerprint of the cluster key that the sender prefers; `life`: 16 random hex digits of its process */
  | {
      kind: "hello";
      protocol: ProtocolRange;
      self: Whereabouts;
      others: readonly Whereabouts[];
      key?: string;
      life?: string;
    }
  | { kind: "ping" }
  | { kind: "pong" }
  | { kind: "bye" }
  | { kind: "bye-heard" };

/**
 * The most peers in a list. A mesh is tested with up to 50. More takes more memory and longer lists; less forgets
 * peers.
 */
export const peersCap = 256;
/** The most addresses of one peer: a few interfaces in two address families. */
export const addressesCap = 8;
const addressCapLetters = 256;
/** The latest time that a list may carry, so that its peer can always announce a later one. */
export const sinceCap = 2 ** 52;
const hexForm = /^[0-9a-f]{16}$/;

export function encodeGreeting(greeting: Greeting): Uint8Array {
  if (greeting.kind !== "hello") return Buffer.from(JSON.stringify({ kind: greeting.kind }));
  const { protocol, self, key, life } = greeting;
  const text = (others: readonly Whereabouts[]) =>
    Buffer.from(
      JSON.stringify({
        kind: "hello",
        protocol,
        self: toRow(self),
        others: others.map((one) => toRow(one)),
        key,
        life,
      }),
    );
  // A list near the cap of a frame is cut. The receiver learns the rest from other peers.
  let others = greeting.others.slice(0, peersCap);
  let bytes = text(others);
  while (bytes.length > messageCapBytes) {
    others = others.slice(0, others.length / 2);
    bytes = text(others);
  }
  return bytes;
}

/** Undefined if the greeting can't be read. Single bad entries of a list are left out. */
export function decodeGreeting(bytes: Uint8Array): Greeting | undefined {
  let said: unknown;
  try {
    said = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
  if (typeof said !== "object" || said === null || !("kind" in said)) return undefined;
  switch (said.kind) {
    case "ping":
    case "pong":
    case "bye":
    case "bye-heard":
      return { kind: said.kind };
    case "hello": {
      const protocol = "protocol" in said ? readProtocol(said.protocol) : assumedProtocol;
      if (protocol === undefined) return undefined;
      const self = "self" in said ? fromRow(said.self) : undefined;
      if (self === undefined || !("others" in said) || !Array.isArray(said.others)) return undefined;
      const others = said.others.slice(0, peersCap).map((row: unknown) => fromRow(row));
      const key = "key" in said ? readHex(said.key) : undefined;
      const life = "life" in said ? readHex(said.life) : undefined;
      const known = others.filter((one) => one !== undefined);
      return {
        kind: "hello",
        protocol,
        self,
        others: known,
        ...(key === undefined ? {} : { key }),
        ...(life === undefined ? {} : { life }),
      };
    }
    default:
      return undefined;
  }
}

function readHex(said: unknown): string | undefined {
  return typeof said === "string" && hexForm.test(said) ? said : undefined;
}

function toRow(one: Whereabouts): unknown[] {
  return [one.peer, one.since, one.addresses.slice(0, addressesCap)];
}

function fromRow(row: unknown): Whereabouts | undefined {
  if (!Array.isArray(row)) return undefined;
  const [peer, since, addresses]: unknown[] = row;
  if (!isPeerId(peer) || typeof since !== "number" || !Number.isSafeInteger(since)) return undefined;
  if (since < 0 || since > sinceCap) return undefined;
  if (!Array.isArray(addresses)) return undefined;
  const usable = addresses
    .slice(0, addressesCap)
    .filter(
      (address): address is string => typeof address === "string" && address.length <= addressCapLetters,
    )
    .filter((address) => isDialable(address));
  return { peer, since, addresses: usable };
}
