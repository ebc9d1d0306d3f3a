/**
 * A person's commands: write, pause, resume, run or delete a job, and commands about runs and peers. A positive answer is
 * given only once the change is durable on this peer. It says nothing about the other peers, which get the change by gossip or
 * the next sync.
 */
import type { Answer, Command } from "../../ports/command.ts";
import { CicadaError } from "../../errors.ts";
import { ulid, type JobId, type PeerId } from "../../schema/ids.ts";
import { sameValue } from "../../schema/equal.ts";
import type { GroupDefaults } from "../../schema/group.ts";
import type { CheckedSpec, TableEdit } from "../../schema/job.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { cancellable, cancelRuns } from "./cancel.ts";
import { tooFarAheadToWrite, tooFarBehindToWrite } from "../members/clocks.ts";
import { shownAuthor } from "../members/names.ts";
import type { CoreCommand, Event } from "../events.ts";
import { backfill } from "./backfill.ts";
import { confirm } from "./admissions.ts";
import { judgeAll } from "./apply.ts";
import { checkChain } from "./chain-check.ts";
import { drainable, drainPeer } from "./drain.ts";
import { checkJob } from "../checks/job.ts";
import { hasSupersededKey, isAlone } from "../members/superseded-key.ts";
import { mergePatch } from "../checks/merge-patch.ts";
import { admitRequested } from "../claims/order-book.ts";
import { hindrancesOf } from "../orders/hindrances.ts";
import { jobsOfCalendar, missingCalendars } from "../job/calendar-jobs.ts";
import { settingProblems } from "../job/settings.ts";
import { checkInGroup, groupOf, problemsOfJobs } from "../job/group.ts";
import type { Plan } from "../job/plan.ts";
import { maySpeak, readmitsItself, unforget } from "./readmission.ts";
import { refuse } from "./refuse.ts";
import { runJob } from "./run-job.ts";
import { skipStored, skipTicks, unskipTicks } from "./skips.ts";
import { forget, forgettable, promotable, promote } from "./roster-requests.ts";
import { jobsMax, storedSetting } from "./stored-setting.ts";
import { emit, type Pending, type State, expectStored } from "../state.ts";

/** The commands that change more than this peer's disk. */
type WideCommand = Extract<
  CoreCommand,
  { kind: "cancel-run" | "drain-peer" | "promote-peer" | "forget-peer" }
>;

export function isWide(command: CoreCommand): command is WideCommand {
  const { kind } = command;
  return kind === "cancel-run" || kind === "drain-peer" || kind === "promote-peer" || kind === "forget-peer";
}

/** How such a command would be answered at once, with nothing changed; undefined = it would be carried out. */
export function answerAtOnce(state: State, command: WideCommand): Answer | undefined {
  const refused = refusedBefore(state, command);
  if (refused !== undefined) return refused;
  const found = targetOf(state, command);
  return typeof found === "object" && "kind" in found ? found : undefined;
}

function targetOf(state: State, command: WideCommand): ReturnType<typeof cancellable> | PeerId {
  switch (command.kind) {
    case "cancel-run":
      return cancellable(state, command);
    case "drain-peer":
      return drainable(state, command);
    case "promote-peer":
      return promotable(state, command);
    case "forget-peer":
      return forgettable(state, command);
  }
}

/** What is refused whatever the command asks for. */
function refusedBefore(state: State, command: CoreCommand): Answer | undefined {
  if (!state.alive) return refuse("NOT_READY", "the peer is starting");
  const isAlwaysHeard = command.kind === "cancel-run" || command.kind === "drain-peer";
  return isAlwaysHeard || readmitsItself(state, command) ? undefined : refuseExcluded(state, command);
}

