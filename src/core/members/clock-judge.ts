/**
 * Whose clock is right, decided from the offsets between all known clocks (DESIGN §11). A pure rule; it sets no clock and adds
 * no offset to one.
 *
 * A clock is right if a majority of the known clocks, itself included, lies within `clockRefusedMs` of it. If no majority
 * agrees (with two clocks that differ, none does), the largest groups of agreeing clocks are compared. If only one group has a
 * host that is synchronised with a time server, that group is right. Otherwise, if only one group has not jumped since they
 * last agreed, that group is right. Otherwise the slower of two groups is right, because early is worse than late, or the
 * middle one of more.
 */
import type { PeerId } from "../../schema/ids.ts";
import { clockRefusedMs } from "./suspicion.ts";

export interface ClockReading {
  readonly peer: PeerId;
  /** how far it is ahead of this peer's clock, ms; this peer's own is 0 */
  readonly offsetMs: number;
  /** its host says that it follows a time server */
  readonly synchronised: boolean;
  /** it has been set in one step, not slewed, since it last agreed with this peer's clock */
  readonly jumped: boolean;
}

/** The peers whose clocks are right; all others are doubted. Empty only if `readings` is. */
export function rightClocks(readings: readonly ClockReading[]): ReadonlySet<PeerId> {
  if (allAgree(readings)) return peersOf(readings);
  const supportOf = ({ offsetMs }: ClockReading): number =>
    readings.filter((other) => Math.abs(other.offsetMs - offsetMs) <= clockRefusedMs).length;
  const supported = readings.map((reading) => ({ reading, support: supportOf(reading) }));
  const majority = supported.filter(({ support }) => 2 * support > readings.length);
  if (majority.length > 0) return peersOf(majority.map(({ reading }) => reading));
  const most = Math.max(0, ...supported.map(({ support }) => support));
  const groups = groupsOf(supported.filter(({ support }) => support === most).map(({ reading }) => reading));
  return peersOf(betterOf(groups));
}

/** The usual case, which is judged at each heartbeat: any two of the clocks agree, so the majority of each one is all. */
function allAgree(readings: readonly ClockReading[]): boolean {
  let [slowest, fastest] = [Infinity, -Infinity];
  for (const { offsetMs } of readings) {
    slowest = Math.min(slowest, offsetMs);
    fastest = Math.max(fastest, offsetMs);
  }
  return fastest - slowest <= clockRefusedMs;
}

function peersOf(readings: readonly ClockReading[]): Set<PeerId> {
  return new Set(readings.map(({ peer }) => peer));
}

/** Clocks that agree, from the slowest group to the fastest. */
function groupsOf(readings: readonly ClockReading[]): ClockReading[][] {
  const groups: ClockReading[][] = [];
  let last: ClockReading | undefined;
  for (const reading of readings.toSorted((a, b) => a.offsetMs - b.offsetMs)) {
    const group = groups.at(-1);
    if (group !== undefined && last !== undefined && reading.offsetMs - last.offsetMs <= clockRefusedMs) {
      group.push(reading);
    } else groups.push([reading]);
    last = reading;
  }
  return groups;
}

function betterOf(groups: readonly ClockReading[][]): readonly ClockReading[] {
  const synchronised = groups.filter((group) => group.some((reading) => reading.synchronised));
  if (synchronised.length === 1) return synchronised[0] ?? [];
  const unmoved = groups.filter((group) => !group.some((reading) => reading.jumped));
  if (unmoved.length === 1) return unmoved[0] ?? [];
  return groups[Math.floor((groups.length - 1) / 2)] ?? [];
}
