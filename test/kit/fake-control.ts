/**
 * A peer without a mesh, in memory, for tests of the API. The real operator of core decides commands about jobs and
 * runs; the table, the disk and the other members are faked, and nothing runs. The tests themselves end runs and write
 * their output.
 */
import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { checkedJob, checkJob } from "../../src/core/checks/job.ts";
import { scriptName } from "../../src/core/checks/script.ts";
import { planJob } from "../../src/core/job/plan.ts";
import { enterJob } from "../../src/core/job/timetable.ts";
import { hearCancelConfirmed } from "../../src/core/operator/cancel.ts";
import { commandStored, obey } from "../../src/core/operator/commands.ts";
import { ticksToBackfill } from "../../src/core/operator/backfill.ts";
import { planBackfill } from "../../src/peer/history/backfill-plan.ts";
import { enterCalendars } from "../../src/core/job/calendar-jobs.ts";
import { previewWithCalendars } from "../../src/core/job/calendars.ts";
import { takeRecord } from "../../src/core/records/ledger.ts";
import { duplicatesIn, storyOf } from "../../src/core/records/records.ts";
import { createState, type Settings, type Pending, type State } from "../../src/core/state.ts";
import { nextTick, parseSchedule, ticksBetween, withoutExclusions } from "../../src/core/time/schedule.ts";
import { parseDuration } from "../../src/core/time/units.ts";
import type { Decisions } from "../../src/api/options.ts";
import { CicadaError } from "../../src/errors.ts";
import type { Cancel, LogPiece } from "../../src/ports.ts";
import type { ExpectedHour } from "../../src/ports/expected.ts";
import type { JobSince, RunPage, RunQuery, WrongJobs, WrongQuery } from "../../src/ports/disk.ts";
import type { Answer, Command } from "../../src/ports/command.ts";
import type {
  BackfillPlan,
  ChannelHealth,
  Control,
  Explanation,
  Heir,
  JobHindrance,
  JobStatus,
  MemberView,
  NextTick,
  NotReady,
  PeerEvent,
  PoolView,
  RosterView,
  Silence,
  TickStory,
  View,
} from "../../src/ports/control.ts";
import {
  instantOf,
  runId,
  tickAt,
  type JobId,
  type PeerId,
  type RunId,
  type TickId,
} from "../../src/schema/ids.ts";
import type { CheckedSpec, Job, Quarantined, TableEdit } from "../../src/schema/job.ts";
import { ofTickKey } from "../../src/schema/keyed-tick.ts";
import type { NoticeChannel } from "../../src/schema/channel.ts";
import type { Delivered } from "../../src/ports/notifier.ts";
import type { AuditEntry, AuditFound, AuditQuery } from "../../src/schema/audit.ts";
import { isByActor } from "../../src/schema/audit-actors.ts";
import type { JobRevision } from "../../src/schema/revision.ts";
import type { SettingKind, SettingValues } from "../../src/schema/setting.ts";
import { ownCapabilities } from "../../src/schema/protocol.ts";
import type { HeldSecrets, SecretChange } from "../../src/schema/secret.ts";
import { tookMs, type RunRecord } from "../../src/schema/run.ts";
import { isFinal } from "../../src/schema/run-states.ts";
import { wrongAmong } from "../../src/sim/disk/queries.ts";
import type { Forgotten } from "../../src/schema/attribution.ts";

export const decisions: Decisions = {
  checkJob,
  previewSchedule: previewWithCalendars,
  parseDuration,
  storyOf,
  duplicatesIn,
};

export const selfId = "12D3KooWFakePeerAlpha0001" as PeerId;
export const otherId = "12D3KooWFakePeerBravo0002" as PeerId;

const settings: Settings = {
  self: selfId,
  name: "alpha",
  version: "0.1.0",
  tags: {},
  capacity: 20,
  role: "worker",
  tzdata: "2026a",
  incarnation: 1,
  host: {},
  capabilities: ownCapabilities,
  lacks: [],
  founder: selfId,
  sign: (record) => record,
  signText: () => "",
  verifyText: () => true,
};

