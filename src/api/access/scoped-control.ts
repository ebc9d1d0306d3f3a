/**
 * The peer as one caller may see and use it. Routes reach the peer only through this, so that no route can show or do what its
 * caller has no right to. A caller of all groups sees everything that its role reads. A caller that is limited to groups sees
 * their jobs, and the runs, ticks and outputs of these; everything else is as if it weren't there.
 *
 * An id that was another group's job before it was deleted doesn't show what that job did.
 */
import { CicadaError } from "../../errors.ts";
import type { Cancel, LogPiece } from "../../ports.ts";
import type { Answer, Command } from "../../ports/command.ts";
import type {
  BackfillPlan,
  ChannelHealth,
  Control,
  Explanation,
  Heir,
  JobHindrance,
  JobStatus,
  NextTick,
  PeerEvent,
  PoolView,
  TickStory,
  View,
  NotedAnswer,
} from "../../ports/control.ts";
import type { ExpectedHour } from "../../ports/expected.ts";
import type { JobSince, RunPage, RunQuery, WrongJobs, WrongQuery } from "../../ports/disk.ts";
import type { Delivered } from "../../ports/notifier.ts";
import type { NoticeChannel } from "../../schema/channel.ts";
import { parseRunReference, type JobId, type PeerId, type RunId, type TickId } from "../../schema/ids.ts";
import { defaultGroup } from "../../schema/job-vocabulary.ts";
import { keysCountMs, ofTickKey } from "../../schema/keyed-tick.ts";
import type { JobRevision } from "../../schema/revision.ts";
import type { RunRecord } from "../../schema/run.ts";
import type { AuditFound, AuditQuery } from "../../schema/audit.ts";
import type { HeldSecrets, SecretChange } from "../../schema/secret.ts";
import type { SettingKind, SettingValues } from "../../schema/setting.ts";
import type { Caller } from "./callers.ts";
import { judge } from "./judge.ts";
import type { Audit } from "./audit.ts";
import { scopedListener } from "./scoped-events.ts";
import { trailsOf, type Trail } from "./trail.ts";
import { all, forbidden, hasGroup, own, refusalFor, type Right } from "./rights.ts";
import { beginningOf, clockSlackMs, Sight } from "./sight.ts";

/** Entries of the audit that are read to name a job's deletions, refused ones included. */
const deletionsRead = 200;

export class ScopedControl implements Control {
  readonly caller: Caller;
  readonly #control: Control;
  readonly #sight: Sight;
  readonly #holds: (caller: Caller) => boolean;
  readonly #audit: Audit;

  /** `holds`: whether the caller still has the rights that it came with. */
  constructor(control: Control, caller: Caller, holds: (caller: Caller) => boolean, audit: Audit) {
    this.#control = control;
    this.caller = caller;
    this.#sight = new Sight(control, caller);
    this.#holds = holds;
    this.#audit = audit;
  }

