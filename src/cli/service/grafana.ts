/**
 * A Grafana dashboard of a mesh, in the classic JSON model, which every Grafana since 9 imports. Its variables choose the
 * Prometheus and the peers.
 *
 * Jobs, members and states are the same at every peer, so their largest figure counts. Runs, ticks and traffic are counted
 * by the peer that had them, so they are added up.
 */
import { withJob } from "./promql.ts";

/** How Grafana 9 calls its model; later ones convert it. */
const schemaVersion = 36;
const datasource = { type: "prometheus", uid: "${datasource}" } as const;
const gridWidth = 24;

type Unit = "short" | "s" | "bytes" | "Bps" | "percentunit" | "reqps";

interface Query {
  expr: string;
  legend?: string;
}

interface Panel {
  title: string;
  description?: string;
  kind?: "timeseries" | "stat" | "table";
  unit?: Unit;
  isStacked?: boolean;
  /** a stat is red from this value on */
  redFrom?: number;
  queries: readonly Query[];
}

/** A metric of the chosen peers. `labels`: further conditions, such as `state="dead"`. */
function of(metric: string, labels?: string): string {
  return `${metric}{instance=~"$instance"${labels === undefined ? "" : `,${labels}`}}`;
}

/** How much a counter has grown per step of the graph. */
function growth(metric: string, labels?: string): string {
  return `increase(${of(metric, labels)}[$__rate_interval])`;
}

function perSecond(metric: string, labels?: string): string {
  return `rate(${of(metric, labels)}[$__rate_interval])`;
}

function quantiles(histogram: string): Query[] {
  return [0.5, 0.9, 0.99].map((share) => ({
    expr: `histogram_quantile(${share}, sum by (le) (${perSecond(`${histogram}_bucket`)}))`,
    legend: `${share * 100} %`,
  }));
}

/** A figure that is the same at every peer, once per value of `label`. */
function agreed(label: string, metric: string): string {
  return `max by (${label}) (sum by (instance, ${label}) (${of(metric)}))`;
}

const stats: readonly Panel[] = [
  { title: "Peers alive", queries: [{ expr: `max(${of("cicada_members", 'state="alive"')})` }] },
  { title: "Peers dead", redFrom: 1, queries: [{ expr: `max(${of("cicada_members", 'state="dead"')})` }] },
  {
    title: "Peers not ready",
    redFrom: 1,
    queries: [{ expr: `sum(1 - ${of("cicada_ready")})` }],
  },
  {
    title: "Jobs failing",
    redFrom: 1,
    queries: [{ expr: `max(sum by (instance) (${of("cicada_jobs_failing")}))` }],
  },
  { title: "Jobs blocked", redFrom: 1, queries: [{ expr: `max(${of("cicada_jobs_blocked")})` }] },
  {
    title: "Ticks missed, runs lost (24 h)",
    redFrom: 1,
    queries: [
      {
        expr: `ceil(sum(increase(${of("cicada_ticks_missed_total")}[24h])) + sum(increase(${of("cicada_runs_lost_total")}[24h])))`,
      },
    ],
  },
].map((panel) => ({ ...panel, kind: "stat" as const }));

const graphs: readonly Panel[] = [
  {
    title: "Jobs by state",
    isStacked: true,
    queries: [{ expr: agreed("state", "cicada_jobs_by_state"), legend: "{{state}}" }],
  },
  {
    title: "Runs by outcome",
    isStacked: true,
    queries: [{ expr: `sum by (state) (${growth("cicada_runs_total")})`, legend: "{{state}}" }],
  },
  {
    title: "Lateness of scheduled runs",
    description: "From the time of a tick to the start of its run.",
    unit: "s",
    queries: quantiles("cicada_run_lateness_seconds"),
  },
  {
    title: "Missed, skipped and lost",
    isStacked: true,
    queries: [
      {
        expr: `sum by (state, reason) (${growth("cicada_ticks_without_run_total")})`,
        legend: "{{state}}: {{reason}}",
      },
      { expr: `sum(${growth("cicada_runs_lost_total")})`, legend: "lost" },
    ],
  },
  {
    title: "Jobs to look at",
    description: "Jobs that fail, or that no living peer can run.",
    kind: "table",
    queries: [
      {
        expr: `max by (job, group, state) (${withJob(of("cicada_job_state", 'state=~"failing|blocked"'))})`,
      },
    ],
  },
  { title: "Duration of runs", unit: "s", queries: quantiles("cicada_run_duration_seconds") },
  {
    title: "Peers by state",
    isStacked: true,
    queries: [{ expr: agreed("state", "cicada_members"), legend: "{{state}}" }],
  },
  {
    title: "Not ready, by reason",
    queries: [{ expr: of("cicada_not_ready"), legend: "{{instance}}: {{reason}}" }],
  },
  {
    title: "Clock: largest offset from another peer",
    unit: "s",
    queries: [
      { expr: `max by (instance) (abs(${of("cicada_clock_offset_seconds")}))`, legend: "{{instance}}" },
    ],
  },
  {
    title: "Load, as a share of capacity",
    unit: "percentunit",
    queries: [{ expr: `${of("cicada_load")} / ${of("cicada_capacity")}`, legend: "{{instance}}" }],
  },
  {
    title: "Queue",
    queries: [
      { expr: `sum by (for) (${of("cicada_claims_waiting")})`, legend: "waiting for {{for}}" },
      { expr: agreed("state", "cicada_runs_open"), legend: "{{state}}" },
    ],
  },
  {
    title: "Disk: free space",
    unit: "bytes",
    queries: [{ expr: of("cicada_disk_free_bytes"), legend: "{{instance}}" }],
  },
  {
    title: "Outputs sent elsewhere",
    description: "Only of peers with --archive or --syslog.",
    queries: ["archive", "syslog"].flatMap((kind) =>
      ["sent", "lost"].map((end) => ({
        expr: `sum(${growth(`cicada_${kind}_${end}_total`)})`,
        legend: `${kind}: ${end}`,
      })),
    ),
  },
  {
    title: "Mesh traffic",
    unit: "Bps",
    queries: (["in", "out"] as const).map((way) => ({
      expr: `${perSecond(`cicada_mesh_bytes_${way}_total`)} + ${perSecond(`cicada_mesh_gossip_bytes_${way}_total`)}`,
      legend: `{{instance}} ${way}`,
    })),
  },
  {
    title: "Mesh trouble",
    queries: [
      ["frames_dropped", "frames dropped"],
      ["gossip_lost", "gossip lost"],
      ["dials_failed", "dials failed"],
      ["handshakes_refused", "handshakes refused"],
      ["versions_refused", "versions refused"],
    ].map(([name, legend = ""]) => ({ expr: `sum(${growth(`cicada_mesh_${name}_total`)})`, legend })),
  },
  {
    title: "Event loop lag (99 %)",
    unit: "s",
    queries: [{ expr: of("nodejs_eventloop_lag_p99_seconds"), legend: "{{instance}}" }],
  },
  {
    title: "API requests by status",
    unit: "reqps",
    queries: [
      {
        expr: `sum by (status) (${perSecond("cicada_http_request_seconds_count")})`,
        legend: "{{status}}",
      },
    ],
  },
  {
    title: "Memory",
    unit: "bytes",
    queries: [{ expr: of("process_resident_memory_bytes"), legend: "{{instance}}" }],
  },
  {
    title: "Processor time",
    unit: "percentunit",
    queries: [{ expr: perSecond("process_cpu_seconds_total"), legend: "{{instance}}" }],
  },
];