/** Carries out a command. Undefined when the answer comes later, once the change is durable. */
export function obey(state: State, event: Extract<Event, { kind: "command" }>): Answer | undefined {
  const { command, token, random } = event;
  const refused = refusedBefore(state, command);
  if (refused !== undefined) return refused;
  switch (command.kind) {
    case "put-job":
      return putJob(state, command, token);
    case "patch-job":
      return patchJob(state, command, token);
    case "delete-job":
      return deleteJob(state, command, token, event.inTable ?? false);
    case "pause-job":
      return withJob(state, command, (plan) => {
        const { note: said, until, by } = command;
        const pause = {
          by,
          at: state.now.wall,
          ...(said === undefined ? {} : { note: said }),
          ...(until === undefined ? {} : { until }),
        };
        const change = { kind: "pause", id: plan.id, ulid: ulid(state.now.wall, random), pause } as const;
        return edit(state, token, [change], false);
      });
    case "resume-job":
      return withJob(state, command, (plan) => {
        if (plan.pauses.length === 0) return { kind: "job", job: plan.job, created: false };
        const change = { kind: "resume", id: plan.id, at: state.now.wall, by: command.by } as const;
        return edit(state, token, [change], false);
      });
    case "skip-ticks":
      return withJob(state, command, (plan) => refuseAhead(state) ?? skipTicks(state, plan, command, token));
    case "unskip-ticks":
      return withJob(
        state,
        command,
        (plan) => refuseAhead(state) ?? unskipTicks(state, plan, command, token),
      );
    case "run-job":
      return withJob(
        state,
        command,
        (plan) => refuseAhead(state) ?? refuseBehind(state) ?? runJob(state, plan, command, token, random),
      );
    case "backfill-job":
      return withJob(
        state,
        command,
        (plan) => refuseAhead(state) ?? refuseBehind(state) ?? backfill(state, plan, command, token, random),
      );
    case "set-value": {
      const { root, id, value, by } = command;
      return edit(state, token, [{ kind: "set", root, id, value, by }], false);
    }
    case "put-setting":
      return putSetting(state, command, token);
    case "remove-setting":
      return removeSetting(state, command, token);
    case "apply": {
      const judged = judgeAll(state, command);
      if (judged instanceof CicadaError) return { kind: "refused", error: judged };
      const isDone = judged.length === 0 || command.dryRun === true;
      return isDone ? { kind: "done" } : edit(state, token, judged, false);
    }
    case "cancel-run":
      return cancelRuns(state, command, token);
    case "promote-peer":
      return promote(state, command, token);
    case "forget-peer":
      return forget(state, command, token);
    case "unforget-peer":
      return unforget(state, command, token);
    case "confirm-peer":
      return confirm(state, command, token);
    case "drain-peer":
      return drainPeer(state, command, token);
  }
}

function putSetting(
  state: State,
  { setting, name, value, by }: Extract<Command, { kind: "put-setting" }>,
  token: number,
): Answer | undefined {
  const problems = settingProblems(setting, name, value);
  if (problems.length > 0)
    return { kind: "refused", error: new CicadaError("UNPROCESSABLE", "see errors", problems) };
  const ofJobs = setting === "groups" ? problemsOfJobs(state.jobs, name, value as GroupDefaults) : [];
  if (ofJobs.length > 0)
    return { kind: "refused", error: new CicadaError("GROUP_REFUSED", "see errors", ofJobs) };
  const written = storedSetting(state, setting, name, value);
  if (written === undefined) return { kind: "done" };
  return edit(state, token, [{ kind: "set", root: setting, id: name, value: written, by }], false);
}

function removeSetting(
  state: State,
  { setting, name, by }: Extract<Command, { kind: "remove-setting" }>,
  token: number,
): Answer | undefined {
  const users = setting === "calendars" ? jobsOfCalendar(state.jobs, name) : [];
  if (users.length > 0) {
    const named = users.slice(0, usersShown).join(", ");
    const more = users.length > usersShown ? ` and ${users.length - usersShown} more` : "";
    return refuse("SETTING_IN_USE", `"${name}" is used by ${named}${more}`);
  }
  const value = storedSetting(state, setting, name, null);
  return edit(state, token, [{ kind: "set", root: setting, id: name, value: value ?? null, by }], false);
}

const usersShown = 20;

