/**
 * What the rest of the program can learn about core's state: what a peer shows at this moment, which peers would run the next
 * ticks, and the few facts that the peer's own parts need. Nothing here changes the state. `now` is the caller's, because the
 * view is as of this moment and not as of the last event.
 */
import type { Now } from "../ports.ts";
import type { Keep } from "../ports/disk.ts";
import type { CoreCommand } from "./events.ts";
import { answerAtOnce, isWide } from "./operator/commands.ts";
import { ticksToBackfill } from "./operator/backfill.ts";
import { forcedIn, notReady, warningsOf } from "./operator/readiness.ts";
import type { CicadaError } from "../errors.ts";
import type {
  BackfillTicks,
  Heir,
  JobHindrance,
  NextTick,
  PendingTick,
  PoolView,
  RosterView,
  View,
} from "../ports/control.ts";
import type { ExpectedHour } from "../ports/expected.ts";
import { instantOf, type JobId, type PeerId, type TickId } from "../schema/ids.ts";
import type { Job, Quarantined } from "../schema/job.ts";
import type { RunRecord, Watermark } from "../schema/run.ts";
import type { JobsState } from "./job/jobs-state.ts";
import { parentsOf } from "./job/timetable.ts";
import { admissionOf, doubtAbout } from "./members/admission.ts";
import { soleRunner } from "./members/blocked.ts";
import { viewOfSelf } from "./members/heartbeat.ts";
import { livingMembers, viewOfMember } from "./members/members.ts";
import { silencesOf } from "./members/silences.ts";
import { expectedHours } from "./orders/forecast.ts";
import { isPlanning } from "./orders/planning.ts";
import { settledCount, unsureUntilOf, watermarkOf } from "./records/history.ts";
import { openOf, openRecords, recordsInMemory } from "./records/ledger.ts";
import { recordKey } from "./records/records.ts";
import { poolHolders } from "./claims/pool-slots.ts";
import { queueStartsAt } from "./claims/pool-queues.ts";
import { slotsPerTick } from "./claims/slots.ts";
import { jobsOfPool } from "./job/pools.ts";
import type { State } from "./state.ts";
import { shownName } from "./members/names.ts";
import { allSkipped, comingTicks, nextRun, nextRunAt } from "./orders/coming-ticks.ts";
import { unknownHere } from "./orders/hindrances.ts";
import { obstaclesToNext, noTickAt, statusNow, type StatusNow } from "./orders/job-status.ts";
import { pendingTicks } from "./orders/pending-ticks.ts";

export function viewOf(
  stateThen: Readonly<State>,
  now: Now,
  jobs: ReadonlyMap<JobId, Job>,
  quarantined: readonly Quarantined[],
  counters: Readonly<Record<string, number>>,
): View {
  const state = seenAt(stateThen, now);
  const self = viewOfSelf(state);
  return {
    self,
    members: [self, ...[...state.members.byId.values()].map((member) => viewOfMember(state, member))],
    jobs,
    quarantined,
    open: [...openRecords(state.ledger)],
    silences: silencesOf(state),
    roster: rosterOf(state),
    forgotten: [...state.operator.forgotten.values()],
    notReady: notReady(state),
    warnings: warningsOf(state),
    counters,
  };
}

/** The same state with another `now`. */
function seenAt(state: Readonly<State>, now: Now): State {
  return { ...state, now };
}

function rosterOf({ voting }: State): RosterView | undefined {
  const { chain } = voting.roster;
  const last = chain.at(-1);
  if (last === undefined) return undefined;
  const { number, voters, from } = last;
  return { epoch: number, voters, from, forced: forcedIn(chain) };
}

/** The next ticks of a job, each with the peers that would run it as of now; undefined = no such job. */
export function nextTicks(
  stateThen: Readonly<State>,
  now: Now,
  id: JobId,
  count: number,
): NextTick[] | undefined {
  const state = seenAt(stateThen, now);
  const plan = state.jobs.plans.get(id);
  return plan === undefined ? undefined : comingTicks(state, plan, count);
}

/** The instant (ms) of the job's next tick that will run as things are; undefined = there is none, or no such job. */
export function nextRunOf(stateThen: Readonly<State>, now: Now, id: JobId): number | undefined {
  const state = seenAt(stateThen, now);
  const plan = state.jobs.plans.get(id);
  return plan === undefined ? undefined : nextRunAt(state, plan);
}

