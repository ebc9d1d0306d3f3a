/**
 * `Control`, through which the API asks this peer. Only this file and those that it uses, outcomes.ts and read-together.ts, have
 * promises: the simulator never calls them.
 */
import { describeTick } from "../core/records/why.ts";
import { CicadaError } from "../errors.ts";
import type { Clock } from "../ports.ts";
import type { Disk, Horizon, JobSince, RunPage, RunQuery, WrongJobs, WrongQuery } from "../ports/disk.ts";
import { planBackfill } from "./history/backfill-plan.ts";
import type { BackfillPlan, Control, Explanation, JobStatus, TickStory, View } from "../ports/control.ts";
import { instantOf, slotOfPeer, type JobId, type TickId } from "../schema/ids.ts";
import type { Job } from "../schema/job.ts";
import type { JobRevision } from "../schema/revision.ts";
import { rangeSlot, type RunRecord } from "../schema/run.ts";
import { isWrong, wrongStates } from "../schema/run-states.ts";
import { Outcomes } from "./history/outcomes.ts";
import type { Peer } from "./peer.ts";
import { ReadTogether } from "./history/read-together.ts";

/** Records fetched for each slot of each tick of a page: enough for its claim, its run and two takeovers. */
const recordsPerTick = 4;
/** Of how many of a job's last successful runs it is told how long they took. */
const durationsRead = 60;
/**
 * How long after jobs have first named a user, an interpreter or a script the other hosts have said that they lack it, and how
 * often a write that waits for that looks. Unit: ms.
 */
const hostsAnswerMs = 500;
const checkAgainMs = 20;

export function controlOf(peer: Peer): Control {
  const { disk } = peer.doors;
  const outcomes = new Outcomes(
    (query) => readHistory(disk, query),
    (jobs, limit) => readNewest(disk, jobs, limit),
    ({ job, tick }) => peer.status.isTickOver(job, tick),
  );
  peer.subscribe((event) => {
    if (event.kind === "run") outcomes.take(event.record);
    if (event.kind === "job" && event.change === "deleted") outcomes.forget(event.id);
  });
  const durations = new ReadTogether<JobSince, number[]>((jobs) => readDurations(disk, jobs));
  return {
    ask: (command, entries) =>
      new Promise((resolve) => {
        peer.command(
          command,
          (answer, isNoted) => resolve(isNoted ? { ...answer, isNoted } : answer),
          entries,
        );
      }),
    view: () => peer.status.view(),
    heirs: () => peer.status.heirs(),
    next: (id, count) => peer.status.next(id, count),
    nextRunAt: (id) => peer.status.nextRunAt(id),
    soleRunner: (id) => peer.status.soleRunner(id),
    expected: (id, from, hours, listed) => peer.status.expected(id, from, hours, listed),
    status: (id) => statusOf(peer, outcomes, id),
    watermarkLagMs: () => peer.status.watermarkLagMs(),
    pool: (name) => peer.status.pool(name),
    planBackfill: (id, from, to, force) => backfillOf(peer, id, from, to, force),
    settings: (kind) => peer.status.settings(kind),
    blocked: () => peer.status.blocked(),
    unknownHere: () => peer.status.unknownHere(),
    hostsChecked: (id) =>
      hostsChecked(peer.doors.clock, peer.parts.namedItems.since(id), () => mayHostsLackMore(peer, id)),
    why: (id, tick) => explain(peer, id, tick),
    history: (query) => readHistory(disk, query),
    durations: (of) => durations.of(of),
    wentWrong: (query) => readWrong(disk, query),
    values: (root) => peer.parts.table.values(root),
    channelHealth: (name) => peer.parts.noticeSender.healthOf(name),
    testChannel: (channel, name, by) =>
      new Promise((resolve) => peer.parts.notices.test(channel, name, by, resolve)),
    revisions: (id) => readRevisions(disk, id),
    audit: (query, cursor) =>
      new Promise((resolve, reject) => {
        peer.parts.audit.read(query, cursor, (page) =>
          page instanceof CicadaError ? reject(page) : resolve(page),
        );
      }),
    noteAudit: (entries) =>
      new Promise((resolve, reject) => {
        const writes = entries.map((entry) => ({ kind: "audit", entry }) as const);
        disk.store(writes, (error) => (error === undefined ? resolve() : reject(error)));
      }),
    ticks: (id, query) => describeTicks(peer, id, query),
    log: (run, offset, length) =>
      new Promise((resolve) => peer.parts.logs.read(run, offset, length, resolve)),
    putScript: (bytes, entriesOf) =>
      new Promise((resolve, reject) => {
        peer.parts.scripts.put(bytes, entriesOf, (stored) =>
          stored instanceof CicadaError ? reject(stored) : resolve(stored),
        );
      }),
    heldSecrets: () => peer.parts.secrets.held,
    setSecret: (change, entries) =>
      new Promise((resolve, reject) => {
        peer.parts.secrets.set(change, entries, (error) => (error === undefined ? resolve() : reject(error)));
      }),
    removeSecret: (name, by, entries) =>
      new Promise((resolve, reject) => {
        peer.parts.secrets.remove(name, by, entries, (error) =>
          error === undefined ? resolve() : reject(error),
        );
      }),
    script: (sha256) => new Promise((resolve) => peer.parts.scripts.get(sha256, resolve)),
    subscribe: (listener) => peer.subscribe(listener),
  };
}

