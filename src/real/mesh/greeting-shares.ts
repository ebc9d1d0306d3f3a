/**
 * Each neighbour's share of the work that its greetings cause. A greeting names up to 256 peers, each of which is compared with
 * the address book and may be dialled. A neighbour that has used up its share waits. Only the latest waiting greeting of each
 * line counts, because it repeats what those before it said; so nothing piles up.
 *
 * This is beside the share of all other messages (peer/messages/work-shares.ts), because greetings are the mesh's own.
 */
import type { Clock } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Line } from "./links.ts";

/** A shorter message is a ping, a goodbye or an answer to one, which cost next to nothing. Unit: bytes. */
const shortBytes = 128;
/**
 * Steps of about a microsecond that a neighbour's greetings may cause in a second: a tenth of a core. An honest one needs a
 * tenth of it while 50 peers start at once. More lets one neighbour slow the others; less delays the news of new addresses.
 */
const stepsPerSecond = 100_000;
/** … and at once, after a quiet time: three of the longest greetings that honest peers send. */
const burstSteps = 100_000;
/** Measured with greetings of 256 unknown peers. */
const bytesPerStep = 2;
/** The most neighbours whose shares are remembered. Beyond it, the oldest one that waits for nothing is forgotten. */
const sharesMax = 1_024;

interface Share {
  /** below 0 after a greeting that cost more than was left */
  steps: number;
  /** monotonic, ms, up to which they have been refilled */
  filledAt: number;
  readonly waiting: Map<Line, Uint8Array>;
}

export interface GreetingShareDoors {
  clock: Pick<Clock, "now">;
  after(ms: number, ring: () => void): void;
  take(line: Line, bytes: Uint8Array): void;
}

export class GreetingShares {
  private readonly doors: GreetingShareDoors;
  private readonly shares = new Map<PeerId, Share>();

  constructor(doors: GreetingShareDoors) {
    this.doors = doors;
  }

  /** A greeting has arrived. It is taken now, later, or not at all if another one follows. */
  heard(line: Line, bytes: Uint8Array): void {
    if (bytes.length <= shortBytes) return this.doors.take(line, bytes);
    const share = this.shareOf(line.peer);
    const isWaiting = share.waiting.size > 0;
    if (!isWaiting && share.steps > 0) return this.take(share, line, bytes);
    share.waiting.set(line, bytes);
    if (!isWaiting) this.goOnLater(share);
  }

  /** The line has ended, so its greeting would tell of a connection that is no more. */
  closed(line: Line): void {
    this.shares.get(line.peer)?.waiting.delete(line);
  }

  private take(share: Share, line: Line, bytes: Uint8Array): void {
    share.steps -= bytes.length / bytesPerStep;
    this.doors.take(line, bytes);
  }

  private goOnLater(share: Share): void {
    this.doors.after(Math.ceil(((1 - share.steps) * 1_000) / stepsPerSecond), () => {
      this.fill(share);
      for (const [line, bytes] of share.waiting) {
        if (share.steps <= 0) break;
        share.waiting.delete(line);
        this.take(share, line, bytes);
      }
      if (share.waiting.size > 0) this.goOnLater(share);
    });
  }

  private shareOf(peer: PeerId): Share {
    const known = this.shares.get(peer);
    if (known !== undefined) {
      this.fill(known);
      return known;
    }
    if (this.shares.size >= sharesMax) this.forgetOldest();
    const share = { steps: burstSteps, filledAt: this.doors.clock.now().mono, waiting: new Map() };
    this.shares.set(peer, share);
    return share;
  }

  private fill(share: Share): void {
    const { mono } = this.doors.clock.now();
    const seconds = Math.max(0, mono - share.filledAt) / 1_000;
    share.filledAt = mono;
    share.steps = Math.min(burstSteps, share.steps + seconds * stepsPerSecond);
  }

  private forgetOldest(): void {
    for (const [peer, { waiting }] of this.shares) {
      if (waiting.size > 0) continue;
      this.shares.delete(peer);
      return;
    }
  }
}
