/**
 * The sockets of the API: how many there may be, which of them is closed when there are too many, and how much may wait
 * in them to be read (DESIGN §12: limits per address and per caller, so that strangers can't use up what others need).
 *
 * A socket belongs to a stranger until a request with valid credentials has arrived on it. Strangers have a share of
 * all places, and a smaller share per address. Beyond a share, the stranger that has been idle the longest is closed, or
 * the one that has not sent the whole of its request, or the one that doesn't read its answer.
 * Callers with valid credentials have places that no stranger can take, and are never closed for others. A caller that is no
 * admin has a share of its own, and all such callers together leave places free, so that they can't shut out an admin.
 *
 * A socket that has sent nothing costs only itself: Node gets it with its first byte. The head of the first request is due
 * in a time that begins when the socket is accepted, whatever comes byte by byte.
 *
 * Node parses all requests that a client sends ahead, and would have them answered at once. Here each waits until the
 * answer before it is on its way, and only a few may wait. An answer that its client doesn't read is given up, a stream's
 * events included.
 */
import type { IncomingMessage, RequestListener, Server, ServerOptions } from "node:http";
import type { Socket } from "node:net";
import type { Certificate } from "./tls.ts";

/** An import would read all that this module offers, for instance Node's own fetch behind its WebSocket: 4 MiB. */
const { createServer } = process.getBuiltinModule("node:http");

export interface SocketLimits {
  /** Open sockets. Each may be a browser's stream. More costs a descriptor and about 10 KiB each. */
  all: number;
  /** Of these, those of strangers. The rest is kept for callers with valid credentials. */
  strangers: number;
  /** Those of all callers with valid credentials that are not admins, and of one such caller. More leaves fewer for admins. */
  others: number;
  perCaller: number;
  /** Of those of strangers, the ones from one address. Less makes callers behind one proxy wait for each other. */
  strangersPerAddress: number;
  /** How long the head of the first request may take from when the socket was accepted; ms. More lets slow strangers stay. */
  headMs: number;
  /** Requests that may wait on one socket for the answer before theirs. Browsers and cicada send none ahead. */
  ahead: number;
  /**
   * How long a client may read nothing of its answer before its socket is closed; ms. More keeps the answer in memory
   * for longer.
   */
  unreadMs: number;
  /**
   * Bytes of answers that may wait to be read: in all, by strangers, and on one socket. Beyond that the largest are given up.
   * One answer is made at a time, so this is exceeded by the answers of one check at most.
   */
  unreadBytes: number;
  strangersUnreadBytes: number;
  unreadBytesPerSocket: number;
}

export const socketLimits: SocketLimits = {
  all: 1_024,
  strangers: 768,
  others: 768,
  perCaller: 128,
  strangersPerAddress: 256,
  headMs: 10_000,
  ahead: 8,
  unreadMs: 60_000,
  unreadBytes: 268_435_456,
  strangersUnreadBytes: 16_777_216,
  unreadBytesPerSocket: 67_108_864,
};

/** The limits for a process that may have so many connections: at most half of them. */
export function socketLimitsFor(connections: number): SocketLimits {
  const all = Math.max(16, Math.min(socketLimits.all, Math.floor(connections / 2)));
  const scaled = (share: number): number => Math.ceil((share * all) / socketLimits.all);
  const { strangers, others, perCaller, strangersPerAddress } = socketLimits;
  return {
    ...socketLimits,
    all,
    strangers: scaled(strangers),
    others: scaled(others),
    perCaller: scaled(perCaller),
    strangersPerAddress: scaled(strangersPerAddress),
  };
}

/** How often to check for heads that are late and answers that are not read. */
const checkEveryMs = 1_000;

interface Held {
  readonly socket: Socket;
  /** what requests come in by: the socket itself, or the TLS connection over it */
  stream: Socket;
  readonly address: string;
  isStranger: boolean;
  /** whose it is, unless it is a stranger's or an admin's */
  caller: string | undefined;
  isAnswering: boolean;
  /** the request that is answered now, or was answered last */
  request: IncomingMessage | undefined;
  /** when the head of the first request is due; undefined once it has come, ms */
  headDueAt: number | undefined;
  /** at the last check the answer to a broken request was on its way, after which nothing follows */
  isLeaving: boolean;
  /** requests that were sent ahead */
  readonly ahead: (() => void)[];
  /** how many bytes had left this process when a read was last noticed, and when that was (ms) */
  left: number;
  readAt: number;
}

