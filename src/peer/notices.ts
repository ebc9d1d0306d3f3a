/**
 * Tells people what became of a tick, when core says that it is this peer's turn (core/orders/announce.ts).
 *
 * A record of each notice says which channels are to get it and which have it. It is stored and gossiped before the first try,
 * and again when a channel has accepted it. So this peer continues after a restart, another one continues if this peer dies,
 * and a notice is sent again only if its sender died between a channel's acceptance and that record. All copies carry one key.
 */
import { makeNotice } from "../core/records/notice-text.ts";
import { isDecided, noticesOf } from "../core/records/notices.ts";
import { storyOf } from "../core/records/records.ts";
import { assert, CicadaError } from "../errors.ts";
import type { Doors } from "../ports.ts";
import type { ChannelHealth } from "../ports/control.ts";
import type { Delivered } from "../ports/notifier.ts";
import { checkChannel, type NoticeChannel } from "../schema/channel.ts";
import { instantOf, tickAt, type JobId, type PeerId, type TickId } from "../schema/ids.ts";
import type { Job, TableEdit } from "../schema/job.ts";
import {
  afterFailuresMax,
  isNoticeRecord,
  noticeEvents,
  noticeKey,
  noticeKind,
  type Notice,
  type NoticeEvent,
  type NoticeRecord,
} from "../schema/notice.ts";
import type { OtherRecord } from "../schema/other-record.ts";
import type { RunRecord, RunState } from "../schema/run.ts";
import { signOtherRecord } from "../wire/records.ts";
import { NoticeQueue, type Outcome } from "./notice-queue.ts";

/** What ended longer ago is no news any more, ms. */
const newsMs = 86_400_000;
/** An edit of the job applies to ticks that ended after it, or so shortly before it that nobody was told yet; ms. */
const editGraceMs = 60_000;
/** Enough for every record of a tick on a hundred peers, with a few attempts each. */
const recordsOfTick = 512;
/** Records read for the ticks before it. */
const recordsBefore = 4 * afterFailuresMax;
/** Own notices that were not sent yet when the last life ended. */
const resumedMax = 1_000;
const errorCap = 256;
/** How soon the disk is asked again when it can't be read, ms. */
const againMs = 10_000;
/** The most notices that wait for the disk: each asks again, and a disk that is gone for good must cost little. */
const waitingMax = 1_000;

export interface NoticesDeps {
  doors: Pick<Doors, "clock" | "disk" | "keys" | "log" | "notifier">;
  jobOf: (id: JobId) => Job | undefined;
  /** the value under the root of the channels */
  channelOf: (name: string) => unknown;
  nameOf: (peer: PeerId) => string;
  isAlive: (peer: PeerId) => boolean;
  gossip: (record: OtherRecord) => void;
  count: (name: string) => void;
}

type Channels = NoticeRecord["channels"];

export class Notices {
  readonly #deps: NoticesDeps;
  readonly #queues = new Map<string, NoticeQueue>();
  /** the latest versions of the notices that this peer is sending, by key */
  readonly #sending = new Map<string, NoticeRecord>();
  readonly #health = new Map<string, ChannelHealth>();
  #waiting = 0;

  constructor(deps: NoticesDeps) {
    this.#deps = deps;
  }

  /** Continues with what the last life had not sent. */
  resume(): void {
    const { disk, clock, keys } = this.#deps.doors;
    const query = { kind: noticeKind, of: { from: clock.now().wall - 2 * newsMs }, limit: resumedMax };
    disk.others(query, (found) => {
      if (found instanceof CicadaError) return this.#later(found, () => this.resume());
      for (const record of found) {
        if (!isNoticeRecord(record) || record.peer !== keys.self || openChannels(record).length === 0)
          continue;
        this.#resumeOne(record);
      }
    });
  }