type PeerCommand = Extract<
  Command,
  { kind: "confirm-peer" | "promote-peer" | "forget-peer" | "unforget-peer" | "drain-peer" }
>;
type JobCommand = Exclude<Command, PeerCommand | { kind: "rotate-key" | "set-value" }>;

function idOf(command: JobCommand): JobId | undefined {
  if (command.kind === "put-job") return command.spec.id;
  return "id" in command ? command.id : undefined;
}

/** Tells the core of a job, as when the table has changed. */
function learn(core: State, job: Job): void {
  const plan = planJob(job, core.jobs.calendars);
  assert.ok(!Array.isArray(plan), `${job.id} can be read`);
  enterJob(core.jobs, plan, core.now.wall);
}

function isOfPerson(pending: Pending): pending is Parameters<typeof commandStored>[1] {
  return ["edit", "order", "orders", "skip", "answer"].includes(pending.kind);
}

/** Reports a pending write as durable at once. */
function durable(core: State, token: number | undefined): void {
  const pending = token === undefined ? undefined : core.pending.get(token);
  if (pending !== undefined && isOfPerson(pending)) commandStored(core, pending, false);
}

interface Output {
  bytes: Uint8Array;
  complete: boolean;
}

export class FakeControl implements Control {
  readonly jobs = new Map<JobId, Job>();
  readonly records: RunRecord[] = [];
  readonly outputs = new Map<RunId, Output>();
  readonly commands: Command[] = [];
  /** the settings, by kind and name */
  readonly settingValues = new Map<string, Map<string, unknown>>();
  quarantined: Quarantined[] = [];
  notReady: NotReady[] = [];
  hindrances: JobHindrance[] = [];
  /** what is known to hinder jobs only once the hosts have looked */
  foundByHosts: JobHindrance[] = [];
  statuses = new Map<JobId, Partial<JobStatus>>();
  readonly roots = new Map<string, Map<string, unknown>>();
  readonly healths = new Map<string, ChannelHealth>();
  readonly tested: { channel: NoticeChannel; name: string; by: string }[] = [];
  delivered: Delivered = { ok: true };
  /** newest first */
  readonly kept = new Map<JobId, JobRevision[]>();
  warnings: string[] = [];
  forgotten: Forgotten[] = [];
  silences: Silence[] = [];
  roster: RosterView | undefined = { epoch: 0, voters: [selfId], from: 0, forced: [] };
  /** the answer to promote, forget, unforget and drain; undefined = done */
  refusal: CicadaError | undefined;
  members: MemberView[] = [member(selfId, "alpha", true), member(otherId, "bravo", false)];
  readonly #listeners = new Set<(event: PeerEvent) => void>();
  #writes = 0;

  heirs(): Heir[] {
    const others = this.members.filter(({ self }) => !self);
    return others.map(({ id, name, state, joinedAt, invitation, confirmed }) => {
      const doubt = confirmed ? undefined : "no person has confirmed it";
      return { id, name, state, joinedAt, invitation, confirmed, doubt };
    });
  }

  readonly scripts = new Map<string, Uint8Array>();

  async putScript(
    bytes: Uint8Array,
    entriesOf: (sha256: string) => readonly AuditEntry[],
  ): Promise<{ sha256: string; created: boolean }> {
    await turn();
    const sha256 = scriptName(bytes);
    const created = !this.scripts.has(sha256);
    if (created) await this.noteAudit(entriesOf(sha256));
    this.scripts.set(sha256, bytes);
    return { sha256, created };
  }

  held: HeldSecrets = { own: new Map(), faults: new Map(), unopened: [] };
  readonly secretChanges: (SecretChange | { removed: string })[] = [];

  heldSecrets(): HeldSecrets {
    return this.held;
  }

  async setSecret(change: SecretChange, entries: readonly AuditEntry[]): Promise<void> {
    await this.noteAudit(entries);
    this.secretChanges.push(change);
  }

  async removeSecret(name: string, _by: string, entries: readonly AuditEntry[]): Promise<void> {
    await this.noteAudit(entries);
    this.secretChanges.push({ removed: name });
  }

