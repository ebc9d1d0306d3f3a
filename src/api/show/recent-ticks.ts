/**
 * How each job's last ticks went, for the sparklines of a list of jobs: the newest ones, with how long their runs took.
 *
 * A job's history is read from the disk once. A record of the job that moves makes it stale, so a list that is read again
 * costs one read for each job that has run meanwhile.
 */
import type { Control } from "../../ports/control.ts";
import { runId, type JobId } from "../../schema/ids.ts";
import { tookMs } from "../../schema/run.ts";
import type { RunState } from "../../schema/run-states.ts";
import type { Decisions } from "../options.ts";
import type { ScopedControl } from "../access/scoped-control.ts";
import { recentTicks, type Recent } from "./show-overview.ts";
import type { UsualDurations } from "./usual-durations.ts";

/** Records read per job: some ticks have several, for their attempts and slots. */
const recordsRead = 60;
/** Jobs that are kept. About 3 kB each; beyond it the one that was kept first goes. */
const jobsKept = 2_000;

const statesShown: readonly RunState[] = [
  "running",
  "succeeded",
  "failed",
  "timeout",
  "cancelled",
  "lost",
  "skipped",
  "missed",
];

export class RecentTicks {
  readonly #decisions: Decisions;
  readonly #usual: UsualDurations;
  readonly #kept = new Map<JobId, Promise<Recent>>();

  constructor(control: Control, usual: UsualDurations, decisions: Decisions) {
    this.#decisions = decisions;
    this.#usual = usual;
    control.subscribe((event) => {
      if (event.kind === "run") this.#kept.delete(event.record.job);
      if (event.kind === "job" && event.change === "deleted") this.#kept.delete(event.id);
    });
  }

  /** The ticks that the caller of this control may see. Only what a caller of all groups sees is kept. */
  of(job: JobId, control: ScopedControl): Promise<Recent> {
    if (control.caller.groups !== undefined) return this.#read(job, control);
    const known = this.#kept.get(job);
    if (known !== undefined) return known;
    const [oldest] = this.#kept.keys();
    if (this.#kept.size >= jobsKept && oldest !== undefined) this.#kept.delete(oldest);
    const read = this.#read(job, control);
    this.#kept.set(job, read);
    // After a failure the next question reads again.
    read.catch(() => this.#kept.delete(job));
    return read;
  }

  async #read(job: JobId, control: ScopedControl): Promise<Recent> {
    const usualMs = this.#usual.of(job, control);
    const { records } = await control.history({ job, states: statesShown, limit: recordsRead });
    const ticks: Recent["ticks"] = [];
    for (const [tick, ofTick] of Map.groupBy(records, (record) => record.tick)) {
      const story = this.#decisions.storyOf(ofTick);
      if (story === undefined) continue;
      const run = story.startedAt === undefined ? null : runId(story);
      ticks.push({ tick, state: story.state, ms: tookMs(story) ?? null, run });
      if (ticks.length === recentTicks) break;
    }
    return { ticks, usualMs: await usualMs };
  }
}
