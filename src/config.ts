/**
 * What a peer is started with: flags, environment, YAML file and defaults, in that order, as one checked `Config`.
 *
 * Every setting is one row of `settings`; the command line's flags, the variables and the names in the file all
 * come from it. A value that can't be used is refused with the place it came from and what would be right; an
 * unknown name in the file is refused with the nearest known one. Nothing here touches the disk or the network.
 */
import { join } from "node:path";
import { parseDocument } from "yaml";
import { parseDuration } from "./core/units.ts";
import { CicadaError } from "./errors.ts";
import { didYouMean } from "./schema/nearest.ts";

export interface Config {
  /** The folder that holds everything the peer keeps. */
  data: string;
  /** Shown to people; the identity is the peer id. */
  name: string;
  /** Multiaddrs to listen on. */
  listen: readonly string[];
  /** Multiaddrs of peers of the mesh; any one is enough, for the rest is found from it and remembered. */
  bootstrap: readonly string[];
  /** What `cicada peers invite` printed, or a file that holds it. */
  join: string | undefined;
  /** Multiaddrs to tell others, instead of those listened on. */
  announce: readonly string[];
  /** A file that holds the cluster key; undefined = `cluster.key` in the data folder. */
  clusterKey: string | undefined;
  http: HostPort;
  behindTlsProxy: boolean;
  tags: Readonly<Record<string, string>>;
  /** Runs at once. */
  capacity: number;
  drainMs: number;
  role: "worker" | "witness";
  mdns: boolean;
  logLevel: LogLevel;
  logFormat: "json" | "pretty";
}

export interface HostPort {
  host: string;
  /** 0 = any free one */
  port: number;
}

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/**
 * Port of the mesh. Unit: TCP port. One above the API's, so that peers on one machine can be spread by tens. A
 * lower one would need root below 1024; a random one could not be named in another peer's `--bootstrap HOST`.
 */
export const defaultMeshPort = 7401;

/** Port of the page and the API. Unit: TCP port. The same on every host, so that a bookmark fits all. */
export const defaultHttpPort = 7400;

/**
 * Runs at once. Unit: runs of weight 1. Formula: 10 × cores, for most cron jobs wait rather than compute. More
 * lets a burst of heavy jobs starve the host (and the peer's own heartbeats); less sends ticks on to the next
 * peer in rank, and into a line when all are full.
 */
export const defaultCapacityPerCore = 10;

/**
 * How long runs may end after SIGTERM. Unit: ms. Default: 30 s, below the 90 s after which systemd kills (and
 * equal to the 30 s of Kubernetes, where it should be set lower). More holds up a reboot; less kills more runs.
 */
export const defaultDrainMs = 30_000;

export type Flags = Record<string, string | boolean | readonly string[] | undefined>;

/** Where settings come from. `flags` holds what the command line gave, by the name of the setting. */
export interface Sources {
  flags: Flags;
  env: Readonly<Record<string, string | undefined>>;
  file?: { path: string; text: string };
}

/** What the defaults depend on. */
export interface Host {
  hostname: string;
  cores: number;
  /** Somebody watches standard error. */
  terminal: boolean;
}

/** One setting, as it may be given: `text` once, `list` any number of times, `switch` on or off. */
export interface Setting {
  /** Name of the flag (without `--`) and in the file. */
  name: string;
  variable: string;
  shape: "text" | "list" | "switch";
  /** What the flag's value is called in the help. */
  value?: string;
  help: string;
}