  async script(sha256: string): Promise<Uint8Array | undefined> {
    await turn();
    return this.scripts.get(sha256);
  }

  async ask(command: Command): Promise<Answer> {
    this.commands.push(command);
    await turn();
    try {
      return this.#carryOut(command);
    } catch (error) {
      if (error instanceof CicadaError) return { kind: "refused", error };
      throw error;
    }
  }

  #carryOut(command: Command): Answer {
    switch (command.kind) {
      case "confirm-peer":
      case "promote-peer":
      case "forget-peer":
      case "unforget-peer":
      case "drain-peer":
        return this.#changePeer(command);
      case "rotate-key": {
        if (this.refusal !== undefined) throw this.refusal;
        const others = this.members.filter(({ self }) => !self);
        const peers = others.map(({ id, name, state }) => ({ id, name, has: state === "alive" }));
        const oldUntil = Date.now() + command.graceMs;
        return { kind: "rotated", fingerprint: "0123456789abcdef", oldUntil, peers };
      }
      case "set-value": {
        const values = new Map(this.roots.get(command.root));
        if (command.value === null) values.delete(command.id);
        else values.set(command.id, command.value);
        this.roots.set(command.root, values);
        return { kind: "done" };
      }
      case "put-job":
      case "patch-job":
      case "delete-job":
      case "pause-job":
      case "resume-job":
      case "skip-ticks":
      case "unskip-ticks":
      case "run-job":
      case "backfill-job":
      case "cancel-run":
      case "put-setting":
      case "remove-setting":
      case "apply":
        return this.#obey(command);
    }
  }

  /** The real operator decides commands about jobs and runs, in a core that knows only the contents of this fake. */
  #obey(command: JobCommand): Answer {
    const core = this.#core(command);
    const event = {
      kind: "command",
      command,
      token: 1,
      random: crypto.getRandomValues(new Uint8Array(16)),
    } as const;
    let answer = obey(core, { ...event, now: core.now });
    // Each stored write may bring further effects.
    for (const effect of core.effects) {
      if (effect.kind === "edit")
        for (const edit of effect.edits) {
          this.#edit(core, edit);
          if (edit.kind !== "set") this.#notifyOfJob(edit.kind === "put" ? edit.spec.id : edit.id);
        }
      if (effect.kind === "edit" || effect.kind === "store") durable(core, effect.token);
      if (effect.kind === "send" && effect.message.kind === "cancel") {
        hearCancelConfirmed(core, { kind: "cancel-heard", id: effect.message.id });
      }
      if (effect.kind === "notify") this.notify(effect.event);
      if (effect.kind === "answer") answer = effect.answer;
    }
    assert.ok(answer !== undefined, `${command.kind} is answered at once here`);
    if (answer.kind === "ordered") {
      const { job, tick } = answer;
      this.record({ job, tick, trigger: "manual", state: "running", startedAt: Date.now() });
    }
    if (command.kind === "cancel-run" && answer.kind === "done") this.#endCancelled(command);
    return answer;
  }

  #notifyOfJob(id: JobId): void {
    this.notify({ kind: "job", id, change: this.jobs.has(id) ? "written" : "deleted" });
  }

  #core(command: JobCommand): State {
    const core = createState(settings);
    core.alive = true;
    core.now = { wall: Date.now(), mono: performance.now() };
    enterCalendars(core.jobs, this.settings("calendars"), core.now.wall);
    if (command.kind === "remove-setting" || command.kind === "apply")
      for (const one of this.jobs.values()) learn(core, one);
    const id = idOf(command);
    const job = id === undefined ? undefined : this.jobs.get(id);
    if (job !== undefined) learn(core, job);
    for (const record of this.records) if (!isFinal(record.state)) takeRecord(core.ledger, record, 0, true);
    return core;
  }

  #edit(core: State, edit: TableEdit): void {
    switch (edit.kind) {
      case "put":
        return learn(core, this.#write(checkedJob(edit.spec), edit.by));
      case "delete":
        this.jobs.delete(edit.id);
        return;
      case "pause":
        return this.#change(core, edit.id, ({ pauses }) => ({ pauses: [...pauses, edit.pause] }));
      case "resume":
        return this.#change(core, edit.id, () => ({
          pauses: [],
          resumedAt: edit.at,
          failuresFrom: edit.at,
        }));
      case "skip":
        return this.#change(core, edit.id, ({ skips = [] }) => ({
          skips: [...skips, ...edit.skips].toSorted((a, b) => a.tick - b.tick),
        }));
      case "unskip":
        return this.#change(core, edit.id, ({ skips = [] }) => ({
          skips: skips.filter(({ tick }) => !edit.ticks.includes(tick)),
        }));
      case "set":
        return this.#set(edit);
    }
  }

  #set({ root, id, value }: Extract<TableEdit, { kind: "set" }>): void {
    const all = ["channels", "sources", "tokens"].includes(root) ? this.roots : this.settingValues;
    // As in the table, a map of values never changes.
    const values = new Map(all.get(root));
    all.set(root, values);
    if (value === null) values.delete(id);
    else values.set(id, value);
  }

  async planBackfill(id: JobId, from: number, to: number, force: boolean): Promise<BackfillPlan> {
    await turn();
    const found = ticksToBackfill(this.#core({ kind: "backfill-job", id, ticks: [], by: "x" }), id, from, to);
    if (found instanceof CicadaError) throw found;
    const records = this.records.filter(({ job }) => job === id);
    return planBackfill(found, records, [], force);
  }

  pool(): PoolView {
    return { jobs: [], holders: [], waiting: [] };
  }

  settings(kind: SettingKind): SettingValues {
    return new Map([...(this.settingValues.get(kind) ?? [])].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  #change(core: State, id: JobId, change: (job: Job) => Partial<Job>): void {
    const job = this.jobs.get(id);
    assert.ok(job !== undefined);
    const changed = { ...job, ...change(job) };
    this.jobs.set(id, changed);
    learn(core, changed);
  }

  #endCancelled({ run, reason }: Extract<Command, { kind: "cancel-run" }>): void {
    for (const record of this.records) {
      if (isFinal(record.state) || (runId(record) !== run && `${record.job}@${record.tick}` !== run))
        continue;
      Object.assign(record, { state: "cancelled", reason, finishedAt: Date.now() });
      this.notify({ kind: "run", record });
    }
  }

  #changePeer(command: PeerCommand): Answer {
    if (this.refusal !== undefined) throw this.refusal;
    if (command.kind === "unforget-peer") {
      this.forgotten = this.forgotten.filter(({ peer, name }) => ![peer, name].includes(command.peer));
      return { kind: "done" };
    }
    const peer = this.members.find(({ id, name }) => id === command.peer || name === command.peer);
    if (peer === undefined) throw new CicadaError("PEER_NOT_FOUND", command.peer);
    if (command.kind === "forget-peer") {
      this.members = this.members.filter((one) => one !== peer);
      this.forgotten.push({ peer: peer.id, at: Date.now(), by: command.by, name: peer.name });
    }
    if (command.kind === "promote-peer") peer.voter = true;
    if (command.kind === "drain-peer") peer.drained = command.on;
    return { kind: "done" };
  }

  #write(spec: CheckedSpec, by: string): Job {
    const now = Date.now();
    const known = this.jobs.get(spec.id);
    const job: Job = {
      id: spec.id,
      spec,
      revision: `r${++this.#writes}`,
      createdAt: known?.createdAt ?? now,
      updatedAt: now,
      updatedBy: by,
      scheduledAt: now,
      resumedAt: known?.resumedAt ?? 0,
      failuresFrom: known?.failuresFrom ?? now,
      pauses: known?.pauses ?? [],
      needs: known?.needs ?? [],
    };
    this.jobs.set(spec.id, job);
    return job;
  }

  /** Keeps a record. The default is a run by this peer that succeeded on time. */
  record(said: Partial<RunRecord> & { job: JobId; tick: TickId }): RunRecord {
    const due = instantOf(said.tick);
    const record: RunRecord = {
      attempt: 1,
      slot: "0",
      peer: selfId,
      state: "succeeded",
      version: 1,
      revision: "r1",
      trigger: "schedule",
      rank: 0,
      due,
      ...(said.state === "missed" || said.state === "skipped" ? {} : { startedAt: due }),
      view: 2,
      signature: "c2lnbmVk",
      ...said,
    };
    this.records.push(record);
    this.notify({ kind: "run", record });
    return record;
  }

  /** Appends to a run's output. */
  print(run: RunId, text: string | Uint8Array, complete = false): void {
    const known = this.outputs.get(run)?.bytes ?? new Uint8Array();
    this.outputs.set(run, { bytes: Buffer.concat([known, Buffer.from(text)]), complete });
  }

  notify(event: PeerEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  view(): View {
    const [self] = this.members;
    if (self === undefined) throw new Error("the peer itself is always a member");
    return {
      self,
      members: this.members,
      silences: this.silences,
      jobs: this.jobs,
      quarantined: this.quarantined,
      open: this.records.filter(({ state }) => !isFinal(state)),
      roster: this.roster,
      forgotten: this.forgotten,
      notReady: this.notReady,
      warnings: this.warnings,
      counters: { runsStarted: this.records.length, "messages.dropped": 0 },
    };
  }

  next(id: JobId, count: number): NextTick[] | undefined {
    const job = this.jobs.get(id);
    if (job === undefined) return undefined;
    const { schedule, timezone = "UTC", enabled } = job.spec;
    const read = schedule === undefined ? undefined : parseSchedule(schedule, timezone, id, job.spec.except);
    const ticks: NextTick[] = [];
    if (read?.ok !== true || enabled === false) return ticks;
    const peers = this.members.map((one, rank) => ({ id: one.id, name: one.name, rank }));
    const planned = withoutExclusions(read.schedule);
    let at = nextTick(planned, Date.now());
    while (at !== undefined && ticks.length < count) {
      const runs = nextTick(read.schedule, at - 1) === at;
      const one = { tick: tickAt(at), startsAt: at };
      const skip = job.skips?.find(({ tick }) => tick === at);
      const { by: skippedBy, note } = skip ?? {};
      if (!runs) ticks.push({ ...one, peers: [], skipped: "except" });
      else if (skippedBy === undefined) ticks.push({ ...one, peers });
      else {
        const said = note === undefined ? {} : { note };
        ticks.push({ ...one, peers: [], skipped: "asked", skippedBy, ...said });
      }
      at = nextTick(planned, at);
    }
    return ticks;
  }

  nextRunAt(id: JobId): number | undefined {
    return this.next(id, 1)?.[0]?.startsAt;
  }

  /** the jobs that only one peer can run */
  readonly soleRunners = new Map<JobId, PeerId>();

  soleRunner(id: JobId): PeerId | undefined {
    return this.soleRunners.get(id);
  }

  /** Every run is this peer's. */
  expected(id: JobId, from: number, hours: number, listed: number): ExpectedHour[] | undefined {
    const job = this.jobs.get(id);
    if (job === undefined) return undefined;
    const { schedule, timezone = "UTC", enabled } = job.spec;
    const read = schedule === undefined ? undefined : parseSchedule(schedule, timezone, id, job.spec.except);
    if (read?.ok !== true || enabled === false) return [];
    return Array.from({ length: hours }, (_, hour) => {
      const begin = from + hour * 3_600_000;
      const starts = ticksBetween(read.schedule, Math.max(begin, Date.now()), begin + 3_600_000);
      const runs = [{ peer: selfId, name: "alpha", count: starts.length }];
      return { hour, ticks: starts.length, starts: starts.length > listed ? [] : starts, runs };
    }).filter(({ ticks }) => ticks > 0);
  }

  async status(id: JobId): Promise<JobStatus | undefined> {
    await turn();
    const job = this.jobs.get(id);
    if (job === undefined) return undefined;
    const own = this.records.filter((record) => record.job === id);
    const started = own.filter(({ startedAt }) => startedAt !== undefined);
    const over = own.filter(({ state }) => isFinal(state));
    const ended = over.filter(({ state }) => state === "succeeded").map(({ finishedAt }) => finishedAt ?? 0);
    const isRunning = own.some(({ state }) => state === "running");
    const paused = job.pauses.length > 0;
    const whenIdle = job.spec.schedule === undefined ? "manual" : "scheduled";
    return {
      state: job.spec.enabled === false ? "disabled" : paused ? "paused" : isRunning ? "running" : whenIdle,
      hindrances: this.hindrances,
      next: paused ? undefined : this.next(id, 1)?.[0],
      lastFailed: false,
      lastTick: newest(over),
      lastRun: newest(started),
      lastSuccess: ended.length === 0 ? undefined : Math.max(...ended),
      keptFrom: undefined,
      ...this.statuses.get(id),
    };
  }

  obstacles: string[] = [];

  async why(id: JobId, tick?: TickId): Promise<Explanation | undefined> {
    const found = await this.ticks(id, { limit: Infinity, ...(tick === undefined ? {} : { tick }) });
    if (found === undefined) return undefined;
    const story = found.stories.find(({ state }) => tick !== undefined || state !== "succeeded");
    return { story, obstacles: this.obstacles };
  }

  watermarkLagMs(): number {
    return 1_500;
  }

  blocked(): { id: JobId; hindrance: JobHindrance }[] {
    const hindrances = this.hindrances.filter(({ code }) => code !== "NEEDS_NEWER");
    return hindrances.flatMap((hindrance) => [...this.jobs.keys()].map((id) => ({ id, hindrance })));
  }

  /** It takes longer than an answer that doesn't wait for it. */
  async hostsChecked(): Promise<void> {
    for (let turns = 0; turns < 200 && this.foundByHosts.length > 0; turns++) await turn();
    this.hindrances = [...this.hindrances, ...this.foundByHosts];
    this.foundByHosts = [];
  }

  unknownHere(): { id: JobId; hindrance: JobHindrance }[] {
    const hindrances = this.hindrances.filter(({ code }) => code === "NEEDS_NEWER");
    return hindrances.flatMap((hindrance) => [...this.jobs.keys()].map((id) => ({ id, hindrance })));
  }

  async durations({ job, from }: JobSince): Promise<number[]> {
    const { records } = await this.history({ job, from, states: ["succeeded"], limit: Infinity });
    return records.flatMap((record) => tookMs(record) ?? []);
  }

  async wentWrong(query: WrongQuery): Promise<WrongJobs> {
    await turn();
    return wrongAmong(this.records, query);
  }

  async history(query: RunQuery): Promise<RunPage> {
    await turn();
    const fitting = this.records
      .filter(
        (record) =>
          (query.job ?? record.job) === record.job &&
          (query.jobs === undefined || query.jobs.includes(record.job)) &&
          (query.tick ?? record.tick) === record.tick &&
          (query.key === undefined || ofTickKey(record.tick, query.key) !== undefined) &&
          (query.peer ?? record.peer) === record.peer &&
          (query.states === undefined || query.states.includes(record.state)) &&
          (query.started !== true || record.startedAt !== undefined) &&
          (query.from ?? -Infinity) <= instantOf(record.tick) &&
          instantOf(record.tick) < (query.to ?? Infinity),
      )
      .toSorted((a, b) => instantOf(b.tick) - instantOf(a.tick) || (runId(a) < runId(b) ? -1 : 1));
    const start = query.after === undefined ? 0 : fitting.findIndex((one) => runId(one) === query.after) + 1;
    const records = fitting.slice(start, start + query.limit);
    const last = records.at(-1);
    const more = start + records.length < fitting.length && last !== undefined;
    const isBeside = (one: RunRecord) =>
      !records.includes(one) && records.some(({ job, tick }) => one.job === job && one.tick === tick);
    const beside = query.beside === true ? this.records.filter(isBeside) : [];
    return { records, next: more ? runId(last) : null, total: fitting.length, beside };
  }

  /** newest first */
  readonly audited: AuditEntry[] = [];

  async noteAudit(entries: readonly AuditEntry[]): Promise<void> {
    await turn();
    this.audited.unshift(...entries.toReversed());
  }

  async audit(
    { limit, ...wanted }: Omit<AuditQuery, "after">,
    cursor: string | undefined,
  ): Promise<AuditFound> {
    await turn();
    const found = this.audited.filter(
      (one) =>
        (wanted.actor === undefined || isByActor(one, wanted.actor)) &&
        (wanted.job === undefined || wanted.job === one.job) &&
        (wanted.action ?? one.action) === one.action &&
        (wanted.groups === undefined || wanted.groups.includes(one.group ?? "")),
    );
    const start = Number(cursor ?? 0);
    const more = found.length > start + limit;
    const entries = found.slice(start, start + limit).map((entry) => ({ ...entry, peer: selfId }));
    return { entries, next: more ? String(start + limit) : null, covered: [selfId] };
  }

  values(root: string): ReadonlyMap<string, unknown> {
    return this.roots.get(root) ?? new Map();
  }

  channelHealth(name: string): ChannelHealth | undefined {
    return this.healths.get(name);
  }

  async testChannel(channel: NoticeChannel, name: string, by: string): Promise<Delivered> {
    await turn();
    this.tested.push({ channel, name, by });
    return this.delivered;
  }

  async revisions(id: JobId): Promise<JobRevision[]> {
    await turn();
    return this.kept.get(id) ?? [];
  }

  async ticks(
    id: JobId,
    query: { tick?: TickId; from?: number; to?: number; limit: number; after?: string },
  ): Promise<{ stories: TickStory[]; next: string | null } | undefined> {
    const { after, ...rest } = query;
    const { records } = await this.history({ ...rest, job: id, limit: Infinity });
    if (records.length === 0 && !this.jobs.has(id)) return undefined;
    const stories = Map.groupBy(records, ({ tick }) => tick)
      .entries()
      .map(([tick, own]) => ({
        tick,
        due: instantOf(tick),
        state: storyOf(own)?.state ?? ("pending" as const),
        duplicate: duplicatesIn(own).length > 0,
        records: own,
        why: own.map(({ peer, rank }) => `${peer} was rank ${rank}`),
      }))
      .filter(({ tick }) => after === undefined || tick < after)
      .toArray();
    const shown = stories.slice(0, query.limit);
    return { stories: shown, next: shown.length < stories.length ? (shown.at(-1)?.tick ?? null) : null };
  }

  async log(run: RunId, offset: number, length: number): Promise<LogPiece | undefined> {
    await turn();
    const output = this.outputs.get(run);
    if (output === undefined) return undefined;
    const { bytes, complete } = output;
    return { bytes: bytes.subarray(offset, offset + length), offset, size: bytes.length, complete };
  }

  subscribe(listener: (event: PeerEvent) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function newest(records: readonly RunRecord[]): RunRecord | undefined {
  return records.toSorted((a, b) => instantOf(b.tick) - instantOf(a.tick))[0];
}

export function member(id: PeerId, name: string, self: boolean): MemberView {
  return {
    id,
    name,
    self,
    voter: self,
    votesLost: false,
    votesFrom: self ? 0 : undefined,
    state: "alive",
    draining: false,
    drained: false,
    warmingUp: false,
    clockOffsetMs: self ? 0 : 12,
    heardAt: Date.now(),
    joinedAt: undefined,
    invitation: undefined,
    confirmed: self,
    heartbeat: {
      kind: "heartbeat",
      incarnation: 1,
      name,
      version: "0.1.0",
      sentAt: Date.now(),
      clock: { count: 0, synchronised: true },
      load: 1,
      capacity: 20,
      role: "worker",
      tags: { zone: "a" },
      draining: false,
      warmingUp: false,
      table: "0",
      open: { count: 0, digest: "0" },
      tzdata: "2026a",
      hears: [],
      addresses: [`/ip4/127.0.0.1/tcp/7401/p2p/${id}`],
    },
  };
}
