/**
 * A peer without a mesh, in memory, for tests of the API: keeps jobs, orders runs and answers questions by the same
 * rules as a real one, but runs nothing. A test ends runs and writes their output itself.
 */
import { setImmediate as turn } from "node:timers/promises";
import { checkJob } from "../../src/core/job/job.ts";
import { mergePatch } from "../../src/core/job/merge-patch.ts";
import { previewSchedule } from "../../src/core/time/preview.ts";
import { duplicatesIn, storyOf } from "../../src/core/records/records.ts";
import { nextTick, parseSchedule } from "../../src/core/time/schedule.ts";
import { parseDuration } from "../../src/core/time/units.ts";
import type { Decisions } from "../../src/api/options.ts";
import { CicadaError } from "../../src/errors.ts";
import type {
  Answer,
  Cancel,
  Command,
  Control,
  Explanation,
  JobHindrance,
  JobStatus,
  LogPiece,
  MemberView,
  NextTick,
  NotReady,
  PeerEvent,
  RosterView,
  RunQuery,
  TickStory,
  View,
} from "../../src/ports.ts";
import {
  instantOf,
  runId,
  tickAt,
  ulid,
  type JobId,
  type PeerId,
  type RunId,
  type TickId,
} from "../../src/schema/ids.ts";
import type { CheckedSpec, Job, Quarantined } from "../../src/schema/job.ts";
import { isFinal, type RunRecord } from "../../src/schema/run.ts";
import type { Forgotten } from "../../src/schema/attribution.ts";

export const decisions: Decisions = { checkJob, previewSchedule, parseDuration, storyOf, duplicatesIn };

export const selfId = "12D3KooWFakePeerAlpha0001" as PeerId;
export const otherId = "12D3KooWFakePeerBravo0002" as PeerId;

interface Output {
  bytes: Uint8Array;
  complete: boolean;
}

