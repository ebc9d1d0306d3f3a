/**
 * A few cores side by side, without bytes, disk or children: messages arrive 5 ms later, writes are stored at once, and
 * a run lasts as long as the test says. For tests of single rules; whole protocols belong in the simulator.
 */
import { ownCapabilities } from "../../src/schema/protocol.ts";
import { checkedJob } from "../../src/core/checks/job.ts";
import type { CoreCommand, Effect, EventBody, PrunedHistory } from "../../src/core/events.ts";
import { lifeBytes } from "../../src/core/members/lives.ts";
import { isPossiblyStale } from "../../src/core/orders/runs.ts";
import { mergeRecord, movesUp, recordKey } from "../../src/core/records/records.ts";
import { createState, type State } from "../../src/core/state.ts";
import { step } from "../../src/core/step.ts";
import { nextTicks, watermarksOf } from "../../src/core/view.ts";
import type { RunSpec } from "../../src/ports.ts";
import type { Answer } from "../../src/ports/command.ts";
import type { Confirmation, Join } from "../../src/schema/admission.ts";
import { backfilledInstant } from "../../src/schema/backfill.ts";
import { instantOf, tickAt, type JobId, type PeerId, type RunId } from "../../src/schema/ids.ts";
import { isConfirmationEntry, isJoinEntry, splitConfirmation } from "../../src/table/roots.ts";
import type { SettingKind } from "../../src/schema/setting.ts";
import type { Job, JobSpec, Pause, Skip, TableEdit } from "../../src/schema/job.ts";
import type { Heartbeat, Life } from "../../src/schema/heartbeat.ts";
import type { Refusal } from "../../src/ports.ts";
import { readStatement } from "../../src/wire/membership.ts";
import type { RunRecord, Watermark } from "../../src/schema/run.ts";
import type { Attribution } from "../../src/schema/attribution.ts";
import { membershipBytes, statementOf, type MembershipStatement } from "../../src/schema/membership.ts";
import type { StoredVote } from "../../src/schema/vote.ts";

const epoch = Date.UTC(2026, 10, 20, 2, 0, 0);
const messageMs = 5;

export interface Start {
  peer: PeerId;
  run: RunId;
  tick: string;
  /** ms since the test began */
  at: number;
  env: Readonly<Record<string, string>>;
  patterns: RunSpec["patterns"];
  /** the text of $CICADA_PARENTS */
  parents: string;
  isPrecheck: boolean;
}

/** What stands for a signature here. */
export function signedBy(peer: PeerId, bytes: Uint8Array): string {
  return `${peer} ${Buffer.from(bytes).toString("hex")}`;
}

/** The statement of a process that uses that peer's identity about its life. */
export function signedLife(peer: PeerId, incarnation: number, beside?: number): Life {
  const life = beside === undefined ? { incarnation } : { incarnation, beside };
  return { ...life, signature: signedBy(peer, lifeBytes(peer, life)) };
}

/** A person's statement about a peer, signed as the peers of `Cores` sign. */
export function statementBy(
  signer: PeerId,
  said: Pick<MembershipStatement, "peer" | "forgotten" | "at"> & Partial<MembershipStatement>,
): MembershipStatement {
  const statement = { by: "ann", name: `host-${said.peer}`, ...said, signer };
  return { ...statement, signature: signedBy(signer, membershipBytes(statement) ?? new Uint8Array()) };
}

/** What a peer finds when it starts. */
export interface Loaded {
  records?: readonly RunRecord[];
  votes?: readonly StoredVote[];
  /** the watermarks on its disk, as in `cores.watermarks` */
  watermarks?: readonly Watermark[];
  /** from when on records are loaded; default: all are */
  loadedSince?: number;
  voteCount?: number;
  started?: ReadonlySet<RunId>;
  lastAlive?: number;
  prunedAt?: number;
  proofLeftMs?: number;
  role?: "worker" | "witness";
  drained?: Attribution;
  selfForgotten?: Attribution;
  /** what its table says about membership; default: the table that it had, or that of its neighbours */
  membership?: readonly MembershipStatement[];
  /** the statements that counted in its earlier life; `none` = that had an earlier version */
  keptMembership?: readonly MembershipStatement[] | "none";
  superseded?: Attribution;
  /** its table; default: the one that it had, or that of its neighbours */
  jobs?: readonly Job[];
  /** the peers that it remembers; default: all that are up */
  expected?: readonly string[];
  /** knows the others, but has no link to them until `link` */
  unlinked?: boolean;
}