/**
 * Resolves when the hosts have said what they lack, which `isOpen` tells, or when they have had the time to say it.
 * `since`: when they learned what they have to look up; monotonic, ms.
 */
export function hostsChecked(clock: Clock, since: number, isOpen: () => boolean): Promise<void> {
  const until = since + hostsAnswerMs;
  return new Promise((resolve) => {
    const check = (): void => {
      const { mono } = clock.now();
      if (!isOpen() || mono >= until) resolve();
      else clock.alarm(mono + checkAgainMs, check);
    };
    check();
  });
}

/** While this host alone is known to lack something, the others may be about to say the same. */
function mayHostsLackMore(peer: Peer, id: JobId): boolean {
  const { scripts, hostUsers } = peer.parts;
  return scripts.isChecking(id) || hostUsers.isChecking(id) || peer.status.isLeftToOthers(id);
}

async function statusOf(peer: Peer, outcomes: Outcomes, id: JobId): Promise<JobStatus | undefined> {
  const now = peer.status.jobNow(id);
  if (now === undefined) return undefined;
  const outcome = await outcomes.of(id, peer.status.slotsOf(id));
  const { state, hindrances, next } = now;
  const lastFailed = hasFailed(outcome.lastTick);
  const isFailing = (state === "scheduled" || state === "manual") && lastFailed;
  const keptFrom = keptFromOf(peer.parts.horizons.ownOf(id), peer.parts.table.jobs().get(id));
  return { ...outcome, state: isFailing ? "failing" : state, lastFailed, hindrances, next, keptFrom };
}

/** A horizon follows the clock whether or not anything is pruned. What is older than the job is none of its history. */
export function keptFromOf(
  horizon: Pick<Horizon, "before"> | undefined,
  job: Pick<Job, "createdAt"> | undefined,
): number | undefined {
  if (horizon === undefined || horizon.before <= (job?.createdAt ?? 0)) return undefined;
  return horizon.before;
}

function hasFailed(tick: RunRecord | undefined): boolean {
  if (tick === undefined) return false;
  return isWrong(tick.state) || (tick.state === "skipped" && tick.reason === "no-quorum");
}

function readHistory(disk: Disk, query: RunQuery): Promise<RunPage> {
  return new Promise((resolve, reject) => {
    disk.history(query, (page) => (page instanceof CicadaError ? reject(page) : resolve(page)));
  });
}

function readNewest(disk: Disk, jobs: readonly JobId[], limit: number): Promise<RunRecord[][]> {
  return new Promise((resolve, reject) => {
    disk.newest(jobs, limit, (found) => (found instanceof CicadaError ? reject(found) : resolve(found)));
  });
}

function readDurations(disk: Disk, jobs: readonly JobSince[]): Promise<number[][]> {
  return new Promise((resolve, reject) => {
    disk.durations(jobs, durationsRead, (found) =>
      found instanceof CicadaError ? reject(found) : resolve(found),
    );
  });
}

function readWrong(disk: Disk, query: WrongQuery): Promise<WrongJobs> {
  return new Promise((resolve, reject) => {
    disk.wentWrong(query, (found) => (found instanceof CicadaError ? reject(found) : resolve(found)));
  });
}

function readRevisions(disk: Disk, id: JobId): Promise<JobRevision[]> {
  return new Promise((resolve, reject) => {
    disk.revisions(id, (found) => (found instanceof CicadaError ? reject(found) : resolve(found)));
  });
}

async function backfillOf(
  peer: Peer,
  id: JobId,
  from: number,
  to: number,
  force: boolean,
): Promise<BackfillPlan> {
  const found = peer.status.backfill(id, from, to);
  if (found instanceof CicadaError) throw found;
  const records: RunRecord[] = [];
  // The run of a backfill has its place in history where the person asked for it, and so after the tick that it makes up for.
  for (let after: string | undefined; ;) {
    const query = { job: id, from, limit: recordsPerPage, ...(after === undefined ? {} : { after }) };
    const page = await readHistory(peer.doors.disk, query);
    records.push(...page.records);
    if (page.next === null) break;
    after = page.next;
  }
  // What was pruned while this was read counts, too.
  const again = peer.status.backfill(id, from, to);
  if (again instanceof CicadaError) throw again;
  return planBackfill(again, records, peer.parts.horizons.ownOf(id)?.starts ?? [], force);
}

