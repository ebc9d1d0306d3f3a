/**
 * `cicada start`: assembles a peer (data folder, keys, disk, launcher, mesh, peer, API), says when it is ready, and
 * takes it apart again when it is told to stop. It is the only file of the command line that touches the world itself.
 *
 * Whatever fails, everything that was opened is closed in the opposite order: a refused start leaves no process, no
 * lock and no ready.json behind.
 */
import { flushCompileCache } from "node:module";
import { availableParallelism, hostname } from "node:os";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import { isatty } from "node:tty";
import { loopbackHosts, type Api } from "../../api/options.ts";
import { socketLimitsFor } from "../../api/http/sockets.ts";
import { buildApi } from "../../api/server.ts";
import { Certificate } from "../../api/http/tls.ts";
import { configFile, readConfig, unknownVariables, type Config, type Flags } from "../../config.ts";
import { connectionsWithin, describeFew } from "../../config/descriptors.ts";
import type { HostPort } from "../../config/values.ts";
import { checkJob } from "../../core/checks/job.ts";
import { previewWithCalendars } from "../../core/job/calendars.ts";
import { duplicatesIn, storyOf } from "../../core/records/records.ts";
import { parseDuration } from "../../core/time/units.ts";
import { CicadaError } from "../../errors.ts";
import { controlOf } from "../../peer/control.ts";
import { Peer } from "../../peer/peer.ts";
import type { PeerSettings } from "../../peer/settings.ts";
import type { Doors, Log, LogFields } from "../../ports.ts";
import type { Control } from "../../ports/control.ts";
import { limitsLacking } from "../../real/executor/limits.ts";
import { ownLimit } from "../../real/process-limits.ts";
import { staySmall } from "../../real/memory.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Compatibility } from "../../schema/protocol.ts";
import { openFolder, type Folder } from "../../real/folder.ts";
import { openLog } from "../../real/log.ts";
import { CalendarReader } from "../../real/calendars.ts";
import { Patterns } from "../../real/patterns.ts";
import { isSystemError, formatError } from "../terminal/client.ts";
import { readTextFile } from "../terminal/text-file.ts";
import { httpPortBusy } from "./busy-port.ts";
import { parseBrokenExits, quarantineBy, recentExits } from "./broken-exits.ts";
import { withReadCalendars } from "./read-calendars.ts";
import { withCheckedPatterns } from "./checked-patterns.ts";
import { exitCodes, watchFailures, type FailureWatch } from "./failures.ts";
import { guardControl } from "./guarded-doors.ts";
import { isJoinString, readJoinFrom, type Membership } from "./keys.ts";
import { notAllowed } from "./allowed.ts";
import { hostEnvironment, ownerOfProcess } from "./host.ts";
import { Joining } from "./joining.ts";
import { archiveOf, otlpOf } from "./destinations.ts";
import { openDoors } from "./open-doors.ts";
import { withOwnFindings } from "./own-findings.ts";
import { descriptorFindings, refuseTooFew } from "./descriptors.ts";
import { introduce, printStopping, showRuns } from "./screen.ts";
import { stopSignal } from "./stop-signal.ts";
import { ReadinessLog } from "./readiness-log.ts";
import { logRuns } from "./run-log.ts";
import { readTlsFiles, reloadOnSighup } from "./tls-files.ts";
import { supervisorOf } from "./supervisor.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { invocationOf } from "../program.ts";
import { readVersion } from "../version.ts";

/** How long something that a stopped peer still holds open may delay the end of the process; ms. */
const lingerLimitMs = 1_000;