  #resumeOne(record: NoticeRecord): void {
    const again = () => this.#resumeOne(record);
    this.#readTick(record.job, record.tick, again, (records) => this.#send(record, records));
  }

  /** The tick's final word is in: tells what the job's rules want to be told, unless that has been done. */
  announce(id: JobId, tick: TickId): void {
    const job = this.#deps.jobOf(id);
    const rules = job?.spec.notify ?? [];
    if (job === undefined || rules.length === 0) return;
    const again = () => this.announce(id, tick);
    this.#readTick(id, tick, again, (records) => {
      if (!this.#isNews(job, records)) return;
      this.#readEarlier(id, tick, again, (earlier) => {
        this.#readTold(id, tick, again, (told) => {
          const events = new Set([...told].flatMap(([event, one]) => (one === "told" ? event : [])));
          for (const [event, channels] of noticesOf(rules, { records, earlier, told: events })) {
            const left = told.get(event);
            this.#tell(job, tick, event, left instanceof Set ? left : channels, records);
          }
        });
      });
    });
  }

  /** Something about the tick that is no matter of its final word. */
  tell(id: JobId, tick: TickId, event: "long"): void {
    const job = this.#deps.jobOf(id);
    const rules = (job?.spec.notify ?? []).filter(({ on }) => on.includes(event));
    if (job === undefined || rules.length === 0) return;
    const channels = new Set(rules.flatMap(({ to }) => to));
    const again = () => this.tell(id, tick, event);
    this.#readTick(id, tick, again, (records) => {
      if (storyOf(records)?.state === "running") this.#tell(job, tick, event, channels, records);
    });
  }

  /** This peer has made the edits: a pause by a person, or after failures, is told. */
  edited(edits: readonly TableEdit[]): void {
    for (const edit of edits) {
      if (edit.kind === "pause") this.#paused(edit.id, edit.pause.note ?? `by ${edit.pause.by}`);
    }
  }

  #paused(id: JobId, reason: string): void {
    const job = this.#deps.jobOf(id);
    const rules = (job?.spec.notify ?? []).filter(({ on }) => on.includes("paused"));
    if (job === undefined || rules.length === 0) return;
    const { wall } = this.#deps.doors.clock.now();
    const tick = tickAt(Math.floor(wall / 1_000) * 1_000);
    const notice = this.#make(job, tick, "paused", []);
    const channels = new Set(rules.flatMap(({ to }) => to));
    const text = `${notice.text}: ${reason}`;
    this.#open(this.#recordOf(job.id, tick, "paused", channels), { ...notice, state: "paused", text });
  }

  /** Records of notices that other peers send: they show which channels work. */
  heard(records: readonly OtherRecord[]): void {
    for (const record of records) if (isNoticeRecord(record)) this.#noteHealth(record.channels);
  }

  /** How the last message to the channel went, as far as this peer knows. */
  healthOf(channel: string): ChannelHealth | undefined {
    return this.#health.get(channel);
  }

  /** Sends a notice that says that it is a test, once, without waiting in line. */
  test(channel: NoticeChannel, name: string, by: string, done: (result: Delivered) => void): void {
    const { clock, keys, notifier } = this.#deps.doors;
    const { wall } = clock.now();
    const tick = tickAt(Math.floor(wall / 1_000) * 1_000);
    const peer = { id: keys.self, name: this.#deps.nameOf(keys.self) };
    const notice: Notice = {
      key: `test:${name}:${wall}`,
      event: "test",
      job: "test" as JobId,
      tick,
      run: undefined,
      state: "test",
      reason: undefined,
      exitCode: undefined,
      peer,
      at: wall,
      startedAt: undefined,
      finishedAt: undefined,
      group: "default",
      owner: undefined,
      description: undefined,
      text: `This is a test of the channel ${name}, asked for by ${by}`,
    };
    notifier.deliver({ channel, notices: [notice], id: notice.key }, (result) => {
      this.#note(name, result.ok ? { sent: true } : { sent: false, why: result.why });
      done(result);
    });
  }

  #isNews(job: Job, records: readonly RunRecord[]): boolean {
    const story = storyOf(records);
    if (story === undefined) return false;
    const endedAt = Math.max(
      ...records.map(({ finishedAt, startedAt, due }) => finishedAt ?? startedAt ?? due),
    );
    const { wall } = this.#deps.doors.clock.now();
    return endedAt > wall - newsMs && endedAt > job.updatedAt - editGraceMs;
  }

  #tell(
    job: Job,
    tick: TickId,
    event: NoticeEvent,
    channels: ReadonlySet<string>,
    records: readonly RunRecord[],
  ): void {
    this.#open(this.#recordOf(job.id, tick, event, channels), this.#make(job, tick, event, records));
  }

  #make(job: Job, tick: TickId, event: NoticeEvent, records: readonly RunRecord[]): Notice {
    const { clock, keys } = this.#deps.doors;
    const { nameOf } = this.#deps;
    return makeNotice({ job, tick, event, records, self: keys.self, nameOf, at: clock.now().wall });
  }

  #recordOf(job: JobId, tick: TickId, event: NoticeEvent, channels: ReadonlySet<string>): NoticeRecord {
    const { clock, keys } = this.#deps.doors;
    const open: Channels = Object.fromEntries([...channels].map((name) => [name, { state: "open" }]));
    const shared = { kind: noticeKind, job, tick, name: event, peer: keys.self, signature: "" } as const;
    return { ...shared, version: 1, at: clock.now().wall, channels: open };
  }

  /** Stores the record, and then sends the notice. A disk that refuses the record doesn't keep anybody from being told. */
  #open(record: NoticeRecord, notice: Notice): void {
    const key = keyOf(record);
    if (this.#sending.has(key)) return;
    this.#sending.set(key, record);
    this.#store(record, () => this.#queue(record, notice));
  }

  /** A record of an earlier life. */
  #send(record: NoticeRecord, records: readonly RunRecord[]): void {
    const job = this.#deps.jobOf(record.job);
    const event = noticeEvents.find((one) => one === record.name);
    const key = keyOf(record);
    if (job === undefined || event === undefined || this.#sending.has(key)) return;
    this.#sending.set(key, record);
    this.#queue(record, { ...this.#make(job, record.tick, event, records), at: record.at });
  }

  #queue(record: NoticeRecord, notice: Notice): void {
    for (const name of openChannels(record)) {
      this.#queueOf(name).add(notice, (outcome) => this.#ended(keyOf(record), name, outcome));
    }
  }

  #queueOf(name: string): NoticeQueue {
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const { clock, notifier } = this.#deps.doors;
    const queue = new NoticeQueue({
      clock,
      deliver: (message, done) => {
        const found = checkChannel(this.#deps.channelOf(name));
        if (found.ok) return notifier.deliver({ ...message, channel: found.channel }, done);
        const isThere = this.#deps.channelOf(name) !== undefined;
        const why = isThere
          ? `the channel "${name}" can't be read: ${found.problems.map(({ message: text }) => text).join("; ")}`
          : `there is no channel "${name}"`;
        done({ ok: false, isFinal: true, why });
      },
    });
    this.#queues.set(name, queue);
    return queue;
  }

  #ended(key: string, name: string, outcome: Outcome): void {
    this.#note(name, outcome);
    const record = this.#sending.get(key);
    assert(record !== undefined, `the notice ${key} is being sent`);
    const at = this.#deps.doors.clock.now().wall;
    const state = outcome.sent
      ? ({ state: "sent", at } as const)
      : ({ state: "failed", at, error: outcome.why.slice(0, errorCap) } as const);
    const channels = { ...record.channels, [name]: state };
    const next = { ...record, version: record.version + 1, channels };
    this.#sending.set(key, next);
    this.#store(next, () => {
      const latest = this.#sending.get(key);
      if (latest !== undefined && openChannels(latest).length === 0) this.#sending.delete(key);
    });
    if (this.#queues.get(name)?.isIdle === true) this.#queues.delete(name);
  }

  #note(name: string, outcome: Outcome): void {
    this.#deps.count(outcome.sent ? "notices_sent" : "notices_failed");
    const at = this.#deps.doors.clock.now().wall;
    if (outcome.sent) this.#health.set(name, { at, ok: true, error: undefined });
    else {
      this.#health.set(name, { at, ok: false, error: outcome.why });
      this.#warn(`the channel "${name}" did not take a notice`, outcome.why);
    }
  }

  #noteHealth(channels: Channels): void {
    for (const [name, { state, at = 0, error }] of Object.entries(channels)) {
      if (state === "open" || at <= (this.#health.get(name)?.at ?? 0)) continue;
      this.#health.set(name, { at, ok: state === "sent", error });
    }
  }

  #store(unsigned: NoticeRecord, done: () => void): void {
    const record = signOtherRecord(unsigned, this.#deps.doors.keys);
    this.#deps.doors.disk.store([{ kind: "other", record }], (error) => {
      if (error !== undefined) this.#warn("the record of a notice can't be stored", error.detail);
      this.#deps.gossip(record);
      done();
    });
  }

  // ------------------------------------------------------------------------------------------- the disk

  /** The disk can't be read now. Whoever is to be told must be told all the same. */
  #later({ detail }: CicadaError, again: () => void): void {
    if (this.#waiting >= waitingMax) {
      this.#deps.count("notices_dropped");
      return this.#warn("a notice is not sent", detail);
    }
    const { clock } = this.#deps.doors;
    this.#waiting += 1;
    this.#warn("a notice waits until the disk can be read", detail);
    clock.alarm(clock.now().mono + againMs, () => {
      this.#waiting -= 1;
      again();
    });
  }

  #readTick(job: JobId, tick: TickId, again: () => void, done: (records: RunRecord[]) => void): void {
    this.#deps.doors.disk.history({ job, tick, limit: recordsOfTick }, (page) => {
      if (page instanceof CicadaError) return this.#later(page, again);
      done(page.records);
    });
  }

  /** The states of the job's ticks before this one that are over, newest first. */
  #readEarlier(job: JobId, tick: TickId, again: () => void, done: (states: RunState[]) => void): void {
    this.#deps.doors.disk.history({ job, to: instantOf(tick), limit: recordsBefore }, (page) => {
      if (page instanceof CicadaError) return this.#later(page, again);
      const ticks = Map.groupBy(page.records, (record) => record.tick);
      done(
        [...ticks.values()].flatMap((records) => {
          const story = storyOf(records);
          return story !== undefined && isDecided(records) ? story.state : [];
        }),
      );
    });
  }

  /**
   * What has been told about the tick, or is being told by a living peer; of what a dead peer has left, the channels that
   * don't have it yet.
   */
  #readTold(
    job: JobId,
    tick: TickId,
    again: () => void,
    done: (told: Map<NoticeEvent, "told" | Set<string>>) => void,
  ): void {
    const { disk, keys } = this.#deps.doors;
    disk.others({ kind: noticeKind, of: { job, tick }, limit: recordsOfTick }, (found) => {
      if (found instanceof CicadaError) return this.#later(found, again);
      const told = new Map<NoticeEvent, "told" | Set<string>>();
      for (const record of found) {
        const event = noticeEvents.find((one) => one === record.name);
        if (event === undefined || !isNoticeRecord(record)) continue;
        const open = openChannels(record);
        const isOurs = record.peer === keys.self;
        if (open.length === 0 || isOurs || this.#deps.isAlive(record.peer)) told.set(event, "told");
        else if (!told.has(event)) told.set(event, new Set(open));
      }
      done(told);
    });
  }

  #warn(message: string, why: string): void {
    this.#deps.doors.log.warn(message, { why });
  }
}

function openChannels({ channels }: NoticeRecord): string[] {
  return Object.entries(channels).flatMap(([name, { state }]) => (state === "open" ? name : []));
}

function keyOf({ job, tick, name }: NoticeRecord): string {
  const event = noticeEvents.find((one) => one === name);
  assert(event !== undefined, `${name} is an event`);
  return noticeKey(job, tick, event);
}
