/**
 * Alert rules for Prometheus. Each says what to do: the command to begin with is in its description.
 *
 * An alert about something that all peers see alike fires once for a mesh or a job; one about a single peer fires for that peer.
 * Without any figures an alert fires, too, because silence would look like health. Deliberate states, such as `drained`, raise
 * none.
 */
import { stringify } from "yaml";
import { missedTicks, withJob } from "./promql.ts";

/** From this offset on peers warn in their log as well. */
const clockOffsetSeconds = 0.5;
/** As in `cicada doctor`. */
const diskFreeBytes = 1_073_741_824;

interface Rule {
  alert: string;
  expr: string;
  /** how long it must hold before anybody is told */
  for: string;
  severity: "critical" | "warning";
  summary: string;
  description: string;
}

/** Reasons that have an alert of their own, or that a person has asked for. */
const excludedReasons = ["no-quorum", "disk", "clock", "drained"];

/** Peers with more than 1,000 jobs have no series per job. */
const withoutSeries = "unless on () count(cicada_job_state)";
const countedInAll = ["ticks_missed", "ticks_no_quorum", "runs_lost"];

/** Holds for a quarter of an hour after a counter has grown. */
function grown(series: string): string {
  return `increase(${series}[15m]) > 0`;
}

function notReady(reason: string): string {
  return `max by (instance) (cicada_not_ready{reason="${reason}"}) == 1`;
}

const jobs: readonly Rule[] = [
  {
    alert: "CicadaJobFailing",
    // Five minutes back, because a job that runs again is no longer "failing" while it runs.
    expr: `max by (job, group) (${withJob('max_over_time(cicada_job_state{state="failing"}[5m])')}) == 1`,
    for: "0m",
    severity: "warning",
    summary: "the job {{ $labels.job }} is failing",
    description:
      "Its last tick failed, timed out, was lost or was missed: `cicada jobs why {{ $labels.job }}`.",
  },
  {
    alert: "CicadaJobsFailing",
    // For groups about which the alert above says nothing, because their failing jobs run again, or have no series per job.
    expr:
      "(max by (group) (cicada_jobs_failing) > 0) unless on (group) " +
      'max by (group) (max_over_time(cicada_job_state{state="failing"}[5m]))',
    for: "0m",
    severity: "warning",
    summary: "{{ $value }} jobs of the group {{ $labels.group }} are failing",
    description: "`cicada jobs ls --failed` lists those that are not running at the moment.",
  },
  {
    alert: "CicadaJobBlocked",
    expr: "max by (job) (cicada_jobs_blocked) > 0",
    for: "5m",
    severity: "warning",
    summary: "no living peer can run {{ $value }} of the jobs",
    description: "`cicada jobs ls --state blocked` lists them, and `cicada jobs why JOB` says why.",
  },
  {
    alert: "CicadaJobInvalid",
    expr: "max by (instance) (cicada_jobs_quarantined) > 0",
    for: "5m",
    severity: "warning",
    summary: "{{ $labels.instance }} can't read {{ $value }} of the jobs",
    description: "`cicada jobs ls --state invalid` lists them; edit or remove them.",
  },
  {
    alert: "CicadaTickMissed",
    expr: missedTicks
      .map((series) => `sum by (job, group, reason) (${withJob(`increase(${series}[15m])`)}) > 0`)
      .join(" or "),
    for: "0m",
    severity: "critical",
    summary: "nobody ran a tick of {{ $labels.job }} ({{ $labels.reason }})",
    description: "`cicada jobs why {{ $labels.job }}` says what happened to the tick.",
  },
  {
    alert: "CicadaRunLost",
    expr: `sum by (job, group) (${withJob('increase(cicada_runs_total{state="lost"}[15m])')}) > 0`,
    for: "0m",
    severity: "critical",
    summary: "a peer died while it ran {{ $labels.job }}",
    description: "Whether the work was done is unknown: `cicada runs ls --job {{ $labels.job }}`.",
  },
  {
    alert: "CicadaTicksMissed",
    expr: `(${countedInAll.map((name) => `sum(increase(cicada_${name}_total[15m]))`).join(" + ")} > 0) ${withoutSeries}`,
    for: "0m",
    severity: "critical",
    summary: "ticks were missed, or runs lost",
    description: "`cicada runs ls --failed` lists them.",
  },
  {
    alert: "CicadaRunsLate",
    // The watermark's lag is no measure of lateness: that of a job without new ticks doesn't move.
    expr: "histogram_quantile(0.5, sum by (instance, le) (rate(cicada_run_lateness_seconds_bucket[15m]))) > 30",
    for: "5m",
    severity: "warning",
    summary: "half of the runs of {{ $labels.instance }} start at least {{ $value | humanizeDuration }} late",
    description:
      "They wait for other runs, or the host is too busy: `cicada top`, and `cicada doctor` there.",
  },
  {
    alert: "CicadaQueueStuck",
    expr: 'min_over_time(cicada_claims_waiting{for="capacity"}[15m]) > 0',
    for: "0m",
    severity: "warning",
    summary: "runs have waited for a free place at {{ $labels.instance }} for 15 minutes",
    description: "`cicada top` shows what runs; give the peer more --capacity, or the mesh more peers.",
  },
];