export class FakeControl implements Control {
  readonly jobs = new Map<JobId, Job>();
  readonly records: RunRecord[] = [];
  readonly outputs = new Map<RunId, Output>();
  readonly commands: Command[] = [];
  quarantined: Quarantined[] = [];
  notReady: NotReady[] = [];
  hindrances: JobHindrance[] = [];
  statuses = new Map<JobId, Partial<JobStatus>>();
  warnings: string[] = [];
  forgotten: Forgotten[] = [];
  roster: RosterView | undefined = { epoch: 0, voters: [selfId], from: 0, forced: [] };
  /** of promote, forget and drain, instead of yes */
  refusal: CicadaError | undefined;
  members: MemberView[] = [member(selfId, "alpha", true), member(otherId, "bravo", false)];
  readonly #listeners = new Set<(event: PeerEvent) => void>();
  #writes = 0;

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
      case "put-job":
        return this.#put(command);
      case "patch-job": {
        const job = this.#job(command.id, command.ifMatch);
        const checked = checkJob(mergePatch(job.spec, command.patch));
        if (!checked.ok) throw new CicadaError(checked.code, "the patched job", checked.problems);
        return { kind: "job", job: this.#write(checked.spec, command.by), created: false };
      }
      case "delete-job":
        this.#job(command.id, command.ifMatch);
        this.jobs.delete(command.id);
        this.tell({ kind: "job", id: command.id, change: "deleted" });
        return { kind: "done" };
      case "pause-job": {
        const job = this.#job(command.id);
        const { note, until, by } = command;
        const pause = {
          by,
          at: Date.now(),
          ...(note === undefined ? {} : { note }),
          ...(until === undefined ? {} : { until }),
        };
        this.jobs.set(job.id, { ...job, pauses: [...job.pauses, pause] });
        return { kind: "done" };
      }
      case "resume-job": {
        const job = this.#job(command.id);
        this.jobs.set(job.id, { ...job, pauses: [], resumedAt: Date.now() });
        return { kind: "done" };
      }
      case "run-job": {
        const job = this.#job(command.id);
        const held = job.pauses.length > 0 || job.spec.enabled === false;
        if (held && command.force !== true) throw new CicadaError("JOB_PAUSED", `"${job.id}" is paused`);
        const tick = `manual-${ulid(Date.now(), crypto.getRandomValues(new Uint8Array(16)))}` as TickId;
        this.record({ job: job.id, tick, trigger: "manual", state: "running", startedAt: Date.now() });
        return { kind: "ordered", job: job.id, tick };
      }
      case "cancel-run": {
        const record = this.records.find(
          (one) => runId(one) === command.run || `${one.job}@${one.tick}` === command.run,
        );
        if (record === undefined) throw new CicadaError("RUN_NOT_FOUND", command.run);
        if (isFinal(record.state)) throw new CicadaError("RUN_ENDED", command.run);
        Object.assign(record, { state: "cancelled", reason: command.reason, finishedAt: Date.now() });
        this.tell({ kind: "run", record });
        return { kind: "done" };
      }
      case "promote-peer":
      case "forget-peer":
      case "drain-peer":
        return this.#changePeer(command);
      case "rotate-key": {
        if (this.refusal !== undefined) throw this.refusal;
        const others = this.members.filter(({ self }) => !self);
        const peers = others.map(({ id, name, state }) => ({ id, name, has: state === "alive" }));
        const oldUntil = Date.now() + command.graceMs;
        return { kind: "rotated", fingerprint: "0123456789abcdef", oldUntil, peers };
      }
    }
  }

  #changePeer(command: Extract<Command, { kind: "promote-peer" | "forget-peer" | "drain-peer" }>): Answer {
    if (this.refusal !== undefined) throw this.refusal;
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

  #put({ spec, mode, ifMatch, by }: Extract<Command, { kind: "put-job" }>): Answer {
    const known = this.jobs.get(spec.id);
    if (known !== undefined && mode === "create") throw new CicadaError("JOB_EXISTS", spec.id);
    if (ifMatch !== undefined) this.#job(spec.id, ifMatch);
    return { kind: "job", job: this.#write(spec, by), created: known === undefined };
  }

  #job(id: JobId, ifMatch?: string): Job {
    const job = this.jobs.get(id);
    if (job === undefined) throw new CicadaError("JOB_NOT_FOUND", `there is no job "${id}"`);
    if (ifMatch !== undefined && job.revision !== ifMatch) throw new CicadaError("REVISION_CONFLICT", id);
    return job;
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
      pauses: known?.pauses ?? [],
      needs: known?.needs ?? [],
    };
    this.jobs.set(spec.id, job);
    this.tell({ kind: "job", id: spec.id, change: "written" });
    return job;
  }

  /** Keeps a record; what is not said is that of a run by this peer that has succeeded on time. */
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
    this.tell({ kind: "run", record });
    return record;
  }

  /** Appends to a run's output. */
  print(run: RunId, text: string | Uint8Array, complete = false): void {
    const known = this.outputs.get(run)?.bytes ?? new Uint8Array();
    this.outputs.set(run, { bytes: Buffer.concat([known, Buffer.from(text)]), complete });
  }

  tell(event: PeerEvent): void {
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
    const read = schedule === undefined ? undefined : parseSchedule(schedule, timezone, id);
    const ticks: NextTick[] = [];
    if (read?.ok !== true || enabled === false) return ticks;
    const peers = this.members.map((one, rank) => ({ id: one.id, name: one.name, rank }));
    let at = nextTick(read.schedule, Date.now());
    while (at !== undefined && ticks.length < count) {
      ticks.push({ tick: tickAt(at), startsAt: at, peers });
      at = nextTick(read.schedule, at);
    }
    return ticks;
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
      lastTick: newest(over),
      lastRun: newest(started),
      lastSuccess: ended.length === 0 ? undefined : Math.max(...ended),
      ...this.statuses.get(id),
    };
  }

  async inState(state: JobStatus["state"]): Promise<ReadonlySet<JobId>> {
    const found = await Promise.all(
      [...this.jobs.keys()].map(async (id) => ((await this.status(id))?.state === state ? [id] : [])),
    );
    return new Set(found.flat());
  }

  hinders: string[] = [];

  async why(id: JobId, tick?: TickId): Promise<Explanation | undefined> {
    const found = await this.ticks(id, { limit: Infinity, ...(tick === undefined ? {} : { tick }) });
    if (found === undefined) return undefined;
    const story = found.stories.find(({ state }) => tick !== undefined || state !== "succeeded");
    return { story, hinders: this.hinders };
  }

  watermarkLagMs(): number {
    return 1_500;
  }

  blocked(): { id: JobId; hindrance: JobHindrance }[] {
    const hindrances = this.hindrances.filter(({ code }) => code !== "NEEDS_NEWER");
    return hindrances.flatMap((hindrance) => [...this.jobs.keys()].map((id) => ({ id, hindrance })));
  }

  unknownHere(): { id: JobId; hindrance: JobHindrance }[] {
    const hindrances = this.hindrances.filter(({ code }) => code === "NEEDS_NEWER");
    return hindrances.flatMap((hindrance) => [...this.jobs.keys()].map((id) => ({ id, hindrance })));
  }

  async history(query: RunQuery): Promise<{ records: RunRecord[]; next: string | null; total: number }> {
    await turn();
    const fitting = this.records
      .filter(
        (record) =>
          (query.job ?? record.job) === record.job &&
          (query.tick ?? record.tick) === record.tick &&
          (query.peer ?? record.peer) === record.peer &&
          (query.states === undefined || query.states.includes(record.state)) &&
          (query.from ?? -Infinity) <= instantOf(record.tick) &&
          instantOf(record.tick) < (query.to ?? Infinity),
      )
      .toSorted((a, b) => instantOf(b.tick) - instantOf(a.tick) || (runId(a) < runId(b) ? -1 : 1));
    const start = query.after === undefined ? 0 : fitting.findIndex((one) => runId(one) === query.after) + 1;
    const records = fitting.slice(start, start + query.limit);
    const last = records.at(-1);
    const more = start + records.length < fitting.length && last !== undefined;
    return { records, next: more ? runId(last) : null, total: fitting.length };
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
    votesFrom: self ? 0 : undefined,
    state: "alive",
    draining: false,
    drained: false,
    warmingUp: false,
    clockOffsetMs: self ? 0 : 12,
    heardAt: Date.now(),
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
      settling: false,
      table: "0",
      open: { count: 0, digest: "0" },
      tzdata: "2026a",
      hears: [],
      addresses: [`/ip4/127.0.0.1/tcp/7401/p2p/${id}`],
    },
  };
}