export const settings = [
  {
    name: "data",
    variable: "CICADA_DATA",
    shape: "text",
    value: "dir",
    help: "everything the peer keeps (default: ~/.local/state/cicada)",
  },
  {
    name: "name",
    variable: "CICADA_NAME",
    shape: "text",
    value: "name",
    help: "shown to people (default: the host's name)",
  },
  {
    name: "listen",
    variable: "CICADA_LISTEN",
    shape: "list",
    value: "multiaddr",
    help: `where other peers reach it (default: /ip4/0.0.0.0/tcp/${defaultMeshPort}); tcp/0 picks a port`,
  },
  {
    name: "bootstrap",
    variable: "CICADA_BOOTSTRAP",
    shape: "list",
    value: "address",
    help: "any one peer of the mesh, as multiaddr or HOST[:PORT]",
  },
  {
    name: "join",
    variable: "CICADA_JOIN",
    shape: "text",
    value: "string|file",
    help: "what `cicada peers invite` printed: key and addresses in one",
  },
  {
    name: "announce",
    variable: "CICADA_ANNOUNCE",
    shape: "list",
    value: "multiaddr",
    help: "address to tell others, behind NAT or in a container",
  },
  {
    name: "cluster-key",
    variable: "CICADA_CLUSTER_KEY_FILE",
    shape: "text",
    value: "file",
    help: "the mesh's shared key (default: DATA/cluster.key, made at the first start of a mesh)",
  },
  {
    name: "http",
    variable: "CICADA_HTTP",
    shape: "text",
    value: "host:port",
    help: `the page and the API (default: 127.0.0.1:${defaultHttpPort}); :0 picks a port`,
  },
  {
    name: "behind-tls-proxy",
    variable: "CICADA_BEHIND_TLS_PROXY",
    shape: "switch",
    help: "allow --http on a host that is not loopback: a TLS proxy stands before it",
  },
  {
    name: "tag",
    variable: "CICADA_TAGS",
    shape: "list",
    value: "key=value",
    help: "what job targets can ask for",
  },
  {
    name: "capacity",
    variable: "CICADA_CAPACITY",
    shape: "text",
    value: "n",
    help: `runs at once (default: ${defaultCapacityPerCore} × cores); past it the next peer in rank runs`,
  },
  {
    name: "drain",
    variable: "CICADA_DRAIN",
    shape: "text",
    value: "duration",
    help: "how long runs may end after SIGTERM (default: 30s)",
  },
  {
    name: "role",
    variable: "CICADA_ROLE",
    shape: "text",
    value: "worker|witness",
    help: "a witness keeps data and serves the API, but runs nothing (default: worker)",
  },
  { name: "mdns", variable: "CICADA_MDNS", shape: "switch", help: "find peers on the local network" },
  {
    name: "log-level",
    variable: "CICADA_LOG_LEVEL",
    shape: "text",
    value: logLevels.join("|"),
    help: "what is logged to standard error (default: info)",
  },
  {
    name: "log-format",
    variable: "CICADA_LOG_FORMAT",
    shape: "text",
    value: "json|pretty",
    help: "default: pretty on a terminal, else json",
  },
] as const satisfies readonly Setting[];
type SettingName = (typeof settings)[number]["name"];

/** Names the file may use besides the flags' own. */
const fileAliases: Readonly<Record<string, SettingName>> = { tags: "tag" };

/** A value and where it came from, for the complaint. */
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
    data: read("data", anyText, defaultDataFolder(sources.env)),
    name: read("name", readName, host.hostname),
    listen: readAll("listen", readMultiaddr) ?? [`/ip4/0.0.0.0/tcp/${defaultMeshPort}`],
    bootstrap: readAll("bootstrap", readPeerAddress) ?? [],
    join: read<string | undefined>("join", anyText, undefined),
    announce: readAll("announce", readMultiaddr) ?? [],
    clusterKey: read<string | undefined>("cluster-key", anyText, undefined),
    http: read("http", readHostPort, { host: "127.0.0.1", port: defaultHttpPort }),
    behindTlsProxy: read("behind-tls-proxy", readSwitch, false),
    tags: Object.fromEntries(readAll("tag", readTag) ?? []),
    capacity: read("capacity", readCapacity, defaultCapacityPerCore * host.cores),
    drainMs: read("drain", readDuration, defaultDrainMs),
    role: read("role", oneOf("worker", "witness"), "worker"),
    mdns: read("mdns", readSwitch, false),
    logLevel: read("log-level", oneOf(...logLevels), "info"),
    logFormat: read("log-format", oneOf("json", "pretty"), host.terminal ? "pretty" : "json"),
  };
  if (!isLoopback(config.http.host) && !config.behindTlsProxy) {
    const { host: name, port } = config.http;
    throw new CicadaError("NOT_LOOPBACK", `--http ${name}:${port} (${given.get("http")?.from ?? ""})`);
  }
  return config;
}

/** Where the file of settings is, if any is named: it can't be named within itself. */
export function configFile(sources: Omit<Sources, "file">): string | undefined {
  const flag = sources.flags["config"];
  return typeof flag === "string" ? flag : sources.env["CICADA_CONFIG"] || undefined;
}

