/**
 * The settings: the name of each as a flag, in the environment and in the file, what it takes, and its help text. Also
 * the defaults that are numbers, each with its unit, formula and price.
 */
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
 * Runs at once. Unit: runs of weight 1. Formula: 10 × cores, because most cron jobs wait rather than compute. More
 * lets a burst of heavy jobs starve the host (and the peer's own heartbeats); less sends ticks on to the next peer in
 * rank, and makes them wait when all peers are full.
 */
export const defaultCapacityPerCore = 10;

/**
 * How long runs may take to end after SIGTERM. Unit: ms. Default: 30 s, below the 90 s after which systemd kills (and
 * equal to the 30 s of Kubernetes, where it should be set lower). More holds up a reboot; less kills more runs.
 */
export const defaultDrainMs = 30_000;

/**
 * Records and outputs kept on this peer. Unit: bytes. Default: 1 GiB, which holds about 1.5 million records, or fewer with
 * their outputs. More keeps more of what the jobs ask to keep; less lets the oldest go before that.
 */
export const defaultHistoryMaxBytes = 1_073_741_824;

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
    help: `where other peers reach it (default: /ip4/0.0.0.0/tcp/${defaultMeshPort}); port 0 picks one`,
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
    help: "what `cicada peers invite` printed, in a file or by standard input (-): key and addresses in one",
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
    value: "[host:]port",
    help: `the page and the API (default: 127.0.0.1:${defaultHttpPort}); port 0 picks one`,
  },
  {
    name: "behind-tls-proxy",
    variable: "CICADA_BEHIND_TLS_PROXY",
    shape: "switch",
    help: "allow --http on a host that is not loopback, because a TLS proxy is in front of it",
  },
  {
    name: "tag",
    variable: "CICADA_TAGS",
    shape: "list",
    value: "key=value",
    help: "shown with the peer; a later version lets jobs choose peers by it",
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
    help: "how long runs may take to end after SIGTERM (default: 30s)",
  },
  {
    name: "history-max",
    variable: "CICADA_HISTORY_MAX",
    shape: "text",
    value: "size",
    help: "records and outputs kept here (default: 1GiB); the oldest go first",
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
export type SettingName = (typeof settings)[number]["name"];
