/**
 * `/metrics` in the Prometheus text format: what the peer counts and sees, the figures of its jobs (job-figures.ts),
 * and those of the process and the API. Figures are read at each scrape, except for those that can only be counted as
 * things happen.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "@prometheus-io/client";
import type { StatsFs } from "node:fs";
import { statfs } from "node:fs/promises";
import { cpuUsage } from "node:process";
import { setTimeout as passes } from "node:timers/promises";
import { all } from "../access/rights.ts";
import { none } from "../http/checking.ts";
import type { Api, ApiOptions } from "../options.ts";
import { JobFigures } from "./job-figures.ts";

const memberStates = ["alive", "suspect", "dead", "left"] as const;

/** Figures of the process whose names break the conventions of Prometheus. Others show the same. */
const leftOut = [
  "nodejs_active_handles_total",
  "nodejs_active_requests_total",
  "nodejs_active_resources_total",
  "nodejs_eventloop_utilization_histogram",
  "nodejs_eventloop_utilization_summary",
];

/** How long it takes until the delay of the event loop has been measured several times, ms. */
const firstSamplesMs = 50;

export function metricRoutes(app: Api, options: ApiOptions): void {
  const registry = new Registry();
  const process = new ProcessFigures(registry);
  const figures = new Figures(registry);
  for (const add of [peerFigures, meshFigures, tableFigures]) add(figures, options);
  diskFigures(registry, options);
  const counters = new PeerCounters(registry, options);
  const jobs = new JobFigures(registry, options);
  timeRequests(app, registry);

  app.get(
    "/metrics",
    {
      config: { right: all("metrics") },
      schema: {
        tags: ["health"],
        summary: "Figures for Prometheus",
        querystring: none,
        produces: ["text/plain"],
      },
    },
    async (_request, reply) => {
      await process.begin();
      counters.read();
      await jobs.read();
      return reply.type(registry.contentType).send(await registry.metrics());
    },
  );
}

/**
 * The figures of the process, most of which are counted as things happen: a function is called at each collection of garbage, and a
 * timer measures the event loop a hundred times a second. So they begin with the first scrape: most peers are never asked.
 */
class ProcessFigures {
  readonly #registry: Registry;
  #begun: Promise<void> | undefined;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** The first time, it waits for the first measurements. */
  begin(): Promise<void> {
    this.#begun ??= this.#begin();
    return this.#begun;
  }

  async #begin(): Promise<void> {
    collectDefaultMetrics({ register: this.#registry });
    for (const name of leftOut) this.#registry.removeSingleMetric(name);
    this.#addEarlierCpu();
    await passes(firstSamplesMs);
  }

  /** The client counts CPU from now on only. */
  #addEarlierCpu(): void {
    const { user, system } = cpuUsage();
    const used = { cpu_user: user, cpu_system: system, cpu: user + system };
    for (const [name, us] of Object.entries(used)) {
      const counter = this.#registry.getSingleMetric(`process_${name}_seconds_total`);
      if (counter instanceof Counter) counter.inc(us / 1_000_000);
    }
  }
}

/** The figures that are read at each scrape, all of them named `cicada_NAME`. */
class Figures {
  readonly #registers: Registry[];

  constructor(registry: Registry) {
    this.#registers = [registry];
  }

  gauge(name: string, help: string, read: () => number): void {
    this.labelled(name, help, [], function () {
      this.set(read());
    });
  }

