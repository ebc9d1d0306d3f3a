/**
 * Tells the services in a job's `ping` when a tick begins and how it ended. The peer that runs the first attempt tells the start,
 * and the peer that writes the tick's final word the end: one start and one end, with the same id. If a peer that was taken for
 * dead reports its run's end after all, that is no second end. A run never waits for a ping. A ping is tried a few times and then
 * given up, because a late one misleads more than a missing one.
 */
import { tickUuid } from "../../core/records/notice-text.ts";
import { settles } from "../../core/records/ledger.ts";
import { endsRetries } from "../../core/records/records.ts";
import type { Doors } from "../../ports.ts";
import { runId, type JobId, type PeerId } from "../../schema/ids.ts";
import type { Job } from "../../schema/job.ts";
import type { RunRecord } from "../../schema/run.ts";
import { isFinal } from "../../schema/run-states.ts";

/** When a ping is tried again after each failure, ms. */
const pausesMs = [5_000, 30_000];
/** The most pings on their way at once; beyond it they are dropped and counted, so that a dead service costs nothing. */
const atOnceMax = 200;

/** The most starts and ends that are remembered, so that none is told twice; the oldest go first. */
const rememberedMax = 10_000;

export interface PingsDeps {
  self: PeerId;
  doors: Pick<Doors, "clock" | "notifier" | "log">;
  jobOf: (id: JobId) => Job | undefined;
  count: (name: string) => void;
}

export class Pings {
  readonly #deps: PingsDeps;
  #onTheirWay = 0;
  readonly #noted = new Set<string>();

  constructor(deps: PingsDeps) {
    this.#deps = deps;
  }

  /** A run's record has moved up. */
  moved(record: RunRecord): void {
    const ping = this.#deps.jobOf(record.job)?.spec.ping;
    if (ping === undefined) return;
    const { self } = this.#deps;
    const which = slotOf(record);
    // What was begun has ended as it failed, if it is not repeated after all.
    const isUnmade = endsRetries(record);
    if (!isUnmade && record.startedAt === undefined) return;
    if (record.state === "running" && record.attempt === 1) {
      if (this.#isFirst(`${which} start`) && record.peer === self) this.#ping(ping.start, record, "started");
    } else if (isFinal(record.state) && settles(record)) {
      // Another peer's word is noted, too: it has told the end.
      if (!this.#isFirst(`${which} end`)) return;
      if (isUnmade)
        return record.peer === self ? this.#ping(ping.failure, record, "is not repeated") : undefined;
      if ((record.by ?? record.peer) !== self) return;
      // A run that found nothing to do has gone as it should.
      const isWell = record.state === "succeeded" || record.state === "skipped";
      this.#ping(isWell ? ping.success : ping.failure, record, record.state);
    }
  }

  #isFirst(what: string): boolean {
    if (this.#noted.has(what)) return false;
    this.#noted.add(what);
    const [oldest] = this.#noted;
    if (this.#noted.size > rememberedMax && oldest !== undefined) this.#noted.delete(oldest);
    return true;
  }

  #ping(address: string | undefined, record: RunRecord, what: string): void {
    if (address === undefined) return;
    if (this.#onTheirWay >= atOnceMax) return this.#deps.count("pings_dropped");
    const url = URL.parse(address);
    if (url === null) return;
    url.searchParams.set("rid", tickUuid(slotOf(record)));
    const reason = record.reason === undefined ? "" : `: ${record.reason}`;
    const text = `${runId(record)} ${what}${reason}`;
    this.#onTheirWay += 1;
    this.#try({ url: url.href, run: runId(record), text }, 0);
  }

  #try(ping: { url: string; run: string; text: string }, failures: number): void {
    const { clock, notifier, log } = this.#deps.doors;
    notifier.ping(ping, (result) => {
      const pauseMs = pausesMs[failures];
      if (!result.ok && !result.isFinal && pauseMs !== undefined) {
        clock.alarm(clock.now().mono + pauseMs, () => this.#try(ping, failures + 1));
        return;
      }
      this.#onTheirWay -= 1;
      this.#deps.count(result.ok ? "pings_sent" : "pings_failed");
      if (!result.ok) log.warn("a ping was not accepted", { run: ping.run, why: result.why });
    });
  }
}

/** Each slot of a tick has its own start and end. */
function slotOf({ job, tick, slot }: RunRecord): string {
  return slot === "" ? `${job}@${tick}` : `${job}@${tick}/${slot}`;
}