/** The only peer that can run the job as things are; undefined = there are several, or none, or the job is disabled or not there. */
export function soleRunnerOf(stateThen: Readonly<State>, now: Now, id: JobId): PeerId | undefined {
  const state = seenAt(stateThen, now);
  const plan = state.jobs.plans.get(id);
  return plan?.enabled === true ? soleRunner(state, plan) : undefined;
}

/** What a job is expected to do in that many hours from then on (ms); undefined = no such job. */
export function expectedOf(
  stateThen: Readonly<State>,
  now: Now,
  id: JobId,
  from: number,
  hours: number,
  listed: number,
): ExpectedHour[] | undefined {
  const state = seenAt(stateThen, now);
  const plan = state.jobs.plans.get(id);
  return plan === undefined ? undefined : expectedHours(state, plan, from, hours, listed);
}

/** What a job is doing, what stands in its way, and its next tick; undefined = no such job. */
export function jobNow(
  stateThen: Readonly<State>,
  now: Now,
  id: JobId,
): (StatusNow & { next: NextTick | undefined }) | undefined {
  const state = seenAt(stateThen, now);
  const plan = state.jobs.plans.get(id);
  if (plan === undefined) return undefined;
  const next = nextRun(state, plan);
  const status = statusNow(state, plan);
  const skipped = next === undefined ? allSkipped(state, plan) : undefined;
  return { ...status, hindrances: [...status.hindrances, ...(skipped === undefined ? [] : [skipped])], next };
}

export function pendingOf(stateThen: Readonly<State>, now: Now, id: JobId): PendingTick[] {
  const state = seenAt(stateThen, now);
  const plan = state.jobs.plans.get(id);
  return plan === undefined ? [] : pendingTicks(state, plan);
}

/** How many slots each tick of the job has; 1 if there is no such job. */
export function slotsOfJob(state: Readonly<State>, id: JobId): number {
  const plan = state.jobs.plans.get(id);
  return plan === undefined ? 1 : slotsPerTick(state, plan);
}

/** What keeps the job's next tick from running, in sentences. */
export function obstaclesOf(stateThen: Readonly<State>, now: Now, id: JobId): string[] {
  const state = seenAt(stateThen, now);
  const plan = state.jobs.plans.get(id);
  return plan === undefined ? [] : obstaclesToNext(state, plan);
}

/** Why the instant is no tick of the job, in words; undefined when it is one. */
export function whyNoTick(
  stateThen: Readonly<State>,
  now: Now,
  id: JobId,
  instant: number,
): string | undefined {
  const state = seenAt(stateThen, now);
  const plan = state.jobs.plans.get(id);
  return plan === undefined ? undefined : noTickAt(state, plan, instant);
}

/** Who holds a pool's slots and who waits for one, as far as this peer knows; first come first. */
export function poolNow(stateThen: Readonly<State>, now: Now, pool: string): PoolView {
  const state = seenAt(stateThen, now);
  const all = [...poolHolders(state, pool)].toSorted(
    (a, b) => queueStartsAt(a.record) - queueStartsAt(b.record),
  );
  const { wall } = state.now;
  return {
    jobs: [...jobsOfPool(state.jobs, pool)].toSorted(),
    holders: all.flatMap((one) => (one.isRunning ? one.record : [])),
    waiting: all.flatMap(({ record, ...one }) => (one.isRunning || record.due > wall ? [] : record)),
  };
}

/** Every enabled job that no living peer can run now. */
export function blockedJobs(stateThen: Readonly<State>, now: Now): { id: JobId; hindrance: JobHindrance }[] {
  const state = seenAt(stateThen, now);
  return [...state.jobs.plans.values()].flatMap((plan) => {
    const { state: how, hindrances } = statusNow(state, plan);
    const [hindrance] = hindrances;
    return how !== "blocked" || hindrance === undefined ? [] : [{ id: plan.id, hindrance }];
  });
}

