/**
 * Decides whether a caller may give the peer a command. Commands of all routes are judged here, and each change of an `apply` is
 * judged as the single call would be. What the caller may not see doesn't exist for it: it gets the refusal of a wrong name.
 */
import { CicadaError } from "../../errors.ts";
import type { ErrorCode } from "../../errors/table.ts";
import type { Change, Command } from "../../ports/command.ts";
import type { Control } from "../../ports/control.ts";
import type { Role } from "../../schema/access.ts";
import { parseRunReference, type JobId } from "../../schema/ids.ts";
import { pointerTo } from "../../schema/pointer.ts";
import { defaultGroup } from "../../schema/job-vocabulary.ts";
import type { Job, Problem } from "../../schema/job.ts";
import type { SettingKind } from "../../schema/setting.ts";
import type { Caller } from "./callers.ts";
import { all, forbidden, hasGroup, own, refusalFor } from "./rights.ts";

/** What a judgement rests on: the whole table, not only what the caller sees of it. */
export type Ground = Pick<Control, "view" | "settings" | "values">;

/** For a command of many changes: a view costs more than the judgement of a change. */
export function withOneView(ground: Ground): Ground {
  const view = ground.view();
  return {
    view: () => view,
    settings: (kind) => ground.settings(kind),
    values: (root) => ground.values(root),
  };
}

/** How many refused changes of an `apply` are named. */
const problemsShown = 50;

export function groupOfJob({ spec }: Job): string {
  return spec.group ?? defaultGroup;
}

/** The group of a maintenance; undefined = it is the mesh's. */
export function groupOfMaintenance(value: unknown): string | undefined {
  return typeof value === "object" && value !== null && "group" in value && typeof value.group === "string"
    ? value.group
    : undefined;
}

/** The refusal; undefined = the caller may. */
export function judge(caller: Caller, command: Command, ground: Ground): CicadaError | undefined {
  switch (command.kind) {
    case "put-job":
      return (
        judgeWrite(caller, command.spec, ground, command.mode === "create", unseenChildren(caller, ground)) ??
        refusalOfParents(unseenParents(caller, command.spec, ground))
      );
    case "patch-job": {
      const { group, after } = command.patch;
      const moved = group === undefined ? undefined : typeof group === "string" ? group : defaultGroup;
      return (
        judgeJob(caller, command.id, "editor", ground) ??
        judgeGroup(caller, moved, "editor") ??
        refusalOfParents(unseenParents(caller, { id: command.id, after }, ground))
      );
    }
    case "delete-job":
      return judgeJob(caller, command.id, "editor", ground);
    case "run-job": {
      const refused = judgeJob(caller, command.id, "operator", ground);
      // A caller who chooses a program's variables can make it run another program.
      return refused ?? (command.env === undefined ? undefined : refusalFor(caller, own("editor")));
    }
    case "pause-job":
    case "resume-job":
    case "skip-ticks":
    case "unskip-ticks":
    case "backfill-job":
      return judgeJob(caller, command.id, "operator", ground);
    case "cancel-run": {
      const job = parseRunReference(command.run)?.job;
      const refused = job === undefined ? undefined : judgeJob(caller, job, "operator", ground);
      if (refused?.code !== "JOB_NOT_FOUND") return refused ?? refusalFor(caller, own("operator"));
      return new CicadaError("RUN_NOT_FOUND", `there is no run "${command.run}"`);
    }
    case "set-value":
      return judgeValue(caller, command.root, command.id, ground);
    case "put-setting":
      return judgeSetting(caller, command.setting, command.name, command.value, ground);
    case "remove-setting":
      return judgeSetting(caller, command.setting, command.name, null, ground);
    case "apply":
      return judgeApply(caller, command.changes, ground);
    case "promote-peer":
    case "forget-peer":
    case "unforget-peer":
    case "confirm-peer":
    case "drain-peer":
    case "rotate-key":
      return refusalFor(caller, all("admin"));
  }
}