export class Cores {
  readonly starts: Start[] = [];
  readonly records = new Map<PeerId, Map<string, RunRecord>>();
  readonly votes = new Map<PeerId, Map<string, StoredVote>>();
  /** what every peer has removed of the job's records */
  readonly pruned = new Map<JobId, PrunedHistory>();
  /** the watermarks that each peer has stored */
  readonly watermarks = new Map<PeerId, Map<JobId, Watermark>>();
  readonly answers: Answer[] = [];
  /** which peer was to notify people of which tick, in order */
  readonly announced: string[] = [];
  readonly notes: string[] = [];
  /** runs of which any peer has ended what was left */
  readonly swept: RunId[] = [];
  /** each peer's table: what was said about membership */
  readonly #statements = new Map<PeerId, readonly MembershipStatement[]>();
  /** why a run's host could not judge how it ended; undefined = it could */
  hostFaultOf: (start: Start) => string | undefined = () => undefined;
  /** peers whose hosts can start nothing */
  readonly starved = new Set<string>();
  /** the starts that failed there */
  readonly refusals: { peer: PeerId; at: number }[] = [];
  /** `A B`: A refuses B, and shows that statement */
  readonly #refused = new Map<string, MembershipStatement | undefined>();
  readonly #cut = new Set<string>();
  readonly #states = new Map<PeerId, State>();
  readonly #queue: { at: number; order: number; act: () => void }[] = [];
  readonly #wakes = new Map<PeerId, number>();
  readonly #down = new Set<PeerId>();
  #sides: readonly (readonly string[])[] = [];
  /** until when, ms */
  readonly #paused = new Map<PeerId, number>();
  readonly #capabilities: Readonly<Record<string, readonly string[]>>;
  readonly #lacks: Readonly<Record<string, readonly string[]>>;
  readonly #capacities: Readonly<Record<string, number>>;
  readonly #tags: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** how far each peer's clock is ahead, ms */
  readonly #clockAhead = new Map<string, number>();
  /** peers whose host says that it follows a time server */
  readonly #synchronised: ReadonlySet<string>;
  readonly #runs = new Map<RunId, { peer: PeerId; end: (exitCode: number) => void }>();
  #now = 0;
  #order = 0;
  #nextToken = 1;
  /** the skips that peers have written, by job and tick */
  readonly skips = new Map<JobId, Map<number, Skip>>();
  /** how long a peer's skip takes to the others' tables */
  tableMs = messageMs;
  /** the pauses that peers have written, by job and key */
  readonly pauses = new Map<JobId, Map<string, Pause>>();
  /** the settings in every peer's table */
  readonly settings = new Map<SettingKind, ReadonlyMap<string, unknown>>();
  readonly joins: Join[] = [];
  readonly unreadableJoins: PeerId[] = [];
  /** a member that lies removes every join at once */
  undoesJoins = false;
  /** how many changes of the table the peers have made */
  edits = 0;
  readonly confirmations: Confirmation[] = [];
  /** peers whose disks refuse what they are given */
  readonly full = new Set<PeerId>();
  /** why every peer's table takes no edits */
  tableFull: string | undefined;
  beforeStep: () => void = () => undefined;
  onEffect: (peer: PeerId, effect: Effect) => void = () => undefined;
  /** how many writes the peers have given to their disks */
  storedWrites = 0;
  /** peers whose gossip is lost */
  readonly unheard = new Set<PeerId>();
  readonly runMs: number;
  /** the exit code of each child that ends by itself */
  exitCodeOf: (start: Start) => number;
  /** what each child writes to $CICADA_OUTPUT */
  writtenBy: (start: Start) => string = () => "";
  /** from the launch to the report that the child has started */
  readonly launchMs: number;
  readonly capacity: number;