/** Every job that this peer leaves to others because a later version has written it. */
export function jobsUnknownHere(
  stateThen: Readonly<State>,
  now: Now,
): { id: JobId; hindrance: JobHindrance }[] {
  const state = seenAt(stateThen, now);
  return [...state.jobs.plans.values()].flatMap((plan) =>
    unknownHere(state, plan).map((hindrance) => ({ id: plan.id, hindrance })),
  );
}

/** All other known members, whatever their state. */
export function knownMembers(state: Readonly<State>): { id: PeerId; name: string; linked: boolean }[] {
  return [...state.members.byId.values()].map(({ id, linked }) => ({
    id,
    name: shownName(state, id),
    linked,
  }));
}

/** What people call the peer. */
export function nameOfPeer(state: Readonly<State>, peer: PeerId): string {
  return peer === state.settings.self ? state.settings.name : shownName(state, peer);
}

/** All other members, which would get a new cluster key. */
export function heirsOf(stateThen: Readonly<State>, now: Now): Heir[] {
  const state = seenAt(stateThen, now);
  return [...state.members.byId.values()].map((member) => ({
    id: member.id,
    name: shownName(state, member.id),
    state: member.state,
    ...admissionOf(state, member.id),
    doubt: doubtAbout(state, member.id),
  }));
}

/** How a peer is named to people. */
export function nameOf(state: Readonly<State>, peer: PeerId): string {
  return shownName(state, peer);
}

/** Whether the command will change more than this peer's disk, so that no transaction of it can hold what it changes. */
export function changesOthers(stateThen: Readonly<State>, now: Now, command: CoreCommand): boolean {
  return isWide(command) && answerAtOnce(seenAt(stateThen, now), command) === undefined;
}

/** All other living members. */
export function livingOthers(state: Readonly<State>): PeerId[] {
  return livingMembers(state).filter((peer) => peer !== state.settings.self);
}

/** Whether this peer may plan: it has warmed up, its clock isn't doubted, and the mesh counts on it. */
export function mayPlan(state: Readonly<State>): boolean {
  return state.alive && isPlanning(state);
}

/** Whether this peer has warmed up: its table is what the mesh agrees on. */
export function hasWarmedUp({ alive, upkeep }: Readonly<State>): boolean {
  return alive && upkeep.warmUp === undefined;
}

/**
 * The oldest tick (ms) of the job that has an open record in this peer's memory or is to be repeated, or of which a job that
 * runs after it still has to decide; of such a job, the oldest that its parents have not decided. Infinity = none.
 */
export function openSince(state: Readonly<State>, job: JobId): number {
  const { jobs, ledger } = state;
  let since = Infinity;
  const note = (tick: TickId) => (since = Math.min(since, instantOf(tick)));
  for (const one of [job, ...ancestorsOf(jobs, job)]) {
    for (const { tick } of openOf(ledger, one)) note(tick);
    for (const tick of state.book.chains.get(one)?.keys() ?? []) note(tick);
    for (const tick of state.book.slotted.get(one)?.keys() ?? []) note(tick);
    for (const { tick } of state.book.retries.get(one) ?? []) note(tick);
  }
  for (const child of jobs.children.get(job) ?? []) {
    for (const tick of state.book.chains.get(child)?.keys() ?? []) note(tick);
    for (const { from } of state.book.chainRanges.get(child) ?? []) since = Math.min(since, from);
  }
  return since;
}

/** Jobs of which something isn't over, as far as this peer knows. */
export function jobsInProgress({ book, ledger }: Readonly<State>): ReadonlySet<JobId> {
  return new Set([...ledger.openByJob.keys(), ...book.byJob.keys(), ...book.chains.keys()]);
}

/** Whether something that began before the instant (ms) isn't over, as far as this peer knows. */
export function isOpenBefore({ book, ledger }: Readonly<State>, job: JobId, before: number): boolean {
  for (const { tick } of openOf(ledger, job)) if (instantOf(tick) < before) return true;
  for (const { instant } of book.byJob.get(job) ?? []) if (instant < before) return true;
  for (const tick of book.chains.get(job)?.keys() ?? []) if (instantOf(tick) < before) return true;
  return false;
}

/** The jobs after which the job runs, and those after which these run. */
function ancestorsOf(jobs: JobsState, job: JobId): ReadonlySet<JobId> {
  const found = new Set(parentsOf(jobs, job));
  for (const one of found) for (const parent of parentsOf(jobs, one)) found.add(parent);
  return found;
}

