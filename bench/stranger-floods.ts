/**
 * The floods of `npm run bench:doors` that come from strangers, who know only the ports. All go to this machine's loopback, from
 * forty of its addresses, and open no more sockets than the order allows.
 */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { setTimeout as passes } from "node:timers/promises";
import { generateClusterKey, generatePeerKey } from "../src/real/keys.ts";
import { openTestMesh } from "../test/kit/mesh-world.ts";
import type { Flood, FloodOrder, Tally } from "./flood-order.ts";

const addresses = 40;
/** How long after a socket was closed it is opened again. With less, it would be a flood of new connections. */
const reopenMs = 3_000;
/** The most requests and pieces that are sent in all, even if a peer would take more. */
const sentMax = 1_000_000;
/** How many handshakes begin at once. With more, the bench would only measure this program. */
const openedAtOnce = 64;
const openEveryMs = 10;

const requestHead = "POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n";
/** The first message of multistream-select, with which every libp2p connection begins. */
const multistream = Buffer.from("\u0013/multistream/1.0.0\n");
const pipelined = Buffer.from("GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(200));
const slowEveryMs = 1_000;
const garbageEveryMs = 100;

type Port = "api" | "mesh";

/** What a socket does once it is open. */
type Manner = (socket: Socket, port: Port, tally: Tally) => void;

const manners: Readonly<Record<"idle" | "half" | "slow" | "garbage" | "unread", Manner>> = {
  idle: () => undefined,
  half: (socket, port) => {
    socket.write(port === "mesh" ? multistream : `${requestHead}Content-Length: 100000\r\n\r\n{`);
  },
  slow: (socket, port, tally) => {
    const text = port === "mesh" ? multistream : Buffer.from(`${requestHead}X-Slow: ${"x".repeat(1_000)}`);
    let at = 0;
    every(socket, slowEveryMs, () => {
      socket.write(text.subarray(at, ++at));
      tally.sent++;
    });
  },
  garbage: (socket, _port, tally) => {
    every(socket, garbageEveryMs, () => {
      socket.write(randomBytes(1_024));
      tally.sent++;
    });
  },
  unread: (socket, _port, tally) => {
    socket.pause();
    const more = (): void => {
      while (tally.sent < sentMax && !socket.destroyed && socket.write(pipelined)) tally.sent += 200;
    };
    socket.on("drain", more);
    more();
  },
};

/**
 * Opens `perPort` sockets at each of these ports of the first peer. Each socket behaves as `manner` says, and is opened again
 * after it was closed.
 */
function sockets(manner: keyof typeof manners, ports: readonly Port[], perPort: number): Flood {
  return async (order, tally, isOver) => {
    const wanted = ports.flatMap((port) => Array.from({ length: perPort }, (_, index) => ({ port, index })));
    const open = new Set<Socket>();
    const begin = ({ port, index }: { port: Port; index: number }): void => {
      if (isOver()) return;
      const [target] = order.targets;
      if (target === undefined) return;
      const localAddress = `127.0.1.${1 + (index % addresses)}`;
      const socket = connect({ host: "127.0.0.1", port: target[port], localAddress });
      open.add(socket);
      socket.on("error", () => undefined);
      socket.once("connect", () => {
        tally.opened++;
        manners[manner](socket, port, tally);
      });
      socket.once("close", () => {
        open.delete(socket);
        tally.closed++;
        setTimeout(() => begin({ port, index }), reopenMs).unref();
      });
      if (manner !== "unread") socket.resume();
    };
    for (let from = 0; from < wanted.length && !isOver(); from += openedAtOnce) {
      for (const one of wanted.slice(from, from + openedAtOnce)) begin(one);
      // oxlint-disable-next-line no-await-in-loop -- not all at once
      await passes(openEveryMs);
    }
    while (!isOver()) {
      tally.most = Math.max(tally.most, open.size);
      // oxlint-disable-next-line no-await-in-loop -- until the time is up
      await passes(100);
    }
    for (const socket of open) socket.destroy();
  };
}

/** Peers of another mesh, with another cluster key, that dial again and again. */
const wrongKey: Flood = async (order, tally, isOver) => {
  const clusterKey = generateClusterKey();
  const bootstrap = order.targets.map(({ address }) => address);
  const meshes = await Promise.all(
    Array.from({ length: addresses }, (_, index) =>
      openTestMesh({
        peerKey: generatePeerKey(),
        clusterKey,
        bootstrap,
        remembered: [],
        listen: [`/ip4/127.0.1.${1 + index}/tcp/0`],
      }),
    ),
  );
  for (const mesh of meshes) {
    mesh.start({
      linkUp: () => undefined,
      linkDown: () => undefined,
      redialRefused: () => undefined,
      turnedAway: () => undefined,
      keySuperseded: () => undefined,
      received: () => undefined,
    });
  }
  // oxlint-disable-next-line no-await-in-loop -- until the time is up
  while (!isOver()) await passes(100);
  for (const mesh of meshes) tally.opened += mesh.counters()["mesh_dials"] ?? 0;
  await Promise.all(meshes.map((mesh) => new Promise<void>((resolve) => mesh.stop(resolve))));
};

function every(socket: Socket, ms: number, act: () => void): void {
  const timer = setInterval(act, ms);
  socket.once("close", () => clearInterval(timer));
}

/** No flood at all, for comparison. */
const none: Flood = async (_order, _tally, isOver) => {
  // oxlint-disable-next-line no-await-in-loop -- until the time is up
  while (!isOver()) await passes(100);
};

export const strangerFloods: Readonly<Record<string, (order: FloodOrder) => Flood>> = {
  none: () => none,
  idle: ({ sockets: count }) => sockets("idle", ["api", "mesh"], count),
  half: ({ sockets: count }) => sockets("half", ["api", "mesh"], count / 4),
  slow: ({ sockets: count }) => sockets("slow", ["api", "mesh"], count / 4),
  garbage: ({ sockets: count }) => sockets("garbage", ["api", "mesh"], count / 20),
  unread: () => sockets("unread", ["api"], addresses),
  "wrong key": () => wrongKey,
};
