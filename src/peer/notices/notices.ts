/**
 * Decides which notices people get about a tick, when core says that it is this peer's turn (core/orders/announce.ts).
 * notice-sender.ts sends them.
 */
import { makeNotice } from "../../core/records/notice-text.ts";
import { isDecided, noticesOf } from "../../core/records/notices.ts";
import { finalWordOf, storyOf } from "../../core/records/records.ts";
import { CicadaError } from "../../errors.ts";
import type { Doors } from "../../ports.ts";
import type { Delivered } from "../../ports/notifier.ts";
import type { NoticeChannel } from "../../schema/channel.ts";
import { instantOf, tickAt, type JobId, type PeerId, type TickId } from "../../schema/ids.ts";
import type { Job, TableEdit } from "../../schema/job.ts";
import {
  afterFailuresMax,
  isNoticeRecord,
  noticeEvents,
  noticeKind,
  type Notice,
  type NoticeEvent,
  type NoticeRecord,
} from "../../schema/notice.ts";
import type { OtherRecord } from "../../schema/other-record.ts";
import type { RunRecord } from "../../schema/run.ts";
import type { RunState } from "../../schema/run-states.ts";
import { allOpen, openChannels, type NoticeSender } from "./notice-sender.ts";

/** Ends that are older than this are not announced, ms. */
const newsMs = 86_400_000;
/** An edit of the job applies to ticks that ended after it, or so shortly before it that nobody was told yet; ms. */
const editGraceMs = 60_000;
/** Enough for every record of a tick on a hundred peers, with a few attempts each. */
const recordsOfTick = 512;
/** Records read for earlier ticks. */
const recordsBefore = 4 * afterFailuresMax;
/** Own notices, the newest ones, of which those are sent that were not when the last life ended. */
const resumedMax = 1_000;
/** How soon a disk that can't be read is tried again, ms. */
const againMs = 10_000;
/** The most notices that wait for the disk: each asks again, and a disk that is gone for good must cost little. */
const waitingMax = 1_000;

export interface NoticesDeps {
  doors: Pick<Doors, "clock" | "disk" | "keys" | "log">;
  sender: NoticeSender;
  jobOf: (id: JobId) => Job | undefined;
  nameOf: (peer: PeerId) => string;
  isAlive: (peer: PeerId) => boolean;
  count: (name: string) => void;
}

export class Notices {
  readonly #deps: NoticesDeps;
  #waiting = 0;

  constructor(deps: NoticesDeps) {
    this.#deps = deps;
  }

  /** Continues with what the last life had not sent. */
  resume(): void {
    const { disk, clock, keys } = this.#deps.doors;
    const of = { from: clock.now().wall - 2 * newsMs, peer: keys.self };
    const query = { kind: noticeKind, of, limit: resumedMax };
    disk.others(query, (found) => {
      if (found instanceof CicadaError) return this.#later(found, () => this.resume());
      for (const record of found) {
        if (isNoticeRecord(record) && openChannels(record.channels).length > 0) this.#resumeOne(record);
      }
    });
  }