function withJob(
  state: State,
  command: { id: JobId; ifMatch?: string },
  act: (plan: Plan) => Answer | undefined,
): Answer | undefined {
  const plan = state.jobs.plans.get(command.id);
  if (plan === undefined) return refuse("JOB_NOT_FOUND", `there is no job "${command.id}"`);
  return conflict(plan, command.ifMatch) ?? act(plan);
}

/** An entry that can't be read as a job can be deleted too: that is how a person gets rid of it. */
function deleteJob(
  state: State,
  command: Extract<Command, { kind: "delete-job" }>,
  token: number,
  inTable: boolean,
): Answer | undefined {
  const { id, by, ifMatch } = command;
  const plan = state.jobs.plans.get(id);
  if (plan === undefined && !inTable) return refuse("JOB_NOT_FOUND", `there is no job "${id}"`);
  return conflict(plan, ifMatch) ?? edit(state, token, [{ kind: "delete", id, by }], false);
}

function conflict(plan: Plan | undefined, ifMatch: string | undefined): Answer | undefined {
  if (ifMatch === undefined || plan?.revision === ifMatch) return undefined;
  const now = plan === undefined ? "there is no such job" : `its revision is ${plan.revision}`;
  return refuse("REVISION_CONFLICT", `you gave the revision ${ifMatch}, but ${now}`);
}

function putJob(
  state: State,
  command: Extract<Command, { kind: "put-job" }>,
  token: number,
): Answer | undefined {
  const { spec } = command;
  const known = state.jobs.plans.get(spec.id);
  if (known !== undefined && command.mode === "create")
    return refuse("JOB_EXISTS", `there is already a job "${spec.id}"`);
  const clash = conflict(known, command.ifMatch);
  if (clash !== undefined) return clash;
  if (known === undefined && state.jobs.plans.size >= jobsMax) {
    return refuse("TABLE_FULL", `a mesh can have at most ${jobsMax} jobs`);
  }
  return putSpec(state, known, spec, command.by, token);
}

function putSpec(
  state: State,
  known: Plan | undefined,
  spec: CheckedSpec,
  by: string,
  token: number,
): Answer | undefined {
  if (known !== undefined && sameValue(known.job.written ?? known.job.spec, spec)) {
    return { kind: "job", job: known.job, created: false };
  }
  const inGroup = checkInGroup(spec, state.jobs.groups.get(groupOf(spec)));
  if (!inGroup.ok)
    return { kind: "refused", error: new CicadaError("INVALID_JOB", "see errors", inGroup.problems) };
  const { problems: ofChain, warnings } = checkChain(state, inGroup.spec);
  const problems = [...ofChain, ...missingCalendars(state.jobs, spec)];
  if (problems.length > 0)
    return { kind: "refused", error: new CicadaError("INVALID_JOB", "see errors", problems) };
  return edit(state, token, [{ kind: "put", spec, by }], known === undefined, warnings);
}

function patchJob(
  state: State,
  command: Extract<Command, { kind: "patch-job" }>,
  token: number,
): Answer | undefined {
  return withJob(state, command, (plan) => {
    const spec = plan.job.written ?? plan.job.spec;
    // This peer doesn't know the action of a job that a later version has written, and leaves it as it is.
    const part = spec.command === undefined && spec.argv === undefined ? "without-action" : "whole";
    const checked = checkJob(mergePatch(spec, command.patch), part);
    if (!checked.ok)
      return { kind: "refused", error: new CicadaError(checked.code, "see errors", checked.problems) };
    if (checked.spec.id !== plan.id) return refuse("ID_MISMATCH", `the job is "${plan.id}"`);
    return putSpec(state, plan, checked.spec, command.by, token);
  });
}

/** Refuses when what this peer writes would reach no other, or would collide with another process of its identity. */
function refuseExcluded(state: State, command: Command): Answer | undefined {
  const { operator, members } = state;
  if (operator.selfForgotten !== undefined && !maySpeak(state, command))
    return refuse("FORGOTTEN", `by ${shownAuthor(state, operator.selfForgotten.by)}`);
  // Members that are linked can cut off a thief of their key who claims that it was replaced.
  const isRemedy = command.kind === "forget-peer" && !isAlone(state);
  if (hasSupersededKey(state) && !isRemedy) return refuse("KEY_SUPERSEDED", "no member accepts its key");
  if (members.duplicateIdentity) return refuse("DUPLICATE_IDENTITY", "its data folder was copied");
  return undefined;
}