const mesh: readonly Rule[] = [
  {
    alert: "CicadaNoMajority",
    expr: notReady("no-quorum"),
    for: "2m",
    severity: "critical",
    summary: "{{ $labels.instance }} reaches no majority of the voters",
    description: "Jobs that need a majority don't run: `cicada peers ls`, and bring the missing voters back.",
  },
  {
    alert: "CicadaNotReady",
    expr: `max by (instance, reason) (cicada_not_ready{reason!~"${excludedReasons.join("|")}"}) == 1`,
    for: "5m",
    severity: "critical",
    summary: "{{ $labels.instance }} is not keeping ticks: {{ $labels.reason }}",
    description: "Its /readyz?verbose says why in words, and `cicada doctor` there what to do.",
  },
  {
    alert: "CicadaPeerDead",
    expr: 'max by (job) (cicada_members{state="dead"}) > 0',
    for: "10m",
    severity: "warning",
    summary: "{{ $value }} peers are dead",
    description:
      "`cicada peers ls` names them. Start them again, or `cicada peers forget` one that is gone for good.",
  },
  {
    alert: "CicadaPeerNotScraped",
    expr: 'max by (job) (cicada_members{state="alive"}) > count by (job) (cicada_ready)',
    for: "15m",
    severity: "warning",
    summary: "Prometheus does not see every living peer",
    description:
      "Each peer counts its own runs, so what an unscraped peer counts is in no figure and no alert: scrape it as well.",
  },
  {
    alert: "CicadaNoFigures",
    expr: "absent(cicada_ready)",
    for: "5m",
    severity: "critical",
    summary: "Prometheus has no figures of any peer",
    description: "Every peer is down, or the scrape is refused: look at Prometheus's targets.",
  },
  {
    alert: "CicadaVersionsDiffer",
    expr: grown("cicada_mesh_versions_refused_total"),
    for: "0m",
    severity: "warning",
    summary: "{{ $labels.instance }} has refused a peer without a common version of the protocol",
    description: "`cicada doctor` names the versions; upgrade the older peer.",
  },
];

const hosts: readonly Rule[] = [
  {
    alert: "CicadaClockWrong",
    expr: notReady("clock"),
    for: "1m",
    severity: "critical",
    summary: "the clock of {{ $labels.instance }} is so far off that it takes no ticks",
    description: "Let NTP set the clock of that host.",
  },
  {
    alert: "CicadaClockOff",
    expr: `max by (instance) (abs(cicada_clock_offset_seconds)) > ${clockOffsetSeconds}`,
    for: "5m",
    severity: "warning",
    summary: "{{ $labels.instance }} measures a clock that is {{ $value | humanizeDuration }} off its own",
    description: "`cicada doctor` says whose clock it is; let NTP set it.",
  },
  {
    alert: "CicadaDiskUnusable",
    expr: notReady("disk"),
    for: "1m",
    severity: "critical",
    summary: "{{ $labels.instance }} can't store anything and takes no ticks",
    description: "Its log and `cicada doctor` there say why.",
  },
  {
    alert: "CicadaDiskNearlyFull",
    expr: `cicada_disk_free_bytes < ${diskFreeBytes}`,
    for: "10m",
    severity: "warning",
    summary: "{{ $value | humanize1024 }}B are free on the disk of {{ $labels.instance }}",
    description: "Make room, or give the peer a smaller --history-max.",
  },
  {
    alert: "CicadaOutputsLost",
    expr: ["archive", "syslog"].map((kind) => grown(`cicada_${kind}_lost_total`)).join(" or "),
    for: "0m",
    severity: "warning",
    summary: "{{ $labels.instance }} has given up sending outputs elsewhere",
    description:
      "The peers still have them, for as long as the job's `keep` says: `cicada doctor` there says why.",
  },
  {
    alert: "CicadaEventLoopSlow",
    expr: "(nodejs_eventloop_lag_p99_seconds > 0.5) and on (instance) cicada_ready",
    for: "10m",
    severity: "warning",
    summary: "{{ $labels.instance }} reacts {{ $value | humanizeDuration }} late",
    description:
      "Its host is too busy, or a client asks too much of it: look at the load and at the API's requests.",
  },
  {
    alert: "CicadaBrokenExit",
    // The peer counts the exits of the last day when it starts. The alert fires for an hour.
    expr: "(cicada_broken_exits_total > 0) and on (instance) (time() - cicada_start_time_seconds < 3600)",
    for: "0m",
    severity: "warning",
    summary: "{{ $labels.instance }} has been started again after an internal fault",
    description: "Its log has the fault; please report it.",
  },
];

export function alertRules(version: string): string {
  const groups = Object.entries({ jobs, mesh, hosts }).map(([name, rules]) => ({
    name: `cicada-${name}`,
    rules: rules.map(({ alert, expr, for: lasting, severity, summary, description }) => ({
      alert,
      expr,
      for: lasting,
      labels: { severity },
      annotations: { summary, description },
    })),
  }));
  return `# Alert rules for Prometheus, printed by cicada ${version}:
#   cicada service --alerts > /etc/prometheus/cicada.rules.yaml    # and name it under rule_files
# Prometheus has to scrape every peer, with a token of the role metrics. Give each mesh a scrape of its own:
#   cicada token create prometheus --role metrics
#   scrape_configs:
#     - job_name: cicada
#       authorization: { credentials_file: /etc/prometheus/cicada.token }
#       static_configs: [{ targets: ["127.0.0.1:7400"] }]
${stringify({ groups }, { lineWidth: 0 })}`;
}