  #resumeOne(record: NoticeRecord): void {
    const again = () => this.#resumeOne(record);
    this.#readTick(record.job, record.tick, again, (records) => this.#send(record, records));
  }

  /** The tick's outcome is final: sends the notices that the job's rules ask for, unless that has been done. */
  announce(id: JobId, tick: TickId): void {
    const job = this.#deps.jobOf(id);
    const rules = job?.spec.notify ?? [];
    if (job === undefined || rules.length === 0) return;
    const again = () => this.announce(id, tick);
    this.#readTick(id, tick, again, (records) => {
      if (!this.#isNews(job, records)) return;
      this.#readEarlier(id, tick, again, (earlier) => {
        this.#readNotified(id, tick, again, (notified) => {
          const events = new Set([...notified].flatMap(([event, one]) => (one === "done" ? event : [])));
          for (const [event, channels] of noticesOf(rules, { records, earlier, notified: events })) {
            const left = notified.get(event);
            this.#open(job, tick, event, left instanceof Set ? left : channels, records);
          }
        });
      });
    });
  }

  /** The tick's run counts as long, and has not ended. */
  notifyLong(id: JobId, tick: TickId): void {
    const event = "long";
    const job = this.#deps.jobOf(id);
    const rules = (job?.spec.notify ?? []).filter(({ on }) => on.includes(event));
    if (job === undefined || rules.length === 0) return;
    const channels = new Set(rules.flatMap(({ to }) => to));
    const again = () => this.notifyLong(id, tick);
    this.#readTick(id, tick, again, (records) => {
      if (storyOf(records)?.state === "running") this.#open(job, tick, event, channels, records);
    });
  }

  /** This peer has made the edits: people are notified of a pause by a person, or after failures. */
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
    this.#deps.sender.open(this.#recordOf(job.id, tick, "paused", channels), {
      ...notice,
      state: "paused",
      text,
    });
  }

  /** Records of notices that other peers send: they show which channels work. */
  heard(records: readonly OtherRecord[]): void {
    for (const record of records) if (isNoticeRecord(record)) this.#deps.sender.heard(record.channels);
  }

  /** Sends a notice that says that it is a test, once, past the channel's queue. */
  test(channel: NoticeChannel, name: string, by: string, done: (result: Delivered) => void): void {
    const { clock, keys } = this.#deps.doors;
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
    this.#deps.sender.once(channel, name, notice, done);
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

  #open(
    job: Job,
    tick: TickId,
    event: NoticeEvent,
    channels: ReadonlySet<string>,
    records: readonly RunRecord[],
  ): void {
    this.#deps.sender.open(
      this.#recordOf(job.id, tick, event, channels),
      this.#make(job, tick, event, records),
    );
  }

  #make(job: Job, tick: TickId, event: NoticeEvent, records: readonly RunRecord[]): Notice {
    const { clock, keys } = this.#deps.doors;
    const { nameOf } = this.#deps;
    return makeNotice({ job, tick, event, records, self: keys.self, nameOf, at: clock.now().wall });
  }

  #recordOf(job: JobId, tick: TickId, event: NoticeEvent, channels: ReadonlySet<string>): NoticeRecord {
    const { clock, keys } = this.#deps.doors;
    const shared = { kind: noticeKind, job, tick, name: event, peer: keys.self, signature: "" } as const;
    return { ...shared, version: 1, at: clock.now().wall, channels: allOpen(channels) };
  }

  /** A record of an earlier life. */
  #send(record: NoticeRecord, records: readonly RunRecord[]): void {
    const job = this.#deps.jobOf(record.job);
    const event = noticeEvents.find((one) => one === record.name);
    if (job === undefined || event === undefined) return;
    this.#deps.sender.resume(record, { ...this.#make(job, record.tick, event, records), at: record.at });
  }

  // ------------------------------------------------------------------------------------------- the disk

  /** The disk can't be read now. Retry later: the notice must still go out. */
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
          const story = finalWordOf(records);
          return story !== undefined && isDecided(records) ? story.state : [];
        }),
      );
    });
  }

  /**
   * What has been told about the tick, or is being told by a living peer; of what a dead peer has left, the channels that
   * don't have it yet.
   */
  #readNotified(
    job: JobId,
    tick: TickId,
    again: () => void,
    done: (notified: Map<NoticeEvent, "done" | Set<string>>) => void,
  ): void {
    const { disk, keys } = this.#deps.doors;
    disk.others({ kind: noticeKind, of: { job, tick }, limit: recordsOfTick }, (found) => {
      if (found instanceof CicadaError) return this.#later(found, again);
      const notified = new Map<NoticeEvent, "done" | Set<string>>();
      for (const record of found) {
        const event = noticeEvents.find((one) => one === record.name);
        if (event === undefined || !isNoticeRecord(record)) continue;
        const open = openChannels(record.channels);
        const isOurs = record.peer === keys.self;
        if (open.length === 0 || isOurs || this.#deps.isAlive(record.peer)) notified.set(event, "done");
        else if (!notified.has(event)) notified.set(event, new Set(open));
      }
      done(notified);
    });
  }

  #warn(message: string, why: string): void {
    this.#deps.doors.log.warn(message, { why });
  }
}