/** A job that a caller of all groups names may not exist: the peer then says so. */
function judgeJob(caller: Caller, id: JobId, role: Role, ground: Ground): CicadaError | undefined {
  const job = ground.view().jobs.get(id);
  const isSeen = caller.groups === undefined || (job !== undefined && hasGroup(caller, groupOfJob(job)));
  if (!isSeen) return new CicadaError("JOB_NOT_FOUND", `there is no job "${id}"`);
  return refusalFor(caller, own(role));
}

/** The ids of jobs after which jobs run that the caller doesn't see. Read once, and only if it is needed. */
function unseenChildren(caller: Caller, ground: Ground): () => ReadonlySet<string> {
  let found: ReadonlySet<string> | undefined;
  return () =>
    (found ??= new Set(
      [...ground.view().jobs.values()].flatMap((job) =>
        hasGroup(caller, groupOfJob(job)) ? [] : (job.spec.after?.jobs ?? []),
      ),
    ));
}

/** A job that is moved needs the right in both groups. */
function judgeWrite(
  caller: Caller,
  { id, group = defaultGroup }: { id: JobId; group?: string },
  ground: Ground,
  isNew: boolean,
  hasChildren: () => ReadonlySet<string>,
): CicadaError | undefined {
  const { jobs, quarantined } = ground.view();
  const before = jobs.get(id);
  // Nobody knows the group of a job that can't be read. And jobs that ran after a deleted job would read what a new job of the
  // same id hands on.
  const isHidden =
    caller.groups !== undefined &&
    (before === undefined
      ? quarantined.some((one) => one.id === id) || hasChildren().has(id)
      : !hasGroup(caller, groupOfJob(before)));
  const role = refusalFor(caller, own("editor"));
  if (role !== undefined) return role;
  if (isHidden && !isNew)
    return new CicadaError("JOB_NOT_FOUND", `there is no job "${id}" that this token may see`);
  // A caller who may not make the job at all isn't told whether its id is free. One who may make it has to be told that it isn't.
  const refused = judgeGroup(caller, group, "editor");
  if (refused !== undefined || !isHidden) return refused;
  return new CicadaError("JOB_EXISTS", `the id "${id}" is taken`);
}

/**
 * A job reads what its parents hand on, so a caller may name as parents only jobs that it sees. A parent that doesn't exist is
 * refused in the same words, because another group may make it later. Parents that the job already has were named by someone who
 * may name them.
 */
function unseenParents(
  caller: Caller,
  { id, after }: { id: JobId; after?: unknown },
  ground: Ground,
  isInSet: (parent: string) => boolean = () => false,
): Problem[] {
  if (caller.groups === undefined || typeof after !== "object" || after === null) return [];
  if (!("jobs" in after) || !Array.isArray(after.jobs)) return [];
  const { jobs } = ground.view();
  const named: unknown[] = after.jobs;
  const before: ReadonlySet<unknown> = new Set(jobs.get(id)?.spec.after?.jobs);
  return named.flatMap((parent, place) => {
    if (typeof parent !== "string" || parent === id || before.has(parent) || isInSet(parent)) return [];
    const job = jobs.get(parent as JobId);
    if (job !== undefined && hasGroup(caller, groupOfJob(job))) return [];
    const pointer = pointerTo("after", "jobs", String(place));
    return [{ pointer, message: `there is no job "${parent}" that this token may see` }];
  });
}

function refusalOfParents(problems: readonly Problem[]): CicadaError | undefined {
  return problems.length === 0 ? undefined : new CicadaError("INVALID_JOB", "see errors", problems);
}

function judgeGroup(caller: Caller, group: string | undefined, role: Role): CicadaError | undefined {
  if (group === undefined || hasGroup(caller, group)) return refusalFor(caller, own(role));
  return forbidden(caller, `the role ${role} in the group "${group}"`);
}

