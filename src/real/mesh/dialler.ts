/**
 * Keeps dialling every known peer that is not linked, and every named address whose peer is unknown. The wait grows
 * after each failure, up to a limit that keeps the recovery after a split quick.
 *
 * After a broken link it dials at once. If the host answers that no program listens any more at an address where the
 * peer was reached before, that is reported: it distinguishes a dead process from a silent host.
 */
import type { Cancel, Clock, Random } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";

/**
 * The outcome of dialling one address. `self`: it leads to this peer itself. `refused`: the host says that no program
 * listens there. `turned-away`: another cluster key, or not a cicada peer. `rotated`: one of the two has a key that the
 * other had before. `forgotten`: the peer there refuses this one for good.
 */
export type DialOutcome = "linked" | "self" | "refused" | "turned-away" | "rotated" | "forgotten" | "failed";

/** First wait after a failure, doubled each time. Two refusals must arrive well within a second of a death. */
const firstWaitMs = 250;
/**
 * Longest wait. After a split has healed, the first dial comes after half of it on average. Less means more dials to
 * hosts that are gone: each such peer costs about 0.3 ms of CPU per `longestWaitMs`.
 */
const longestWaitMs = 5_000;
/**
 * Of two peers that learn of each other, the one with the smaller id dials. The other waits this long before it dials,
 * too.
 */
const otherDialsFirstMs = 400;
/**
 * Dials at once of peers that this one has never reached. A member can name any number of them, at any address; libp2p dials a
 * hundred at once and queues some more, and the known peers need places there. Less makes a peer with many unreachable
 * neighbours slower to find the others.
 */
const unprovenAtOnce = 32;
/** After a clean leave, the peer is not expected back at once. */
const afterLeaveMs = 1_000;

/** How long to wait after that many failures in a row. `chance` (0 ≤ x < 1) spreads the peers out. */
export function redialWaitMs(failures: number, chance: number): number {
  const wait = Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(failures - 1, 16));
  return wait * (0.8 + 0.4 * chance);
}

export interface DiallerDoors {
  clock: Clock;
  random: Random;
  self: PeerId;
  /** never rejects */
  dial(address: string, peer: PeerId | undefined): Promise<DialOutcome>;
  addressesOf(peer: PeerId): { proven: readonly string[]; others: readonly string[] };
  /** these addresses, the best one first */
  sorted(addresses: readonly string[]): readonly string[];
  /** a connection to it is open, with or without a greeting */
  isConnected(peer: PeerId): boolean;
  isAlone(): boolean;
  refused(peer: PeerId, times: number): void;
  /** a named address turned out to be an address of this peer */
  resolved(address: string, peer: PeerId): void;
}

interface Target {
  /** undefined = a named address whose peer is not known yet */
  peer: PeerId | undefined;
  /** the named address, when it is one */
  address: string | undefined;
  dueAt: number;
  failures: number;
  busy: boolean;
  /** it was due, but all places for peers that were never reached were taken */
  awaitsPlace: boolean;
  /** how often the host has refused since the link broke; undefined = no link broke */
  refusals: number | undefined;
}

export class Dialler {
  private readonly doors: DiallerDoors;
  private readonly peers = new Map<PeerId, Target>();
  private readonly named = new Map<string, Target>();
  /** how many peers are being dialled that have never been reached */
  private unproven = 0;
  private cancelAlarm: Cancel | undefined;
  /** Infinity = no alarm is set */
  private ringsAt = Infinity;
  private running = false;

  constructor(doors: DiallerDoors) {
    this.doors = doors;
  }

  start(): void {
    this.running = true;
    this.plan();
  }

  stop(): void {
    this.running = false;
    this.cancelAlarm?.();
  }

  /** How many named addresses have a peer that is not known yet. */
  unresolved(): number {
    return [...this.named.values()].filter(({ peer }) => peer === undefined).length;
  }

  name(address: string): void {
    if (!this.named.has(address)) this.named.set(address, this.target(undefined, address, 0));
  }

  /** A peer was reached at this address. If a person named the address, its peer is now known. */
  identified(address: string, peer: PeerId): void {
    const target = this.named.get(address);
    if (target === undefined || target.peer === peer) return;
    target.peer = peer;
    this.doors.resolved(address, peer);
  }

  /** A peer that should be reachable. `news`: the peer is new, or is said to have new addresses. */
  expect(peer: PeerId, news: boolean): void {
    const now = this.doors.clock.now().mono;
    const known = this.peers.get(peer);
    const dueAt = now + (news && this.doors.self > peer ? otherDialsFirstMs : 0);
    if (known === undefined) this.peers.set(peer, this.target(peer, undefined, dueAt));
    else if (news) known.dueAt = Math.min(known.dueAt, dueAt);
    else return;
    // A greeting names many peers, so none of them may cost a look at all of them. To ring too early does no harm.
    if (this.running && dueAt < this.ringsAt) this.ringAt(dueAt);
  }

  /** Stops dialling the peer. */
  forget(peer: PeerId): void {
    this.peers.delete(peer);
    this.plan();
  }

  linked(peer: PeerId): void {
    const target = this.peers.get(peer) ?? this.target(peer, undefined, 0);
    this.peers.set(peer, target);
    target.failures = 0;
    target.refusals = undefined;
    target.awaitsPlace = false;
    this.redialSoon();
  }