export function grafanaDashboard(version: string): string {
  const [statHeight, graphHeight, graphsInRow] = [4, 8, 2];
  const statWidth = gridWidth / stats.length;
  const graphWidth = gridWidth / graphsInRow;
  const panels = [
    ...stats.map((panel, i) => ({ panel, gridPos: { x: i * statWidth, y: 0, w: statWidth, h: statHeight } })),
    ...graphs.map((panel, i) => {
      const [row, column] = [Math.floor(i / graphsInRow), i % graphsInRow];
      const y = statHeight + row * graphHeight;
      return { panel, gridPos: { x: column * graphWidth, y, w: graphWidth, h: graphHeight } };
    }),
  ];
  const dashboard = {
    id: null,
    uid: "cicada",
    title: "cicada",
    description: `Jobs and peers of a mesh; printed by cicada ${version}.`,
    tags: ["cicada"],
    schemaVersion,
    version: 1,
    editable: true,
    timezone: "browser",
    time: { from: "now-6h", to: "now" },
    refresh: "30s",
    graphTooltip: 1,
    annotations: { list: [] },
    links: [],
    templating: { list: [datasourceVariable, peerVariable] },
    panels: panels.map(({ panel, gridPos }, i) => ({ id: i + 1, gridPos, ...panelJson(panel) })),
  };
  return JSON.stringify(dashboard, undefined, 2);
}

const datasourceVariable = {
  type: "datasource",
  name: "datasource",
  label: "Prometheus",
  query: "prometheus",
  refresh: 1,
};

const peerVariable = {
  type: "query",
  name: "instance",
  label: "Peer",
  datasource,
  definition: "label_values(cicada_ready, instance)",
  query: { query: "label_values(cicada_ready, instance)", refId: "instance" },
  refresh: 2,
  sort: 1,
  multi: true,
  includeAll: true,
  allValue: ".*",
  current: { selected: true, text: ["All"], value: ["$__all"] },
};

function panelJson(panel: Panel) {
  const { title, description, kind = "timeseries", queries } = panel;
  return {
    type: kind,
    title,
    ...(description === undefined ? {} : { description }),
    datasource,
    targets: queries.map(({ expr, legend = "" }, i) => ({
      refId: String.fromCodePoint("A".charCodeAt(0) + i),
      datasource,
      expr,
      legendFormat: legend,
      ...(kind === "table" ? { format: "table", instant: true } : { range: true }),
    })),
    ...looksOf(panel),
  };
}

function looksOf({ kind = "timeseries", unit = "short", isStacked = false, redFrom }: Panel) {
  if (kind === "table") {
    const organize = { id: "organize", options: { excludeByName: { Time: true, Value: true } } };
    return { fieldConfig: { defaults: {}, overrides: [] }, options: {}, transformations: [organize] };
  }
  if (kind === "stat") {
    const red = redFrom === undefined ? [] : [{ color: "red", value: redFrom }];
    const thresholds = { mode: "absolute", steps: [{ color: "green", value: null }, ...red] };
    return {
      // Without figures nothing is known, so nothing is green.
      fieldConfig: { defaults: { unit, noValue: "no data", thresholds }, overrides: [] },
      options: { reduceOptions: { calcs: ["lastNotNull"] }, colorMode: "value", graphMode: "area" },
    };
  }
  const custom = isStacked
    ? { fillOpacity: 30, stacking: { mode: "normal", group: "A" } }
    : { fillOpacity: 5, stacking: { mode: "none", group: "A" } };
  return {
    fieldConfig: { defaults: { unit, min: 0, custom }, overrides: [] },
    options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
  };
}
