/**
 * A set of changes that a person asks for as one (`cicada apply`). Each is judged as a command of its own would be, but
 * in the table that all of them make together: a job may name a calendar, a group or a parent of the same set. If one is
 * refused, all are.
 */
import type { Change, Command } from "../../ports/command.ts";
import { CicadaError } from "../../errors.ts";
import type { GroupDefaults } from "../../schema/group.ts";
import type { JobId } from "../../schema/ids.ts";
import type { CheckedSpec, Job, Problem, TableEdit } from "../../schema/job.ts";
import { missingCalendars, jobsOfCalendar } from "../job/calendar-jobs.ts";
import { readCalendars } from "../job/calendars.ts";
import { checkInGroup, groupOf, problemsOfJobs, readGroup, storedGroup } from "../job/group.ts";
import type { JobsState } from "../job/jobs-state.ts";
import { planJob } from "../job/plan.ts";
import { settingProblems } from "../job/settings.ts";
import type { State } from "../state.ts";
import { checkChain } from "./chain-check.ts";
import { jobsMax, storedSetting } from "./stored-setting.ts";

/** How many problems a refusal names. */
const problemsShown = 50;

type ApplyCommand = Extract<Command, { kind: "apply" }>;
type SettingChange = Extract<Change, { kind: "setting" }>;

/** The edits, or why there are none. */
export function judgeAll(state: State, { changes, by }: ApplyCommand): TableEdit[] | CicadaError {
  const conflicts = changes.flatMap((change) => conflictOf(state, change));
  if (conflicts.length > 0) return new CicadaError("APPLY_CONFLICT", "see errors", cut(conflicts));
  const settings = changes.filter((change) => change.kind === "setting");
  const jobs = jobsAfter(state, changes, settings);
  if (jobs.plans.size > jobsMax) {
    return new CicadaError("TABLE_FULL", `a mesh can have at most ${jobsMax} jobs`);
  }
  const problems = [
    ...settings.flatMap((change) => problemsOfSetting(jobs, change)),
    ...changes.flatMap((change) => (change.kind === "job" ? problemsOfJob(state, jobs, change) : [])),
  ];
  if (problems.length > 0) return new CicadaError("INVALID_OBJECT", "see errors", cut(problems));
  return changes.flatMap((change) => editOf(state, change, by));
}

function conflictOf({ jobs }: State, change: Change): Problem[] {
  if (change.kind !== "job" && change.kind !== "no-job") return [];
  const id = change.kind === "job" ? change.spec.id : change.id;
  const now = jobs.plans.get(id)?.revision;
  if (now === change.ifMatch) return [];
  return [{ pointer: change.at, message: `the job ${id} was changed at the same time` }];
}

/** The jobs and settings of the table as they would be. */
function jobsAfter(state: State, changes: readonly Change[], settings: readonly SettingChange[]): JobsState {
  const { wall } = state.now;
  const calendars = new Map(state.jobs.calendars.entries);
  const groups = new Map(state.jobs.groups);
  for (const { setting, name, value } of settings) {
    if (setting === "calendars") replace(calendars, name, value);
    if (setting !== "groups") continue;
    const stored = storedGroup(state.jobs, name, value ?? undefined, wall);
    const group = readGroup(stored);
    if (group !== undefined) groups.set(name, group);
  }
  const plans = new Map(state.jobs.plans);
  const jobs: JobsState = {
    ...state.jobs,
    plans,
    groups,
    calendars: readCalendars(calendars, state.jobs.calendars, wall),
  };
  for (const change of changes) {
    if (change.kind === "no-job") plans.delete(change.id);
    if (change.kind !== "job") continue;
    const checked = checkInGroup(change.spec, groups.get(groupOf(change.spec)));
    const plan = checked.ok ? planJob(jobOf(change.spec, checked.spec), jobs.calendars) : [];
    if (!Array.isArray(plan)) plans.set(plan.id, plan);
  }
  return jobs;
}

function replace(entries: Map<string, unknown>, name: string, value: unknown): void {
  if (value === null) entries.delete(name);
  else entries.set(name, value);
}

/** The job as the table would show it. */
function jobOf(written: CheckedSpec, spec: CheckedSpec): Job {
  const never = { createdAt: 0, updatedAt: 0, scheduledAt: 0, resumedAt: 0, failuresFrom: 0 };
  return { id: spec.id, spec, written, revision: "", updatedBy: "", pauses: [], needs: [], ...never };
}

function problemsOfSetting(jobs: JobsState, change: SettingChange): Problem[] {
  const { setting, name, value, at } = change;
  const within = ({ pointer, message }: Problem): Problem => ({ pointer: `${at}${pointer}`, message });
  if (value === null) {
    const users = setting === "calendars" ? jobsOfCalendar(jobs, name) : [];
    return users.length === 0 ? [] : [{ pointer: at, message: `"${name}" is used by ${nameSome(users)}` }];
  }
  const own = settingProblems(setting, name, value);
  if (own.length > 0 || setting !== "groups") return own.map(within);
  return problemsOfJobs(jobs, name, value as GroupDefaults).map(within);
}

function problemsOfJob(
  state: State,
  jobs: JobsState,
  { spec, at }: Extract<Change, { kind: "job" }>,
): Problem[] {
  const within = ({ pointer, message }: Problem): Problem => ({ pointer: `${at}${pointer}`, message });
  const checked = checkInGroup(spec, jobs.groups.get(groupOf(spec)));
  if (!checked.ok) return checked.problems.map(within);
  const { problems } = checkChain({ jobs, now: state.now }, checked.spec);
  return [...problems, ...missingCalendars(jobs, spec)].map(within);
}

function editOf(state: State, change: Change, by: string): TableEdit[] {
  switch (change.kind) {
    case "job":
      return [{ kind: "put", spec: change.spec, by }];
    case "no-job":
      return [{ kind: "delete", id: change.id, by }];
    case "setting": {
      const { setting, name, value } = change;
      const stored = storedSetting(state, setting, name, value);
      return stored === undefined ? [] : [{ kind: "set", root: setting, id: name, value: stored, by }];
    }
    case "value":
      return [{ kind: "set", root: change.root, id: change.id, value: change.value, by }];
  }
}

function nameSome(jobs: readonly JobId[]): string {
  const more = jobs.length > 5 ? ` and ${jobs.length - 5} more` : "";
  return jobs.slice(0, 5).join(", ") + more;
}

function cut(problems: readonly Problem[]): readonly Problem[] {
  return problems.slice(0, problemsShown);
}