export async function start(flags: Flags, terminal: Terminal, compatibility: Compatibility): Promise<number> {
  const config = await withJoinString(readSettings(flags, terminal), terminal);
  const log = await openLog({ level: config.logLevel, format: config.logFormat });
  let lastAct: (() => void) | undefined;
  for (const warning of unknownVariables(terminal.env)) log.warn(warning);
  refuseTooFew(openFiles());
  const few = describeFew(openFiles(), config.capacity);
  if (few !== undefined) log.warn(few);
  const end = (exitCode: number): void => {
    lastAct?.();
    process.exit(exitCode);
  };
  let noteExit: (() => LogFields) | undefined;
  const failures = watchFailures(log, end, () => noteExit?.() ?? {});
  if (isJoinString(flags["join"])) {
    log.warn(
      "the join string was given as an argument, which other users of this machine can read (this process hides its " +
        "own arguments, but npm and sudo don't): use --join FILE or --join - instead",
    );
  }
  if (process.pid === 1) {
    log.warn(
      "this peer is process 1, and there is no /bin/sh to reap the processes that its runs leave behind: start the " +
        "container with an init (docker run --init), or dead processes stay in its process table",
    );
  }
  using stop = stopSignal(config.tls !== undefined);
  using supervisor = supervisorOf(process.env, process.pid, log);
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
    const assembled = await assemble(config, compatibility, folder, log, watch, opened);
    supervisor.ready();
    await announceReady(assembled, terminal, stop.first);
    opened.defer(new ReadinessLog(log, () => assembled.control.view()).begin());
    // Node writes its compile cache only at a normal exit, which a killed peer doesn't have.
    flushCompileCache();
    const signal = await stop.first;
    supervisor.stopping();
    const runs = ownRuns(assembled);
    if (terminal.interactive) printStopping(terminal, runs, config.drainMs);
    else log.info("stopping", { signal, runs, drainMs: config.drainMs });
    return 0;
  } finally {
    // Anything that still keeps the process alive has had its time.
    terminal.endWithin(lingerLimitMs);
  }
}

/** Ways in which the process ends while the peer is up. */
interface Watch extends FailureWatch {
  /** `note` is called just before the process ends because it is broken, and returns further fields for the log. */
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
  /** The URL of the API for programs on this machine. */
  http: string;
}

/**
 * Assembles a peer that is on the mesh and has its API open. Everything that has to be closed again is put onto
 * `opened`.
 */
async function assemble(
  config: Config,
  compatibility: Compatibility,
  folder: Folder,
  log: Log,
  watch: Watch,
  opened: AsyncDisposableStack,
): Promise<Assembled> {
  const { doors, mesh, membership, founder, used, isNewIdentity } = await openDoors(
    config,
    compatibility,
    folder,
    log,
    watch,
  );
  const exits = recentExits(parseBrokenExits(folder.brokenExits()), Date.now());
  const refusal = quarantineBy(exits, readVersion());
  const peer = new Peer(doors, {
    ...settingsOf(config, compatibility, founder),
    isNewIdentity,
    invitation: membership.invitation,
    refusal,
  });
  watch.beforeBroken(() => {
    const job = peer.workingOn;
    const exit = { at: Date.now(), version: readVersion(), job: job?.id, revision: job?.revision };
    folder.keepBrokenExits(`${JSON.stringify([...exits, exit])}\n`);
    return { job: job?.id };
  });
  const named = [...new Set([...config.bootstrap, ...membership.addresses, ...folder.addresses()])];
  const joining = new Joining(peer.status, named);
  opened.defer(() => joining.end());
  const patterns = new Patterns();
  const calendars = new CalendarReader();
  const guarded = withReadCalendars(
    withCheckedPatterns(guardControl(controlOf(peer), watch.broken), (given) => patterns.check(given)),
    (text) => calendars.read(text, Date.now()),
  );
  const known = { failures: watch.counts, exits };
  const archive = await archiveOf(config, folder, doors, log);
  const otlp = await otlpOf(config, doors, log);
  const ofDescriptors = descriptorFindings(openFiles(), config.capacity);
  const findings = [
    mesh,
    ofDescriptors,
    ...(archive === undefined ? [] : [archive]),
    ...(otlp === undefined ? [] : [otlp]),
  ];
  const control = withOwnFindings(guarded, findings, known, used ? "warning" : "not ready", joining);
  let hosts: readonly string[] = [];
  const certificate = config.tls === undefined ? undefined : certificateOf(config.tls, log, opened);
  const api = buildApi({
    control,
    decisions: { checkJob, previewSchedule: previewWithCalendars, parseDuration, storyOf, duplicatesIn },
    token: folder.adminToken(),
    tokenFile: folder.tokenFile,
    dataFolder: config.data,
    self: { id: doors.keys.self, name: config.name },
    version: readVersion(),
    program: invocationOf(process.env).program,
    hosts: () => hosts,
    behindTlsProxy: config.behindTlsProxy,
    certificate,
    trusted: config.trusted,
    log,
    startedAt: Date.now(),
    socketLimits: socketLimitsFor(connectionsWithin(openFiles())),
  });
  // It still sends the runs that end while the peer stops.
  if (otlp !== undefined) opened.defer(otlp.open(control));
  // The peer stops first, so that the API still answers while its runs may end.
  opened.defer(() => api.close());
  opened.defer(() => new Promise<void>((done) => peer.stop(done)));
  await started(peer);
  if (archive !== undefined) opened.defer(archive.open(control));
  joining.begin((names) => log.info(`joined ${names}`));
  const listening = await listen(api, config.http, certificate === undefined ? "http" : "https");
  hosts = listening.hosts;
  staySmall();
  return { config, folder, doors, membership, control, joining, http: listening.url };
}

