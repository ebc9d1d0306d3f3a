/**
 * Real peers for tests and measurements: `cicada start` processes on this machine, each in its own folder, on free
 * ports of the loopback.
 *
 * `await using cluster = new Cluster()` always ends the processes that it started, and removes their folders. Nothing
 * here waits for a fixed time: `until` waits for a named state, and names it when it gives up.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as passes } from "node:timers/promises";
import type { Compatibility } from "../../src/schema/protocol.ts";
import { parseReady, type Ready } from "../../src/schema/ready.ts";

export const root = path.join(import.meta.dirname, "..", "..");
const program = path.join(root, "src", "cicada.mjs");
const otherProgram = path.join(root, "test", "kit", "other-version-child.ts");
/** Where a project's tools keep files that they can make again. */
const caches = path.join(root, "node_modules", ".cache");

/** How long a peer may take to be ready; a busy machine of two cores needs some seconds for three at once. */
const readyLimitMs = 30_000;
/** A wait begins with short pauses and goes on with longer ones: each look is a request that its peer has to answer. */
const firstPollMs = 25;
const longestPollMs = 100;
const pollGrowth = 1.25;
/** Characters of a peer's output that a failure shows. */
const lastOutputLength = 4_000;

export interface Ended {
  code: number | null;
  signal: string | null;
}

export interface Reply {
  status: number;
  headers: Readonly<Record<string, unknown>>;
  text: string;
  /** the parsed body; undefined if it is not JSON */
  body: unknown;
}

/**
 * Polls until the value is neither undefined nor false, and returns it. The error of a timeout says what was awaited.
 */
export async function until<Value>(
  what: string,
  limitMs: number,
  check: () => Value | undefined | false | Promise<Value | undefined | false>,
): Promise<Value> {
  const giveUpAt = performance.now() + limitMs;
  for (let pollMs = firstPollMs; ; pollMs = Math.min(longestPollMs, pollMs * pollGrowth)) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > giveUpAt) throw new Error(`this did not come within ${limitMs} ms: ${what}`);
    await passes(pollMs);
  }
}

const running = new Set<ChildProcess>();
/** The last resort when the test process itself is ended: nothing that it started may outlive it. */
function endAll(): void {
  for (const child of running) child.kill("SIGKILL");
}
process.once("exit", endAll);
process.once("SIGTERM", () => process.exit(143));

/** One process and its output. */
export class Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = "";
  stderr = "";

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv, ownGroup = false) {
    const child = spawn(command, args, {
      cwd: root,
      env,
      stdio: ["ignore", "pipe", "pipe"],
      detached: ownGroup,
    });
    running.add(child);
    child.stdout.setEncoding("utf8").on("data", (text: string) => (this.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
    this.child = child;
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => {
        running.delete(child);
        resolve({ code, signal });
      });
    });
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`${this.child.spawnfile} was not started`);
    return this.child.pid;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  get said(): string {
    return this.stdout + this.stderr;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

/** An environment without any of cicada's variables, so that the person's own caches are left alone. */
export function plainEnv(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(CICADA_|NODE_TEST|npm_)/.test(name));
  return { ...Object.fromEntries(kept), XDG_CACHE_HOME: caches, ...more };
}

