/**
 * The splits that a peer has seen, and what became of their ticks. A peer only knows which peers it didn't hear itself. It
 * doesn't know whether those heard each other, so the account of another peer may differ.
 */
import type { Silence, View } from "../../ports/control.ts";
import { runId, type JobId, type PeerId, type TickId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import type { Decisions } from "../options.ts";

export interface Split {
  /** when the first of its peers was last heard; wall clock, ms */
  from: number;
  /** when the last of them was heard again; undefined = one is not heard yet */
  to: number | undefined;
  /** the peers that were not heard */
  apart: readonly Silence[];
  /** the peers that were heard all the time, this one included */
  here: readonly PeerId[];
}

/**
 * Silences that begin within this time belong together: peers are taken for dead by the second, after 10 s of silence. Unit:
 * ms.
 */
const togetherMs = 15_000;

/**
 * Newest first. Peers that only went down make no split: one whose host says that nobody listens there any more, or that was
 * restarted. As long as its host is silent, too, a peer that is down can't be told from one on another side.
 */
export function splitsOf({ silences, members, self }: Pick<View, "silences" | "members" | "self">): Split[] {
  const groups: Silence[][] = [];
  for (const silence of silences.toSorted((a, b) => a.from - b.from)) {
    const last = groups.at(-1);
    const isOfLast =
      last?.[0] !== undefined &&
      silence.from - last[0].from <= togetherMs &&
      last.every(({ peer, to = Infinity }) => peer !== silence.peer && to > silence.from);
    if (isOfLast) last.push(silence);
    else groups.push([silence]);
  }
  const splits = groups.flatMap((apart): Split[] => {
    const from = Math.min(...apart.map((one) => one.from));
    const ends = apart.map(({ to = Infinity }) => to);
    const to = Math.max(...ends);
    if (apart.every(({ restarted, refused }) => restarted || refused)) return [];
    const away = new Set(
      silences.filter((one) => one.from < to && (one.to ?? Infinity) > from).map(({ peer }) => peer),
    );
    const here = members.filter(
      ({ id, heardAt = -Infinity, joinedAt = -Infinity }) =>
        heardAt >= from && joinedAt <= to && !away.has(id),
    );
    const ids = [self.id, ...here.flatMap(({ id }) => (id === self.id ? [] : id))];
    return [{ from, to: to === Infinity ? undefined : to, apart, here: ids }];
  });
  return splits.toReversed();
}

/** What the records of a split's ticks tell. */
export interface SplitStory {
  /** per peer, those of this side first */
  ran: { peer: PeerId; runs: number; jobs: { job: JobId; runs: number }[] }[];
  /** runs that were started after the split, of ticks that had been due in it */
  late: number;
  /** ticks that more than one peer ran, newest first */
  duplicates: { job: JobId; tick: TickId; runs: RunRecord[] }[];
  /** ticks that were missed, or skipped for want of voters, and runs whose end nobody knows; newest first */
  gaps: { job: JobId; tick: TickId; ticks: number; record: RunRecord }[];
}

/** `records`: of the ticks that were due in the split. */
export function storyOfSplit(
  { to = Infinity, here }: Split,
  records: readonly RunRecord[],
  { storyOf, duplicatesIn }: Pick<Decisions, "storyOf" | "duplicatesIn">,
): SplitStory {
  const byPeer = new Map<PeerId, Map<JobId, number>>();
  const story: SplitStory = { ran: [], late: 0, duplicates: [], gaps: [] };
  for (const { job, peer, startedAt } of records) {
    if (startedAt === undefined) continue;
    if (startedAt > to) {
      story.late++;
      continue;
    }
    const jobs = byPeer.get(peer) ?? new Map<JobId, number>();
    byPeer.set(peer, jobs.set(job, (jobs.get(job) ?? 0) + 1));
  }
  for (const ofTick of Map.groupBy(records, ({ job, tick }) => `${job}@${tick}`).values()) {
    const [{ job, tick }] = ofTick as [RunRecord, ...RunRecord[]];
    const runs = [...duplicatesIn(ofTick)].toSorted((a, b) => (runId(a) < runId(b) ? -1 : 1));
    if (runs.length > 0) story.duplicates.push({ job, tick, runs });
    const record = storyOf(ofTick);
    if (record !== undefined && isGap(record)) {
      story.gaps.push({ job, tick, ticks: record.range?.count ?? 1, record });
    }
  }
  const side = (peer: PeerId) => (here.includes(peer) ? 0 : 1);
  story.ran = [...byPeer]
    .map(([peer, jobs]) => ({
      peer,
      runs: jobs.values().reduce((sum, runs) => sum + runs, 0),
      jobs: [...jobs]
        .map(([job, runs]) => ({ job, runs }))
        .toSorted((a, b) => b.runs - a.runs || (a.job < b.job ? -1 : 1)),
    }))
    .toSorted((a, b) => side(a.peer) - side(b.peer) || (a.peer < b.peer ? -1 : 1));
  return story;
}

function isGap({ state, reason }: RunRecord): boolean {
  return state === "missed" || state === "lost" || (state === "skipped" && reason === "no-quorum");
}
