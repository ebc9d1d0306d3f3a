/**
 * Incoming connections that have not proved yet that they belong to the mesh, and which of them gives way when there are too
 * many. One pool for all would let the idle connections of a stranger keep every member out.
 *
 * A newcomer is always let in. Each host has a share, hosts at which no member is known have one together, and there is a
 * limit for all. Where one is used up, the connection gives way that has waited the longest among those that have named no
 * cluster key of this mesh; only if there is none, one that has. A member names the key within milliseconds, with its first
 * bytes, and a stranger doesn't know its name.
 */

/** A connection, as far as this file looks at it. */
export interface Pending {
  abort(reason: Error): void;
}

export interface HandshakeLimits {
  /** Each costs about 30 KiB. */
  all: number;
  /** … of hosts at which no member is known. The rest is kept for members. */
  strangers: number;
  /** … of one host. Less lets members behind one router wait for each other when all of them start at once. */
  perHost: number;
}

export const handshakeLimits: HandshakeLimits = { all: 512, strangers: 384, perHost: 128 };

interface Waiting<Line> {
  readonly line: Line;
  readonly host: string;
  readonly isStranger: boolean;
}

export class Handshakes<Line extends Pending> {
  readonly #limits: HandshakeLimits;
  readonly #knowsHost: (host: string) => boolean;
  readonly #waiting = new Map<Line, Waiting<Line>>();
  /** Those that have named no key of this mesh, in the order in which they came. */
  readonly #unnamed = new Set<Waiting<Line>>();
  readonly #perHost = new Map<string, number>();
  #strangers = 0;

  /** `knowsHost`: a member of the mesh has an address there. */
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

  /** It has named a cluster key that this peer has or had. */
  named(line: Line): void {
    const waiting = this.#waiting.get(line);
    if (waiting !== undefined) this.#unnamed.delete(waiting);
  }

  /** It is encrypted, or closed. True if it was waiting until now. */
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

  #makeRoom(mayGiveWay: (waiting: Waiting<Line>) => boolean): void {
    for (const group of [this.#unnamed, this.#waiting.values()]) {
      for (const waiting of group) {
        if (!mayGiveWay(waiting)) continue;
        this.leave(waiting.line);
        waiting.line.abort(new Error("too many handshakes are pending"));
        return;
      }
    }
  }
}
