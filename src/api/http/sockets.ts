/**
 * The sockets of the API: how many there may be and who gives way, one answer at a time on each, and what may wait in them
 * to be read (DESIGN §12: limits per address and per caller, so that strangers can't use up what others need).
 *
 * A socket is a stranger's until a request with good credentials has come in on it. Strangers have a share of all places,
 * and a smaller one per address; beyond it the stranger that has been idle the longest is closed. Callers with good
 * credentials have places that no stranger can take, and never give way.
 *
 * Node parses every request that a client sends ahead, and would have all of them answered at once. Here each waits for
 * the answer before it to be on its way, and only a few may wait. An answer that its client doesn't read is given up.
 */
import { createServer, type RequestListener, type Server, type ServerOptions } from "node:http";
import type { Socket } from "node:net";

export interface SocketLimits {
  /** Open sockets, each of which may be a browser's stream. More costs a descriptor and about 10 KiB each. */
  all: number;
  /** Of them strangers'. The rest is kept for callers with good credentials. */
  strangers: number;
  /** … of one address. Less makes callers behind one proxy wait for each other. */
  strangersPerAddress: number;
  /** Requests that may wait on one socket for the answer before theirs. Browsers and cicada send none ahead. */
  ahead: number;
  /** ms in which nothing of an answer is read until its socket is closed. More keeps it in memory for longer. */
  unreadMs: number;
  /** Bytes of answers that may wait to be read: in all, and of strangers. Beyond, the largest are given up. */
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

/** How often answers that wait to be read are looked at. */
const lookMs = 1_000;

interface Held {
  readonly socket: Socket;
  readonly address: string;
  isStranger: boolean;
  isAnswering: boolean;
  /** requests that were sent ahead */
  readonly ahead: (() => void)[];
  /** bytes that had left this process when it was last seen to be read, and when that was (ms) */
  left: number;
  readAt: number;
}

export class Sockets {
  readonly #limits: SocketLimits;
  readonly #held = new Map<Socket, Held>();
  /** Strangers without a request to answer, the one that has been so the longest first. */
  readonly #idle = new Set<Held>();
  readonly #strangers = new Map<string, number>();
  #strangerCount = 0;

  constructor(limits: SocketLimits = socketLimits) {
    this.#limits = limits;
  }

  /** A server whose sockets are held to the limits. */
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
    const looks = setInterval(() => this.#look(), lookMs).unref();
    server.once("close", () => clearInterval(looks));
    return server;
  }

  /** A request with good credentials has come in on this socket. */
  entitle(socket: Socket): void {
    const held = this.#held.get(socket);
    if (held?.isStranger !== true) return;
    held.isStranger = false;
    this.#leaveStrangers(held);
  }

  /** Closes every socket without a request to answer: the server stops. */
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

  /** Gives up answers that nobody reads: those that have waited for too long, then the largest of too many bytes. */
  #look(): void {
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

/** Closes the first of them until what the others have unread is within the limit. */
function giveUpBeyond(limitBytes: number, largestFirst: readonly Held[]): void {
  let sum = 0;
  for (const { socket } of largestFirst) sum += socket.writableLength;
  for (const { socket } of largestFirst) {
    if (sum <= limitBytes) return;
    sum -= socket.writableLength;
    socket.destroy();
  }
}
