/**
 * Incoming sockets that have not yet said what libp2p has to hear: the greeting with which every libp2p dialler begins,
 * and the name of a first protocol. A dialler sends both at once. Only then does libp2p get the socket.
 *
 * Beginning a handshake costs libp2p nine times as much as accepting a socket (185 and 20 µs, 15 and 3 KiB), so a
 * stranger that says nothing, or something else, must not cause one. Sockets that wait here have the same shares as
 * handshakes (handshakes.ts). A socket that is late is closed; one that says something else is closed and reported.
 */
import type { Server, Socket } from "node:net";
import type { CreateListenerOptions, Listener, Transport } from "@libp2p/interface";
import { tcp } from "@libp2p/tcp";
import { ipPortToMultiaddr } from "@libp2p/utils";
import { assert } from "../../errors.ts";
import { Handshakes, type HandshakeLimits, handshakeLimits } from "./handshakes.ts";

/** Every libp2p dialler begins with this text, preceded by its length (multistream-select 1.0). */
const greeting = Buffer.from("\x13/multistream/1.0.0\n");
/** The longest opening: the greeting and the name of a cicada peer's key have 70 bytes. */
const openingCapBytes = 256;

/**
 * How long a socket may take for its opening. Together with what libp2p allows the handshake (host.ts), a connection is
 * a peer's within 10 s, or closed. More lets slow strangers hold places; less needs better networks.
 */
export const openingLimitMs = 5_000;

export interface OpeningsOptions {
  /** True for a host at which a member of the mesh has an address. */
  knowsHost: (host: string) => boolean;
  /** A socket from this address was closed because of what it said. */
  refused: (address: string, opening: Uint8Array) => void;
  limitMs?: number | undefined;
  limits?: HandshakeLimits;
}

interface Waiting {
  readonly socket: Socket;
  opening: Buffer;
  abort(): void;
}

export class Openings {
  readonly #refused: OpeningsOptions["refused"];
  readonly #limitMs: number;
  readonly #waiting: Handshakes<Waiting>;
  readonly #all = new Set<Waiting>();
  #isStopped = false;

  constructor({ knowsHost, refused, limitMs = openingLimitMs, limits = handshakeLimits }: OpeningsOptions) {
    this.#refused = refused;
    this.#limitMs = limitMs;
    this.#waiting = new Handshakes(knowsHost, limits);
  }

  /** libp2p's transport over TCP, which gets a socket when its opening is complete. */
  transport(backlog: number): (components: Parameters<ReturnType<typeof tcp>>[0]) => Transport {
    return (components) => {
      const transport = tcp({ backlog })(components);
      const createListener = transport.createListener.bind(transport);
      transport.createListener = (options: CreateListenerOptions) => {
        const listener = createListener(options);
        this.#guard(listener);
        return listener;
      };
      return transport;
    };
  }

  /** Takes in a socket that was just accepted. `next` gets it when its opening is complete, and reads it from its start. */
  enter(socket: Socket, next: (socket: Socket) => void): void {
    const { remoteAddress } = socket;
    if (this.#isStopped || remoteAddress === undefined) return void socket.destroy();
    const waiting: Waiting = { socket, opening: Buffer.alloc(0), abort: () => socket.resetAndDestroy() };
    const late = setTimeout(() => waiting.abort(), this.#limitMs);
    const hear = (bytes: Buffer): void => {
      waiting.opening = Buffer.concat([waiting.opening, bytes]);
      if (!isOpening(waiting.opening)) {
        const { remotePort = 0 } = socket;
        socket.resetAndDestroy();
        this.#refused(ipPortToMultiaddr(remoteAddress, remotePort).toString(), waiting.opening);
      } else if (isComplete(waiting.opening)) {
        socket.off("data", hear).off("close", leave).off("error", ignore);
        leave();
        passOn(waiting, next);
      }
    };
    const leave = (): void => {
      clearTimeout(late);
      this.#waiting.leave(waiting);
      this.#all.delete(waiting);
    };
    socket.on("error", ignore).on("close", leave).on("data", hear);
    this.#all.add(waiting);
    this.#waiting.enter(waiting, plainHost(remoteAddress));
  }

  /** Closes all that wait, and from now on every new one. */
  stop(): void {
    this.#isStopped = true;
    for (const { socket } of this.#all) socket.destroy();
  }

  /** Between the server and libp2p, which has listened to its sockets so far. */
  #guard(listener: Listener): void {
    const { server } = listener as Listener & { server?: Server }; // private in its types only
    const listeners = server?.listeners("connection") ?? [];
    const [toLibp2p, ...more] = listeners as ((socket: Socket) => void)[]; // as Node calls them
    assert(server !== undefined && toLibp2p !== undefined && more.length === 0, "libp2p listens to a server");
    server.removeListener("connection", toLibp2p);
    server.on("connection", (socket: Socket) => this.enter(socket, toLibp2p));
  }
}

/** The error of a socket that waits is followed by its close. */
function ignore(): void {
  // nothing to do
}

function passOn({ socket, opening }: Waiting, next: (socket: Socket) => void): void {
  socket.pause();
  socket.unshift(opening);
  next(socket);
  // The negotiation listens some microtasks later, and would miss what comes before.
  setImmediate(() => socket.resume());
}

/** False if no libp2p dialler begins like this. It would otherwise search any bytes for the end of a first name. */
function isOpening(bytes: Buffer): boolean {
  return greeting.subarray(0, bytes.length).equals(bytes.subarray(0, greeting.length));
}

/** The first name ends with a line break; what is longer than names are is for libp2p to refuse. */
function isComplete(bytes: Buffer): boolean {
  return bytes.length >= openingCapBytes || bytes.includes("\n", greeting.length);
}

/** IPv4 addresses as they are written elsewhere, also at a socket for both versions. */
function plainHost(address: string): string {
  return address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
}
