/**
 * Each neighbour's share of this peer's work. A message of a few bytes can ask for much, so every message has a price in
 * steps: for its bytes when it arrives, and for the work that it causes where that work is done. A neighbour that has used
 * up its share waits: its messages are taken later, in their order, and dropped if too many wait. The others don't notice.
 *
 * Prices are counted from what is read, checked and sent, never measured in time, so that the simulator can replay them. A
 * step is about a microsecond of one core. What this peer has asked for is its own work, apart from its bytes: a peer that
 * catches up has no share to keep to (sync-records.ts).
 *
 * Gossip that a neighbour has passed on has one share, whoever wrote it: any neighbour can pass on messages of authors whom it has
 * invented, and old ones of honest peers, whose share they must not use up. What a linked peer writes comes from itself first.
 *
 * Heartbeats never wait, because a late heartbeat is wrong about its sender's clock; too many are dropped. All neighbours
 * together have a share for them, too. While it is used up, only those of neighbours that send about as many as honest ones are
 * taken, so that a crowd of liars makes nobody else silent. Not promised: that many identities of one person have one share of
 * other work. A holder of the cluster key can have any number.
 */
import type { Cancel, Clock } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Channel } from "../../schema/message.ts";

export interface WorkLimits {
  /**
   * Steps that a neighbour may cause in a second: half of one core. An honest one needs a tenth of it at 200 starts a second.
   * More lets one neighbour hold up the ticks; less makes it slower to join a mesh with a large table (2 s for 30 MB).
   */
  stepsPerSecond: number;
  /**
   * Steps that it may cause at once, after it has been quiet: a tenth of a second. More holds the loop for longer; less delays
   * what comes in bursts, such as the claims of a thousand jobs that are due in one second.
   */
  burstSteps: number;
  /** Heartbeats in a second. An honest neighbour sends one, and more when it has news or was held up. */
  heartbeatsPerSecond: number;
  heartbeatBurst: number;
  /**
   * Steps for the heartbeats of all neighbours in a second, and at once. 256 honest ones, as many as may be connected, need
   * 150,000. More lets a crowd hold up the ticks; less drops what honest neighbours send when they have news.
   */
  crowdStepsPerSecond: number;
  /** What an honest neighbour sends: heartbeats that are taken in a second, and at once, while that share is used up. */
  calmHeartbeatsPerSecond: number;
  calmHeartbeatBurst: number;
  /** Bytes of messages that wait for one neighbour's share: what sixteen of the largest take. More takes memory. */
  waitingBytes: number;
  /** … and for all shares. Less drops messages of many neighbours that were held up at once; sync mends that. */
  waitingBytesInAll: number;
}

export const workLimits: WorkLimits = {
  stepsPerSecond: 500_000,
  burstSteps: 100_000,
  heartbeatsPerSecond: 20,
  heartbeatBurst: 40,
  crowdStepsPerSecond: 300_000,
  calmHeartbeatsPerSecond: 2,
  calmHeartbeatBurst: 8,
  waitingBytes: 4_194_304,
  waitingBytesInAll: 67_108_864,
};

/** Steps for any message, and its bytes for one step more: on its way through streams and encryption, received or sent. */
const stepsPerMessage = 80;
const bytesPerStep = 60;
/** How many neighbours' shares are remembered; beyond it, the oldest that waits for nothing is forgotten. */
const sharesMax = 1_024;
/** How soon a share that was used up is looked at again, and for how many steps, so that others come between. */
const waitMs = 10;
const stepsAtATime = 10_000;
/**
 * How many steps are taken as their messages arrive, and how many more in a second. Work beyond them is done by turns, as above.
 * Without this limit, one turn of the loop would take everything that has arrived; and on a busy host, where a step takes longer
 * than reckoned, the share would fill again meanwhile, so that the turn would not end. Less delays ordinary messages by `waitMs`.
 */
const stepsAtOnce = 20_000;
const atOncePerSecond = 50_000;
/** What a message that waits takes beside its bytes. */
const waitingOverheadBytes = 100;

