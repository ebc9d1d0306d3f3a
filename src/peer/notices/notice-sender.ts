/**
 * Sends notices, and keeps a record of each that says which channels are to get it and which have it. The record is stored and
 * gossiped before the first try, and again when a channel has accepted the notice. So this peer continues after a restart,
 * another one continues if this peer dies, and a notice is sent again only if its sender died between a channel's acceptance and
 * that record. All copies carry one key.
 */
import { clockRefusedMs } from "../../core/members/suspicion.ts";
import { assert } from "../../errors.ts";
import type { Doors, LogFields } from "../../ports.ts";
import type { ChannelHealth } from "../../ports/control.ts";
import type { Delivered } from "../../ports/notifier.ts";
import { checkChannel, knownFields, textRooms, type NoticeChannel } from "../../schema/channel.ts";
import type { MeshNoticeRecord } from "../../schema/mesh-notice.ts";
import { noticeKind, type Notice, type NoticeChannels, type NoticeRecord } from "../../schema/notice.ts";
import type { OtherRecord } from "../../schema/other-record.ts";
import { signOtherRecord } from "../../wire/records.ts";
import { NoticeQueue, type Outcome } from "./notice-queue.ts";

const errorCap = 256;

export type SentRecord = NoticeRecord | MeshNoticeRecord;

export interface NoticeSenderDeps {
  doors: Pick<Doors, "clock" | "disk" | "keys" | "log" | "notifier">;
  /** the value under the root of the channels */
  channelOf: (name: string) => unknown;
  gossip: (record: OtherRecord) => void;
  count: (name: string) => void;
}

/** A notice that is being sent. */
interface Sending {
  record: SentRecord;
  /** is told of each new version of the record */
  moved: ((record: SentRecord) => void) | undefined;
}

export class NoticeSender {
  readonly #deps: NoticeSenderDeps;
  readonly #queues = new Map<string, NoticeQueue>();
  /** by key */
  readonly #sending = new Map<string, Sending>();
  readonly #health = new Map<string, ChannelHealth>();

  constructor(deps: NoticeSenderDeps) {
    this.#deps = deps;
  }

  isSending(key: string): boolean {
    return this.#sending.has(key);
  }