  /** `not-greeted`: the peer accepted the connection but never greeted. */
  lost(peer: PeerId, why: "closed" | "reset" | "not-greeted"): void {
    const target = this.peers.get(peer);
    if (target === undefined) return;
    const now = this.doors.clock.now().mono;
    if (why === "reset") {
      target.refusals = 0;
      target.failures = 0;
      target.dueAt = now;
    } else {
      target.failures++;
      target.dueAt = now + Math.max(why === "closed" ? afterLeaveMs : 0, this.waitMs(target));
    }
    this.plan();
  }

  private target(peer: PeerId | undefined, address: string | undefined, dueAt: number): Target {
    return { peer, address, dueAt, failures: 0, busy: false, awaitsPlace: false, refusals: undefined };
  }

  /** A peer is back, so the network may have healed for all: dials the others soon. */
  private redialSoon(): void {
    const soon = this.doors.clock.now().mono + firstWaitMs * this.doors.random.next();
    for (const target of this.targets()) target.dueAt = Math.min(target.dueAt, soon);
    this.plan();
  }

  private targets(): Target[] {
    return [...this.peers.values(), ...this.named.values()];
  }

  private isWanted(target: Target): boolean {
    if (target.busy) return false;
    if (target.address === undefined || target.peer === undefined) {
      return target.peer === undefined || !this.doors.isConnected(target.peer);
    }
    // The peer of a named address is dialled by its id. But if no peer is left, another one may now run at that address.
    return target.peer !== this.doors.self && this.doors.isAlone();
  }

  private plan(): void {
    this.cancelAlarm?.();
    this.ringsAt = Infinity;
    if (!this.running) return;
    const due = this.targets()
      .filter((target) => this.isWanted(target) && !(target.awaitsPlace && this.unproven >= unprovenAtOnce))
      .map(({ dueAt }) => dueAt);
    if (due.length === 0) return;
    this.ringAt(due.reduce((a, b) => Math.min(a, b)));
  }

  private ringAt(at: number): void {
    const { clock } = this.doors;
    this.cancelAlarm?.();
    this.ringsAt = at;
    this.cancelAlarm = clock.alarm(at, () => {
      const now = clock.now().mono;
      const due = this.targets().filter((target) => target.dueAt <= now && this.isWanted(target));
      // The peer that has waited longest goes first. Otherwise peers that are named later would never have a turn.
      for (const target of due.toSorted((one, other) => one.dueAt - other.dueAt)) this.beginInTurn(target);
      this.plan();
    });
  }

  /** Begins to dial, unless as many peers as may be are being dialled that have never been reached. */
  private beginInTurn(target: Target): void {
    const addresses =
      target.peer === undefined || target.address !== undefined
        ? undefined
        : this.doors.addressesOf(target.peer);
    if (target.peer !== undefined && addresses?.proven.length === 0 && addresses.others.length === 0) {
      // There is no address. The peer is expected again when another peer mentions it.
      this.peers.delete(target.peer);
      return;
    }
    const isUnproven = addresses?.proven.length === 0;
    target.awaitsPlace = isUnproven && this.unproven >= unprovenAtOnce;
    if (target.awaitsPlace) return;
    if (isUnproven) this.unproven++;
    this.begin(target)
      .catch(() => undefined)
      .finally(() => {
        if (!isUnproven) return;
        this.unproven--;
        this.plan();
      });
  }

  private async begin(target: Target): Promise<void> {
    target.busy = true;
    let isLinked = false;
    try {
      isLinked = await (target.address === undefined
        ? this.dialPeer(target)
        : this.dialNamed(target, target.address));
    } finally {
      target.busy = false;
      if (!isLinked) target.failures++;
      target.dueAt = this.doors.clock.now().mono + this.waitMs(target);
      this.plan();
    }
  }

  private waitMs(target: Target): number {
    return redialWaitMs(Math.max(1, target.failures), this.doors.random.next());
  }

  private async dialNamed(target: Target, address: string): Promise<boolean> {
    const outcome = await this.doors.dial(address, undefined);
    if (outcome === "self") target.peer = this.doors.self;
    return outcome === "linked" || outcome === "self";
  }

  private async dialPeer(target: Target): Promise<boolean> {
    const { peer } = target;
    if (peer === undefined) return false;
    const { proven, others: unsorted } = this.doors.addressesOf(peer);
    const others = this.doors.sorted(unsorted);
    // Just after a break, only proven addresses are dialled: a host that swallows dials must not delay the answer of
    // one that refuses.
    const inDoubt = target.refusals !== undefined && target.refusals < 2 && proven.length > 0;
    let isRefused = false;
    for (const address of inDoubt && target.failures < 2 ? proven : [...proven, ...others]) {
      if (!this.running || this.doors.isConnected(peer)) break;
      // The addresses are dialled one after the other, so that the peer is not reached twice.
      // oxlint-disable-next-line no-await-in-loop
      const outcome = await this.doors.dial(address, peer);
      if (outcome === "linked") return true;
      if (outcome === "refused" && proven.includes(address)) isRefused = true;
    }
    if (this.doors.isConnected(peer)) return true;
    if (isRefused && target.refusals !== undefined && this.running) {
      target.refusals++;
      this.doors.refused(peer, target.refusals);
    }
    return false;
  }
}