  /** Starts peers that are linked with each other, and lets them warm up. */
  constructor(
    names: readonly string[],
    options: {
      capacity?: number;
      /** for peers whose capacity differs */
      capacities?: Readonly<Record<string, number>>;
      runMs?: number;
      /** of every run */
      exitCode?: number;
      launchMs?: number;
      clockAhead?: Readonly<Record<string, number>>;
      synchronised?: readonly string[];
      /** for peers that run another version; the others have this program's */
      capabilities?: Readonly<Record<string, readonly string[]>>;
      /** by peer: what its host lacks or doesn't allow; default: nothing */
      lacks?: Readonly<Record<string, readonly string[]>>;
      /** by peer; the others have none */
      tags?: Readonly<Record<string, Readonly<Record<string, string>>>>;
    } = {},
  ) {
    this.capacity = options.capacity ?? 10;
    this.runMs = options.runMs ?? 100;
    this.exitCodeOf = () => options.exitCode ?? 0;
    this.launchMs = options.launchMs ?? 1;
    for (const [peer, ms] of Object.entries(options.clockAhead ?? {})) this.#clockAhead.set(peer, ms);
    this.#synchronised = new Set(options.synchronised);
    this.#capabilities = options.capabilities ?? {};
    this.#lacks = options.lacks ?? {};
    this.#capacities = options.capacities ?? {};
    this.#tags = options.tags ?? {};
    for (const name of names) this.up(name as PeerId);
    this.pass(2_000);
  }

  /** ms since the beginning */
  get now(): number {
    return this.#now;
  }

  wall(at: number): number {
    return epoch + at;
  }

  state(peer: string): State {
    const state = this.#states.get(peer as PeerId);
    if (state === undefined) throw new Error(`no core ${peer}`);
    return state;
  }

