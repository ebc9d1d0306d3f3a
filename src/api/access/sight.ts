/** What one caller may see of the peer now: which jobs, which of their runs, which settings (scoped-control.ts). */
import type { Control, View } from "../../ports/control.ts";
import { instantOf, type JobId } from "../../schema/ids.ts";
import type { Job } from "../../schema/job.ts";
import type { RunRecord } from "../../schema/run.ts";
import type { SettingKind, SettingValues } from "../../schema/setting.ts";
import type { Caller } from "./callers.ts";
import { groupOfJob, groupOfMaintenance } from "./judge.ts";
import { hasGroup } from "./rights.ts";

/** How long before its job was made a run may have been claimed, because clocks of peers differ. Unit: ms. */
export const clockSlackMs = 5_000;

/** The instant from which on runs under the job's id belong to the present job; ms. */
export function beginningOf(job: Job | undefined): number {
  return (job?.createdAt ?? 0) - clockSlackMs;
}

export class Sight {
  readonly #control: Pick<Control, "view" | "settings">;
  readonly #caller: Caller;

  constructor(control: Pick<Control, "view" | "settings">, caller: Caller) {
    this.#control = control;
    this.#caller = caller;
  }

  /** A caller of all groups sees everything that its role reads. */
  get isUnlimited(): boolean {
    return this.#caller.groups === undefined;
  }

  /** True for a job that is there and in one of the caller's groups. A caller of all groups may name any job. */
  seesJob(id: JobId): boolean {
    if (this.isUnlimited) return true;
    const job = this.#control.view().jobs.get(id);
    return job !== undefined && hasGroup(this.#caller, groupOfJob(job));
  }

  /**
   * If a job was deleted and made again, the caller sees only the runs of the present one. `jobs`: all jobs, if the code that
   * asks has them, because a view costs more than this check of one run.
   */
  seesRun({ job: id, tick, due, claimedAt = 0 }: RunRecord, jobs = this.#control.view().jobs): boolean {
    const job = jobs.get(id);
    const isOfGroup = job !== undefined && hasGroup(this.#caller, groupOfJob(job));
    if (!this.isUnlimited && !isOfGroup) return false;
    return Math.max(due, claimedAt, instantOf(tick)) >= beginningOf(job);
  }

  /** `mark`: that of an object which a source has made, `SOURCE/KIND/NAME`. */
  seesMark(mark: string): boolean {
    const [, kind, name = ""] = mark.split("/");
    if (kind === "job") return this.seesJob(name as JobId);
    if (kind === "group") return hasGroup(this.#caller, name);
    return kind === "maintenance" && this.settings("maintenance").has(name);
  }

  /** The instant from which on runs under the id belong to the present job; ms. */
  madeAt(id: JobId): number {
    return beginningOf(this.#control.view().jobs.get(id));
  }

  view(): View {
    const view = this.#control.view();
    if (this.isUnlimited) return view;
    let visible: ReadonlyMap<JobId, Job> | undefined;
    const made = (): ReadonlyMap<JobId, Job> =>
      new Map([...view.jobs].filter(([, job]) => hasGroup(this.#caller, groupOfJob(job))));
    return {
      ...view,
      get jobs() {
        return (visible ??= made());
      },
      quarantined: [],
      open: view.open.filter((record) => this.seesRun(record, view.jobs)),
      // The words may name jobs.
      notReady: view.notReady.map(({ code }) => ({ code, message: code })),
      warnings: [],
    };
  }

  settings(kind: SettingKind): SettingValues {
    const values = this.#control.settings(kind);
    if (this.isUnlimited) return values;
    switch (kind) {
      case "groups":
        return new Map([...values].filter(([name]) => hasGroup(this.#caller, name)));
      case "maintenance":
        return new Map(
          [...values].filter(([, value]) => {
            const group = groupOfMaintenance(value);
            return group === undefined || hasGroup(this.#caller, group);
          }),
        );
      case "secrets":
        return new Map();
      case "calendars":
      case "pools":
        return values;
    }
  }
}