  /** Stores the record, and then sends the notice. It is sent even if the disk refuses the record. */
  open(record: SentRecord, notice: Notice, moved?: (record: SentRecord) => void): void {
    const { key } = notice;
    if (this.#sending.has(key)) return;
    this.#sending.set(key, { record, moved });
    moved?.(record);
    this.#store(record, () => {
      this.#queue(record, notice);
      this.#forgetIfSent(key);
    });
  }

  /** Continues with a record of an earlier life. */
  resume(record: SentRecord, notice: Notice, moved?: (record: SentRecord) => void): void {
    if (this.#sending.has(notice.key)) return;
    this.#sending.set(notice.key, { record, moved });
    this.#queue(record, notice);
  }

  /** Sends a notice once, without a record and past the channel's queue. */
  once(channel: NoticeChannel, name: string, notice: Notice, done: (result: Delivered) => void): void {
    const message = { channel, notices: [notice], id: notice.key };
    this.#deps.doors.notifier.deliver(message, (result) => {
      this.#note(name, result.ok ? { sent: true } : { sent: false, why: result.why });
      done(result);
    });
  }

  /** How the last message to the channel went, as far as this peer knows. */
  healthOf(channel: string): ChannelHealth | undefined {
    return this.#health.get(channel);
  }

  /** Another peer's record shows which channels work. What it says of a time that has not come, or of no channel, shows nothing. */
  heard(channels: NoticeChannels): void {
    const until = this.#deps.doors.clock.now().wall + clockRefusedMs;
    for (const [name, { state, at = 0, error }] of Object.entries(channels)) {
      const isUntried = state === "open" && error === undefined;
      const isKnown = this.#deps.channelOf(name) !== undefined;
      if (isUntried || !isKnown || at > until || at <= (this.#health.get(name)?.at ?? 0)) continue;
      this.#health.set(name, { at, ok: state === "sent", error });
    }
  }

  #queue(record: SentRecord, notice: Notice): void {
    for (const name of openChannels(record.channels)) {
      this.#queueOf(name).add(notice, (outcome) => this.#ended(notice.key, name, outcome));
    }
  }

  #queueOf(name: string): NoticeQueue {
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const { clock, notifier } = this.#deps.doors;
    const queue = new NoticeQueue({
      clock,
      deliver: (message, done) => {
        const value = this.#deps.channelOf(name);
        // What a later version has added to the channel doesn't keep its notices from being sent.
        const found = checkChannel(knownFields(value));
        if (found.ok) return notifier.deliver({ ...message, channel: found.channel }, done);
        const why =
          value === undefined
            ? `there is no channel "${name}"`
            : `the channel "${name}" can't be read: ${found.problems.map(({ message: text }) => text).join("; ")}`;
        done({ ok: false, isFinal: true, why });
      },
      // A channel that fails for now is shown as failing, although its notices are still tried.
      room: () => {
        const found = checkChannel(knownFields(this.#deps.channelOf(name)));
        return found.ok ? textRooms[found.channel.type] : Infinity;
      },
      failed: (why, first) => {
        this.#setHealth(name, { ok: false, error: why });
        if (first !== undefined) this.#noteFailing(first.key, name, why);
      },
    });
    this.#queues.set(name, queue);
    return queue;
  }

  #ended(key: string, name: string, outcome: Outcome): void {
    this.#note(name, outcome, this.#sendingOf(key).record);
    this.#move(key, name, outcome.sent ? { state: "sent" } : { state: "failed", error: cut(outcome.why) });
    if (this.#queues.get(name)?.isIdle === true) this.#queues.delete(name);
  }

  /** Notes the failure in the notice's record, so that every peer shows it, although the notice is still tried. */
  #noteFailing(key: string, name: string, why: string): void {
    this.#move(key, name, { state: "open", error: cut(why) });
  }

  #move(key: string, name: string, how: Pick<NoticeChannels[string], "state" | "error">): void {
    const { record, moved } = this.#sendingOf(key);
    const at = this.#deps.doors.clock.now().wall;
    const channels = { ...record.channels, [name]: { ...how, at } };
    const next = { ...record, version: record.version + 1, channels };
    this.#sending.set(key, { record: next, moved });
    moved?.(next);
    this.#store(next, () => this.#forgetIfSent(key));
  }

  #sendingOf(key: string): Sending {
    const sending = this.#sending.get(key);
    assert(sending !== undefined, `the notice ${key} is being sent`);
    return sending;
  }

  #forgetIfSent(key: string): void {
    const latest = this.#sending.get(key);
    if (latest !== undefined && openChannels(latest.record.channels).length === 0) this.#sending.delete(key);
  }

  #note(name: string, outcome: Outcome, record?: SentRecord): void {
    this.#deps.count(outcome.sent ? "notices_sent" : "notices_failed");
    if (outcome.sent) return this.#setHealth(name, { ok: true, error: undefined });
    this.#setHealth(name, { ok: false, error: outcome.why });
    this.#warn(`the channel "${name}" did not accept a notice`, outcome.why, record);
  }

  #setHealth(name: string, how: Omit<ChannelHealth, "at">): void {
    this.#health.set(name, { at: this.#deps.doors.clock.now().wall, ...how });
  }

  #store(unsigned: SentRecord, done: () => void): void {
    const record = signOtherRecord(unsigned, this.#deps.doors.keys);
    this.#deps.doors.disk.store([{ kind: "other", record }], (error) => {
      if (error !== undefined) this.#warn("the record of a notice can't be stored", error.detail, record);
      this.#deps.gossip(record);
      done();
    });
  }

  #warn(message: string, why: string, record: SentRecord | undefined): void {
    // A notice about the mesh has no job: what stands in its place only sorts the records.
    const about: LogFields = record?.kind === noticeKind ? { job: record.job, tick: record.tick } : {};
    this.#deps.doors.log.warn(message, { ...about, why });
  }
}

function cut(why: string): string {
  return why.slice(0, errorCap);
}

export function openChannels(channels: NoticeChannels): string[] {
  return Object.entries(channels).flatMap(([name, { state }]) => (state === "open" ? name : []));
}

/** No channel has the notice yet. */
export function allOpen(channels: Iterable<string>): NoticeChannels {
  return Object.fromEntries([...channels].map((name) => [name, { state: "open" as const }]));
}