  labelled<Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
    collect: (this: Gauge<Label>) => void,
  ): Gauge<Label> {
    return new Gauge({ name: `cicada_${name}`, help, labelNames, registers: this.#registers, collect });
  }
}

function peerFigures(figures: Figures, { control, self, version, startedAt }: ApiOptions): void {
  figures.labelled("peer", "1; its labels say which peer this is", ["id", "name", "version"], function () {
    this.set({ id: self.id, name: self.name, version }, 1);
  });
  figures.gauge("start_time_seconds", "when the peer started", () => startedAt / 1_000);
  figures.gauge("ready", "1 while ticks are being kept", () => Number(control.view().notReady.length === 0));
  figures.labelled(
    "not_ready",
    "1 for each reason for which ticks are not being kept",
    ["reason"],
    function () {
      this.reset();
      for (const { code } of control.view().notReady) this.set({ reason: code }, 1);
    },
  );
  figures.gauge(
    "load",
    "weight of the runs in progress on this peer",
    () => control.view().self.heartbeat?.load ?? 0,
  );
  figures.gauge(
    "capacity",
    "weight of the runs that this peer takes on at once",
    () => control.view().self.heartbeat?.capacity ?? 0,
  );
  figures.gauge(
    "watermark_lag_seconds",
    "lag of the job watermark that is furthest behind",
    () => control.watermarkLagMs() / 1_000,
  );
}

function meshFigures(figures: Figures, { control }: ApiOptions): void {
  figures.labelled(
    "members",
    "peers of the mesh by state, as this peer sees them, itself included",
    ["state"],
    function () {
      const { members } = control.view();
      for (const state of memberStates) {
        this.set({ state }, members.filter((member) => member.state === state).length);
      }
    },
  );
  figures.gauge("peers_forgotten", "identities that the mesh refuses", () => control.view().forgotten.length);
  figures.gauge("voter", "1 when this peer is in the last epoch of the roster", () =>
    Number(control.view().self.voter),
  );
  figures.gauge(
    "roster_epoch",
    "number of the last epoch; -1 when there is none",
    () => control.view().roster?.epoch ?? -1,
  );
  figures.gauge(
    "roster_forced",
    "epochs that were forced instead of voted for",
    () => control.view().roster?.forced.length ?? 0,
  );
  figures.labelled(
    "clock_offset_seconds",
    "offset of a peer's clock from this peer's clock",
    ["peer"],
    function () {
      this.reset();
      for (const { id, clockOffsetMs } of control.view().members) {
        if (clockOffsetMs !== undefined) this.set({ peer: id }, clockOffsetMs / 1_000);
      }
    },
  );
}

function tableFigures(figures: Figures, { control, self }: ApiOptions): void {
  figures.gauge("jobs", "jobs in the table", () => control.view().jobs.size);
  figures.gauge("jobs_quarantined", "jobs whose replica is invalid", () => control.view().quarantined.length);
  figures.gauge("jobs_blocked", "jobs that no living peer can run", () => control.blocked().length);
  figures.labelled(
    "claims_waiting",
    "waiting claims of this peer, by what they wait for",
    ["for"],
    function () {
      const own = control.view().open.filter(({ peer, state }) => peer === self.id && state === "claimed");
      for (const what of ["capacity", "overlap", "pool"]) {
        const waits = own.filter(({ waiting, pool }) => (pool === undefined ? waiting : "pool") === what);
        this.set({ for: what }, waits.length);
      }
    },
  );
  figures.labelled("runs_open", "runs that are claimed or running, on any peer", ["state"], function () {
    const { open } = control.view();
    for (const state of ["claimed", "running"] as const) {
      this.set({ state }, open.filter((record) => record.state === state).length);
    }
  });
}

/** Both are absent while the folder can't be looked at. */
function diskFigures(registry: Registry, { dataFolder }: ApiOptions): void {
  const registers = [registry];
  const space = (name: string, help: string, blocksOf: (found: StatsFs) => number) =>
    new Gauge({
      name: `cicada_disk_${name}_bytes`,
      help: `${help} the file system that holds the data folder`,
      registers,
      async collect() {
        const found = await statfs(dataFolder).catch(() => undefined);
        if (found === undefined) this.remove();
        else this.set(blocksOf(found) * found.bsize);
      },
    });
  space("free", "what the peer may still write to", ({ bavail }) => bavail);
  space("size", "size of", ({ blocks }) => blocks);
}

/** The peer's counters, whose names only it knows. Each is shown as `cicada_NAME_total`. */
class PeerCounters {
  readonly #registry: Registry;
  readonly #control: ApiOptions["control"];
  readonly #known = new Map<string, Counter>();

  constructor(registry: Registry, { control }: ApiOptions) {
    this.#registry = registry;
    this.#control = control;
  }

  read(): void {
    for (const [name, value] of Object.entries(this.#control.view().counters)) {
      const counter = this.#known.get(name) ?? this.#add(name);
      counter.reset();
      counter.inc(value);
    }
  }

  #add(name: string): Counter {
    const inWords = name.replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase();
    const counter = new Counter({
      name: `cicada_${inWords.replaceAll(/[^a-z0-9]+/g, "_")}_total`,
      help: `${inWords.replaceAll(/[^a-z0-9]+/g, " ")}, since the peer started`,
      registers: [this.#registry],
    });
    this.#known.set(name, counter);
    return counter;
  }
}

function timeRequests(app: Api, registry: Registry): void {
  const seconds = new Histogram({
    name: "cicada_http_request_seconds",
    help: "time from a request to the end of its answer",
    labelNames: ["method", "route", "status"],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [registry],
  });
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "none";
    seconds.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1_000);
  });
}