export function stepsOfBytes(bytes: number): number {
  return Math.ceil(bytes / bytesPerStep);
}

/** What it costs to receive or to send a message with that number of bytes. */
export function stepsOfMessage(bytes: number): number {
  return stepsPerMessage + stepsOfBytes(bytes);
}

/** Stands for the neighbour in the share of what was passed on. No peer has this id. */
const passedOn = "passed on" as PeerId;

interface Waiting {
  readonly from: PeerId;
  readonly channel: Channel;
  readonly bytes: Uint8Array;
}

interface Share {
  /** below 0 after work that cost more than was left */
  steps: number;
  /** what may be taken on arrival */
  atOnce: number;
  /** in all; unlike `steps`, it tells what was taken in a turn, in which the share may have filled again */
  spent: number;
  heartbeats: number;
  /** of those that an honest neighbour sends, how many are left; none below 0 */
  calmHeartbeats: number;
  /** monotonic, ms, up to which all but `spent` have been refilled */
  filledMono: number;
  readonly waiting: Waiting[];
  waitingBytes: number;
  alarm: Cancel | undefined;
}

export interface WorkShareDeps {
  clock: Pick<Clock, "now" | "alarm">;
  /** `payer` is the share's, for `charge`. */
  take(from: PeerId, channel: Channel, bytes: Uint8Array, payer: PeerId): void;
  count(name: string): void;
}

export class WorkShares {
  readonly #deps: WorkShareDeps;
  readonly #limits: WorkLimits;
  readonly #shares = new Map<PeerId, Share>();
  #waitingBytes = 0;
  /** for the heartbeats of all neighbours; below 0 after one that cost more than was left */
  #crowdSteps: number;
  #crowdFilledMono: number;

  constructor(deps: WorkShareDeps, limits: WorkLimits = workLimits) {
    this.#deps = deps;
    this.#limits = limits;
    this.#crowdSteps = limits.crowdStepsPerSecond;
    this.#crowdFilledMono = deps.clock.now().mono;
  }

