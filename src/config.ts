/**
 * What a peer is started with: flags, environment, YAML file and defaults, in that order, as one checked `Config`.
 *
 * The settings are the rows of config/settings.ts, and config/values.ts reads their values. This file decides which
 * source wins. The message for a value that can't be used names its source and says what would be right; for an unknown
 * name in the file, it names the nearest known one. Nothing here touches the disk or the network.
 */
import { parseDocument } from "yaml";
import { defaultDataFolder } from "./config/environment.ts";
import {
  defaultCapacityPerCore,
  defaultDrainMs,
  defaultHistoryMaxBytes,
  defaultHttpPort,
  defaultMeshPort,
  type LogLevel,
  logLevels,
  type Setting,
  type SettingName,
  settings,
} from "./config/settings.ts";
import {
  anyText,
  type HostPort,
  oneOf,
  readArchive,
  readCapacity,
  readDuration,
  readAddress,
  readGroup,
  readHeaderName,
  readSize,
  readHostPort,
  readListenAddress,
  readAnnounced,
  readName,
  readPeerAddress,
  readSwitch,
  readSyslog,
  readTag,
  readUser,
  Refusal,
} from "./config/values.ts";
import { contentOf } from "./config/yaml.ts";
import { CicadaError } from "./errors.ts";
import { heartbeatLimits } from "./schema/heartbeat.ts";
import { executors, type ExecutorName } from "./schema/job-vocabulary.ts";
import { didYouMean } from "./schema/nearest.ts";

export interface Config {
  /** The folder that holds everything the peer keeps. */
  data: string;
  /** Shown to people; the identity is the peer id. */
  name: string;
  /** Multiaddrs to listen on. */
  listen: readonly string[];
  /** Multiaddrs of peers of the mesh. One is enough: the peer finds the others through it and remembers them. */
  bootstrap: readonly string[];
  /** What `cicada peers invite` printed, the file that holds it, or `-` to read it from standard input. */
  join: string | undefined;
  /** Multiaddrs to tell other peers instead of those listened on. */
  announce: readonly string[];
  /** A file that holds the cluster key; undefined = `cluster.key` in the data folder. */
  clusterKey: string | undefined;
  http: HostPort;
  behindTlsProxy: boolean;
  /** Files of the certificate and its key; undefined = plain http. */
  tls: { cert: string; key: string } | undefined;
  /** The headers by which the TLS proxy names people, and the addresses from which it may; undefined = none count. */
  trusted: { userHeader: string; roleHeader: string | undefined; addresses: readonly string[] } | undefined;
  tags: Readonly<Record<string, string>>;
  /** How many runs at once. */
  capacity: number;
  /** `off`: no job runs here. */
  exec: "off" | "cluster";
  /** Jobs of other executors don't run here. */
  allowExecutors: readonly ExecutorName[];
  /** Jobs of other users don't run here; undefined = any user's. A job without a user runs as the peer's own. */
  allowUsers: readonly string[] | undefined;
  /** Jobs of other groups don't run here; undefined = any group's. */
  allowGroups: readonly string[] | undefined;
  drainMs: number;
  /** How much space records and outputs may take. */
  historyMaxBytes: number;
  /** Where finished outputs are copied too. */
  archive: { bucket: string; prefix: string } | undefined;
  syslog: { tls: boolean; host: string; port: number } | undefined;
  role: "worker" | "witness";
  mdns: boolean;
  /**
   * Whether a used data folder without its peer.key may become a new peer. This is only a flag, so that no unit file
   * sets it for ever.
   */
  newIdentity: boolean;
  /** Whether the host's clock follows a time server; undefined = ask the host. */
  clockSynchronised: boolean | undefined;
  logLevel: LogLevel;
  logFormat: "json" | "pretty";
}

export type Flags = Record<string, string | boolean | readonly string[] | undefined>;

/** Where settings come from. `flags` holds what the command line gave, by name of the setting. */
export interface Sources {
  flags: Flags;
  env: Readonly<Record<string, string | undefined>>;
  file?: { path: string; text: string };
}

/** What the defaults depend on. */
export interface Host {
  hostname: string;
  cores: number;
  /** Standard error is a terminal. */
  terminal: boolean;
}

/** Names that the file may use in addition to those of the flags. */
const fileAliases: Readonly<Record<string, SettingName>> = { tags: "tag" };

/** A value and its source, for error messages. */
interface Given {
  values: readonly string[];
  from: string;
}

