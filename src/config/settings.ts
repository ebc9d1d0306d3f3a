/**
 * The settings: each one's name as a flag, in the environment and in the file, the form of its value, and its help
 * text. Also the numeric defaults, each with its unit, formula and price.
 */
import { executors } from "../schema/job-vocabulary.ts";

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/**
 * Port of the mesh. Unit: TCP port. It is one above the API's, so that the peers of one machine can use ports ten
 * apart. A port below 1024 would need root; a random one could not be named in another peer's `--bootstrap HOST`.
 */
/** RFC 6587's port for syslog over TCP, and RFC 5425's with TLS. */
export const defaultSyslogPort = 601;
export const defaultSyslogTlsPort = 6_514;
export const defaultMeshPort = 7401;

/** Port of the page and the API. Unit: TCP port. It is the same on every host, so that people can guess it. */
export const defaultHttpPort = 7400;

/**
 * How many runs at once. Unit: runs. Formula: 10 × cores, because most cron jobs wait more than they compute. More lets
 * a burst of heavy jobs starve the host, including the peer's own heartbeats. Less sends more ticks to the next peer in
 * rank, and makes them wait when all peers are full.
 */
export const defaultCapacityPerCore = 10;

/**
 * How long runs may take to end after SIGTERM. Unit: ms. Default: 30 s, well below the 90 s after which systemd kills
 * the peer. Kubernetes kills after 30 s, so set it lower there. More delays a reboot; less kills more runs.
 */
export const defaultDrainMs = 30_000;

/**
 * How much space records and outputs may take on this peer. Unit: bytes. Default: 1 GiB, which holds about 1.5 million
 * records, or fewer with their outputs. More keeps more of what the jobs ask to keep; less removes the oldest earlier.
 */
export const defaultHistoryMaxBytes = 1_073_741_824;

/** One setting: `text` may be given once, `list` any number of times, and `switch` is on or off. */
export interface Setting {
  /** Name of the flag (without `--`) and in the file. */
  name: string;
  variable: string;
  shape: "text" | "list" | "switch";
  /** The name of the flag's value in the help. */
  value?: string;
  help: string;
}