function judgeSetting(
  caller: Caller,
  setting: SettingKind,
  name: string,
  value: unknown,
  ground: Ground,
): CicadaError | undefined {
  if (setting === "groups") {
    return hasGroup(caller, name) ? refusalFor(caller, own("editor")) : notFound(setting, name);
  }
  if (setting !== "maintenance") return refusalFor(caller, all("editor"));
  const before = ground.settings(setting).get(name);
  const group = before === undefined ? undefined : groupOfMaintenance(before);
  if (group !== undefined && !hasGroup(caller, group)) return notFound(setting, name);
  const touched = [
    ...(before === undefined ? [] : [group]),
    ...(value === null ? [] : [groupOfMaintenance(value)]),
  ];
  for (const one of touched) {
    const refused = one === undefined ? refusalFor(caller, all("editor")) : judgeGroup(caller, one, "editor");
    if (refused !== undefined) return refused;
  }
  return refusalFor(caller, own("editor"));
}

function notFound(setting: SettingKind, name: string): CicadaError {
  const one = setting === "groups" ? "group" : setting;
  return new CicadaError("SETTING_NOT_FOUND", `there is no ${one} "${name}" that this token may see`);
}

function judgeValue(caller: Caller, root: string, id: string, ground: Ground): CicadaError | undefined {
  if (root === "tokens") return refusalFor(caller, all("admin"));
  if (root !== "sources") return refusalFor(caller, all("editor"));
  // The mark of a source stands beside the object that the source has made. A caller that may change the object may change its
  // mark.
  const [, kind = "", name = ""] = id.split("/");
  switch (kind) {
    case "job": {
      const job = ground.view().jobs.get(name as JobId);
      if (job === undefined) return refusalFor(caller, own("editor"));
      return judgeJob(caller, job.id, "editor", ground);
    }
    case "group":
      return judgeSetting(caller, "groups", name, null, ground);
    case "maintenance":
      return judgeSetting(caller, "maintenance", name, null, ground);
    default:
      return refusalFor(caller, all("editor"));
  }
}

function judgeApply(caller: Caller, changes: readonly Change[], now: Ground): CicadaError | undefined {
  const ground = withOneView(now);
  const problems: Problem[] = [];
  let code: ErrorCode | undefined;
  const refusedAt = new Set<string>();
  const made = new Set(changes.flatMap((change) => (change.kind === "job" ? [change.spec.id] : [])));
  const isInSet = (parent: string): boolean => made.has(parent as JobId);
  const hasChildren = unseenChildren(caller, ground);
  for (const change of changes) {
    const refused = judgeChange(caller, change, ground, hasChildren);
    if (refused !== undefined) {
      code ??= refused.code;
      // An object and the mark of its source have the same place, which is named once.
      if (!refusedAt.has(change.at)) problems.push({ pointer: change.at, message: refused.detail });
      refusedAt.add(change.at);
    } else if (change.kind === "job") {
      const unseen = unseenParents(caller, change.spec, ground, isInSet);
      if (unseen.length > 0) code ??= "INVALID_OBJECT";
      problems.push(
        ...unseen.map(({ pointer, message }) => ({ pointer: `${change.at}${pointer}`, message })),
      );
    }
  }
  if (code !== undefined) {
    return new CicadaError(code, `${problems[0]?.message}`, problems.slice(0, problemsShown));
  }
  return refusalFor(caller, own("editor"));
}

function judgeChange(
  caller: Caller,
  change: Change,
  ground: Ground,
  hasChildren: () => ReadonlySet<string>,
): CicadaError | undefined {
  switch (change.kind) {
    case "job":
      return judgeWrite(caller, change.spec, ground, false, hasChildren);
    case "no-job":
      return judgeJob(caller, change.id, "editor", ground);
    case "setting":
      return judgeSetting(caller, change.setting, change.name, change.value, ground);
    case "value":
      return judgeValue(caller, change.root, change.id, ground);
  }
}
