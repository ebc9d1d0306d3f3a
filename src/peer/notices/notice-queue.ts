/**
 * The notices that wait for one channel. They are sent one after the other; what has come together meanwhile is sent as one
 * message. A message that was tried once stays as it is until it is accepted or given up, so that the receiver can drop
 * repeats by its id.
 */
import { messageId } from "../../core/records/notice-text.ts";
import type { Clock } from "../../ports.ts";
import type { Delivered, Delivery } from "../../ports/notifier.ts";
import { leastLength, type Notice } from "../../schema/notice.ts";

/** Between two messages, ms. Less lets a burst through as single messages; more makes the next notice later. */
const spacingMs = 2_000;
/** More notices than this become one message. */
const singlyMax = 3;
/** The most notices in one message, where the service takes long ones. */
const togetherMax = 50;
/** The pause after the first failure, which doubles up to the longest; ms. */
const backoffMs = 10_000;
const longestBackoffMs = 600_000;
/** How long a notice is tried, ms. */
const triedMs = 86_400_000;
/** The most notices that wait. More costs memory while a service is down; beyond it the newest are given up. */
const waitingMax = 5_000;

export type Outcome = { sent: true } | { sent: false; why: string };

interface Waiting {
  notice: Notice;
  /** monotonic, ms: a wall clock that leaps ahead must not end it */
  sinceMono: number;
  done: (outcome: Outcome) => void;
}

export interface NoticeQueueDeps {
  clock: Pick<Clock, "now" | "alarm">;
  /** tries once; it looks up the channel, which may have been edited since the last try */
  deliver: (message: Omit<Delivery, "channel">, done: (result: Delivered) => void) => void;
  /** a try has failed, and another one follows; `first`: the message's notice by whose record others learn of its first failure */
  failed: (why: string, first: Notice | undefined) => void;
  /** how many characters of text the channel's service takes in one message */
  room: () => number;
}

export class NoticeQueue {
  readonly #deps: NoticeQueueDeps;
  readonly #waiting: Waiting[] = [];
  /** the message that is being sent, and how often it has failed */
  #message: { items: readonly Waiting[]; failures: number } | undefined;
  #isSending = false;
  #notBeforeMono = 0;
  #isWaiting = false;

  constructor(deps: NoticeQueueDeps) {
    this.#deps = deps;
  }

  get isIdle(): boolean {
    return this.#message === undefined && this.#waiting.length === 0;
  }

  add(notice: Notice, done: (outcome: Outcome) => void): void {
    if (this.#waiting.length >= waitingMax) {
      return done({ sent: false, why: `more than ${waitingMax} notices wait for this channel` });
    }
    this.#waiting.push({ notice, sinceMono: this.#deps.clock.now().mono, done });
    this.#pump();
  }

  #pump(): void {
    if (this.#isSending || this.isIdle) return;
    const { mono } = this.#deps.clock.now();
    if (mono < this.#notBeforeMono) {
      this.#sleep();
      return;
    }
    this.#message ??= { items: this.#waiting.splice(0, this.#countOfNext()), failures: 0 };
    const { items } = this.#message;
    const notices = items.map(({ notice }) => notice);
    this.#isSending = true;
    this.#deps.deliver({ notices, id: messageId(notices) }, (result) => this.#tried(result));
  }

  /** How many notices the next message takes: as many as it has room to name, each with what it is about. */
  #countOfNext(): number {
    if (this.#waiting.length <= singlyMax) return 1;
    let left = this.#deps.room();
    let count = 0;
    for (const { notice } of this.#waiting.slice(0, togetherMax)) {
      left -= leastLength(notice);
      if (left < 0) break;
      count += 1;
    }
    return Math.max(1, count);
  }

  #sleep(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#deps.clock.alarm(this.#notBeforeMono, () => {
      this.#isWaiting = false;
      this.#pump();
    });
  }

  #tried(result: Delivered): void {
    const message = this.#message;
    this.#isSending = false;
    if (message === undefined) return;
    const { mono } = this.#deps.clock.now();
    this.#notBeforeMono = mono + spacingMs;
    const oldest = message.items[0]?.sinceMono ?? mono;
    if (result.ok) this.#finish(message.items, { sent: true });
    else if (result.isFinal || mono - oldest > triedMs) {
      this.#finish(message.items, { sent: false, why: result.why });
    } else {
      const pauseMs = Math.min(backoffMs * 2 ** message.failures, longestBackoffMs);
      this.#notBeforeMono = mono + Math.max(result.afterMs ?? 0, pauseMs);
      message.failures += 1;
      this.#deps.failed(result.why, message.failures === 1 ? message.items[0]?.notice : undefined);
    }
    this.#pump();
  }

  #finish(items: readonly Waiting[], outcome: Outcome): void {
    this.#message = undefined;
    for (const { done } of items) done(outcome);
  }
}
