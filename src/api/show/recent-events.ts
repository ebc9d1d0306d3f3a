/**
 * The peer's last events, in order and numbered, for readers of the events that come back. An event's id names this life of the
 * peer and its number, so an id of an earlier life, or of another peer, is not taken for one of these.
 */
import type { Control, PeerEvent } from "../../ports/control.ts";

/** How much is kept, by `weightOf`: a few thousand runs. */
const keptWeight = 4_194_304;

/** An event with its number in this life of the peer. */
export interface NumberedEvent {
  readonly event: PeerEvent;
  readonly number: number;
}

/** About how many characters an event has as text. */
export function weightOf(event: PeerEvent): number {
  if (event.kind !== "run") return 200;
  const { reason = "", outputs = {} } = event.record;
  const texts = Object.entries(outputs).map(([name, value]) => name.length + value.length);
  return 1_000 + reason.length + texts.reduce((sum, length) => sum + length, 0);
}

export class RecentEvents {
  readonly #life: string;
  readonly #kept = new Map<number, PeerEvent>();
  #weight = 0;
  #newest = 0;

  /** It hears of each event before all that subscribe later. `life`: no other life of any peer has this name. */
  constructor(control: Control, life: string) {
    this.#life = life;
    control.subscribe((event) => this.#keep(event));
  }

  /** The number of the last event: for listeners, of the one that they are told of. */
  get newest(): number {
    return this.#newest;
  }

  idOf(number: number): string {
    return `${this.#life}-${number.toString(36)}`;
  }

  /** What has happened since the event with that id; undefined = not all of it is known here. */
  after(id: string): NumberedEvent[] | undefined {
    const [, life, text = ""] = /^(.+)-([0-9a-z]{1,10})$/.exec(id) ?? [];
    const last = parseInt(text, 36);
    const [oldest = this.#newest + 1] = this.#kept.keys();
    if (life !== this.#life || last < oldest - 1 || last > this.#newest) return undefined;
    return [...this.#kept].flatMap(([number, event]) => (number > last ? [{ event, number }] : []));
  }

  #keep(event: PeerEvent): void {
    this.#kept.set(++this.#newest, event);
    this.#weight += weightOf(event);
    for (const [number, oldest] of this.#kept) {
      if (this.#weight <= keptWeight) return;
      this.#kept.delete(number);
      this.#weight -= weightOf(oldest);
    }
  }
}