/** Runs `cicada ARGS` to its end. */
export async function cicada(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended & { stdout: string; stderr: string; ms: number }> {
  const from = performance.now();
  const started = new Started(process.execPath, [program, ...args], plainEnv(env));
  // The end of the output may still be in the pipe when the exit is reported.
  await once(started.child, "close");
  return {
    ...(await started.ended),
    stdout: started.stdout,
    stderr: started.stderr,
    ms: performance.now() - from,
  };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  if (port === undefined) throw new Error("no port was given");
  return port;
}

/** Different ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const addresses = servers.map((server) => server.address());
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return addresses.flatMap((address) =>
    typeof address === "object" && address !== null ? [address.port] : [],
  );
}

/** Where a peer runs if not simply on this machine, for example in a network namespace (fault/net.ts). */
export interface Site {
  /** The words before a command that run it there. */
  readonly prefix: readonly string[];
  /** A socket file that leads to the peer's API; undefined = the API's own address is reachable. */
  readonly apiSocket: string | undefined;
}

const thisMachine: Site = { prefix: [], apiSocket: undefined };

export interface PeerSettings {
  name: string;
  /** default: a folder of its own */
  data?: string;
  /** the peer to join by its address and cluster key; absent = a new mesh */
  join?: RunningPeer;
  flags?: readonly string[];
  env?: NodeJS.ProcessEnv;
  /** the version of the program that it pretends to be */
  spoken?: Compatibility;
  /** how its process is started: a command before its own; default: none */
  prefix?: readonly string[];
}

/** A peer with its folder and port, which `restart` gives to its next process. */
export class RunningPeer {
  readonly name: string;
  readonly data: string;
  readonly args: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  readonly #site: Site;
  #spoken: Compatibility | undefined;
  started: Started;
  #ready: Ready | undefined;

  constructor(
    name: string,
    data: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    site = thisMachine,
    spoken?: Compatibility,
  ) {
    this.name = name;
    this.data = data;
    this.args = args;
    this.#env = env;
    this.#site = site;
    this.#spoken = spoken;
    this.started = this.#spawn();
  }

  #spawn(): Started {
    const entry = this.#spoken === undefined ? [program] : [otherProgram, JSON.stringify(this.#spoken)];
    const [command = process.execPath, ...args] = [
      ...this.#site.prefix,
      process.execPath,
      ...entry,
      "start",
      ...this.args,
    ];
    return new Started(command, args, plainEnv(this.#env));
  }

  get keyFile(): string {
    return path.join(this.data, "cluster.key");
  }

  get ready(): Ready {
    if (this.#ready === undefined) throw new Error(`${this.name} is not ready`);
    return this.#ready;
  }

  get token(): string {
    return readFileSync(this.ready.tokenFile, "utf8").trim();
  }

  /** The first of its addresses, at which others reach it. */
  get address(): string {
    const [address] = this.ready.listen;
    if (address === undefined) throw new Error(`${this.name} listens nowhere`);
    return address;
  }

  async untilReady(): Promise<Ready> {
    const { started } = this;
    this.#ready = await until(`${this.name} is ready`, readyLimitMs, () => {
      if (started.hasEnded) throw new Error(`${this.name} ended instead of getting ready:\n${started.said}`);
      const ready = readReadyFile(this.data);
      // A file of an earlier process, ended by kill -9, may still be there.
      return ready?.pid === started.pid ? ready : undefined;
    });
    return this.#ready;
  }

  /** From its next start on it pretends to be that version; undefined = this one. */
  becomes(spoken: Compatibility | undefined): void {
    this.#spoken = spoken;
  }

  async restart(): Promise<Ready> {
    if (!this.started.hasEnded) throw new Error(`${this.name} still runs`);
    this.started = this.#spawn();
    return this.untilReady();
  }

  /** kill -9, and waits for the end. */
  async crash(): Promise<void> {
    this.started.kill("SIGKILL");
    await this.started.ended;
  }

  async stop(): Promise<Ended> {
    this.started.kill("SIGTERM");
    return this.started.ended;
  }

  /** One call to its API with its admin token, unless `headers` has another. */
  async call(
    method: string,
    target: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Reply> {
    const payload = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
    const sent = {
      authorization: `Bearer ${this.token}`,
      ...(payload === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    };
    try {
      return await send(new URL(target, this.ready.http), method, payload, sent, this.#site.apiSocket);
    } catch (cause) {
      const what = `${this.started.hasEnded ? "has ended" : "does not answer"} (${method} ${target})`;
      throw new Error(`${this.name} ${what}\n${this.lastOutput}`, { cause });
    }
  }

  get lastOutput(): string {
    return `${this.name}'s last output:\n${this.started.said.slice(-lastOutputLength)}`;
  }

  /** One call that must succeed. Returns its body. */
  async ask(method: string, target: string, body?: unknown): Promise<unknown> {
    const reply = await this.call(method, target, body);
    if (reply.status >= 300)
      throw new Error(`${this.name}: ${method} ${target}: ${reply.status} ${reply.text}`);
    return reply.body;
  }

  /** `cicada ARGS` with this peer as the local one. */
  command(...args: string[]): ReturnType<typeof cicada> {
    return cicada(args, { CICADA_DATA: this.data });
  }
}

export function readReadyFile(data: string): Ready | undefined {
  try {
    return parseReady(readFileSync(path.join(data, "ready.json"), "utf8"));
  } catch {
    return undefined;
  }
}

/** One HTTP request with any header, even `Host`, which fetch would not send. */
export function send(
  target: URL,
  method: string,
  body: string | undefined,
  headers: Readonly<Record<string, string>>,
  socketPath?: string,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asking = request(target, { method, headers, agent: false, socketPath }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (more: string) => (text += more));
      answer.once("error", reject);
      answer.once("end", () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text, body: parsed(text) }),
      );
    });
    asking.once("error", reject);
    asking.end(body);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Several peers and one temporary folder around them. */
export class Cluster implements AsyncDisposable {
  readonly folder = mkdtempSync(path.join(tmpdir(), "cicada-cluster-"));
  readonly peers: RunningPeer[] = [];

  /** Starts a peer without waiting until it is ready. */
  async begin(settings: PeerSettings): Promise<RunningPeer> {
    const data = settings.data ?? path.join(this.folder, settings.name);
    // The port stays the same after a restart, as on a real host.
    const meshPort = await freePort();
    const joining =
      settings.join === undefined
        ? []
        : ["--bootstrap", settings.join.address, "--cluster-key", settings.join.keyFile];
    const args = [
      `--data=${data}`,
      `--name=${settings.name}`,
      "--http=127.0.0.1:0",
      `--listen=/ip4/127.0.0.1/tcp/${meshPort}`,
      ...joining,
      ...(settings.flags ?? []),
    ];
    const site = { ...thisMachine, prefix: settings.prefix ?? [] };
    const peer = new RunningPeer(settings.name, data, args, settings.env ?? {}, site, settings.spoken);
    this.peers.push(peer);
    return peer;
  }

  async start(settings: PeerSettings): Promise<RunningPeer> {
    const peer = await this.begin(settings);
    await peer.untilReady();
    return peer;
  }

  /** A mesh of peers with these names, in which each sees all others alive. The first makes the key. */
  async mesh<const Names extends readonly string[]>(
    names: Names,
    flags: readonly string[] = [],
    env: NodeJS.ProcessEnv = {},
  ): Promise<{ -readonly [Place in keyof Names]: RunningPeer }> {
    const peers: RunningPeer[] = [];
    const [firstName, ...otherNames] = names;
    if (firstName !== undefined) {
      const first = await this.start({ name: firstName, flags, env });
      const others = otherNames.map((name) => this.start({ name, join: first, flags, env }));
      peers.push(first, ...(await Promise.all(others)));
      await untilMembers(peers, peers.length);
    }
    // One for each name, in their order.
    return peers as { -readonly [Place in keyof Names]: RunningPeer };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.peers.map(async (peer) => {
        if (!peer.started.hasEnded) await peer.crash();
      }),
    );
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

export interface PeerItem {
  id: string;
  name: string;
  state: string;
}

/** A list of the API as plain objects; the API's own schema has checked what is in them. */
export async function items<Item>(peer: RunningPeer, target: string): Promise<Item[]> {
  const body = await peer.ask("GET", target);
  if (typeof body !== "object" || body === null || !("items" in body) || !Array.isArray(body.items)) {
    throw new Error(`${target} did not answer with a list`);
  }
  return body.items as Item[];
}

/** Waits until each of them sees `count` members alive and is ready to take ticks. */
export async function untilMembers(
  peers: readonly RunningPeer[],
  count: number,
  limitMs = 30_000,
): Promise<void> {
  await Promise.all(
    peers.map(async (peer) => {
      let seen = "";
      const check = async () => {
        const members = await items<PeerItem>(peer, "/v1/peers");
        const ready = await peer.call("GET", "/readyz?verbose");
        seen = `${members.map(({ name, state }) => `${name} ${state}`).join(", ")}; ${ready.text}`;
        return members.filter((member) => member.state === "alive").length === count && ready.status === 200;
      };
      await until(`${peer.name} sees ${count} members alive and is ready`, limitMs, check).catch((cause) => {
        throw new Error(`${peer.name} sees ${seen}\n${peer.lastOutput}`, { cause });
      });
    }),
  );
}