export function readConfig(sources: Sources, host: Host): Config {
  const inFile = sources.file === undefined ? new Map<SettingName, Given>() : readFile(sources.file);
  const given = new Map<SettingName, Given>();
  for (const setting of settings) {
    const found =
      fromFlags(setting, sources.flags) ?? fromEnv(setting, sources.env) ?? inFile.get(setting.name);
    if (found !== undefined) given.set(setting.name, found);
  }
  const read = <Value>(
    name: SettingName,
    reader: (text: string) => Value | Refusal,
    fallback: Value,
  ): Value => readOne(name, given.get(name), reader) ?? fallback;
  const readAll = <Value>(
    name: SettingName,
    reader: (text: string) => Value | Refusal,
  ): Value[] | undefined =>
    given.get(name)?.values.map((value) => check(name, given.get(name)?.from, value, reader));

  const config: Config = {
    data: readOne("data", given.get("data"), anyText) ?? defaultDataFolder(sources.env),
    name: read("name", readName, host.hostname),
    listen: readAll("listen", readListenAddress) ?? [`/ip4/0.0.0.0/tcp/${defaultMeshPort}`],
    bootstrap: readAll("bootstrap", readPeerAddress) ?? [],
    join: read<string | undefined>("join", anyText, undefined),
    announce: readAll("announce", readAnnounced) ?? [],
    clusterKey: read<string | undefined>("cluster-key", anyText, undefined),
    http: read("http", readHostPort, { host: "127.0.0.1", port: defaultHttpPort }),
    behindTlsProxy: read("behind-tls-proxy", readSwitch, false),
    tls: tlsFiles(
      readOne("tls-cert", given.get("tls-cert"), anyText),
      readOne("tls-key", given.get("tls-key"), anyText),
    ),
    trusted: trustedHeaders(
      readOne("trust-user-header", given.get("trust-user-header"), readHeaderName),
      readOne("trust-role-header", given.get("trust-role-header"), readHeaderName),
      readAll("trust-proxy", readAddress),
    ),
    tags: tagsOf(readAll("tag", readTag) ?? []),
    capacity: read("capacity", readCapacity, defaultCapacityPerCore * host.cores),
    exec: read("exec", oneOf("off", "cluster"), "cluster"),
    allowExecutors: readAll("allow-executor", oneOf(...executors)) ?? executors,
    allowUsers: atMost(allowedMax, "allow-user", readAll("allow-user", readUser)),
    allowGroups: atMost(allowedMax, "allow-group", readAll("allow-group", readGroup)),
    drainMs: read("drain", readDuration, defaultDrainMs),
    historyMaxBytes: read("history-max", readSize, defaultHistoryMaxBytes),
    archive: readOne("archive", given.get("archive"), readArchive),
    syslog: readOne("syslog", given.get("syslog"), readSyslog),
    role: read("role", oneOf("worker", "witness"), "worker"),
    mdns: read("mdns", readSwitch, false),
    newIdentity: sources.flags["new-identity"] === true,
    clockSynchronised: read<boolean | undefined>("clock-synchronised", readSwitch, undefined),
    logLevel: read("log-level", oneOf(...logLevels), "info"),
    logFormat: read("log-format", oneOf("json", "pretty"), host.terminal ? "pretty" : "json"),
  };
  if (config.trusted !== undefined && !config.behindTlsProxy) {
    const why = "only a TLS proxy's headers can be trusted: give --behind-tls-proxy as well";
    throw new CicadaError("BAD_SETTING", `--trust-user-header: ${why}`);
  }
  if (config.tls !== undefined && config.behindTlsProxy) {
    throw new CicadaError("BAD_SETTING", "--tls-cert and --behind-tls-proxy: give one of them");
  }
  if (!isLoopback(config.http.host) && !config.behindTlsProxy && config.tls === undefined) {
    const { host: name, port } = config.http;
    throw new CicadaError("NOT_LOOPBACK", `--http ${name}:${port} (${given.get("http")?.from ?? ""})`);
  }
  return config;
}

function tlsFiles(cert: string | undefined, key: string | undefined): Config["tls"] {
  if (cert === undefined && key === undefined) return undefined;
  if (cert !== undefined && key !== undefined) return { cert, key };
  const [given, missing] = cert === undefined ? ["--tls-key", "--tls-cert"] : ["--tls-cert", "--tls-key"];
  throw new CicadaError("BAD_SETTING", `${given} needs ${missing} as well`);
}

function trustedHeaders(
  userHeader: string | undefined,
  roleHeader: string | undefined,
  addresses: readonly string[] | undefined,
): Config["trusted"] {
  if (userHeader !== undefined) {
    return { userHeader, roleHeader, addresses: addresses ?? ["127.0.0.1", "::1"] };
  }
  if (roleHeader === undefined && addresses === undefined) return undefined;
  const flag = roleHeader === undefined ? "--trust-proxy" : "--trust-role-header";
  throw new CicadaError("BAD_SETTING", `${flag} needs --trust-user-header as well`);
}

function tagsOf(tags: readonly [string, string][]): Config["tags"] {
  const repeated = tags.find(([name], index) => tags.findIndex(([other]) => other === name) < index);
  if (repeated !== undefined) throw new CicadaError("BAD_SETTING", `--tag: ${repeated[0]} is given twice`);
  const letters = tags.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (tags.length > heartbeatLimits.tags || letters > heartbeatLimits.tagLetters) {
    const most = `${heartbeatLimits.tags} tags with ${heartbeatLimits.tagLetters} characters in all`;
    throw new CicadaError(
      "BAD_SETTING",
      `--tag: a peer has at most ${most}, because it names them in each heartbeat`,
    );
  }
  return Object.fromEntries(tags);
}

