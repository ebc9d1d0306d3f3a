/** Real meshes on loopback for the tests: in this process or, if one must be killed, in a child process. */
import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import path from "node:path";
import type { Log, LogFields, Mesh } from "../../src/ports.ts";
import { openClock } from "../../src/real/clock.ts";
import { ClusterKeys } from "../../src/real/keyring.ts";
import { generateClusterKey, generatePeerKey, peerIdOf } from "../../src/real/keys.ts";
import { openMesh, type RealMesh } from "../../src/real/mesh.ts";
import { Openings } from "../../src/real/mesh/openings.ts";
import { openRandom } from "../../src/real/random.ts";
import { ownProtocol, type ProtocolRange } from "../../src/schema/protocol.ts";
import type { PeerId } from "../../src/schema/ids.ts";
import type { ContractPeer, MeshWorld, Report, WorldOptions } from "./contract/mesh.ts";

/** The options of one process of a peer, here or in a child. */
export interface LifeOptions {
  peerKey: Uint8Array;
  clusterKey: Uint8Array;
  bootstrap: readonly string[];
  remembered: readonly string[];
  /** absent = this program's */
  protocol?: ProtocolRange;
  /** absent = a free port of 127.0.0.1 */
  listen?: readonly string[];
  handshakeMs?: number;
  peersMax?: number;
}

export interface Life {
  mesh: Pick<Mesh, "publish" | "send" | "refuse" | "known" | "unresolved" | "addresses">;
  warnings(): readonly string[];
  stop(): Promise<void>;
  kill(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
}

/** The messages from a child, and those to it. */
export type FromChild =
  | { kind: "report"; report: Report }
  | { kind: "state"; known: readonly PeerId[]; unresolved: number; addresses: readonly string[] }
  | { kind: "remember"; addresses: readonly string[] };
export type ToChild =
  | { kind: "open"; options: LifeOptions }
  | { kind: "publish"; args: Parameters<Mesh["publish"]> }
  | { kind: "send"; args: Parameters<Mesh["send"]> }
  | { kind: "stop" };

export interface LoggedLine {
  level: "info" | "warn" | "error";
  message: string;
  fields: LogFields;
}

/** A log that keeps its lines for the test to read. */
export function keepingLog(lines: LoggedLine[]): Log {
  const keep =
    (level: LoggedLine["level"]) =>
    (message: string, fields: LogFields = {}) =>
      void lines.push({ level, message, fields });
  return { debug: () => undefined, info: keep("info"), warn: keep("warn"), error: keep("error") };
}

/** A keyring that holds one key and stores nothing. */
export function onlyKey(key: Uint8Array): ClusterKeys {
  const kept = { key, rotation: undefined, olds: [], heirs: [] };
  return new ClusterKeys({ kept, keep: () => undefined, wall: Date.now });
}

/** For a host that only dials. */
export function anyOpenings(): Openings {
  return new Openings({ knowsHost: () => false, refused: () => undefined });
}

export async function openTestMesh(
  { clusterKey, ...options }: LifeOptions & { keyring?: ClusterKeys },
  remember: (addresses: readonly string[]) => void = () => undefined,
  lines: LoggedLine[] = [],
): Promise<RealMesh> {
  return openMesh({
    listen: ["/ip4/127.0.0.1/tcp/0"],
    keyring: onlyKey(clusterKey),
    protocol: ownProtocol,
    ...options,
    announce: [],
    remember,
    mdns: false,
    clock: openClock(),
    random: openRandom(),
    log: keepingLog(lines),
  });
}

export function startReporting(mesh: Mesh, onReport: (report: Report) => void): void {
  mesh.start({
    linkUp: (peer) => onReport({ kind: "up", peer }),
    linkDown: (peer, why) => onReport({ kind: "down", peer, why }),
    redialRefused: (peer, times) => onReport({ kind: "refused", peer, times }),
    turnedAway: (by, proof) => onReport({ kind: "turned-away", by, proof }),
    keySuperseded: (by) => onReport({ kind: "superseded", by }),
    received: (from, channel, bytes, by) => onReport({ kind: "received", from, channel, bytes, by }),
  });
}

export async function until(what: string, condition: () => boolean, limitMs = 10_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > end) assert.fail(`this did not come within ${limitMs} ms: ${what}`);
    // oxlint-disable-next-line no-await-in-loop -- looking again and again is the purpose
    await pass(3);
  }
}