/** Tells other programs through ready.json that the peer is ready, and people on the terminal or in the log. */
async function announceReady(
  { config, folder, doors, membership, control, joining, http }: Assembled,
  terminal: Terminal,
  stopped: Promise<unknown>,
): Promise<void> {
  const { name } = config;
  const { tokenFile } = folder;
  const peerId = doors.keys.self;
  const listening = doors.mesh.addresses();
  const version = readVersion();
  folder.writeReady({
    pid: process.pid,
    peerId,
    name,
    http,
    listen: listening,
    tokenFile,
    version,
    ...(config.tls === undefined ? {} : { tlsCert: config.tls.cert }),
  });
  if (!terminal.interactive) {
    doors.log.info("ready", { peer: peerId, http, mesh: listening.join(" ") });
    logRuns(doors.log, control, peerId);
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

function certificateOf(
  files: NonNullable<Config["tls"]>,
  log: Log,
  opened: AsyncDisposableStack,
): Certificate {
  const { cert, key } = readTlsFiles(files);
  const certificate = new Certificate(cert, key);
  opened.use(reloadOnSighup(files, certificate, log));
  return certificate;
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
  if (terminal.askHidden === undefined) return { ...config, join: await readJoinFrom(process.stdin) };
  const typed = await terminal.askHidden("Paste what `cicada peers invite` printed (it is not shown): ");
  return { ...config, join: await readJoinFrom(Readable.from([typed])) };
}

/** Makes the path absolute: other programs find the folder through ready.json, wherever they are started. */
function withWholePath(config: Config): Config {
  const { data, tls } = config;
  const files = tls === undefined ? undefined : { cert: resolve(tls.cert), key: resolve(tls.key) };
  return { ...config, data: resolve(data), tls: files };
}

/** How many this process may have; Infinity where the host doesn't say. */
function openFiles(): number {
  return ownLimit("Max open files") ?? Infinity;
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
    lacks: [...notAllowed(config, ownerOfProcess().name, openFiles()), ...limitsLacking()],
  };
}

function started(peer: Peer): Promise<void> {
  return new Promise((done, fail) => peer.start((error) => (error === undefined ? done() : fail(error))));
}

/**
 * Connections that the kernel holds until they are accepted. With Node's 511, a flood of new connections makes it drop those of
 * honest callers, which try again only after a second and more. The kernel may allow less; each costs it less than 1 KiB.
 */
const unacceptedConnections = 4_096;

const wildcards: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/** Returns the URL for programs on this machine, and the accepted values of `Host`. */
async function listen(
  api: Api,
  { host, port }: HostPort,
  scheme: "http" | "https",
): Promise<{ url: string; hosts: string[] }> {
  try {
    await api.listen({ host, port, backlog: unacceptedConnections });
  } catch (error) {
    if (isSystemError(error) && error.code === "EADDRINUSE") {
      throw await httpPortBusy({ host, port }, process.argv.slice(2));
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
    url: `${scheme}://${named}:${openPort}`,
    hosts: [...loopbackHosts(openPort), `${named.toLowerCase()}:${openPort}`],
  };
}