/** The most allowed users, and the most allowed groups: a peer names them in each heartbeat. */
const allowedMax = 32;

function atMost(max: number, name: SettingName, values: string[] | undefined): string[] | undefined {
  if (values !== undefined && values.length > max)
    throw new CicadaError("BAD_SETTING", `--${name} was given ${values.length} times: ${max} at most`);
  return values;
}

/** Variables that other parts of cicada read, or set for runs. They are not settings, and not mistakes either. */
const otherVariables: ReadonlySet<string> = new Set(
  "CONFIG PEER_URL TOKEN JOB RUN TICK ATTEMPT TRIGGER PEER PEER_NAME IDEMPOTENCY_KEY OUTPUT PARENTS"
    .split(" ")
    .map((name) => `CICADA_${name}`),
);

/**
 * Warnings about variables that look like settings but aren't. Unlike a misspelt flag, a misspelt variable goes
 * unnoticed.
 */
export function unknownVariables(env: Sources["env"]): string[] {
  const known = settings.map(({ variable }) => variable);
  return Object.keys(env)
    .filter((name) => name.startsWith("CICADA_") && !name.startsWith("CICADA_PARAM_"))
    .filter((name) => !otherVariables.has(name) && !known.some((variable) => variable === name))
    .map((name) => `${name} in the environment is not a setting${didYouMean(name, known)}`);
}

/** The path of the settings file, if there is one. The file can't name itself. */
export function configFile(sources: Omit<Sources, "file">): string | undefined {
  const flag = sources.flags["config"];
  return typeof flag === "string" ? flag : sources.env["CICADA_CONFIG"] || undefined;
}

function fromFlags(setting: Setting, flags: Sources["flags"]): Given | undefined {
  const value = flags[setting.name];
  if (value === undefined) return undefined;
  const values = typeof value === "object" ? value : [String(value)];
  return { values, from: "from the command line" };
}

function fromEnv(setting: Setting, env: Sources["env"]): Given | undefined {
  const value = env[setting.variable];
  if (value === undefined || value.trim() === "") return undefined;
  const values = setting.shape === "list" ? value.split(/[\s,]+/).filter((part) => part !== "") : [value];
  return { values, from: `from ${setting.variable} in the environment` };
}

function readFile({ path, text }: { path: string; text: string }): Map<SettingName, Given> {
  const document = parseDocument(text, { logLevel: "error" });
  const content = contentOf(document, path);
  if (content === null) return new Map();
  if (!isRecord(content)) throw new CicadaError("BAD_FILE", `${path}: expected one "name: value" per line`);

  const found = new Map<SettingName, Given>();
  for (const [key, value] of Object.entries(content)) {
    const name = fileAliases[key] ?? settings.find((setting) => setting.name === key)?.name;
    if (name === undefined) {
      const names = settings.map((setting) => setting.name);
      const meant = didYouMean(key.replaceAll("_", "-"), names) || `; the settings are ${names.join(", ")}`;
      throw new CicadaError("BAD_FILE", `${path}: there is no setting "${key}"${meant}`);
    }
    const values = textsOf(name, value, path);
    if (values !== undefined) found.set(name, { values, from: `from ${path}` });
  }
  return found;
}

/** A value from the file, as the texts that flags would have given; undefined if it was left empty. */
function textsOf(name: SettingName, value: unknown, path: string): string[] | undefined {
  if (value === null || value === undefined) return undefined;
  if (Array.isArray(value)) return value.map((part) => scalarText(name, part, path));
  if (isRecord(value)) {
    if (name !== "tag") throw new CicadaError("BAD_FILE", `${path}: ${name} takes a value, not a mapping`);
    return Object.entries(value).map(([key, tag]) => `${key}=${scalarText(name, tag, path)}`);
  }
  return [scalarText(name, value, path)];
}

function scalarText(name: SettingName, value: unknown, path: string): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new CicadaError("BAD_FILE", `${path}: ${name} takes a value or a list of values`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readOne<Value>(
  name: SettingName,
  given: Given | undefined,
  reader: (text: string) => Value | Refusal,
): Value | undefined {
  const value = given?.values.at(-1);
  return value === undefined ? undefined : check(name, given?.from, value, reader);
}

function check<Value>(
  name: SettingName,
  from: string | undefined,
  text: string,
  reader: (text: string) => Value | Refusal,
): Value {
  const value = reader(text.trim());
  if (!(value instanceof Refusal)) return value;
  throw new CicadaError("BAD_SETTING", `--${name}: "${text}" (${from ?? "default"}); give ${value.wanted}`);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
