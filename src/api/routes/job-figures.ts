/**
 * Metrics of jobs. The number of jobs in each state, the last success of each job and the duration of its last run are
 * the same on every peer. Runs and decisions are counted by the peer that recorded them, so a sum over all peers counts
 * nothing twice.
 *
 * With more than 1,000 jobs there are no series per job: runs are counted by group, and states are read at most once a
 * minute. Series for alerts begin at 0, not when the first event of their kind happens.
 */
import { Counter, Gauge, Histogram, type Registry } from "@prometheus-io/client";
import { setImmediate as turn } from "node:timers/promises";
import type { Control, JobStatus } from "../../ports/control.ts";
import type { JobId } from "../../schema/ids.ts";
import { jobStates } from "../../schema/job-vocabulary.ts";
import type { Job } from "../../schema/job.ts";
import type { RunRecord } from "../../schema/run.ts";
import { isFinal } from "../../schema/run-states.ts";
import type { ApiOptions } from "../options.ts";

/**
 * How many jobs may have series of their own. Each job has about 10; more makes a scrape slow and fills a Prometheus.
 */
const jobsWithSeries = 1_000;
/** How old the states may be when there are more jobs than that. Unit: ms. */
const statesKeptMs = 60_000;
/** Jobs whose status is read before other work gets a turn. */
const jobsAtOnce = 200;

const reasonsOf = {
  missed: ["window", "superseded", "limit", "policy"],
  skipped: ["overlap", "paused", "no-quorum", "parent"],
} as const;

export class JobFigures {
  readonly #control: Control;
  readonly #self: ApiOptions["self"];
  readonly #jobs: Gauge<"group" | "state">;
  readonly #state: Gauge<"job" | "group" | "state">;
  readonly #failing: Gauge<"group">;
  readonly #lastSuccess: Gauge<"job" | "group">;
  readonly #lastDuration: Gauge<"job" | "group">;
  readonly #runs: Counter<"job" | "group" | "state">;
  readonly #withoutRun: Counter<"job" | "group" | "state" | "reason">;
  readonly #duration: Histogram<"group">;
  readonly #lateness: Histogram<"group">;
  #readAt = -Infinity;
  /** jobs that have series of runs, deleted jobs included */
  readonly #counted = new Set<JobId>();