export function pass(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

export function stopped(mesh: Mesh): Promise<void> {
  return new Promise((resolve) => {
    mesh.stop(resolve);
  });
}

class RealPeer implements ContractPeer {
  readonly peerKey = generatePeerKey();
  readonly id = peerIdOf(this.peerKey);
  readonly clusterKey: Uint8Array;
  readonly isMortal: boolean;
  readonly protocol: ProtocolRange;
  reports: Report[] = [];
  onReport: (report: Report) => void = () => undefined;
  remembered: readonly string[] = [];
  private life: Life | undefined;

  constructor(clusterKey: Uint8Array, isMortal: boolean, protocol: ProtocolRange) {
    this.clusterKey = clusterKey;
    this.isMortal = isMortal;
    this.protocol = protocol;
  }

  get mesh(): Life["mesh"] {
    assert.ok(this.life, "this peer is not running");
    return this.life.mesh;
  }

  warnings(): readonly string[] {
    return this.life?.warnings() ?? [];
  }

  async begin(bootstrap: readonly string[], remembered: readonly string[]): Promise<void> {
    const { peerKey, clusterKey, protocol } = this;
    const options = { peerKey, clusterKey, protocol, bootstrap, remembered };
    this.reports = [];
    const report = (one: Report) => {
      this.reports.push(one);
      this.onReport(one);
    };
    const remember = (addresses: readonly string[]) => {
      this.remembered = addresses;
    };
    const begin = this.isMortal ? beginInChild : beginHere;
    this.life = await begin(options, report, remember);
  }

  signal(signal: NodeJS.Signals): void {
    this.life?.signal(signal);
  }

  async end(how: "stop" | "kill"): Promise<void> {
    const life = this.life;
    this.life = undefined;
    await life?.[how]();
  }
}

type Begin = (
  options: LifeOptions,
  report: (report: Report) => void,
  remember: (addresses: readonly string[]) => void,
) => Promise<Life>;

const refuse = () => assert.fail("only a mortal peer gets signals");

const beginHere: Begin = async (options, report, remember) => {
  const mesh = await openTestMesh(options, remember);
  startReporting(mesh, report);
  return {
    mesh,
    warnings: () => mesh.warnings(),
    stop: () => stopped(mesh),
    kill: refuse,
    signal: refuse,
  };
};

const beginInChild: Begin = async (options, report, remember) => {
  const child = fork(path.join(import.meta.dirname, "mesh-child.ts"), { serialization: "advanced" });
  let state: (FromChild & { kind: "state" }) | undefined;
  child.on("message", (said: FromChild) => {
    if (said.kind === "report") report({ ...said.report });
    else if (said.kind === "remember") remember(said.addresses);
    else state = said;
  });
  const send = (order: ToChild) => void child.send(order);
  send({ kind: "open", options });
  await until("the child has opened its mesh", () => state !== undefined, 20_000);
  const mesh: Life["mesh"] = {
    publish: (...args) => send({ kind: "publish", args }),
    send: (...args) => send({ kind: "send", args }),
    refuse: () => assert.fail("only a peer of this process can refuse others"),
    known: () => state?.known ?? [],
    unresolved: () => state?.unresolved ?? 0,
    addresses: () => state?.addresses ?? [],
  };
  return {
    mesh,
    warnings: () => assert.fail("only a peer of this process has warnings"),
    stop: async () => {
      send({ kind: "stop" });
      await ended(child);
    },
    kill: async () => {
      child.kill("SIGKILL");
      await ended(child);
    },
    signal: (signal) => void child.kill(signal),
  };
};

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
  });
}

export async function makeRealWorld(options: WorldOptions): Promise<MeshWorld> {
  const clusterKey = generateClusterKey();
  const { named: names, mortal, protocols } = options;
  const peers = names.map(
    (_, i) => new RealPeer(clusterKey, mortal?.includes(i) ?? false, protocols?.[i] ?? ownProtocol),
  );
  const peer = (i: number): RealPeer => peers[i] ?? assert.fail(`no peer ${i}`);
  for (const [i, named] of names.entries()) {
    const bootstrap = named.map((other) => peer(other).mesh.addresses()[0]?.split("/p2p/")[0] ?? "");
    // oxlint-disable-next-line no-await-in-loop -- the later ones are told the earlier ones' ports
    await peer(i).begin(bootstrap, []);
  }
  return {
    peers,
    until,
    pass,
    kill: async (i) => {
      const { id, mesh } = peer(i);
      const isKept = () =>
        mesh.known().every((other) => peer(i).remembered.some((one) => one.endsWith(other)));
      await until(`what ${id} knows has reached its disk`, isKept);
      await peer(i).end("kill");
    },
    pause: (i) => peer(i).signal("SIGSTOP"),
    resume: (i) => peer(i).signal("SIGCONT"),
    stop: (i) => peer(i).end("stop"),
    restart: async (i, remembering) => {
      const ids = remembering.map((other) => peer(other).id);
      const remembered = peer(i).remembered.filter((address) => ids.some((id) => address.endsWith(id)));
      assert.ok(remembered.length > 0, "it has remembered them");
      await peer(i).begin([], remembered);
    },
    close: async () => {
      await Promise.all(peers.map((one) => one.end(one.isMortal ? "kill" : "stop")));
    },
  };
}
