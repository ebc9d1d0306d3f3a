/**
 * Which version of the protocol this peer speaks with each other peer, by what their greetings say. The mesh asks
 * (real/mesh/reception.ts, sim/mesh/links.ts) before anything else is sent over a connection.
 *
 * It is the highest version that both ranges contain; if that is not this peer's highest, it is logged once. Peers of this
 * mesh without a common version refuse each other: neither links the other, and each side logs it once and warns about it as
 * long as the other keeps trying.
 */
import type { PeerId } from "../../schema/ids.ts";
import { commonVersion, formatProtocol, type ProtocolRange } from "../../schema/protocol.ts";

/** A peer that hasn't tried again for this long is gone: redials wait 5 s at most. */
const goneAfterMs = 60_000;
/** How many peers are remembered, and so named in warnings. A mesh is tested to 50. */
const peersCap = 64;

interface Incompatible {
  protocol: ProtocolRange;
  /** where it was met */
  address: string;
  /** monotonic ms */
  heardAt: number;
}

export interface Judgement {
  spoken: number | "incompatible";
  /** a line for the log; undefined = it was logged before, or there is nothing to log */
  news: { level: "info" | "warn"; message: string } | undefined;
}

export class IncompatiblePeers {
  readonly #own: ProtocolRange;
  readonly #peers = new Map<PeerId, Incompatible>();
  /** versions that are spoken below this peer's highest */
  readonly #lower = new Map<PeerId, number>();

  constructor(own: ProtocolRange) {
    this.#own = own;
  }

  /**
   * The version that the two speak, or that they have none. A peer's range counts until its next greeting. `now` is monotonic,
   * ms.
   */
  judge(peer: PeerId, protocol: ProtocolRange, address: string, now: number): Judgement {
    const before = this.#peers.get(peer);
    this.#peers.delete(peer);
    const spoken = commonVersion(this.#own, protocol);
    if (spoken !== undefined) return { spoken, news: this.#noteSpoken(peer, protocol, spoken) };
    dropFirst(this.#peers);
    const incompatible = { protocol, address, heardAt: now };
    this.#peers.set(peer, incompatible);
    const isNews =
      before === undefined || formatProtocol(before.protocol) !== formatProtocol(incompatible.protocol);
    return {
      spoken: "incompatible",
      news: isNews ? { level: "warn", message: this.#describe(peer, incompatible) } : undefined,
    };
  }

  /** `now` is monotonic, ms. */
  warnings(now: number): string[] {
    return [...this.#peers]
      .filter(([, { heardAt }]) => now - heardAt < goneAfterMs)
      .map(([peer, incompatible]) => this.#describe(peer, incompatible));
  }

  #noteSpoken(peer: PeerId, protocol: ProtocolRange, spoken: number): Judgement["news"] {
    const before = this.#lower.get(peer);
    this.#lower.delete(peer);
    if (spoken === this.#own.newest) return undefined;
    dropFirst(this.#lower);
    this.#lower.set(peer, spoken);
    if (before === spoken) return undefined;
    const [theirs, own] = [formatProtocol(protocol), formatProtocol(this.#own)];
    const message = `peer ${peer.slice(-8)} speaks protocol ${theirs}, and this peer ${own}: they speak ${spoken}`;
    return { level: "info", message };
  }

  #describe(peer: PeerId, { protocol, address }: Incompatible): string {
    const older = protocol.newest < this.#own.oldest ? "that peer" : "this peer";
    return (
      `peer ${peer.slice(-8)} at ${address} speaks protocol ${formatProtocol(protocol)}, and this peer ` +
      `${formatProtocol(this.#own)}: they refuse each other until ${older} runs a newer version of cicada`
    );
  }
}

/** Makes room for one more. */
function dropFirst(peers: Map<PeerId, unknown>): void {
  const first = peers.size >= peersCap ? peers.keys().next().value : undefined;
  if (first !== undefined) peers.delete(first);
}
