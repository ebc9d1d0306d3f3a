/**
 * Copies of finished outputs outside the mesh: in an S3-compatible store (`--archive`), and as messages to a syslog server
 * (`--syslog`). Each peer sends what its own runs have written, secrets masked as everywhere else.
 *
 * No run ever waits for it. Each destination has a queue of its own; `archived.json` holds the run end up to which all outputs have
 * been sent, so that after a stop or a crash the peer resumes there, and may send some outputs again. A new destination gets only
 * outputs from now on.
 */
import { gunzipSync } from "node:zlib";
import { CicadaError } from "../errors.ts";
import type { Clock, Executor, Log } from "../ports.ts";
import type { Control } from "../ports/control.ts";
import type { Disk } from "../ports/disk.ts";
import { runId, type PeerId } from "../schema/ids.ts";
import type { RunRecord } from "../schema/run.ts";
import { isFinal } from "../schema/run-states.ts";
import { ArchiveQueue, type Sent } from "./archive/queue.ts";
import { putObject, type S3Store } from "./archive/s3.ts";
import { Syslog, type SyslogAddress } from "./archive/syslog.ts";

/** Outputs that are larger when gzipped are not sent: each takes that much memory while it is on its way. */
const largestGzip = 33_554_432;
/** How many objects are put at the same time. */
const objectsAtOnce = 8;
/** How often the progress is saved, ms. More repeats more outputs after a crash. */
const savedEveryMs = 10_000;
/** A run's end is reported here a moment after the instant that its record names. */
const reportedWithinMs = 10_000;
/** After a restart, only runs with a tick at most this long before the resume point are found, ms. */
const longestRunMs = 7 * 86_400_000;
const pageLimit = 500;
const endStates = ["succeeded", "failed", "timeout", "cancelled", "skipped"] as const;

export interface ArchiveOptions {
  self: PeerId;
  /** this host's name, for syslog */
  host: string;
  store: S3Store | undefined;
  syslog: SyslogAddress | undefined;
  clock: Clock;
  executor: Pick<Executor, "packLog">;
  disk: Pick<Disk, "history">;
  log: Log;
  /** `archived.json` */
  loadProgress: () => string | undefined;
  saveProgress: (text: string) => void;
}

interface Destination {
  /** names it to people and in `archived.json` */
  name: string;
  kind: "archive" | "syslog";
  queue: ArchiveQueue;
  lastLoss: string | undefined;
  /**
   * Where the search for outputs that the last process left unsent begins: an end of a run (wall clock, ms). Undefined once it is
   * over.
   */
  resumedFrom: number | undefined;
}

export class Archive {
  readonly #options: ArchiveOptions;
  readonly #destinations: readonly Destination[];
  readonly #closing = new AbortController();
  readonly #syslog: Syslog | undefined;
  #saved: string | undefined;
  #cancelAlarm: (() => void) | undefined;

  constructor(options: ArchiveOptions) {
    this.#options = options;
    const { store, syslog, host } = options;
    this.#syslog = syslog === undefined ? undefined : new Syslog(syslog, host);
    this.#destinations = [
      ...(store === undefined ? [] : [this.#destination("archive", nameOfStore(store), objectsAtOnce)]),
      ...(syslog === undefined ? [] : [this.#destination("syslog", nameOfSyslog(syslog), 1)]),
    ];
  }

  /** Continues where the last process stopped, and follows the runs of this one. Returns a function that ends this. */
  open(runs: Pick<Control, "subscribe">): () => void {
    const now = this.#options.clock.now().wall;
    const progress = parseProgress(this.#options.loadProgress());
    for (const destination of this.#destinations) {
      const since = progress[destination.name];
      if (since === undefined) continue;
      destination.resumedFrom = Math.min(since, now);
      this.#findUnsent(destination, destination.resumedFrom, now, undefined, []);
    }
    if (this.#destinations.some(({ name }) => progress[name] === undefined)) this.#saveProgress();
    this.#scheduleSave();
    const unsubscribe = runs.subscribe((event) => {
      if (event.kind === "run") this.#onRecord(event.record);
    });
    return () => {
      unsubscribe();
      this.#close();
    };
  }

  warnings(): string[] {
    return this.#destinations.flatMap(({ name, queue, lastLoss }) => [
      ...(queue.failure === undefined
        ? []
        : [
            `${count(queue.waiting, "output")} wait${queue.waiting === 1 ? "s" : ""} for ${name}: ${queue.failure}`,
          ]),
      ...(lastLoss === undefined
        ? []
        : [`${count(queue.losses, "output")} not sent to ${name}, the last one: ${lastLoss}`]),
    ]);
  }

  counters(): Record<string, number> {
    return Object.fromEntries(
      this.#destinations.flatMap(({ kind, queue }) => [
        [`${kind}_sent`, queue.sent],
        [`${kind}_lost`, queue.losses],
      ]),
    );
  }

  /** A record has moved. If it is the end of a run of this peer that wrote something, its output is sent. */
  #onRecord(record: RunRecord): void {
    const { self } = this.#options;
    if (record.peer !== self || !isFinal(record.state) || !isOutput(record)) return;
    for (const { queue } of this.#destinations) queue.add(record);
  }

  /** What still waits is sent by the next process. */
  #close(): void {
    this.#cancelAlarm?.();
    this.#saveProgress();
    for (const { queue } of this.#destinations) queue.close();
    this.#closing.abort();
    this.#syslog?.close();
  }

  #destination(kind: Destination["kind"], name: string, atOnce: number): Destination {
    const { clock, log } = this.#options;
    const destination: Destination = {
      kind,
      name,
      lastLoss: undefined,
      resumedFrom: undefined,
      queue: new ArchiveQueue({
        clock,
        atOnce,
        send: (record) => this.#send(kind, record),
        lost: (record, why) => {
          destination.lastLoss = `${runId(record)} (${why})`;
          log.warn("an output is not archived", { run: runId(record), to: name, why });
        },
      }),
    };
    return destination;
  }