const recordsPerPage = 1_000;

type TickQuery = Parameters<Control["ticks"]>[1];

/** Stories of ticks, newest first, including ticks that are due and undecided. */
async function describeTicks(
  peer: Peer,
  id: JobId,
  query: TickQuery,
): Promise<{ stories: TickStory[]; next: string | null } | undefined> {
  const { from, limit, after } = query;
  const to = after === undefined ? query.to : Math.min(query.to ?? Infinity, Number(after));
  const page = await readHistory(peer.doors.disk, {
    job: id,
    limit: limit * recordsPerTick * peer.status.slotsOf(id),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  });
  const byTick = new Map(Map.groupBy(page.records, ({ tick }) => tick));
  if (byTick.size === 0 && !peer.status.view().jobs.has(id)) return undefined;
  const known = [...byTick.keys()];
  // If there are more records, some of the last tick's may be missing here; the next page begins with that tick.
  if (page.next !== null && known.length > 1) known.pop();
  const pending = new Map(peer.status.pending(id).map((one) => [one.tick, one]));
  const oldest = known.at(-1);
  for (const { tick, due } of pending.values()) {
    const isOnPage = due >= (from ?? -Infinity) && due < (to ?? Infinity);
    const isBefore = page.next !== null && oldest !== undefined && instantOf(tick) < instantOf(oldest);
    if (isOnPage && !isBefore && !byTick.has(tick)) known.push(tick);
  }
  const newestFirst = known.toSorted((a, b) => instantOf(b) - instantOf(a));
  const shown = newestFirst.slice(0, limit);
  const last = shown.at(-1);
  const more = page.next !== null || shown.length < newestFirst.length;
  const nameOf = nameIn(peer.status.view());
  return {
    stories: shown.map((tick) => describeTick(tick, byTick.get(tick) ?? [], nameOf, pending.get(tick))),
    next: more && last !== undefined ? String(instantOf(last)) : null,
  };
}

/** How many of the newest records are searched for the last tick that went wrong. */
const recordsSearched = 20;
const notDoneStates = [...wrongStates, "skipped", "cancelled"] as const;

async function explain(peer: Peer, id: JobId, tick: TickId | undefined): Promise<Explanation | undefined> {
  const job = peer.status.view().jobs.get(id);
  const obstacles = peer.status.obstaclesOf(id);
  if (tick !== undefined) {
    const story = await storyOfTick(peer, id, tick);
    if (story !== undefined) return { story, obstacles };
    const noTick = peer.status.whyNoTick(id, instantOf(tick));
    if (job === undefined) return undefined;
    if (noTick !== undefined) return { story: undefined, noTick, obstacles };
    return { story: describeTick(tick, [], nameIn(peer.status.view())), obstacles };
  }
  const { records } = await readHistory(peer.doors.disk, {
    job: id,
    states: notDoneStates,
    limit: recordsSearched,
  });
  for (const wrong of new Set(records.map((record) => record.tick))) {
    const story = await storyOfTick(peer, id, wrong);
    if (story !== undefined && story.state !== "succeeded") return { story, obstacles };
  }
  return job === undefined && records.length === 0 ? undefined : { story: undefined, obstacles };
}

/** Undefined when the tick has no record and isn't pending. */
async function storyOfTick(peer: Peer, id: JobId, tick: TickId): Promise<TickStory | undefined> {
  const { records } = await readHistory(peer.doors.disk, { job: id, tick, limit: recordsOfTick });
  const pending = peer.status.pending(id).find((one) => one.tick === tick);
  if (records.length === 0 && pending === undefined) records.push(...(await rangeAround(peer, id, tick)));
  if (records.length === 0 && pending === undefined) return undefined;
  return describeTick(tick, records, nameIn(peer.status.view()), pending);
}

/** The record of the gap in which the tick lay, if there was one. */
async function rangeAround(peer: Peer, id: JobId, tick: TickId): Promise<RunRecord[]> {
  const instant = instantOf(tick);
  const ranges = await readHistory(peer.doors.disk, {
    job: id,
    slot: rangeSlot,
    from: instant,
    limit: recordsOfTick,
  });
  const around = ranges.records.find(({ range }) => range !== undefined && range.from <= instant);
  return around === undefined ? [] : [around];
}

/** How many records of one tick are read: enough for 100 slots with several attempts each. */
const recordsOfTick = 1_000;

/** Of a peer by its id, or by its slot in a tick that runs on all peers. */
function nameIn(view: View): (peer: string) => string {
  const names = new Map<string, string>(
    view.members.flatMap(({ id, name }) => [[id, name] as const, [slotOfPeer(id), name] as const]),
  );
  return (peer) => names.get(peer) ?? peer.slice(-8);
}
