/** The Notifier door: carries notices to people, and tells health-check services what becomes of a run. */
import type { NoticeChannel } from "../schema/channel.ts";
import type { Notice } from "../schema/notice.ts";

/** One message to one channel; several notices if they came in a burst. */
export interface Delivery {
  channel: NoticeChannel;
  /** at least one */
  notices: readonly Notice[];
  /** the same at every try: a receiver drops repeats by it */
  id: string;
}

export type Delivered =
  | { ok: true }
  /** `isFinal`: the receiver refuses it, so another try is no use; `afterMs`: how long the receiver asks to wait */
  | { ok: false; isFinal: boolean; afterMs?: number | undefined; why: string };

/** A ping of a health-check service. */
export interface Ping {
  url: string;
  /** the run's id, which each start and its end carry */
  run: string;
  /** a short text for people */
  text: string;
}

export interface Notifier {
  /** Tries once. `done` comes within half a minute. */
  deliver(delivery: Delivery, done: (result: Delivered) => void): void;
  ping(ping: Ping, done: (result: Delivered) => void): void;
  close(): void;
}
