/**
 * The sockets of the API: how many there may be, which of them is closed when there are too many, and how much may wait
 * in them to be read (DESIGN §12: limits per address and per caller, so that strangers can't use up what others need).
 *
 * A socket belongs to a stranger until a request with valid credentials has arrived on it. Strangers have a share of
 * all places, and a smaller share per address. Beyond a share, the stranger that has been idle the longest is closed.
 * Callers with valid credentials have places that no stranger can take, and are never closed for others.
 *
 * Node parses all requests that a client sends ahead, and would have them answered at once. Here each waits until the
 * answer before it is on its way, and only a few may wait. An answer that its client doesn't read is given up.
 */
import { createServer, type RequestListener, type Server, type ServerOptions } from "node:http";
import type { Socket } from "node:net";

export interface SocketLimits {
  /** Open sockets. Each may be a browser's stream. More costs a descriptor and about 10 KiB each. */
  all: number;
  /** Of these, those of strangers. The rest is kept for callers with valid credentials. */
  strangers: number;
  /** Of these, those of one address. Less makes callers behind one proxy wait for each other. */
  strangersPerAddress: number;
  /** Requests that may wait on one socket for the answer before theirs. Browsers and cicada send none ahead. */
  ahead: number;
  /**
   * How long a client may read nothing of its answer before its socket is closed; ms. More keeps the answer in memory
   * for longer.
   */
  unreadMs: number;
  /** Bytes of answers that may wait to be read, in all and by strangers. Beyond that the largest are given up. */
  unreadBytes: number;
  strangersUnreadBytes: number;
}

export const socketLimits: SocketLimits = {
  all: 1_024,
  strangers: 768,
  strangersPerAddress: 256,
  ahead: 8,
  unreadMs: 60_000,
  unreadBytes: 268_435_456,
  strangersUnreadBytes: 16_777_216,
};

/** How often to check for answers that are not read. */
const checkEveryMs = 1_000;

interface Held {
  readonly socket: Socket;
  readonly address: string;
  isStranger: boolean;
  isAnswering: boolean;
  /** requests that were sent ahead */
  readonly ahead: (() => void)[];
  /** how many bytes had left this process when a read was last noticed, and when that was (ms) */
  left: number;
  readAt: number;
}

export class Sockets {
  readonly #limits: SocketLimits;
  readonly #held = new Map<Socket, Held>();
  /** Strangers without a request to answer, the longest idle first. */
  readonly #idle = new Set<Held>();
  readonly #strangers = new Map<string, number>();
  #strangerCount = 0;

  constructor(limits: SocketLimits = socketLimits) {
    this.#limits = limits;
  }

  /** Creates a server whose sockets obey the limits. */
  serve(options: ServerOptions, listener: RequestListener): Server {
    const server = createServer(options);
    server.on("connection", (socket) => this.#accept(socket));
    server.on("request", (request, response) => {
      const held = this.#held.get(request.socket);
      if (held === undefined) return; // closed while the request was parsed
      const answer = (): void => {
        held.isAnswering = true;
        this.#idle.delete(held);
        response.once("close", () => this.#answered(held));
        listener(request, response);
      };
      if (!held.isAnswering) answer();
      else if (held.ahead.push(answer) > this.#limits.ahead) held.socket.destroy();
    });
    const checks = setInterval(() => this.#checkUnread(), checkEveryMs).unref();
    server.once("close", () => clearInterval(checks));
    return server;
  }

  /** A request with valid credentials has arrived on this socket. */
  entitle(socket: Socket): void {
    const held = this.#held.get(socket);
    if (held?.isStranger !== true) return;
    held.isStranger = false;
    this.#leaveStrangers(held);
  }

  /** Closes every socket without a request to answer, because the server stops. */
  closeIdle(): void {
    for (const { socket, isAnswering } of this.#held.values()) if (!isAnswering) socket.destroy();
  }

  #accept(socket: Socket): void {
    const { all, strangers, strangersPerAddress } = this.#limits;
    const address = socket.remoteAddress ?? "";
    if ((this.#strangers.get(address) ?? 0) >= strangersPerAddress) this.#makeRoom(address);
    else if (this.#strangerCount >= strangers || this.#held.size >= all) this.#makeRoom();
    const isFull =
      (this.#strangers.get(address) ?? 0) >= strangersPerAddress ||
      this.#strangerCount >= strangers ||
      this.#held.size >= all;
    if (isFull) return void socket.destroy();
    const held: Held = {
      socket,
      address,
      isStranger: true,
      isAnswering: false,
      ahead: [],
      left: 0,
      readAt: performance.now(),
    };
    this.#held.set(socket, held);
    this.#idle.add(held);
    this.#strangers.set(address, (this.#strangers.get(address) ?? 0) + 1);
    this.#strangerCount++;
    socket.once("close", () => this.#forget(held));
  }

  /** Closes the stranger that has been idle the longest, of this address if one is given. */
  #makeRoom(address?: string): void {
    for (const held of this.#idle) {
      if (address !== undefined && held.address !== address) continue;
      this.#forget(held);
      held.socket.destroy();
      return;
    }
  }

  #forget(held: Held): void {
    if (!this.#held.delete(held.socket)) return;
    held.ahead.length = 0;
    if (held.isStranger) this.#leaveStrangers(held);
  }

  #leaveStrangers(held: Held): void {
    this.#idle.delete(held);
    const left = (this.#strangers.get(held.address) ?? 1) - 1;
    if (left === 0) this.#strangers.delete(held.address);
    else this.#strangers.set(held.address, left);
    this.#strangerCount--;
  }

  #answered(held: Held): void {
    held.isAnswering = false;
    const next = held.ahead.shift();
    if (next !== undefined) next();
    else if (held.isStranger && this.#held.has(held.socket)) this.#idle.add(held);
  }

  /**
   * Gives up answers that are not read: those that have waited too long, and the largest if they hold too many bytes.
   */
  #checkUnread(): void {
    const now = performance.now();
    const waiting: Held[] = [];
    for (const held of this.#held.values()) {
      const unread = held.socket.writableLength;
      const left = held.socket.bytesWritten - unread;
      if (unread === 0 || left !== held.left) {
        held.left = left;
        held.readAt = now;
      }
      if (unread === 0) continue;
      if (now - held.readAt >= this.#limits.unreadMs) held.socket.destroy();
      else waiting.push(held);
    }
    waiting.sort((a, b) => b.socket.writableLength - a.socket.writableLength);
    const strangers = waiting.filter(({ isStranger }) => isStranger);
    giveUpBeyond(this.#limits.strangersUnreadBytes, strangers);
    giveUpBeyond(
      this.#limits.unreadBytes,
      waiting.filter(({ socket }) => !socket.destroyed),
    );
  }
}

/** Closes sockets, the first ones first, until the unread bytes of the others are within the limit. */
function giveUpBeyond(limitBytes: number, largestFirst: readonly Held[]): void {
  let sum = 0;
  for (const { socket } of largestFirst) sum += socket.writableLength;
  for (const { socket } of largestFirst) {
    if (sum <= limitBytes) return;
    sum -= socket.writableLength;
    socket.destroy();
  }
}