  /** The refusal of the command; undefined = this caller may give it. */
  refusalOf(command: Command): CicadaError | undefined {
    return judge(this.caller, command, this.#control);
  }

  async ask(command: Command): Promise<Answer> {
    const error = this.refusalOf(command);
    const trails = trailsOf(command, this.#control);
    if (error !== undefined) {
      await this.#audit.refused(this.caller, trails, error);
      return { kind: "refused", error };
    }
    const entries = this.#audit.entriesOf(this.caller, trails);
    const answer: NotedAnswer =
      (await this.#runOfKey(command)) ?? (await this.#control.ask(command, entries));
    if (answer.kind === "ordered" && answer.repeated === true) return answer;
    const isNoted = answer.isNoted === true;
    if (answer.kind === "refused") await this.#audit.failed(this.caller, trails, answer.error, isNoted);
    else if (!isNoted) await this.#audit.store(entries);
    return answer;
  }

  /** A run that was asked for before under the command's key, at any peer, if the history here has it. */
  async #runOfKey(command: Command): Promise<Answer | undefined> {
    if (command.kind !== "run-job" || command.key === undefined) return undefined;
    const { id: job, key } = command;
    const { records } = await this.#control.history({ job, key, from: Date.now() - keysCountMs, limit: 1 });
    const [first] = records;
    if (first === undefined) return undefined;
    const { tick } = first;
    if (ofTickKey(tick, key) === "same")
      return { kind: "ordered", job, tick, hindrances: [], repeated: true };
    const detail = `${job}@${tick} was asked for under that Idempotency-Key by another request`;
    return { kind: "refused", error: new CicadaError("KEY_REUSED", detail) };
  }

  /** True for a job that is there and in one of the caller's groups. A caller of all groups may name any job. */
  sees(id: JobId): boolean {
    return this.#sight.seesJob(id);
  }

  view(): View {
    return this.#sight.view();
  }

  heirs(): Heir[] {
    return this.#sight.isUnlimited ? this.#control.heirs() : [];
  }

  next(id: JobId, count: number): NextTick[] | undefined {
    return this.#sight.seesJob(id) ? this.#control.next(id, count) : undefined;
  }

  nextRunAt(id: JobId): number | undefined {
    return this.sees(id) ? this.#control.nextRunAt(id) : undefined;
  }

  soleRunner(id: JobId): PeerId | undefined {
    return this.sees(id) ? this.#control.soleRunner(id) : undefined;
  }

  expected(id: JobId, from: number, hours: number, listed: number): ExpectedHour[] | undefined {
    return this.#sight.seesJob(id) ? this.#control.expected(id, from, hours, listed) : undefined;
  }

  async status(id: JobId): Promise<JobStatus | undefined> {
    if (!this.#sight.seesJob(id)) return undefined;
    const status = await this.#control.status(id);
    if (status === undefined || this.#sight.isUnlimited) return status;
    const seen = (record: RunRecord | undefined): RunRecord | undefined =>
      record !== undefined && this.#sight.seesRun(record) ? record : undefined;
    const { lastSuccess, keptFrom } = status;
    const madeAt = this.#sight.madeAt(id);
    return {
      ...status,
      lastTick: seen(status.lastTick),
      lastRun: seen(status.lastRun),
      lastSuccess: lastSuccess !== undefined && lastSuccess >= madeAt ? lastSuccess : undefined,
      keptFrom: keptFrom !== undefined && keptFrom > madeAt ? keptFrom : undefined,
    };
  }

  async planBackfill(id: JobId, from: number, to: number, force: boolean): Promise<BackfillPlan> {
    if (!this.#sight.seesJob(id)) throw new CicadaError("JOB_NOT_FOUND", `there is no job "${id}"`);
    return this.#control.planBackfill(id, from, to, force);
  }

  watermarkLagMs(): number {
    return this.#control.watermarkLagMs();
  }

  settings(kind: SettingKind): SettingValues {
    return this.#sight.settings(kind);
  }

  pool(name: string): PoolView {
    const pool = this.#control.pool(name);
    if (this.#sight.isUnlimited) return pool;
    const { jobs, holders, waiting } = pool;
    const seen = (records: readonly RunRecord[]): RunRecord[] =>
      records.filter((record) => this.#sight.seesRun(record));
    return {
      jobs: jobs.filter((id) => this.#sight.seesJob(id)),
      holders: seen(holders),
      waiting: seen(waiting),
    };
  }

  blocked(): { id: JobId; hindrance: JobHindrance }[] {
    return this.#control.blocked().filter(({ id }) => this.#sight.seesJob(id));
  }

  hostsChecked(id: JobId): Promise<void> {
    return this.#control.hostsChecked(id);
  }

  unknownHere(): { id: JobId; hindrance: JobHindrance }[] {
    return this.#control.unknownHere().filter(({ id }) => this.#sight.seesJob(id));
  }

  async history(query: RunQuery): Promise<RunPage> {
    if (this.#sight.isUnlimited) return this.#control.history(query);
    const { job, jobs } = query;
    const isHidden = job !== undefined && !this.#sight.seesJob(job);
    const among =
      job === undefined ? (jobs ?? [...this.view().jobs.keys()]).filter((id) => this.#sight.seesJob(id)) : [];
    if (isHidden || (job === undefined && among.length === 0))
      return { records: [], next: null, total: 0, beside: [] };
    const found = await this.#control.history(job === undefined ? { ...query, jobs: among } : query);
    const records = found.records.filter((record) => this.#sight.seesRun(record));
    const hidden = found.records.length - records.length;
    const beside = found.beside.filter((record) => this.#sight.seesRun(record));
    return { ...found, records, beside, total: Math.max(found.total - hidden, records.length) };
  }

  async durations({ job, from }: JobSince): Promise<number[]> {
    if (this.#sight.isUnlimited) return this.#control.durations({ job, from });
    return this.#sight.seesJob(job)
      ? this.#control.durations({ job, from: Math.max(from, this.#sight.madeAt(job)) })
      : [];
  }

  async wentWrong(query: WrongQuery): Promise<WrongJobs> {
    if (this.#sight.isUnlimited) return this.#control.wentWrong(query);
    // One view for all of them, which costs more than a look at a job.
    const jobs = [...this.view().jobs.values()].map((job) => ({ job: job.id, from: beginningOf(job) }));
    return this.#control.wentWrong({ ...query, jobs });
  }

  values(root: string): ReadonlyMap<string, unknown> {
    if (root === "tokens" && !this.#has(all("admin"))) return new Map();
    const values = this.#control.values(root);
    if (this.#sight.isUnlimited || root === "channels") return values;
    // The caller sees the marks of those objects that belong to its groups (api/declared/plan.ts).
    return root === "sources" ? new Map([...values].filter(([id]) => this.#sight.seesMark(id))) : new Map();
  }

  channelHealth(name: string): ChannelHealth | undefined {
    return this.#control.channelHealth(name);
  }

  async testChannel(channel: NoticeChannel, name: string, by: string): Promise<Delivered> {
    this.#require(all("editor"));
    await this.#audit.note(this.caller, [{ action: "test-channel", kind: "channel", name }]);
    return this.#control.testChannel(channel, name, by);
  }

  async revisions(id: JobId): Promise<JobRevision[]> {
    const revisions = await this.#control.revisions(id);
    if (this.#sight.isUnlimited) return revisions;
    const job = this.#control.view().jobs.get(id);
    if (job !== undefined && !this.#sight.seesJob(id)) return [];
    const ofThisJob =
      job === undefined ? revisions : revisions.filter((one) => one.createdAt === job.createdAt);
    return ofThisJob.filter((one, index) => {
      // A deletion belongs to the group that the job had before it.
      const spec = one.spec ?? ofThisJob.slice(index).find((older) => older.spec !== undefined)?.spec;
      const group = spec?.["group"] ?? defaultGroup;
      return spec !== undefined && typeof group === "string" && hasGroup(this.caller, group);
    });
  }

  /**
   * The revisions, with the names of those who asked another peer for a deletion: the table keeps none, the audit of that peer does.
   */
  async named(id: JobId, revisions: readonly JobRevision[]): Promise<JobRevision[]> {
    if (!revisions.some(isNameless)) return [...revisions];
    const asked = { job: id, action: "delete-job", limit: deletionsRead };
    const { entries } = await this.#control.audit(asked, undefined);
    const done = entries.filter(({ outcome }) => outcome === "done");
    return revisions.map((one) => {
      if (!isNameless(one)) return one;
      const latest = one.at + clockSlackMs;
      const entry = done.find(({ at }) => at <= latest && at >= one.createdAt - clockSlackMs);
      return entry === undefined ? one : { ...one, by: entry.actor };
    });
  }

  async ticks(
    id: JobId,
    query: { from?: number; to?: number; limit: number; after?: string },
  ): Promise<{ stories: TickStory[]; next: string | null } | undefined> {
    if (!this.#sight.seesJob(id)) return undefined;
    if (this.#sight.isUnlimited) return this.#control.ticks(id, query);
    return this.#control.ticks(id, { ...query, from: Math.max(query.from ?? 0, this.#sight.madeAt(id)) });
  }

  async why(id: JobId, tick?: TickId): Promise<Explanation | undefined> {
    if (!this.#sight.seesJob(id)) return undefined;
    const found = await this.#control.why(id, tick);
    const { story } = found ?? {};
    if (this.#sight.isUnlimited || found === undefined || story === undefined) return found;
    if (story.records.every((record) => this.#sight.seesRun(record))) return found;
    return { ...found, story: undefined };
  }

  async log(run: RunId, offset: number, length: number): Promise<LogPiece | undefined> {
    // A long output is read piece by piece, and the right to it may end before it does.
    if (!this.#holds(this.caller)) throw new CicadaError("FORBIDDEN", "the token is no longer valid");
    const job = parseRunReference(run)?.job;
    return job !== undefined && this.#sight.seesJob(job) ? this.#control.log(run, offset, length) : undefined;
  }

  async putScript(bytes: Uint8Array): Promise<{ sha256: string; created: boolean }> {
    this.#require(own("editor"));
    let trails: Trail[] = [];
    return this.#noted(
      () => trails,
      this.#control.putScript(bytes, (name) => {
        trails = [{ action: "put-script", kind: "script", name }];
        return this.#audit.entriesOf(this.caller, trails);
      }),
    );
  }

  async script(sha256: string): Promise<Uint8Array | undefined> {
    const isNamed = (): boolean =>
      this.view()
        .jobs.values()
        .some(({ spec }) => spec.script?.sha256 === sha256);
    return this.#sight.isUnlimited || isNamed() ? this.#control.script(sha256) : undefined;
  }

  heldSecrets(): HeldSecrets {
    return this.#sight.isUnlimited
      ? this.#control.heldSecrets()
      : { own: new Map(), faults: new Map(), unopened: [] };
  }

  async setSecret(change: SecretChange): Promise<void> {
    this.#require(all("editor"));
    const { name, peers } = change;
    const after = { peers: peers ?? "this peer" };
    const trails: Trail[] = [{ action: "set-secret", kind: "secret", name, after }];
    const entries = this.#audit.entriesOf(this.caller, trails);
    await this.#noted(() => trails, this.#control.setSecret(change, entries));
  }

  async removeSecret(name: string, by: string): Promise<void> {
    this.#require(all("editor"));
    const trails: Trail[] = [{ action: "remove-secret", kind: "secret", name }];
    const entries = this.#audit.entriesOf(this.caller, trails);
    await this.#noted(() => trails, this.#control.removeSecret(name, by, entries));
  }

  /** The entries of these changes were noted before the change was made. If it fails, that is noted as well. */
  async #noted<Done>(trails: () => readonly Trail[], done: Promise<Done>): Promise<Done> {
    try {
      return await done;
    } catch (error) {
      if (error instanceof CicadaError) await this.#audit.failed(this.caller, trails(), error, false);
      throw error;
    }
  }

  async audit(query: Omit<AuditQuery, "after">, cursor: string | undefined): Promise<AuditFound> {
    this.#require(own("admin"));
    const { groups } = this.caller;
    return this.#control.audit(groups === undefined ? query : { ...query, groups }, cursor);
  }

  /** Routes can't write into the audit. Its entries come from the calls above. */
  async noteAudit(): Promise<void> {
    throw forbidden(this.caller, "nobody's right");
  }

  subscribe(listener: (event: PeerEvent) => void): Cancel {
    if (this.#sight.isUnlimited) return this.#control.subscribe(listener);
    return this.#control.subscribe(scopedListener(this.caller, this.#sight, listener));
  }

  #has(right: Right): boolean {
    return refusalFor(this.caller, right) === undefined;
  }

  #require(right: Right): void {
    const refused = refusalFor(this.caller, right);
    if (refused !== undefined) throw refused;
  }
}

function isNameless({ spec, by }: JobRevision): boolean {
  return spec === undefined && by === undefined;
}
