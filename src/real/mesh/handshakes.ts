/**
 * Incoming connections that have not yet proved that they belong to the mesh, and which of them is closed when there
 * are too many. With one pool for all, the idle connections of a stranger could keep every member out.
 *
 * A new connection is always admitted. Each host has a share, all hosts without a known member have one together, and
 * there is a limit for all. If one of these is used up, the oldest connection is closed that has not named a cluster
 * key of this mesh; if there is none, the oldest that has. A member names the key within milliseconds, in its first
 * bytes. A stranger doesn't know its name.
 */

/** The part of a connection that this file needs. */
export interface Pending {
  abort(reason: Error): void;
}

export interface HandshakeLimits {
  /** Each costs about 30 KiB. */
  all: number;
  /** Of these, those from hosts without a known member. The rest is kept for members. */
  strangers: number;
  /** Of these, those from one host. Less makes members behind one router wait for each other when all start at once. */
  perHost: number;
}

export const handshakeLimits: HandshakeLimits = { all: 512, strangers: 384, perHost: 128 };

/** The limits for a process that may have so many connections: at most a quarter of them. */
export function handshakeLimitsFor(connections: number): HandshakeLimits {
  const all = Math.max(8, Math.min(handshakeLimits.all, Math.floor(connections / 4)));
  const scaled = (share: number): number => Math.ceil((share * all) / handshakeLimits.all);
  return { all, strangers: scaled(handshakeLimits.strangers), perHost: scaled(handshakeLimits.perHost) };
}

/** Made once: a flood closes thousands in a second, and the trace of an error costs as much as accepting a socket. */
const tooMany = new Error("too many handshakes are pending");

interface Waiting<Line> {
  readonly line: Line;
  readonly host: string;
  readonly isStranger: boolean;
}

export class Handshakes<Line extends Pending> {
  readonly #limits: HandshakeLimits;
  readonly #knowsHost: (host: string) => boolean;
  readonly #waiting = new Map<Line, Waiting<Line>>();
  /** Connections that have not named a key of this mesh, in the order of arrival. */
  readonly #unnamed = new Set<Waiting<Line>>();
  readonly #perHost = new Map<string, number>();
  #strangers = 0;

  /** `knowsHost`: whether a member of the mesh has an address there. */
  constructor(knowsHost: (host: string) => boolean, limits: HandshakeLimits = handshakeLimits) {
    this.#knowsHost = knowsHost;
    this.#limits = limits;
  }

  has(line: Line): boolean {
    return this.#waiting.has(line);
  }

  enter(line: Line, host: string): void {
    const isStranger = !this.#knowsHost(host);
    const { all, strangers, perHost } = this.#limits;
    if ((this.#perHost.get(host) ?? 0) >= perHost) this.#makeRoom((one) => one.host === host);
    else if (isStranger && this.#strangers >= strangers) this.#makeRoom((one) => one.isStranger);
    else if (this.#waiting.size >= all) this.#makeRoom(() => true);
    const waiting = { line, host, isStranger };
    this.#waiting.set(line, waiting);
    this.#unnamed.add(waiting);
    this.#perHost.set(host, (this.#perHost.get(host) ?? 0) + 1);
    if (isStranger) this.#strangers++;
  }

  /** The connection has named a cluster key that this peer has or had. */
  named(line: Line): void {
    const waiting = this.#waiting.get(line);
    if (waiting !== undefined) this.#unnamed.delete(waiting);
  }

  /** The connection is encrypted, or closed. True if it was pending until now. */
  leave(line: Line): boolean {
    const waiting = this.#waiting.get(line);
    if (waiting === undefined) return false;
    this.#waiting.delete(line);
    this.#unnamed.delete(waiting);
    const left = (this.#perHost.get(waiting.host) ?? 1) - 1;
    if (left === 0) this.#perHost.delete(waiting.host);
    else this.#perHost.set(waiting.host, left);
    if (waiting.isStranger) this.#strangers--;
    return true;
  }

  #makeRoom(mayBeClosed: (waiting: Waiting<Line>) => boolean): void {
    for (const group of [this.#unnamed, this.#waiting.values()]) {
      for (const waiting of group) {
        if (!mayBeClosed(waiting)) continue;
        this.leave(waiting.line);
        waiting.line.abort(tooMany);
        return;
      }
    }
  }
}