  /** A message has arrived, from its author or passed on: it is taken now, later or never. */
  received(from: PeerId, channel: Channel, bytes: Uint8Array, isPassedOn = false): void {
    const payer = isPassedOn ? passedOn : from;
    const share = this.#shareOf(payer);
    if (channel === "heartbeat") {
      if (!this.#takesHeartbeat(share, bytes.length)) return this.#deps.count("work_heartbeats_dropped");
    } else if (share.steps <= 0 || share.atOnce <= 0 || share.waiting.length > 0)
      return this.#wait(payer, share, { from, channel, bytes });
    this.#take(payer, share, { from, channel, bytes });
  }

  #takesHeartbeat(share: Share, bytes: number): boolean {
    const { crowdStepsPerSecond } = this.#limits;
    const { mono } = this.#deps.clock.now();
    const refilled = ((mono - this.#crowdFilledMono) / 1_000) * crowdStepsPerSecond;
    this.#crowdFilledMono = mono;
    this.#crowdSteps = Math.min(crowdStepsPerSecond, this.#crowdSteps + refilled);
    const isCalm = share.calmHeartbeats >= 1;
    share.calmHeartbeats = Math.max(0, share.calmHeartbeats - 1);
    if (share.heartbeats < 1 || (this.#crowdSteps <= 0 && !isCalm)) return false;
    share.heartbeats--;
    this.#crowdSteps = Math.max(-crowdStepsPerSecond, this.#crowdSteps - stepsOfMessage(bytes));
    return true;
  }

  /** What the neighbour has said causes, or has caused, that much work. */
  charge(peer: PeerId, steps: number): void {
    this.#spend(this.#shareOf(peer), steps);
  }

  /** The link is gone: what still waits is dropped. The share stays as it is, because the neighbour may be back at once. */
  linkDown(peer: PeerId): void {
    const share = this.#shares.get(peer);
    if (share === undefined) return;
    share.alarm?.();
    share.alarm = undefined;
    this.#waitingBytes -= share.waitingBytes;
    share.waitingBytes = 0;
    share.waiting.length = 0;
  }

  stop(): void {
    for (const peer of this.#shares.keys()) this.linkDown(peer);
  }

  #take(payer: PeerId, share: Share, { from, channel, bytes }: Waiting): void {
    this.#spend(share, stepsOfMessage(bytes.length));
    this.#deps.take(from, channel, bytes, payer);
  }

  #spend(share: Share, steps: number): void {
    share.spent += steps;
    share.steps -= steps;
    share.atOnce = Math.max(-stepsAtOnce, share.atOnce - steps);
  }

  #wait(payer: PeerId, share: Share, message: Waiting): void {
    const { length } = message.bytes;
    const { waitingBytes, waitingBytesInAll } = this.#limits;
    const bytes = length + waitingOverheadBytes;
    if (share.waitingBytes + bytes > waitingBytes || this.#waitingBytes + bytes > waitingBytesInAll) {
      return this.#deps.count("work_messages_dropped");
    }
    this.#deps.count("work_messages_delayed");
    share.waiting.push(message);
    share.waitingBytes += bytes;
    this.#waitingBytes += bytes;
    this.#goOnLater(payer, share);
  }

  #goOnLater(payer: PeerId, share: Share): void {
    if (share.alarm !== undefined) return;
    const missing = Math.max(0, 1 - share.steps);
    const ms = Math.max(waitMs, (missing / this.#limits.stepsPerSecond) * 1_000);
    share.alarm = this.#deps.clock.alarm(this.#deps.clock.now().mono + ms, () => {
      share.alarm = undefined;
      this.#goOn(payer, share);
    });
  }

  #goOn(payer: PeerId, share: Share): void {
    this.#fill(share);
    let taken = 0;
    const until = share.spent + stepsAtATime;
    for (const message of share.waiting) {
      if (share.steps <= 0 || share.spent >= until) break;
      taken++;
      const bytes = message.bytes.length + waitingOverheadBytes;
      share.waitingBytes -= bytes;
      this.#waitingBytes -= bytes;
      this.#take(payer, share, message);
    }
    share.waiting.splice(0, taken);
    if (share.waiting.length > 0) this.#goOnLater(payer, share);
  }

  #shareOf(peer: PeerId): Share {
    const known = this.#shares.get(peer);
    if (known !== undefined) {
      this.#fill(known);
      return known;
    }
    if (this.#shares.size >= sharesMax) this.#forgetOldest();
    const { burstSteps: steps, heartbeatBurst: heartbeats } = this.#limits;
    const { calmHeartbeatBurst: calmHeartbeats } = this.#limits;
    const filledMono = this.#deps.clock.now().mono;
    const share: Share = {
      steps,
      atOnce: stepsAtOnce,
      spent: 0,
      heartbeats,
      calmHeartbeats,
      filledMono,
      waiting: [],
      waitingBytes: 0,
      alarm: undefined,
    };
    this.#shares.set(peer, share);
    return share;
  }

  #fill(share: Share): void {
    const { stepsPerSecond, burstSteps, heartbeatsPerSecond, heartbeatBurst } = this.#limits;
    const { calmHeartbeatsPerSecond, calmHeartbeatBurst } = this.#limits;
    const { mono } = this.#deps.clock.now();
    const seconds = Math.max(0, mono - share.filledMono) / 1_000;
    share.filledMono = mono;
    share.steps = Math.min(burstSteps, share.steps + seconds * stepsPerSecond);
    share.atOnce = Math.min(stepsAtOnce, share.atOnce + seconds * atOncePerSecond);
    share.heartbeats = Math.min(heartbeatBurst, share.heartbeats + seconds * heartbeatsPerSecond);
    const calm = share.calmHeartbeats + seconds * calmHeartbeatsPerSecond;
    share.calmHeartbeats = Math.min(calmHeartbeatBurst, calm);
  }

  #forgetOldest(): void {
    for (const [peer, { waiting }] of this.#shares) {
      if (waiting.length > 0) continue;
      this.#shares.delete(peer);
      return;
    }
  }
}