/** `$STATE_DIRECTORY` (systemd), else `$XDG_STATE_HOME/cicada`, else `~/.local/state/cicada`. */
export function defaultDataFolder(env: Sources["env"]): string {
  const fromSystemd = env["STATE_DIRECTORY"]?.split(":")[0];
  if (fromSystemd !== undefined && fromSystemd !== "") return fromSystemd;
  if (env["XDG_STATE_HOME"]) return join(env["XDG_STATE_HOME"], "cicada");
  return join(env["HOME"] || "/", ".local", "state", "cicada");
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

/** An alias without its anchor, or one that unfolds without end, is found only when the values are made. */
function contentOf(document: ReturnType<typeof parseDocument>, path: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw new CicadaError("BAD_FILE", `${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function readFile({ path, text }: { path: string; text: string }): Map<SettingName, Given> {
  const document = parseDocument(text, { logLevel: "error" });
  const [broken] = document.errors;
  if (broken !== undefined) throw new CicadaError("BAD_FILE", `${path}: ${broken.message.trimEnd()}`);
  const content = contentOf(document, path);
  if (content === null) return new Map();
  if (!isRecord(content))
    throw new CicadaError("BAD_FILE", `${path}: names and values are wanted, one a line`);

  const found = new Map<SettingName, Given>();
  for (const [key, value] of Object.entries(content)) {
    const name = fileAliases[key] ?? settings.find((setting) => setting.name === key)?.name;
    if (name === undefined) {
      const names = settings.map((setting) => setting.name);
      const meant = didYouMean(key.replaceAll("_", "-"), names) || `; there are ${names.join(", ")}`;
      throw new CicadaError("BAD_FILE", `${path}: there is no setting "${key}"${meant}`);
    }
    const values = textsOf(name, value, path);
    if (values !== undefined) found.set(name, { values, from: `from ${path}` });
  }
  return found;
}

/** A value of the file as the texts that flags would have given; undefined = it was left empty. */
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

// ------------------------------------------------------------------------------------------------------------
// Readers: a text, or what would have been right instead of it.

class Refusal {
  readonly wanted: string;
  constructor(wanted: string) {
    this.wanted = wanted;
  }
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

function anyText(text: string): string | Refusal {
  return text === "" ? new Refusal("something that is not empty") : text;
}

function readName(text: string): string | Refusal {
  const isFine = text !== "" && text.length <= 256 && !/\p{Cc}/u.test(text);
  return isFine ? text : new Refusal("a name of 1 to 256 characters on one line");
}

function readMultiaddr(text: string): string | Refusal {
  const isFine = /^\/(ip4|ip6|dns|dns4|dns6)\/[^/\s]+\/tcp\/\d{1,5}(\/p2p\/[^/\s]+)?$/.test(text);
  return isFine ? text : new Refusal(`a multiaddr such as /ip4/0.0.0.0/tcp/${defaultMeshPort}`);
}

/** A multiaddr, or `HOST[:PORT]` made into one. */
function readPeerAddress(text: string): string | Refusal {
  if (text.startsWith("/")) return readMultiaddr(text);
  const wanted = new Refusal(
    `a multiaddr or HOST[:PORT], such as 192.0.2.7 or cron1.example:${defaultMeshPort}`,
  );
  const parts = splitHostPort(
    text.includes(":") && !/^\[.*\]$/.test(text) ? text : `${text}:${defaultMeshPort}`,
  );
  if (parts === undefined || parts.host === "" || parts.port === 0) return wanted;
  const { host, port } = parts;
  if (host.includes(":")) return `/ip6/${host}/tcp/${port}`;
  if (/^\d+(\.\d+){3}$/.test(host)) return `/ip4/${host}/tcp/${port}`;
  return /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host) ? `/dns/${host}/tcp/${port}` : wanted;
}

function readHostPort(text: string): HostPort | Refusal {
  const parts = splitHostPort(text);
  if (parts === undefined) return new Refusal(`HOST:PORT, such as 127.0.0.1:${defaultHttpPort} or :0`);
  return { host: parts.host === "" ? "127.0.0.1" : parts.host, port: parts.port };
}

function splitHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s/]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  return { host: match[1] ?? match[2] ?? "", port };
}

function readTag(text: string): [string, string] | Refusal {
  const at = text.indexOf("=");
  const [key, value] = [text.slice(0, at).trim(), text.slice(at + 1).trim()];
  const isFine = at > 0 && key.length <= 128 && value.length <= 256;
  return isFine ? [key, value] : new Refusal("KEY=VALUE, such as disk=ssd");
}

function readCapacity(text: string): number | Refusal {
  const isFine = /^\d{1,6}$/.test(text) && Number(text) >= 1;
  return isFine ? Number(text) : new Refusal("a whole number from 1 to 999999 (--role witness runs nothing)");
}

function readDuration(text: string): number | Refusal {
  return parseDuration(text) ?? new Refusal("a duration such as 30s or 2m, or 0");
}

function readSwitch(text: string): boolean | Refusal {
  if (["1", "true", "on", "yes"].includes(text.toLowerCase())) return true;
  if (["0", "false", "off", "no"].includes(text.toLowerCase())) return false;
  return new Refusal("true or false");
}

function oneOf<Word extends string>(...words: readonly Word[]): (text: string) => Word | Refusal {
  return (text) => words.find((word) => word === text) ?? new Refusal(`one of ${words.join(", ")}`);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
