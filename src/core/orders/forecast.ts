/**
 * What a job is expected to do in the hours to come: how many ticks it has, and which of the peers that could run it now would
 * have them. Ticks are counted. Where an hour has few, each is ranked; many fall evenly to the peers, because ranks are hashes.
 * A job that runs after others has no ticks yet.
 */
import type { ExpectedHour } from "../../ports/expected.ts";
import { tickAt, type PeerId } from "../../schema/ids.ts";
import { dueOf } from "../job/jitter.ts";
import { nextTickOf, type Plan } from "../job/plan.ts";
import { rank } from "../job/rank.ts";
import { splitByStops } from "../job/stops.ts";
import { hasTags } from "../job/target.ts";
import { eligibilityOf, withPreferredFirst } from "../members/eligibility.ts";
import { runnersInOrder, type Eligibility } from "../members/failover.ts";
import { shownName } from "../members/names.ts";
import { countTicks } from "../time/count.ts";
import { ticksBetween, type Schedule } from "../time/schedule.ts";
import type { State } from "../state.ts";
import { comingAfter } from "./coming-ticks.ts";
import { hindrancesOf } from "./hindrances.ts";

const hourMs = 3_600_000;
/** The most ticks of an hour that are ranked one by one. A rank costs some microseconds, and a week has 168 hours. */
const rankedMost = 4;

/** The hours from `from` (ms) on in which the job has ticks to come. An hour with more than `listed` ticks lists no starts. */
export function expectedHours(
  state: State,
  plan: Plan,
  from: number,
  hours: number,
  listed: number,
): ExpectedHour[] {
  const { schedule } = plan;
  const end = Math.min(from + hours * hourMs, plan.lifetime.endsAt + 1);
  const found: ExpectedHour[] = [];
  if (schedule === undefined) return found;
  const runsOf = sharing(state, plan);
  for (let after = Math.max(from - 1, comingAfter(state, plan)); ;) {
    const at = nextTickOf(plan, after);
    if (at === undefined || at >= end) return found;
    const hour = Math.floor((at - from) / hourMs);
    const until = Math.min(from + (hour + 1) * hourMs, end);
    const { count, first } = ticksIn(plan, schedule, at, until, Math.max(listed, rankedMost));
    if (count > 0) {
      const starts = count > listed ? [] : first.map((tick) => dueOf(plan, tick));
      found.push({ hour, ticks: count, starts, runs: runsOf(first, count) });
    }
    after = until - 1;
  }
}

/** How many of the ticks in from ≤ tick < to (ms) nothing stops, and the first of them. */
function ticksIn(
  plan: Plan,
  schedule: Schedule,
  from: number,
  to: number,
  listed: number,
): { count: number; first: number[] } {
  const parts = splitByStops(plan, { from, to }).filter(({ stop }) => stop === undefined);
  const skips = [...plan.skips.keys()];
  let count = 0;
  const first: number[] = [];
  for (const part of parts.toReversed()) {
    const skipped = skips.filter((tick) => part.from <= tick && tick < part.to).length;
    count += Math.max(0, countTicks(schedule, part.from, part.to) - skipped);
    const wanted = listed + skipped - first.length;
    if (wanted <= 0) continue;
    const ticks = ticksBetween(schedule, part.from, part.to, wanted);
    first.push(...ticks.filter((tick) => !plan.skips.has(tick)));
  }
  return { count, first: first.slice(0, listed) };
}

/** How the runs of an hour fall to peers, as of now: by rank if all ticks of the hour are listed, and evenly otherwise. */
function sharing(
  state: State,
  plan: Plan,
): (ticks: readonly number[], count: number) => ExpectedHour["runs"] {
  if (hindrancesOf(state, plan).length > 0) return () => [];
  const anyOrder = { requested: undefined, declined: new Set<PeerId>() };
  const judge = eligibilityOf(state, plan, anyOrder);
  const known = new Map<PeerId, Eligibility>(state.members.hashes.ids.map((peer) => [peer, judge(peer)]));
  const able = (ranks: readonly PeerId[]): PeerId[] =>
    runnersInOrder(withPreferredFirst(state, plan, anyOrder, ranks), (peer) => known.get(peer) ?? "dead");
  const all = able(state.members.hashes.ids);
  const perTick = plan.target.count === "all" ? all.length : Math.min(plan.target.count, all.length);
  const even = evenShares(all, all.filter((peer) => isPreferred(state, plan, peer)).length, perTick);
  const named = (shares: ReadonlyMap<PeerId, number>, times: number): ExpectedHour["runs"] =>
    [...shares].map(([peer, share]) => ({ peer, name: shownName(state, peer), count: share * times }));
  return (ticks, count) => {
    if (count > rankedMost || perTick === all.length) return named(even, count);
    const wins = new Map<PeerId, number>();
    for (const tick of ticks) {
      const ranks = rank(plan.id, tickAt(tick), state.members.hashes);
      for (const peer of able(ranks).slice(0, perTick)) wins.set(peer, (wins.get(peer) ?? 0) + 1);
    }
    return named(wins, 1);
  };
}

/** How many runs of a tick each peer has on average, if the first `preferred` ones come before the others. */
function evenShares(
  peers: readonly PeerId[],
  preferred: number,
  perTick: number,
): ReadonlyMap<PeerId, number> {
  const [first, rest] = [peers.slice(0, preferred), peers.slice(preferred)];
  const ofFirst = Math.min(perTick, first.length);
  const shares = [
    ...first.map((peer) => [peer, ofFirst / first.length] as const),
    ...rest.map((peer) => [peer, (perTick - ofFirst) / rest.length] as const),
  ];
  return new Map(shares.filter(([, share]) => share > 0));
}

function isPreferred(state: State, { target: { preferred } }: Plan, peer: PeerId): boolean {
  const { self, tags } = state.settings;
  const own = peer === self ? tags : state.members.byId.get(peer)?.heartbeat?.tags;
  return preferred !== undefined && hasTags(own, preferred);
}