  up(peer: PeerId, loaded: Loaded = {}): void {
    const others = [...this.#states.keys()].filter((other) => other !== peer && !this.#down.has(other));
    this.#down.delete(peer);
    const before = this.#states.get(peer);
    const state = createState({
      self: peer,
      name: `host-${peer}`,
      version: "test",
      tags: this.#tags[peer] ?? {},
      capacity: this.#capacities[peer] ?? this.capacity,
      role: loaded.role ?? "worker",
      tzdata: "test",
      capabilities: this.#capabilities[peer] ?? ownCapabilities,
      lacks: this.#lacks[peer] ?? [],
      checksBook: true,
      incarnation: this.wall(this.#now),
      host: { PATH: "/bin" },
      // The others got a key that doesn't name its founder.
      founder: peer === "a" ? peer : undefined,
      signText: (bytes) => signedBy(peer, bytes),
      verifyText: (by, bytes, text) => text === signedBy(by, bytes),
      sign: (record) => ({ ...record, signature: `${record.peer} ${record.version} ${record.state}` }),
    });
    this.#states.set(peer, state);
    // Its table is the one that it had, or that of its neighbours.
    const table = others[0] === undefined ? before : this.state(others[0]);
    const jobs = loaded.jobs ?? [...(table?.jobs.plans.values() ?? [])].map((plan) => plan.job);
    const statements = this.#statements.get(peer) ?? this.#statements.get(others[0] ?? peer) ?? [];
    this.#statements.set(peer, loaded.membership ?? statements);
    this.feed(peer, {
      kind: "loaded",
      jobs,
      tableDigest: "",
      records: loaded.records ?? [],
      orders: [],
      votes: loaded.votes ?? [],
      watermarks: loaded.watermarks ?? [],
      loadedSince: loaded.loadedSince ?? -Infinity,
      voteCount: loaded.voteCount ?? 0,
      forgottenVotes: [],
      chain: [],
      started: loaded.started ?? new Set(),
      expected: (loaded.expected ?? others) as PeerId[],
      unresolved: 0,
      lastAlive: loaded.lastAlive,
      prunedAt: loaded.prunedAt,
      proofLeftMs: loaded.proofLeftMs,
      addresses: [],
      membership: this.#statements.get(peer) ?? [],
      keptMembership: loaded.keptMembership === "none" ? undefined : (loaded.keptMembership ?? []),
      joins: [...this.joins],
      confirmations: [...this.confirmations],
      settings: Object.fromEntries(this.settings),
      drained: loaded.drained,
      selfForgotten: loaded.selfForgotten,
      superseded: loaded.superseded,
    });
    if (loaded.unlinked !== true) this.link(peer);
  }

  /** Links a peer with all others that are up, and lets them sync. */
  link(peer: PeerId): void {
    const others = [...this.#states.keys()].filter((other) => other !== peer && !this.#down.has(other));
    for (const other of others) {
      if (this.#refused.has(`${other} ${peer}`)) {
        this.#turnAway(other, peer);
        continue;
      }
      if (this.#refused.has(`${peer} ${other}`)) continue;
      this.feed(peer, { kind: "linkUp", peer: other });
      this.feed(other, { kind: "linkUp", peer });
      const known = this.recordsOf(other);
      this.#later(messageMs, () => {
        this.learn(peer, known);
        this.feed(peer, { kind: "watermarks", peer: other, watermarks: watermarksOf(this.state(other)) });
        this.feed(peer, { kind: "synced", peer: other });
        this.feed(other, { kind: "synced", peer });
      });
    }
  }

  /** `kill -9`: links break and redials are refused. */
  kill(peer: string): void {
    this.#down.add(peer as PeerId);
    for (const other of this.#states.keys()) {
      if (other === peer || this.#down.has(other)) continue;
      this.feed(other, { kind: "linkDown", peer: peer as PeerId, why: "reset" });
      this.feed(other, { kind: "redialRefused", peer: peer as PeerId, times: 1 });
      this.feed(other, { kind: "redialRefused", peer: peer as PeerId, times: 2 });
    }
  }

  /** Peers of different sides receive nothing from each other, and no link event reports it. */
  split(...sides: readonly (readonly string[])[]): void {
    this.#sides = sides;
  }

  heal(): void {
    this.#sides = [];
  }

  /** From now on nothing goes directly between the two. */
  cutLink(a: string, b: string): void {
    this.#cut.add(`${a} ${b}`).add(`${b} ${a}`);
  }

  #cutOff(from: PeerId, to: PeerId): boolean {
    if (this.#cut.has(`${from} ${to}`)) return true;
    if (this.#refused.has(`${from} ${to}`) || this.#refused.has(`${to} ${from}`)) return true;
    const side = this.#sides.find((peers) => peers.includes(from));
    return side !== undefined && !side.includes(to);
  }

  /** The peer's process gets no CPU time for that long; what arrives meanwhile is handled afterwards. */
  pause(peer: string, forMs: number): void {
    const until = this.#now + forMs;
    this.#paused.set(peer as PeerId, until);
    this.#wakes.set(peer as PeerId, Math.max(until, this.#wakes.get(peer as PeerId) ?? 0));
  }

  /** `kill -9` of a peer, and after that time a start with what is on its disk, votes excepted, unless `loaded` says otherwise. */
  restart(peer: string, awayMs: number, loaded: Loaded = {}): void {
    const lastAlive = this.wall(this.#now);
    const records = this.recordsOf(peer);
    const watermarks = this.watermarksOf(peer);
    this.kill(peer);
    this.pass(awayMs);
    this.up(peer as PeerId, { records, watermarks, lastAlive, ...loaded });
  }

  /** The watermarks that the peer has stored. */
  watermarksOf(peer: string): Watermark[] {
    return [...(this.watermarks.get(peer as PeerId)?.values() ?? [])];
  }

  /** The records that the peer has stored, of one tick or of all. */
  recordsOf(peer: string, tick?: string): RunRecord[] {
    const records = [...(this.records.get(peer as PeerId)?.values() ?? [])];
    return tick === undefined ? records : records.filter((record) => record.tick === tick);
  }

  /** Records that come by a sync. As in a real peer, those that may be stale are first compared with the disk. */
  learn(peer: PeerId, records: readonly RunRecord[]): void {
    const fresh = records.filter((record) => {
      if (!isPossiblyStale(this.state(peer), record)) return true;
      const known = this.records.get(peer)?.get(recordKey(record));
      return movesUp(known, record);
    });
    this.feed(peer, { kind: "learned", records: fresh, orders: [] });
  }

  /** Sets the peer's wall clock so that it is `aheadMs` ahead of true time. */
  setClock(peer: string, aheadMs: number): void {
    this.#clockAhead.set(peer, aheadMs);
  }

  put(spec: Omit<JobSpec, "id"> & { id: string }, changes: Partial<Job> = {}): void {
    const at = this.wall(this.#now);
    const id = spec.id as JobId;
    const [before] = [...this.#states.values()].flatMap(({ jobs }) => jobs.plans.get(id) ?? []);
    const job: Job = {
      id,
      spec: checkedJob({ ...spec, id }),
      revision: `r${this.#now}`,
      createdAt: before?.job.createdAt ?? at,
      updatedAt: at,
      updatedBy: "test",
      scheduledAt: at,
      resumedAt: 0,
      failuresFrom: at,
      pauses: [],
      needs: [],
      ...changes,
    };
    for (const peer of this.#states.keys()) {
      if (!this.#down.has(peer)) {
        this.feed(peer, { kind: "tableChanged", changes: [{ id: job.id, job }], tableDigest: job.revision });
      }
    }
  }

  /** Sets a setting in every peer's table; undefined removes it. */
  set(kind: SettingKind, name: string, value: unknown): void {
    const values = new Map(this.settings.get(kind));
    if (value === undefined) values.delete(name);
    else values.set(name, value);
    this.settings.set(kind, values);
    for (const peer of this.#states.keys())
      this.feed(peer, { kind: "settingsChanged", setting: kind, values });
  }

  remove(id: string): void {
    for (const peer of this.#states.keys()) {
      if (this.#down.has(peer)) continue;
      const changes = [{ id: id as JobId, job: undefined }];
      this.feed(peer, { kind: "tableChanged", changes, tableDigest: `without ${id}` });
    }
  }

  ask(peer: string, command: CoreCommand): void {
    const token = this.#nextToken++;
    this.feed(peer as PeerId, { kind: "command", command, token, random: new Uint8Array(16).fill(token) });
  }

  /** The peer's last heartbeat, as each other peer has it. */
  heartbeats(peer: string): Heartbeat[] {
    const known = [...this.#states.values()].map(
      (state) => state.members.byId.get(peer as PeerId)?.heartbeat,
    );
    return known.filter((heartbeat) => heartbeat !== undefined);
  }

  runnersOf(job: string, count: number): string[][] {
    const [any] = [...this.#states.keys()].filter((peer) => !this.#down.has(peer));
    const ticks =
      any === undefined ? [] : (nextTicks(this.state(any), this.state(any).now, job as JobId, count) ?? []);
    return ticks.map(({ peers }) => peers.map(({ id }) => id));
  }

  /** What the peer's wall clock shows, ms. */
  #shownTo(peer: PeerId): number {
    return this.wall(this.#now) + (this.#clockAhead.get(peer) ?? 0);
  }

  feed(peer: PeerId, event: EventBody): void {
    if (this.#down.has(peer)) return;
    const until = this.#paused.get(peer) ?? 0;
    if (until > this.#now) return this.#later(until - this.#now, () => this.feed(peer, event));
    const now = { wall: this.#shownTo(peer), mono: this.#now, synchronised: this.#synchronised.has(peer) };
    this.beforeStep();
    for (const effect of step(this.state(peer), { ...event, now })) this.#carryOut(peer, effect);
  }

  /** Lets time go by. */
  pass(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      let due = Infinity;
      for (const at of this.#wakes.values()) due = Math.min(due, at);
      const first = this.#queue.toSorted((a, b) => a.at - b.at || a.order - b.order)[0];
      const next = Math.min(due, first?.at ?? Infinity);
      if (next > end) break;
      this.#now = Math.max(this.#now, next);
      if (first !== undefined && first.at <= due) {
        this.#queue.splice(this.#queue.indexOf(first), 1);
        first.act();
        continue;
      }
      for (const [peer, at] of this.#wakes) {
        if (at > this.#now) continue;
        this.#wakes.delete(peer);
        this.feed(peer, { kind: "woke" });
      }
    }
    this.#now = end;
  }

  /** Ends the job's oldest run in progress. */
  end(job: string, exitCode: number): void {
    const run = [...this.#runs.keys()].find((one) => one.startsWith(`${job}@`));
    if (run === undefined) throw new Error(`no run of ${job} is on`);
    this.#runs.get(run)?.end(exitCode);
    this.#runs.delete(run);
  }

  #later(ms: number, act: () => void): void {
    this.#queue.push({ at: this.#now + ms, order: this.#order++, act });
  }

  #toOthers(from: PeerId, event: EventBody): void {
    for (const to of this.#states.keys()) if (to !== from) this.#toOne(from, to, event);
  }

  #toOne(from: PeerId, to: PeerId, event: EventBody): void {
    if (this.#cutOff(from, to)) return;
    this.#later(messageMs, () => this.feed(to, event));
  }

  #carryOut(peer: PeerId, effect: Effect): void {
    this.onEffect(peer, effect);
    if (effect.kind === "store") this.storedWrites += effect.writes.length;
    switch (effect.kind) {
      case "wakeAt":
        return void this.#wakes.set(peer, effect.mono);
      case "gossip":
      case "decline":
      case "order":
      case "cancel":
        if (this.unheard.has(peer)) return;
        return this.#toOthers(peer, { kind: "heard", from: peer, message: runsMessage(effect) });
      case "send":
        return this.#toOne(peer, effect.to, {
          kind: "heard",
          from: peer,
          message: effect.message as Extract<EventBody, { kind: "heard" }>["message"],
        });
      case "store": {
        if (this.full.has(peer)) {
          const { token: refused } = effect;
          if (refused === undefined) return;
          return this.#later(1, () => this.feed(peer, { kind: "stored", token: refused, failed: true }));
        }
        const kept = this.records.get(peer) ?? new Map<string, RunRecord>();
        this.records.set(peer, kept);
        for (const write of effect.writes) {
          if (write.kind === "watermark")
            this.#storedWatermarks(peer).set(write.watermark.job, write.watermark);
          if (write.kind === "vote") this.#votesOf(peer).set(write.vote.decision, write.vote);
          if (write.kind === "record") {
            const known = kept.get(recordKey(write.record));
            const stands = known === undefined ? write.record : mergeRecord(known, write.record);
            kept.set(recordKey(write.record), stands);
          }
        }
        const { token } = effect;
        if (token !== undefined) this.#later(1, () => this.feed(peer, { kind: "stored", token }));
        return;
      }
      case "start":
        return this.#start(peer, effect);
      case "stop":
        return this.#later(1, () => this.#runs.get(effect.run)?.end(-1));
      case "answer":
        return void this.answers.push(effect.answer);
      case "announce":
        return void this.announced.push(`${peer}: ${effect.job}@${effect.tick}`);
      case "note":
        return void this.notes.push(`${peer}: ${effect.message}`);
      case "refuse":
        return this.#refuse(peer, effect.peers);
      case "edit": {
        const { edits, token } = effect;
        const { tableFull: detail } = this;
        if (detail !== undefined)
          return this.#later(1, () => this.feed(peer, { kind: "tableFull", token, detail }));
        this.edits++;
        for (const change of edits) {
          if (change.kind === "pause") this.#pause(peer, change);
          else if (change.kind === "skip" || change.kind === "unskip") this.#skip(peer, change);
          else if (change.kind !== "set") throw new Error("these cores have no table; use `put`");
          else {
            const statement =
              change.root === "membership" ? statementOf(change.id as PeerId, change.value) : undefined;
            if (statement !== undefined) this.say(peer, statement);
            else this.#admit(change.root, change.id, change.value);
          }
        }
        return this.#later(1, () => this.feed(peer, { kind: "stored", token }));
      }
      case "lookUp": {
        const { job, tick, from, to, parents = [], past } = effect;
        const isOfPast = (record: RunRecord): boolean =>
          past !== undefined && (record.tick === tickAt(past) || backfilledInstant(record.tick) === past);
        const records = this.recordsOf(peer).filter(
          (record) =>
            [job, ...parents].includes(record.job) &&
            (isOfPast(record) ||
              (instantOf(record.tick) >= from &&
                instantOf(record.tick) < to &&
                (tick ?? record.tick) === record.tick)),
        );
        const found = { job, records, pruned: this.pruned.get(job) };
        return this.#later(1, () =>
          this.feed(
            peer,
            tick === undefined ? { kind: "lookedUp", ...found } : { kind: "tickLookedUp", tick, ...found },
          ),
        );
      }
      case "readEnds": {
        const { job, limit, rolling } = effect;
        const newest = (states: readonly string[]): RunRecord[] =>
          this.recordsOf(peer)
            .filter((record) => record.job === job && states.includes(record.state))
            .toSorted((a, b) => instantOf(b.tick) - instantOf(a.tick))
            .slice(0, limit);
        const records = newest(["succeeded", "failed", "timeout", "lost"]);
        if (rolling) records.push(...newest(["skipped"]));
        return this.#later(1, () => this.feed(peer, { kind: "endsRead", job, records }));
      }
      case "sweep":
        return void this.swept.push(...effect.runs);
      case "syncRecent": {
        const { peer: other } = effect;
        if (this.#cutOff(peer, other) || this.#down.has(other)) return;
        const known = this.recordsOf(other);
        return this.#later(2 * messageMs, () => {
          this.learn(peer, known);
          this.feed(peer, { kind: "synced", peer: other });
        });
      }
      case "ended":
      case "notify":
      case "count":
    }
  }

  /** A skip, or its end, reaches the table of every peer that is in reach. */
  #skip(peer: PeerId, change: Extract<TableEdit, { kind: "skip" | "unskip" }>): void {
    const known = this.skips.get(change.id) ?? new Map<number, Skip>();
    this.skips.set(change.id, known);
    if (change.kind === "unskip") for (const tick of change.ticks) known.delete(tick);
    else for (const skip of change.skips) known.set(skip.tick, skip);
    const skips = [...known.values()].toSorted((a, b) => a.tick - b.tick);
    for (const to of this.#states.keys()) {
      const job = this.state(to).jobs.plans.get(change.id)?.job;
      if (job === undefined || this.#cutOff(peer, to)) continue;
      const changes = [{ id: change.id, job: { ...job, skips } }];
      this.#later(to === peer ? 0 : this.tableMs, () =>
        this.feed(to, { kind: "tableChanged", changes, tableDigest: `skips ${this.#now}` }),
      );
    }
  }

  /** A pause reaches the table of every peer that is in reach; one with the same key is the same pause. */
  #pause(peer: PeerId, { id, ulid, pause }: Extract<TableEdit, { kind: "pause" }>): void {
    const known = this.pauses.get(id) ?? new Map<string, Pause>();
    this.pauses.set(id, known.set(ulid, pause));
    for (const to of this.#states.keys()) {
      const job = this.state(to).jobs.plans.get(id)?.job;
      if (job === undefined || this.#cutOff(peer, to)) continue;
      const changes = [
        { id, job: { ...job, revision: `paused ${known.size}`, pauses: [...known.values()] } },
      ];
      this.#later(to === peer ? 0 : messageMs, () =>
        this.feed(to, { kind: "tableChanged", changes, tableDigest: ulid }),
      );
    }
  }

  /** A join or a confirmation reaches all peers, as if they had one table. */
  #admit(root: string, id: string, value: unknown): void {
    const who = splitConfirmation(id);
    if (root === "confirmations" && isConfirmationEntry(value) && who !== undefined)
      this.confirmations.push({ ...who, ...value });
    if (root === "joins" && isJoinEntry(value) && !this.undoesJoins)
      this.joins.push({ ...value, peer: id as PeerId });
    this.spreadAdmissions();
  }

  spreadAdmissions(): void {
    for (const peer of this.#states.keys()) {
      const { joins, unreadableJoins, confirmations } = this;
      const event = {
        joins: [...joins],
        unreadableJoins: [...unreadableJoins],
        confirmations: [...confirmations],
      };
      this.#later(1, () => this.feed(peer, { kind: "admissions", ...event }));
    }
  }

  /** A statement stands in the peer's table from now on, and soon in that of every peer that it can reach. */
  say(peer: PeerId, statement: MembershipStatement): void {
    const inReach = [...this.#states.keys()].filter((other) => other !== peer && !this.#cutOff(peer, other));
    this.#learnStatement(peer, statement);
    for (const other of inReach) this.#later(messageMs, () => this.#learnStatement(other, statement));
  }

  /** A member has written these statements over all that stood in that peer's table. */
  overwrite(peer: PeerId, statements: readonly MembershipStatement[]): void {
    this.#statements.set(peer, statements);
    this.feed(peer, { kind: "membership", statements });
  }

  /** The statements that count for that peer. */
  keptBy(peer: PeerId): MembershipStatement[] {
    return [...this.state(peer).operator.membership.kept.values()];
  }

  statementsAt(peer: string): readonly MembershipStatement[] {
    return this.#statements.get(peer as PeerId) ?? [];
  }

  #learnStatement(peer: PeerId, statement: MembershipStatement): void {
    if (this.#down.has(peer)) return;
    const statements = [...(this.#statements.get(peer) ?? []).filter((one) => one !== statement), statement];
    this.#statements.set(peer, statements);
    this.feed(peer, { kind: "membership", statements });
  }

  /** The peer's mesh door keeps these peers out from now on, and no others. */
  #refuse(peer: PeerId, refusals: readonly Refusal[]): void {
    const now = new Map(refusals.map(({ peer: other, proof }) => [`${peer} ${other}`, readStatement(proof)]));
    const before = [...this.#refused.keys()].filter((pair) => pair.startsWith(`${peer} `));
    const otherOf = (pair: string) => pair.slice(peer.length + 1) as PeerId;
    for (const pair of before) {
      if (now.has(pair)) continue;
      this.#refused.delete(pair);
      this.#later(messageMs, () => this.#meet(peer, otherOf(pair)));
    }
    for (const [pair, statement] of now) {
      const isNew = !this.#refused.has(pair);
      this.#refused.set(pair, statement);
      if (!isNew || !this.#states.has(otherOf(pair))) continue;
      const canReach = !this.#cut.has(pair);
      this.#later(0, () => this.feed(peer, { kind: "linkDown", peer: otherOf(pair), why: "reset" }));
      if (!canReach) continue;
      this.#later(messageMs, () => this.feed(otherOf(pair), { kind: "linkDown", peer, why: "reset" }));
      this.#turnAway(peer, otherOf(pair));
    }
  }

  /** The peer that dials is shown why it is refused, if it still is. */
  #turnAway(by: PeerId, peer: PeerId): void {
    const pair = `${by} ${peer}`;
    this.#later(messageMs, () => {
      if (this.#refused.has(pair)) this.turnAway(by, peer, this.#refused.get(pair));
    });
  }

  /** A refusal at the door, with the statement of a person or without any. */
  turnAway(by: PeerId, peer: PeerId, statement?: MembershipStatement): void {
    this.feed(peer, { kind: "turnedAway", by, statement });
  }

  /** Two peers that no longer refuse each other are linked and in sync soon after. */
  #meet(one: PeerId, two: PeerId): void {
    if (this.#down.has(one) || this.#down.has(two) || !this.#states.has(two) || this.#cutOff(one, two))
      return;
    for (const [self, other] of [
      [one, two],
      [two, one],
    ] as const) {
      this.feed(self, { kind: "linkUp", peer: other });
      for (const statement of this.statementsAt(other)) this.#learnStatement(self, statement);
      this.learn(self, this.recordsOf(other));
      this.feed(self, { kind: "synced", peer: other });
    }
  }

  #storedWatermarks(peer: PeerId): Map<JobId, Watermark> {
    const watermarks = this.watermarks.get(peer) ?? new Map<JobId, Watermark>();
    this.watermarks.set(peer, watermarks);
    return watermarks;
  }

  #votesOf(peer: PeerId): Map<string, StoredVote> {
    const votes = this.votes.get(peer) ?? new Map<string, StoredVote>();
    this.votes.set(peer, votes);
    return votes;
  }

  #start(peer: PeerId, { spec }: Extract<Effect, { kind: "start" }>): void {
    if (this.starved.has(peer)) {
      this.refusals.push({ peer, at: this.#now });
      const outcome = { kind: "not-started", why: "host", reason: "too many files are open" } as const;
      const ended = { kind: "childEnded", run: spec.run, outcome } as const;
      return this.#later(this.launchMs, () => this.feed(peer, { ...ended, at: this.#shownTo(peer) }));
    }
    const begun = {
      peer,
      run: spec.run,
      tick: spec.tick,
      at: this.#now,
      env: spec.env,
      patterns: spec.patterns,
      parents: spec.parents ?? "",
      isPrecheck: spec.isPrecheck === true,
    };
    this.starts.push(begun);
    let over = false;
    const end = (exitCode: number): void => {
      if (over) return;
      over = true;
      const text = this.writtenBy(begun);
      const log = {
        logBytes: 0,
        logTruncated: false,
        ...(text === "" ? {} : { written: { text, isCut: false } }),
      };
      this.feed(peer, {
        kind: "childEnded",
        run: spec.run,
        at: this.#shownTo(peer),
        outcome:
          exitCode < 0
            ? { kind: "cancelled", ...log }
            : { kind: "exited", exitCode, hostFault: this.hostFaultOf(begun), ...log },
      });
    };
    this.#runs.set(spec.run, { peer, end });
    const started = { kind: "childStarted", run: spec.run } as const;
    this.#later(this.launchMs, () => this.feed(peer, { ...started, at: this.#shownTo(peer) }));
    if (this.runMs < Infinity) this.#later(this.launchMs + this.runMs, () => end(this.exitCodeOf(begun)));
  }
}

function runsMessage(
  effect: Effect,
): Extract<Extract<EventBody, { kind: "heard" }>["message"], { kind: "runs" }> {
  return {
    kind: "runs",
    records: effect.kind === "gossip" ? [effect.record] : [],
    declined: effect.kind === "decline" ? [effect.key] : [],
    orders: effect.kind === "order" ? [effect.order] : [],
    cancels: effect.kind === "cancel" ? [{ run: effect.run, by: effect.by, reason: effect.reason }] : [],
  };
}
