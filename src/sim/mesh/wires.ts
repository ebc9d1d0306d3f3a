/**
 * The wires between the hosts: in which directions each pair can talk, and how long a message takes.
 *
 * A cut has a direction. Cuts are counted, so that when two faults cut the same direction, the end of the first one
 * doesn't mend both. A message that is sent into a cut waits at the sender, as with TCP, and arrives late if the cut
 * heals before the connection is given up. `links.ts` and `traffic.ts` build connections and messages on this.
 */
import type { Dice } from "../random.ts";

/**
 * A host's name. Usually it is the name of its only peer; a copy of a peer's folder runs on a host with a name of its
 * own.
 */
export type HostName = string;

export interface NetworkSettings {
  minDelayMs: number;
  maxDelayMs: number;
  /** how often a message takes up to `spikeMs` longer, 0 to 1 */
  spikes: number;
  spikeMs: number;
  /** how often a gossiped message never reaches one of its receivers, 0 to 1 */
  gossipLoss: number;
  /** how often one reaches the same receiver twice, 0 to 1 */
  gossipTwice: number;
  /** after how long without a round trip a connection is given up; undefined = never (half-open for ever) */
  giveUpAfterMs: { least: number; most: number } | undefined;
  /** the longest pause between two dials of a lost peer */
  maxBackoffMs: number;
}

export const calmNetwork: NetworkSettings = {
  minDelayMs: 0.2,
  maxDelayMs: 3,
  spikes: 0.001,
  spikeMs: 50,
  gossipLoss: 0,
  gossipTwice: 0,
  giveUpAfterMs: { least: 4_000, most: 6_000 },
  maxBackoffMs: 4_000,
};

export class Wires {
  readonly settings: NetworkSettings;
  /** added to every delay while a slow network lasts */
  slowMs = 0;
  /** added to `gossipLoss` while a lossy network lasts */
  extraLoss = 0;
  messages = 0;
  bytes = 0;
  private readonly dice: Dice;
  private readonly cuts = new Map<string, number>();
  private readonly listeners: ((from: HostName, to: HostName) => void)[] = [];

  constructor(settings: NetworkSettings, dice: Dice) {
    this.settings = settings;
    this.dice = dice;
  }

  /** The listener is called whenever it changes whether `from` can reach `to`. */
  onChange(listener: (from: HostName, to: HostName) => void): void {
    this.listeners.push(listener);
  }

  cut(from: HostName, to: HostName): void {
    this.change(from, to, 1);
  }

  mend(from: HostName, to: HostName): void {
    this.change(from, to, -1);
  }

  reaches(from: HostName, to: HostName): boolean {
    return this.cuts.size === 0 || !this.cuts.has(way(from, to));
  }

  /** How long the next message takes, ms. */
  delay(): number {
    const { minDelayMs, maxDelayMs, spikes, spikeMs } = this.settings;
    const chance = this.dice.next();
    const usual = minDelayMs + (maxDelayMs - minDelayMs) * chance * chance + this.slowMs * this.dice.next();
    return spikes > 0 && this.dice.chance(spikes) ? usual + spikeMs * this.dice.next() : usual;
  }

  losesGossip(): boolean {
    const loss = this.settings.gossipLoss + this.extraLoss;
    return loss > 0 && this.dice.chance(loss);
  }

  doublesGossip(): boolean {
    return this.settings.gossipTwice > 0 && this.dice.chance(this.settings.gossipTwice);
  }

  count(bytes: number): void {
    this.messages++;
    this.bytes += bytes;
  }

  private change(from: HostName, to: HostName, by: 1 | -1): void {
    const count = (this.cuts.get(way(from, to)) ?? 0) + by;
    if (count > 0) this.cuts.set(way(from, to), count);
    else this.cuts.delete(way(from, to));
    for (const listener of this.listeners) listener(from, to);
  }
}

function way(from: HostName, to: HostName): string {
  return `${from}>${to}`;
}