  constructor(registry: Registry, { control, self }: Pick<ApiOptions, "control" | "self">) {
    const registers = [registry];
    this.#control = control;
    this.#self = self;
    this.#jobs = new Gauge({
      name: "cicada_jobs_by_state",
      help: "jobs in each state",
      labelNames: ["group", "state"],
      registers,
    });
    this.#state = new Gauge({
      name: "cicada_job_state",
      help: "1 for the state that a job is in",
      labelNames: ["job", "group", "state"],
      registers,
    });
    this.#failing = new Gauge({
      name: "cicada_jobs_failing",
      help: "jobs whose last tick failed, timed out, was lost or missed, even while they run again",
      labelNames: ["group"],
      registers,
    });
    this.#lastSuccess = new Gauge({
      name: "cicada_job_last_success_timestamp_seconds",
      help: "when a run of the job last succeeded, on any peer; 0 = never",
      labelNames: ["job", "group"],
      registers,
    });
    this.#lastDuration = new Gauge({
      name: "cicada_job_last_run_duration_seconds",
      help: "how long the job's last ended run took, on any peer",
      labelNames: ["job", "group"],
      registers,
    });
    this.#runs = new Counter({
      name: "cicada_runs_total",
      help: "runs whose end this peer recorded since it started, by how they ended",
      labelNames: ["job", "group", "state"],
      registers,
    });
    this.#withoutRun = new Counter({
      name: "cicada_ticks_without_run_total",
      help: "ticks that this peer recorded as missed or skipped since it started, by reason",
      labelNames: ["job", "group", "state", "reason"],
      registers,
    });
    this.#duration = new Histogram({
      name: "cicada_run_duration_seconds",
      help: "how long this peer's runs took",
      labelNames: ["group"],
      buckets: [0.1, 1, 10, 60, 600, 3_600, 21_600],
      registers,
    });
    this.#lateness = new Histogram({
      name: "cicada_run_lateness_seconds",
      help: "how long after their time this peer's scheduled runs started; caught-up and repeated ones are left out",
      labelNames: ["group"],
      buckets: [0.1, 0.5, 1, 5, 30, 120, 600],
      registers,
    });
    control.subscribe((event) => {
      if (event.kind === "run") this.#count(event.record);
    });
  }

  /** Call it before each scrape. */
  async read(): Promise<void> {
    const { jobs, quarantined } = this.#control.view();
    const isLarge = jobs.size > jobsWithSeries;
    if (isLarge && performance.now() - this.#readAt < statesKeptMs) return;
    this.#readAt = performance.now();
    const found: [Job, JobStatus][] = [];
    let readCount = 0;
    for (const [id, job] of jobs) {
      const status = await this.#control.status(id);
      if (status !== undefined) found.push([job, status]);
      if (++readCount % jobsAtOnce === 0) await turn();
    }
    for (const gauge of [this.#jobs, this.#failing, this.#state, this.#lastSuccess, this.#lastDuration])
      gauge.reset();
    for (const state of jobStates) this.#jobs.set({ group: "default", state }, 0);
    this.#failing.set({ group: "default" }, 0);
    if (quarantined.length > 0) this.#jobs.set({ group: "", state: "invalid" }, quarantined.length);
    for (const [job, status] of found) {
      const group = groupOf(job);
      this.#jobs.inc({ group, state: status.state });
      this.#failing.inc({ group }, status.lastFailed && status.state !== "disabled" ? 1 : 0);
      if (!isLarge) this.#setSeries(job.id, group, status);
    }
  }

  #setSeries(job: JobId, group: string, { state, lastSuccess, lastRun }: JobStatus): void {
    this.#state.set({ job, group, state }, 1);
    this.#lastSuccess.set({ job, group }, (lastSuccess ?? 0) / 1_000);
    const seconds = lastRun === undefined ? undefined : secondsOf(lastRun);
    if (seconds !== undefined) this.#lastDuration.set({ job, group }, seconds);
    for (const end of ["succeeded", "failed", "timeout", "lost", "skipped"] as const) {
      this.#runs.inc({ job, group, state: end }, 0);
    }
    for (const [kind, reasons] of Object.entries(reasonsOf)) {
      for (const reason of reasons) this.#withoutRun.inc({ job, group, state: kind, reason }, 0);
    }
  }

  /** Resets the counters before there are too many series of deleted jobs. Prometheus handles a reset. */
  #makeRoomFor(job: JobId): void {
    this.#counted.add(job);
    if (this.#counted.size <= 2 * jobsWithSeries) return;
    this.#counted.clear();
    this.#runs.reset();
    this.#withoutRun.reset();
  }

  #count(record: RunRecord): void {
    if ((record.by ?? record.peer) !== this.#self.id) return;
    if (!isFinal(record.state) || record.state === "withdrawn") return;
    const { jobs } = this.#control.view();
    const group = groupOf(jobs.get(record.job));
    const job = jobs.size > jobsWithSeries ? "" : record.job;
    this.#makeRoomFor(record.job);
    if (record.state === "missed" || (record.state === "skipped" && record.startedAt === undefined)) {
      const ticks = record.range?.count ?? 1;
      this.#withoutRun.inc({ job, group, state: record.state, reason: codeOf(record.reason) }, ticks);
      return;
    }
    this.#runs.inc({ job, group, state: record.state });
    const seconds = secondsOf(record);
    if (seconds !== undefined) this.#duration.observe({ group }, seconds);
    const { trigger, attempt, due, startedAt } = record;
    if (trigger === "schedule" && attempt === 1 && startedAt !== undefined) {
      this.#lateness.observe({ group }, Math.max(0, startedAt - due) / 1_000);
    }
  }
}

/**
 * Returns the code of a reason. The whole reason names the parent that kept a tick from running, and how that ended: too many
 * different texts for a label.
 */
function codeOf(reason = ""): string {
  return reason.startsWith("parent ") ? "parent" : reason;
}

function groupOf(job: Job | undefined): string {
  return job?.spec.group ?? "default";
}

function secondsOf({ startedAt, finishedAt }: RunRecord): number | undefined {
  return startedAt === undefined || finishedAt === undefined ? undefined : (finishedAt - startedAt) / 1_000;
}