  async #send(kind: Destination["kind"], record: RunRecord): Promise<Sent> {
    const { executor, store } = this.#options;
    const gzip = await new Promise<Uint8Array | "too-large" | undefined>((done) =>
      executor.packLog(runId(record), largestGzip, done),
    );
    if (gzip === undefined) return { failed: "its output is no longer here", refused: true };
    if (gzip === "too-large") {
      return { failed: `it has more than ${largestGzip / 1_048_576} MiB when gzipped`, refused: true };
    }
    if (kind === "archive" && store !== undefined) {
      return putObject(store, record, gzip, this.#closing.signal);
    }
    return this.#syslog?.send(record, gunzipSync(gzip)) ?? "nothing";
  }

  /** Looks for the runs that ended in that time, page by page from the newest tick on, and adds them oldest first. */
  #findUnsent(
    destination: Destination,
    since: number,
    until: number,
    after: string | undefined,
    found: readonly RunRecord[],
  ): void {
    const { disk, self, log } = this.#options;
    const query = {
      peer: self,
      states: endStates,
      from: since - longestRunMs,
      limit: pageLimit,
      ...(after === undefined ? {} : { after }),
    };
    disk.history(query, (page) => {
      if (page instanceof CicadaError) {
        return log.warn("outputs that are not archived yet can't be looked up", { reason: page.message });
      }
      const { records, next } = page;
      const ended = records.filter(
        (record) => isOutput(record) && isBetween(record.finishedAt ?? record.due, since, until),
      );
      const all = [...found, ...ended];
      if (next !== null) return this.#findUnsent(destination, since, until, next, all);
      for (const record of all.toReversed()) destination.queue.add(record);
      destination.resumedFrom = undefined;
    });
  }

  #scheduleSave(): void {
    const { clock } = this.#options;
    this.#cancelAlarm = clock.alarm(clock.now().mono + savedEveryMs, () => {
      this.#saveProgress();
      this.#scheduleSave();
    });
  }

  #saveProgress(): void {
    const reportedUntil = this.#options.clock.now().wall - reportedWithinMs;
    const until = this.#destinations.map(({ name, queue, resumedFrom }) => [
      name,
      Math.min(queue.oldestEnd ?? reportedUntil, resumedFrom ?? reportedUntil, reportedUntil),
    ]);
    const text = `${JSON.stringify(Object.fromEntries(until))}\n`;
    if (text === this.#saved) return;
    this.#saved = text;
    this.#options.saveProgress(text);
  }
}

function isOutput({ by, logBytes = 0 }: RunRecord): boolean {
  return by === undefined && logBytes > 0;
}

function isBetween(instant: number, from: number, to: number): boolean {
  return instant >= from && instant < to;
}

function nameOfStore({ bucket, prefix }: S3Store): string {
  return `s3://${bucket}${prefix === "" ? "" : `/${prefix}`}`;
}

function nameOfSyslog({ tls, host, port }: SyslogAddress): string {
  return `${tls ? "tls" : "tcp"}://${host}:${port}`;
}

/** Up to when all outputs have been sent, by destination; wall clock, ms. Empty if the text can't be read. */
function parseProgress(text: string | undefined): Readonly<Record<string, number>> {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    if (typeof value !== "object" || value === null) return {};
    return Object.fromEntries(
      Object.entries(value).filter((entry): entry is [string, number] => Number.isFinite(entry[1])),
    );
  } catch {
    return {};
  }
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