export class Sockets {
  readonly #limits: SocketLimits;
  readonly #held = new Map<Socket, Held>();
  /** by TLS connection: the socket under it */
  readonly #under = new WeakMap<Socket, Socket>();
  /** Strangers without a request to answer, the longest idle first. */
  readonly #idle = new Set<Held>();
  readonly #strangers = new Map<string, number>();
  #strangerCount = 0;

  constructor(limits: SocketLimits = socketLimits) {
    this.#limits = limits;
  }

  /** Creates a server whose sockets obey the limits. With a certificate it speaks TLS alone. */
  serve(options: ServerOptions, listener: RequestListener, certificate?: Certificate): Server {
    const server = createServer(options);
    const parsers = server.listeners("connection") as ((socket: Socket) => void)[]; // as Node calls them
    server.removeAllListeners("connection");
    server.on("connection", (socket) => {
      const held = this.#accept(socket);
      if (held === undefined) return;
      afterFirstByte(socket, () => {
        if (certificate !== undefined) held.stream = this.#secure(held, certificate);
        parsers.forEach((parse) => parse.call(server, held.stream));
      });
    });
    server.on("request", (request, response) => {
      const held = this.#heldBy(request.socket);
      if (held === undefined) return; // closed while the request was parsed
      held.headDueAt = undefined;
      const answer = (): void => {
        held.isAnswering = true;
        held.request = request;
        this.#idle.delete(held);
        response.once("close", () => this.#answered(held));
        listener(request, response);
      };
      if (!held.isAnswering) answer();
      else if (held.ahead.push(answer) > this.#limits.ahead) held.socket.destroy();
    });
    const checks = setInterval(() => {
      this.#checkHeads(server);
      this.#checkUnread();
    }, checkEveryMs).unref();
    server.once("close", () => clearInterval(checks));
    return server;
  }

  /**
   * A request with valid credentials has arrived on this socket; `caller` is undefined for an admin's. False if that caller's
   * share is used up, and all of its sockets are waiting for answers.
   */
  entitle(socket: Socket, caller: string | undefined): boolean {
    const held = this.#heldBy(socket);
    if (held === undefined || (!held.isStranger && held.caller === caller)) return true;
    if (caller !== undefined && !this.#hasPlaceFor(caller)) return false;
    held.caller = caller;
    if (!held.isStranger) return true;
    held.isStranger = false;
    this.#leaveStrangers(held);
    return true;
  }

  /** Closes an idle socket of the caller if it has too many, or of the others if they do. */
  #hasPlaceFor(caller: string): boolean {
    const others = [...this.#held.values()].filter((one) => one.caller !== undefined);
    const own = others.filter((one) => one.caller === caller);
    const crowd =
      own.length >= this.#limits.perCaller ? own : others.length >= this.#limits.others ? others : undefined;
    if (crowd === undefined) return true;
    const leaving = crowd.find(({ isAnswering }) => !isAnswering);
    if (leaving === undefined) return false;
    this.#forget(leaving);
    leaving.socket.destroy();
    return true;
  }

  /** Closes every socket without a request to answer, because the server stops. */
  closeIdle(): void {
    for (const { socket, isAnswering } of this.#held.values()) if (!isAnswering) socket.destroy();
  }

  #heldBy(stream: Socket): Held | undefined {
    return this.#held.get(this.#under.get(stream) ?? stream);
  }

  #secure({ socket }: Held, certificate: Certificate): Socket {
    const secured = certificate.secure(socket);
    this.#under.set(secured, socket);
    return secured;
  }

  /** Undefined if there is no place for it. */
  #accept(socket: Socket): Held | undefined {
    const { all, strangers, strangersPerAddress } = this.#limits;
    const address = socket.remoteAddress ?? "";
    if ((this.#strangers.get(address) ?? 0) >= strangersPerAddress) this.#makeRoom(address);
    else if (this.#strangerCount >= strangers || this.#held.size >= all) this.#makeRoom();
    const isFull =
      (this.#strangers.get(address) ?? 0) >= strangersPerAddress ||
      this.#strangerCount >= strangers ||
      this.#held.size >= all;
    if (isFull) {
      socket.destroy();
      return undefined;
    }
    const now = performance.now();
    const held: Held = {
      socket,
      stream: socket,
      address,
      isStranger: true,
      caller: undefined,
      isAnswering: false,
      request: undefined,
      headDueAt: now + this.#limits.headMs,
      isLeaving: false,
      ahead: [],
      left: 0,
      readAt: now,
    };
    this.#held.set(socket, held);
    this.#idle.add(held);
    this.#strangers.set(address, (this.#strangers.get(address) ?? 0) + 1);
    this.#strangerCount++;
    socket.once("close", () => this.#forget(held));
    return held;
  }

  /**
   * Closes a stranger, of this address if one is given: the one that has been idle the longest, otherwise the oldest of those
   * that still have to send a part of their request, otherwise the one that has read nothing of its answer for the longest.
   */
  #makeRoom(address?: string): void {
    const mayGo = (held: Held): boolean => address === undefined || held.address === address;
    const leaving =
      this.#idle.values().find(mayGo) ??
      this.#held.values().find((held) => isSending(held) && mayGo(held)) ??
      this.#slowestReader(mayGo);
    if (leaving === undefined) return;
    this.#forget(leaving);
    leaving.socket.destroy();
  }

  #slowestReader(mayGo: (held: Held) => boolean): Held | undefined {
    let slowest: Held | undefined;
    for (const held of this.#held.values()) {
      if (!held.isStranger || held.stream.writableLength === 0 || !mayGo(held)) continue;
      if (slowest === undefined || held.readAt < slowest.readAt) slowest = held;
    }
    return slowest;
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

  /** Answers that a head is late as Node does, and closes the socket at the next check, whether the client has read it or not. */
  #checkHeads(server: Server): void {
    const now = performance.now();
    for (const held of this.#held.values()) {
      const { socket, stream, headDueAt } = held;
      if (held.isLeaving) socket.destroy();
      else if (stream.writableFinished) held.isLeaving = true;
      else if (headDueAt !== undefined && now >= headDueAt) {
        if (!server.emit("clientError", new LateHead(), stream)) socket.destroy();
      }
    }
  }

  /**
   * Gives up answers that are not read: those that have waited too long, and the largest if they hold too many bytes.
   */
  #checkUnread(): void {
    const now = performance.now();
    const waiting: Held[] = [];
    for (const held of this.#held.values()) {
      const unread = held.stream.writableLength;
      const left = held.stream.bytesWritten - unread;
      if (unread === 0 || left !== held.left) {
        held.left = left;
        held.readAt = now;
      }
      if (unread === 0) continue;
      const isTooLarge = unread > this.#limits.unreadBytesPerSocket;
      if (isTooLarge || now - held.readAt >= this.#limits.unreadMs) held.socket.destroy();
      else waiting.push(held);
    }
    waiting.sort((a, b) => b.stream.writableLength - a.stream.writableLength);
    const strangers = waiting.filter(({ isStranger }) => isStranger);
    giveUpBeyond(this.#limits.strangersUnreadBytes, strangers);
    giveUpBeyond(
      this.#limits.unreadBytes,
      waiting.filter(({ socket }) => !socket.destroyed),
    );
  }
}

/** A stranger of whose request a part is still to come. */
function isSending({ isStranger, isAnswering, request }: Held): boolean {
  return isStranger && isAnswering && request?.complete === false;
}

class LateHead extends Error {
  readonly code = "ERR_HTTP_REQUEST_TIMEOUT";
}

/** The error of a socket that waits is followed by its close. */
function ignore(): void {
  // nothing to do
}

/** Calls `next` when there is something to read on the socket, or it has ended. */
function afterFirstByte(socket: Socket, next: () => void): void {
  socket.on("error", ignore).once("readable", () => {
    socket.off("error", ignore);
    if (!socket.destroyed) next();
  });
}

/** Closes sockets, the first ones first, until the unread bytes of the others are within the limit. */
function giveUpBeyond(limitBytes: number, largestFirst: readonly Held[]): void {
  let sum = 0;
  for (const { stream } of largestFirst) sum += stream.writableLength;
  for (const { socket, stream } of largestFirst) {
    if (sum <= limitBytes) return;
    sum -= stream.writableLength;
    socket.destroy();
  }
}