/** Refuses when this peer's clock is far ahead: its edits would count as newer than those of all other peers. */
function refuseAhead(state: State): Answer | undefined {
  const aheadMs = tooFarAheadToWrite(state);
  if (aheadMs === undefined) return undefined;
  mark(state, "clock-ahead-refused");
  return refuse("CLOCK_AHEAD", `it is ${Math.round(aheadMs / 1_000)} s ahead of the right clocks`);
}

/** Refuses to run or make a job when this peer's clock is far behind, because it dates the run and the job's beginning. */
function refuseBehind(state: State): Answer | undefined {
  const behindMs = tooFarBehindToWrite(state);
  if (behindMs === undefined) return undefined;
  mark(state, "clock-behind-refused");
  return refuse("CLOCK_BEHIND", `it is ${Math.round(behindMs / 1_000)} s behind the right clocks`);
}

/** Makes the edits as one change. The answer follows when it is durable. */
function edit(
  state: State,
  command: number,
  edits: readonly TableEdit[],
  created: boolean,
  warnings: readonly string[] = [],
): Answer | undefined {
  const begins = edits.some(({ kind }) => kind === "put" || kind === "resume");
  const refused = refuseAhead(state) ?? (begins ? refuseBehind(state) : undefined);
  if (refused !== undefined) return refused;
  const token = expectStored(state, { kind: "edit", command, edits, created, warnings });
  emit(state, { kind: "edit", edits, token, command });
  return isPlanted(state, "answer-before-fsync") ? { kind: "done" } : undefined;
}

/** An edit that a person waits for was not made. */
export function refuseFull(state: State, token: number, detail: string): void {
  emit(state, { kind: "answer", token, answer: refuse("TABLE_FULL", detail) });
}

/** A write that a person waits for is durable, or has failed. */
export function commandStored(
  state: State,
  pending: Exclude<Pending, { kind: "claim" | "votes" | "drain" }>,
  failed: boolean,
): void {
  const token = pending.command;
  if (failed) {
    return emit(state, {
      kind: "answer",
      token,
      answer: refuse("DISK_FAILED", "the change could not be stored"),
    });
  }
  if (pending.kind === "answer") return emit(state, { kind: "answer", token, answer: pending.answer });
  if (pending.kind === "order") {
    const { order } = pending;
    admitRequested(state, order);
    emit(state, { kind: "order", order });
    const plan = state.jobs.plans.get(order.job);
    const hindrances = plan === undefined ? [] : hindrancesOf(state, plan, order);
    const answer = { kind: "ordered", job: order.job, tick: order.tick, hindrances } as const;
    return emit(state, { kind: "answer", token, answer });
  }
  if (pending.kind === "orders") {
    for (const order of pending.orders) {
      admitRequested(state, order);
      emit(state, { kind: "order", order });
    }
    return emit(state, { kind: "answer", token, answer: pending.answer });
  }
  if (pending.kind === "skip") return skipStored(state, pending);
  emit(state, { kind: "answer", token, answer: answerTo(state, pending) });
}

/** The job after the edit; `done` if there was more than one edit, or if the job no longer exists. */
function answerTo(state: State, { edits, created, warnings }: Extract<Pending, { kind: "edit" }>): Answer {
  const [one] = edits;
  if (edits.length !== 1 || one === undefined || one.kind === "delete" || one.kind === "set") {
    return { kind: "done" };
  }
  // Another command may have deleted it at the same time.
  const plan = state.jobs.plans.get(idOf(one));
  if (plan === undefined) return { kind: "done" };
  return { kind: "job", job: plan.job, created, ...(warnings.length === 0 ? {} : { warnings }) };
}

function idOf(change: Exclude<TableEdit, { kind: "set" }>): JobId {
  return change.kind === "put" ? change.spec.id : change.id;
}
