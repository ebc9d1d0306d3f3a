/**
 * `cicada start`: puts a peer together (data folder, keys, disk, launcher, mesh, peer, API), says when it is ready, and
 * takes it apart again when it is told to stop. The only file of the command line that touches the world itself.
 *
 * What is opened is closed in the opposite order, whatever fails on the way: a refused start leaves no process, no lock
 * and no ready.json behind.
 */
import { existsSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { availableParallelism, hostname } from "node:os";
import { join, resolve } from "node:path";
import { isatty } from "node:tty";
import { loopbackHosts, type Api } from "../../api/options.ts";
import { buildApi } from "../../api/server.ts";
import { configFile, readConfig, unknownVariables, type Config, type Flags } from "../../config.ts";
import type { HostPort } from "../../config/values.ts";
import { formatClusterKey, parseClusterKey } from "../../identity/cluster-key.ts";
import { checkJob } from "../../core/job/job.ts";
import { previewSchedule } from "../../core/time/preview.ts";
import { duplicatesIn, storyOf } from "../../core/records/records.ts";
import { parseDuration } from "../../core/time/units.ts";
import { CicadaError } from "../../errors.ts";
import { controlOf } from "../../peer/control.ts";
import { Peer } from "../../peer/peer.ts";
import type { PeerSettings } from "../../peer/settings.ts";
import type { Doors, Log, LogFields } from "../../ports.ts";
import type { Control } from "../../ports/control.ts";
import { openClock } from "../../real/clock.ts";
import { openDisk } from "../../real/disk.ts";
import { openExecutor } from "../../real/executor.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Compatibility } from "../../schema/protocol.ts";
import { openKeyring } from "../../real/keyring.ts";
import { openFolder, type Folder } from "../../real/folder.ts";
import { generateClusterKey, generatePeerKey, openKeys, peerIdOf } from "../../real/keys.ts";
import { openLog } from "../../real/log.ts";
import { openMesh, type RealMesh } from "../../real/mesh.ts";
import { openRandom } from "../../real/random.ts";
import { isSystemError, formatError } from "../terminal/client.ts";
import { readTextFile } from "../terminal/text-file.ts";
import { withBusyHttp } from "./busy-port.ts";
import {
  exitWarnings,
  parseBrokenExits,
  quarantineBy,
  recentExits,
  type BrokenExit,
} from "./broken-exits.ts";
import { exitCodes, watchFailures, type FailureWatch, type Failures } from "./failures.ts";
import { guardControl, guardDoors } from "./guarded-doors.ts";
import { chooseKey, isJoinString, readJoinFrom, type Membership } from "./keys.ts";
import { hostEnvironment } from "./host.ts";
import { Joining } from "./joining.ts";
import { introduce, describeStopping, showRuns } from "./screen.ts";
import { stopSignal } from "./stop-signal.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { howCalled, readVersion } from "../program.ts";

/** What a stopped peer may still hold open before the process is ended all the same; ms. */
const lingerLimitMs = 1_000;

export async function start(flags: Flags, terminal: Terminal, spoken: Compatibility): Promise<number> {
  const config = await withJoinString(readSettings(flags, terminal), terminal);
  const log = openLog({ level: config.logLevel, format: config.logFormat });
  let lastAct: (() => void) | undefined;
  for (const complaint of unknownVariables(terminal.env)) log.warn(complaint);
  const end = (exitCode: number): void => {
    lastAct?.();
    process.exit(exitCode);
  };
  let noteExit: (() => LogFields) | undefined;
  const failures = watchFailures(log, end, () => noteExit?.() ?? {});
  if (isJoinString(flags["join"])) {
    log.warn(
      "the join string was given as an argument, where other users of this machine can read it (this process hides its " +
        "own arguments, npm and sudo don't): give --join FILE or --join - instead",
    );
  }
  if (process.pid === 1) {
    log.warn(
      "this peer is process 1, and there is no /bin/sh to collect what its runs leave behind: start the container with " +
        "an init (docker run --init), or dead processes stay in its process table",
    );
  }
  using stop = stopSignal();
  try {
    await using opened = new AsyncDisposableStack();
    const folder = openFolder(config.data, log);
    opened.defer(() => folder.close());
    opened.defer(() => folder.removeReady());
    lastAct = () => folder.removeReady();
    stop.beforeEnd(lastAct);

    const watch: Watch = {
      ...failures,
      beforeBroken: (note) => (noteExit = note),
      diskLost: () => end(exitCodes.disk),
    };
    const assembled = await assemble(config, spoken, folder, log, watch, opened);
    await tellReady(assembled, terminal, stop.first);
    // A peer may be killed before it would do so by itself, at its end.
    flushCompileCache();
    const signal = await stop.first;
    const runs = ownRuns(assembled);
    if (terminal.interactive) describeStopping(terminal, runs, config.drainMs);
    else log.info("stopping", { signal, runs, drainMs: config.drainMs });
    return 0;
  } finally {
    // Whatever still holds the process up has had its time.
    setTimeout(() => process.exit(), lingerLimitMs).unref();
  }
}

/** What ends the process while the peer is up. */
interface Watch extends FailureWatch {
  /** `note` is called just before the process ends because it is broken, and says what the log is to say besides. */
  beforeBroken(note: () => LogFields): void;
  diskLost(): void;
}

interface Assembled {
  config: Config;
  folder: Folder;
  doors: Doors;
  membership: Membership;
  control: Control;
  joining: Joining;
  /** Where programs of this machine find the API. */
  http: string;
}

/** A peer that is on the mesh, with its API open; what has to be closed again is put onto `opened`. */
async function assemble(
  config: Config,
  spoken: Compatibility,
  folder: Folder,
  log: Log,
  watch: Watch,
  opened: AsyncDisposableStack,
): Promise<Assembled> {
  const { doors, mesh, membership, founder, used } = await openDoors(config, spoken, folder, log, watch);
  const exits = recentExits(parseBrokenExits(folder.brokenExits()), Date.now());
  const refusal = quarantineBy(exits, readVersion());
  const peer = new Peer(doors, { ...settingsOf(config, spoken, founder), refusal });
  watch.beforeBroken(() => {
    const job = peer.workingOn;
    const exit = { at: Date.now(), version: readVersion(), job: job?.id, revision: job?.revision };
    folder.keepBrokenExits(`${JSON.stringify([...exits, exit])}\n`);
    return { job: job?.id };
  });
  const named = [...new Set([...config.bootstrap, ...membership.addresses, ...folder.addresses()])];
  const joining = new Joining(peer.status, named);
  opened.defer(() => joining.end());
  const guarded = guardControl(controlOf(peer), watch.broken);
  const known = { failures: watch.counts, exits };
  const control = counting(guarded, mesh, known, used ? "warning" : "not ready", joining);
  let hosts: readonly string[] = [];
  const api = buildApi({
    control,
    decisions: { checkJob, previewSchedule, parseDuration, storyOf, duplicatesIn },
    token: folder.adminToken(),
    tokenFile: folder.tokenFile,
    self: { id: doors.keys.self, name: config.name },
    version: readVersion(),
    program: howCalled(process.env).program,
    hosts: () => hosts,
    behindTlsProxy: config.behindTlsProxy,
    log,
    startedAt: Date.now(),
  });
  // The peer stops first: as long as its runs may end, the API still answers.
  opened.defer(() => api.close());
  opened.defer(() => new Promise<void>((done) => peer.stop(done)));
  await started(peer);
  joining.begin((names) => log.info(`joined ${names}`));
  const listening = await listen(api, config.http);
  hosts = listening.hosts;
  return { config, folder, doors, membership, control, joining, http: listening.url };
}

/** Tells other programs by ready.json, and people on the terminal or in the log. */
async function tellReady(
  { config, folder, doors, membership, control, joining, http }: Assembled,
  terminal: Terminal,
  stopped: Promise<unknown>,
): Promise<void> {
  const { name } = config;
  const { tokenFile } = folder;
  const peerId = doors.keys.self;
  const listening = doors.mesh.addresses();
  const version = readVersion();
  folder.writeReady({ pid: process.pid, peerId, name, http, listen: listening, tokenFile, version });
  if (!terminal.interactive) {
    doors.log.info("ready", { peer: peerId, http, mesh: listening.join(" ") });
    void logAlone(joining, doors.log);
    return;
  }
  if (joining.alone() !== undefined) {
    terminal.print("Looking for the other peers…");
    const names = await Promise.race([joining.first, stopped.then(() => undefined)]);
    terminal.print(names === undefined ? (joining.alone() ?? "") : `Joined ${names}.`);
  }
  introduce(terminal, { config, peerId, http, tokenFile, listening, invitation: membership });
  showRuns(terminal, control, peerId);
}

async function logAlone(joining: Joining, log: Log): Promise<void> {
  await joining.first;
  const alone = joining.alone();
  if (alone !== undefined) log.warn(alone);
}

function ownRuns({ control, doors }: Assembled): number {
  const { open } = control.view();
  return open.filter(({ peer, state }) => peer === doors.keys.self && state === "running").length;
}

function readSettings(flags: Flags, terminal: Terminal): Config {
  const { env } = terminal;
  const path = configFile({ flags, env });
  const host = { hostname: hostname(), cores: availableParallelism(), terminal: isatty(process.stderr.fd) };
  if (path === undefined) return withWholePath(readConfig({ flags, env }, host));
  const text = readTextFile(path);
  return withWholePath(readConfig({ flags, env, file: { path, text } }, host));
}

async function withJoinString(config: Config, terminal: Terminal): Promise<Config> {
  if (config.join !== "-") return config;
  if (isatty(process.stdin.fd)) terminal.tell("Paste what `cicada peers invite` printed:");
  return { ...config, join: await readJoinFrom(process.stdin) };
}

/** Other programs find the folder by what ready.json says, wherever they are started. */
function withWholePath(config: Config): Config {
  return { ...config, data: resolve(config.data) };
}

interface Opened {
  doors: Doors;
  mesh: RealMesh;
  membership: Membership;
  founder: PeerId | undefined;
  /** The data folder has served a peer before. */
  used: boolean;
}

/** All doors of the peer, which closes them when it stops; none of them when one can't be opened. */
async function openDoors(
  config: Config,
  spoken: Compatibility,
  folder: Folder,
  log: Log,
  watch: Watch,
): Promise<Opened> {
  // It is made after the keys are, so a first start that was broken off is still a first start.
  const used = existsSync(join(folder.path, "cicada.db"));
  const kept = { file: folder.clusterKeyFile, text: folder.clusterKey(), used };
  const membership = chooseKey(config, kept, generateClusterKey);
  const { key, rotation, stale } = membership;
  if (stale !== undefined) {
    log.warn("the mesh's key has been rotated since; what names the old one is not followed", {
      named: stale,
    });
  }
  const peerKey = folder.peerKey(generatePeerKey);
  const founder = membership.founded ? peerIdOf(peerKey) : membership.founder;
  if (membership.keep) folder.keepClusterKey(formatClusterKey(key, founder, rotation));
  // The folder's own key is older than the one that was given.
  const replaced = membership.keep && kept.text !== undefined ? parseClusterKey(kept.text) : undefined;
  const clock = openClock({ synchronised: config.clockSynchronised });
  const keyring = openKeyring(folder, { key, founder, rotation, replaced }, () => clock.now().wall, log);
  const keys = openKeys({ peerKey, mesh: keyring.mesh });
  const random = openRandom();

  await using opened = new AsyncDisposableStack();
  const disk = await openDisk({ folder: folder.path, log, lost: () => watch.diskLost() });
  opened.defer(() => new Promise<void>((done) => disk.close(done)));
  const executor = openExecutor({ folder, log });
  opened.defer(() => new Promise<void>((done) => executor.close(done)));
  const mesh = await openMesh({
    peerKey,
    keyring,
    listen: config.listen,
    announce: config.announce,
    bootstrap: [...config.bootstrap, ...membership.addresses],
    remembered: rememberInvitation(folder, membership),
    remember: (addresses) => folder.rememberAddresses(addresses),
    protocol: spoken.protocol,
    mdns: config.mdns,
    clock,
    random,
    log,
  }).catch(async (error: unknown) => {
    throw await withBusyHttp(error, config.http);
  });
  opened.move();
  return {
    doors: guardDoors({ clock, random, keys, keyring, mesh, disk, executor, log }, watch.broken),
    mesh,
    membership,
    founder,
    used,
  };
}

/** The addresses of the invitation outlive even a peer that is killed before the mesh has told it of others. */
function rememberInvitation(folder: Folder, { addresses }: Membership): readonly string[] {
  const known = folder.addresses();
  const all = [...new Set([...known, ...addresses])];
  if (all.length > known.length) folder.rememberAddresses(all);
  return all;
}

function settingsOf(
  config: Config,
  { capabilities }: Compatibility,
  founder: PeerId | undefined,
): PeerSettings {
  const { name, tags, capacity, role, drainMs, historyMaxBytes } = config;
  const tzdata = process.versions.tz ?? "unknown";
  return {
    name,
    version: readVersion(),
    tags,
    capacity,
    role,
    drainMs,
    historyMaxBytes,
    tzdata,
    host: hostEnvironment(process.env),
    founder,
    capabilities,
  };
}

/**
 * The peer's view, with what the mesh and this file have to add. A new peer that was to join and has reached nobody
 * isn't ready: it has none of the mesh's jobs. One that comes back keeps the ticks that it knows.
 */
function counting(
  control: Control,
  mesh: RealMesh,
  known: { failures: Readonly<Failures>; exits: readonly BrokenExit[] },
  whenAlone: "warning" | "not ready",
  joining: Joining,
): Control {
  return {
    ...control,
    view() {
      const view = control.view();
      const alone = joining.alone();
      const isUnready = alone !== undefined && whenAlone === "not ready";
      const isWarning = alone !== undefined && whenAlone === "warning";
      return {
        ...view,
        notReady: isUnready ? [...view.notReady, { code: "alone", message: alone }] : view.notReady,
        warnings: [
          ...view.warnings,
          ...mesh.warnings(),
          ...exitWarnings(known.exits),
          ...(isWarning ? [alone] : []),
        ],
        counters: {
          ...view.counters,
          ...mesh.counters(),
          ...known.failures,
          broken_exits: known.exits.length,
        },
      };
    },
  };
}

function started(peer: Peer): Promise<void> {
  return new Promise((done, fail) => peer.start((error) => (error === undefined ? done() : fail(error))));
}

const wildcards: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/** Answers with the URL for programs of this machine, and with the `Host` values under which they may call. */
async function listen(api: Api, { host, port }: HostPort): Promise<{ url: string; hosts: string[] }> {
  try {
    await api.listen({ host, port });
  } catch (error) {
    if (isSystemError(error) && error.code === "EADDRINUSE") {
      throw new CicadaError("PORT_IN_USE", `${host}:${port} (--http)`);
    }
    if (isSystemError(error))
      throw new CicadaError("BAD_SETTING", `--http ${host}:${port}: ${formatError(error)}`);
    throw error;
  }
  const address = api.server.address();
  const openPort = typeof address === "object" && address !== null ? address.port : port;
  const reachable = wildcards[host] ?? host;
  const named = reachable.includes(":") ? `[${reachable}]` : reachable;
  return {
    url: `http://${named}:${openPort}`,
    hosts: [...loopbackHosts(openPort), `${named.toLowerCase()}:${openPort}`],
  };
}