export const settings = [
  {
    name: "data",
    variable: "CICADA_DATA",
    shape: "text",
    value: "dir",
    help: "everything the peer keeps (default: $STATE_DIRECTORY, $XDG_STATE_HOME/cicada or ~/.local/state/cicada)",
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
    value: "multiaddr|[host:]port",
    help: `where this peer listens for others (default: /ip4/0.0.0.0/tcp/${defaultMeshPort}); port 0 picks a free one`,
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
    value: "file|-|string",
    help: "what `cicada peers invite` printed, in a file or on standard input (-); it holds key and addresses",
  },
  {
    name: "announce",
    variable: "CICADA_ANNOUNCE",
    shape: "list",
    value: "multiaddr",
    help: "address to tell other peers, for a host behind NAT or a container",
  },
  {
    name: "cluster-key",
    variable: "CICADA_CLUSTER_KEY_FILE",
    shape: "text",
    value: "file",
    help: "the mesh's shared key (default: DATA/cluster.key, created at the first start of a mesh)",
  },
  {
    name: "http",
    variable: "CICADA_HTTP",
    shape: "text",
    value: "[host:]port",
    help: `the page and the API (default: 127.0.0.1:${defaultHttpPort}); port 0 picks a free one`,
  },
  {
    name: "behind-tls-proxy",
    variable: "CICADA_BEHIND_TLS_PROXY",
    shape: "switch",
    help: "allow --http on a host that is not loopback, because a TLS proxy is in front of it",
  },
  {
    name: "tls-cert",
    variable: "CICADA_TLS_CERT",
    shape: "text",
    value: "file",
    help: "serve the page and the API by https, with this certificate and its chain (PEM); read again on SIGHUP",
  },
  {
    name: "tls-key",
    variable: "CICADA_TLS_KEY",
    shape: "text",
    value: "file",
    help: "the private key of --tls-cert (PEM)",
  },
  {
    name: "trust-user-header",
    variable: "CICADA_TRUST_USER_HEADER",
    shape: "text",
    value: "name",
    help: "the header in which the TLS proxy names the person whom it has logged in; without --trust-role-header, that person may only read",
  },
  {
    name: "trust-role-header",
    variable: "CICADA_TRUST_ROLE_HEADER",
    shape: "text",
    value: "name",
    help: "the header in which the TLS proxy says that person's role: viewer, operator, editor or admin",
  },
  {
    name: "trust-proxy",
    variable: "CICADA_TRUST_PROXY",
    shape: "list",
    value: "address",
    help: "the address that the TLS proxy connects from: its headers count only from there (default: 127.0.0.1 and ::1)",
  },
  {
    name: "tag",
    variable: "CICADA_TAGS",
    shape: "list",
    value: "key=value",
    help: "a tag by which jobs choose peers (jobs create --target-tag, --prefer-tag)",
  },
  {
    name: "capacity",
    variable: "CICADA_CAPACITY",
    shape: "text",
    value: "n",
    help: `total weight of the runs at once; a run weighs 1 unless its job says otherwise (default: ${defaultCapacityPerCore} × cores). Beyond that, the next peer in rank runs the tick`,
  },
  {
    name: "exec",
    variable: "CICADA_EXEC",
    shape: "text",
    value: "off|cluster",
    help: "off: no job runs here, whatever the table says; the peer still votes, keeps data and serves the API (default: cluster)",
  },
  {
    name: "allow-user",
    variable: "CICADA_ALLOW_USER",
    shape: "list",
    value: "user",
    help: "run only jobs of these users here. A job without a user counts as one of the peer's own user (default: all)",
  },
  {
    name: "allow-group",
    variable: "CICADA_ALLOW_GROUP",
    shape: "list",
    value: "group",
    help: "run only jobs of these groups (the job's `group`) here (default: all)",
  },
  {
    name: "allow-executor",
    variable: "CICADA_ALLOW_EXECUTOR",
    shape: "list",
    value: executors.join("|"),
    help: "run only jobs of these executors here, whatever the table says (default: all)",
  },
  {
    name: "drain",
    variable: "CICADA_DRAIN",
    shape: "text",
    value: "duration",
    help: "how long runs may take to end after SIGTERM (default: 30s)",
  },
  {
    name: "history-max",
    variable: "CICADA_HISTORY_MAX",
    shape: "text",
    value: "size",
    help: "space for records and outputs (default: 1GiB); the oldest are removed first",
  },
  {
    name: "archive",
    variable: "CICADA_ARCHIVE",
    shape: "text",
    value: "s3://bucket/prefix",
    help: "copy finished outputs to this S3-compatible store; credentials, region and endpoint as in AWS's variables",
  },
  {
    name: "syslog",
    variable: "CICADA_SYSLOG",
    shape: "text",
    value: "[tcp://|tls://]host[:port]",
    help: `send finished outputs to this syslog server, line by line (default ports: ${defaultSyslogPort}, with TLS ${defaultSyslogTlsPort})`,
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
    name: "clock-synchronised",
    variable: "CICADA_CLOCK_SYNCHRONISED",
    shape: "text",
    value: "yes|no",
    help: "whether this host's clock follows a time server (default: what timesyncd, chrony or ntpd say)",
  },
  {
    name: "log-level",
    variable: "CICADA_LOG_LEVEL",
    shape: "text",
    value: logLevels.join("|"),
    help: "the lowest level that is logged to standard error (default: info)",
  },
  {
    name: "log-format",
    variable: "CICADA_LOG_FORMAT",
    shape: "text",
    value: "json|pretty",
    help: "the form of the log (default: pretty on a terminal, else json)",
  },
] as const satisfies readonly Setting[];
export type SettingName = (typeof settings)[number]["name"];