/** Whether the record's run is open in this peer's memory. */
export function isOpen(state: Readonly<State>, record: RunRecord): boolean {
  return state.ledger.open.has(recordKey(record));
}

/** How much of a job's history is kept, and for how long catch-up needs its records; undefined = no such job. */
export function retentionOf({ jobs }: Pick<State, "jobs">, id: JobId): Keep | undefined {
  const plan = jobs.plans.get(id);
  if (plan === undefined) return undefined;
  const { runs, ageMs } = plan.keep;
  return { runs, ageMs, windowMs: windowWithParentsMs(jobs, id) };
}

/**
 * How long after its instant (ms) a tick of the job may still be caught up. The window of a job that runs after others begins
 * when the last of them has ended, and they are caught up within windows of their own. Without recursion, because a chain may be
 * long.
 */
function windowWithParentsMs(jobs: JobsState, id: JobId): number {
  const windows = new Map<JobId, number>();
  const visits = [id];
  for (let job = visits.at(-1); job !== undefined; job = visits.at(-1)) {
    const parents = parentsOf(jobs, job);
    if (!windows.has(job)) {
      // Jobs that run after each other are quarantined: such a job adds nothing to itself.
      windows.set(job, 0);
      const unvisited = parents.filter((parent) => !windows.has(parent));
      visits.push(...unvisited);
      if (unvisited.length > 0) continue;
    }
    visits.pop();
    const longest = Math.max(0, ...parents.map((parent) => windows.get(parent) ?? 0));
    const plan = jobs.plans.get(job);
    windows.set(job, longest + (plan === undefined ? 0 : plan.catchUp.windowMs + plan.target.offlineMs));
  }
  return windows.get(id) ?? 0;
}

/**
 * Whether a peer that is being stopped has something to end: runs, or a claim or a proposal under way. If the voters choose it
 * after it has left, nobody can tell that it didn't start the run, and the tick is lost.
 */
export function isBusy({ book }: Readonly<State>): boolean {
  if (book.runs.size > 0) return true;
  for (const { local } of book.orders.values())
    if (local.stage === "electing" || local.stage === "claiming") return true;
  return false;
}

/** Past ticks of a job, of which a person may want some to run. */
export function backfillOf(
  stateThen: Readonly<State>,
  now: Now,
  id: JobId,
  from: number,
  to: number,
): BackfillTicks | CicadaError {
  return ticksToBackfill({ ...stateThen, now }, id, from, to);
}

/** How far the furthest watermark lags behind now, ms: watermarks move up every minute while records can be stored. */
export function watermarkLagMs(state: Readonly<State>, now: Now): number {
  let lagMs = 0;
  for (const { at } of watermarksOf(state)) lagMs = Math.max(lagMs, now.wall - at);
  return lagMs;
}

/** The watermarks of all jobs, except those whose ticks this peer can't compute or must look up on the disk first. */
export function watermarksOf(state: Readonly<State>): Watermark[] {
  const { history } = state.ledger;
  const known = [...state.jobs.plans.values()].flatMap(({ id, knowsTicks }) =>
    knowsTicks ? (watermarkOf(history, id) ?? []) : [],
  );
  return known.filter(({ at, job }) => at <= state.now.wall && unsureUntilOf(history, job) === -Infinity);
}

/** How many things of each kind a peer holds in memory. All numbers must level off while a peer runs (DESIGN §13, I13). */
export function sizesOf(state: Readonly<State>): Record<string, number> {
  return {
    orders: state.book.orders.size,
    reconcileQueue: state.book.reconcileQueue.size,
    timetable: state.jobs.nextTicks.size,
    claims: state.book.claims.size + state.book.capacityQueue.size,
    asks: state.book.asks.size,
    foreignInquiries: state.book.foreignInquiries.size,
    elections: state.voting.proposer.elections.size,
    pending: state.pending.size,
    runs: state.book.runs.size,
    members: state.members.byId.size,
    silences: state.members.silences.length,
    recordsInMemory: recordsInMemory(state.ledger),
    chainTicks: state.book.chainTicks,
    settled: settledCount(state.ledger.history),
    votes: state.voting.voter.votes.size,
    epochs: state.voting.roster.chain.length,
  };
}
