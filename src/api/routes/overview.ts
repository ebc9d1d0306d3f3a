/**
 * What is asked of all jobs at once: how many are in which state, which went wrong, and which ticks come next on which peers.
 */
import { setImmediate as turn } from "node:timers/promises";
import { Type } from "typebox";
import type { NextTick } from "../../ports/control.ts";
import type { JobId } from "../../schema/ids.ts";
import { jobStates } from "../../schema/job-vocabulary.ts";
import type { RunRecord } from "../../schema/run.ts";
import { groupOfJob } from "../access/judge.ts";
import type { ScopedControl } from "../access/scoped-control.ts";
import { own } from "../access/rights.ts";
import { closed, none } from "../http/checking.ts";
import type { Api } from "../options.ts";
import type { Overview } from "../show/overview.ts";
import {
  ComingSchema,
  DependentsSchema,
  RunningSchema,
  SummarySchema,
  WrongJobSchema,
  type Coming,
} from "../show/show-overview.ts";
import { showInstant, showInstantOrNull, showRun } from "../show/show-run.ts";
import type { UsualDurations } from "../show/usual-durations.ts";

const tags = ["overview"];

/** Runs that are listed. A page shows no more. */
const runningMax = 200;
/** How far ahead ticks are listed at most. Unit: minutes. */
const minutesMax = 2_880;
/** Ticks of one job that are listed: those of a job that runs each second would hide all others. */
const ticksPerJob = 12;
/** Jobs whose ticks are looked at before other work gets a turn. */
const jobsAtOnce = 100;
const comingMax = 1_000;
const dependentsMax = 1_000;
/** How far back failures are listed, and of how many jobs. */
const wrongHoursMax = 168;
const wrongMax = 500;
/** Jobs named of which not all ticks are listed. */
const oftenNamed = 5;
/** Peers named for each tick: this many, or more if more run it; then all that do, and the one that would step in. */
const peersNamed = 4;
const peersNamedMax = 24;

export function overviewRoutes(app: Api, overview: Overview, usual: UsualDurations): void {
  summary(app, overview);
  running(app, usual);
  wentWrong(app);
  coming(app, overview, usual);
  dependents(app, overview);
}

function summary(app: Api, overview: Overview): void {
  app.get(
    "/v1/summary",
    {
      config: { right: own("viewer") },
      schema: {
        tags,
        summary: "How many jobs are in which state, and how the mesh is, as the answering peer sees it",
        querystring: none,
        response: { 200: SummarySchema },
      },
    },
    async (request, reply) => {
      const all = await overview.entries();
      const view = request.control.view();
      const entries = [...all.values()].filter(({ job }) => view.jobs.has(job.id));
      const states = Object.fromEntries(jobStates.map((state) => [state, 0]));
      const groups = new Map<string, number>();
      for (const { job, state } of entries) {
        states[state] = (states[state] ?? 0) + 1;
        const group = groupOfJob(job);
        groups.set(group, (groups.get(group) ?? 0) + 1);
      }
      states["invalid"] = view.quarantined.length;
      const known = view.members.filter(({ state }) => state !== "left");
      return reply.send({
        jobs: entries.length + view.quarantined.length,
        states,
        groups: [...groups]
          .map(([name, jobs]) => ({ name, jobs }))
          .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
        peers: { alive: known.filter(({ state }) => state === "alive").length, known: known.length },
        notReady: view.notReady.map(({ message }) => message),
        warnings: [...view.warnings],
      });
    },
  );
}

function running(app: Api, usual: UsualDurations): void {
  app.get(
    "/v1/running",
    {
      config: { right: own("viewer") },
      schema: {
        tags,
        summary: "Runs in progress, and claims that are due and still wait, oldest first",
        querystring: none,
        response: {
          200: Type.Object({ items: Type.Array(RunningSchema), more: Type.Boolean() }),
        },
      },
    },
    async (request, reply) => {
      const view = request.control.view();
      const now = Date.now();
      const all = view.open
        .filter((record) => record.state === "running" || (record.waiting !== undefined && record.due <= now))
        .toSorted((a, b) => beganAt(a) - beganAt(b));
      const items = await Promise.all(
        all.slice(0, runningMax).map(async (record) => {
          const usualMs = await usual.of(record.job, request.control);
          return { ...showRun(record, view, false), usualMs };
        }),
      );
      return reply.send({ items, more: all.length > runningMax });
    },
  );
}

function wentWrong(app: Api): void {
  app.get(
    "/v1/failures",
    {
      config: { right: own("viewer") },
      schema: {
        tags,
        summary: "The jobs with ticks that went wrong lately: how often, and the last of each; newest first",
        querystring: Type.Object(
          {
            hours: Type.Optional(
              Type.Integer({ minimum: 1, maximum: wrongHoursMax, description: "how far back; default 24" }),
            ),
            limit: Type.Optional(Type.Integer({ minimum: 1, maximum: wrongMax, description: "default 50" })),
          },
          closed,
        ),
        response: { 200: Type.Object({ items: Type.Array(WrongJobSchema), total: Type.Integer() }) },
      },
    },
    async ({ control, query: { hours = 24, limit = 50 } }, reply) => {
      const { jobs, total } = await control.wentWrong({ from: Date.now() - hours * 3_600_000, limit });
      const view = control.view();
      const items = await Promise.all(
        jobs.map(async ({ last, counts }) => {
          const status = await control.status(last.job);
          return { job: last.job, state: status?.state ?? null, counts, last: showRun(last, view, false) };
        }),
      );
      return reply.send({ items, total });
    },
  );
}

function beganAt({ startedAt, due }: RunRecord): number {
  return startedAt ?? due;
}

function coming(app: Api, overview: Overview, usual: UsualDurations): void {
  app.get(
    "/v1/coming",
    {
      config: { right: own("viewer") },
      schema: {
        tags,
        summary: `The next ticks of all jobs, soonest first: of each job at most ${ticksPerJob}`,
        querystring: Type.Object(
          {
            minutes: Type.Optional(
              Type.Integer({ minimum: 1, maximum: minutesMax, description: "how far ahead; default 360" }),
            ),
            limit: Type.Optional(
              Type.Integer({ minimum: 1, maximum: comingMax, description: "default 200" }),
            ),
          },
          closed,
        ),
        response: {
          200: Type.Object({
            items: Type.Array(ComingSchema),
            more: Type.Boolean({ description: "there are more ticks in that time" }),
            completeUntil: Type.String({
              format: "date-time",
              description: "up to then all ticks are listed; of later ones some or all are not",
            }),
            often: Type.Array(Type.String(), {
              description: `jobs of which later ticks are not listed because there are so many; at most ${oftenNamed}`,
            }),
          }),
        },
      },
    },
    async (request, reply) => {
      const { minutes = 360, limit = 200 } = request.query;
      const until = Date.now() + minutes * 60_000;
      const soonest = soonestFirst(await overview.nextRuns(), until).filter((id) => request.control.sees(id));
      const ticks: { job: JobId; tick: NextTick }[] = [];
      const often: { job: JobId; last: number }[] = [];
      // A tick of a job beyond the first `limit` can't be among the first `limit` ticks.
      for (const [index, job] of soonest.slice(0, limit).entries()) {
        if (index % jobsAtOnce === jobsAtOnce - 1) await turn();
        const next = nextUntil(request.control, job, until);
        for (const tick of next) if (tick.startsAt <= until) ticks.push({ job, tick });
        const last = next.length < ticksPerJob ? Infinity : Math.max(...next.map(({ startsAt }) => startsAt));
        if (last < until) often.push({ job, last });
      }
      ticks.sort((a, b) => a.tick.startsAt - b.tick.startsAt || (a.job < b.job ? -1 : 1));
      const items = await Promise.all(
        ticks.slice(0, limit).map((one) => showComing(one, usual, request.control)),
      );
      const ends = [until, ...often.map(({ last }) => last)];
      const lastListed = ticks[limit - 1];
      if (lastListed !== undefined && (ticks.length > limit || soonest.length > limit))
        ends.push(lastListed.tick.startsAt);
      const completeUntil = Math.min(...ends);
      return reply.send({
        items,
        more: completeUntil < until,
        completeUntil: showInstant(completeUntil),
        often: often.slice(0, oftenNamed).map(({ job }) => job),
      });
    },
  );
}

function dependents(app: Api, overview: Overview): void {
  app.get(
    "/v1/dependents",
    {
      config: { right: own("viewer") },
      schema: {
        tags,
        summary:
          "The jobs that only one peer can run as things are, by peer: without it, none of their ticks runs",
        querystring: Type.Object(
          {
            limit: Type.Optional(
              Type.Integer({
                minimum: 1,
                maximum: dependentsMax,
                description: "jobs of each peer; default 20",
              }),
            ),
          },
          closed,
        ),
        response: { 200: Type.Object({ items: Type.Array(DependentsSchema) }) },
      },
    },
    async ({ control, query: { limit = 20 } }, reply) => {
      const [soleRunners, nextRuns] = await Promise.all([overview.soleRunners(), overview.nextRuns()]);
      const seen = [...soleRunners].filter(([id]) => control.sees(id));
      const names = new Map(control.view().members.map(({ id, name }) => [id, name]));
      const items = [...Map.groupBy(seen, ([, peer]) => peer)].map(([peer, all]) => ({
        peer: { id: peer, name: names.get(peer) ?? peer },
        jobs: all
          .map(([id]) => ({ id, at: nextRuns.get(id) }))
          .toSorted((a, b) => (a.at ?? Infinity) - (b.at ?? Infinity) || (a.id < b.id ? -1 : 1))
          .slice(0, limit)
          .map(({ id, at }) => ({ id, nextRun: showInstantOrNull(at) })),
        total: all.length,
      }));
      return reply.send({ items });
    },
  );
}

/** The job's next ticks, with the first that starts after that; at most `ticksPerJob`. Most jobs have one or two. */
function nextUntil(control: ScopedControl, job: JobId, until: number): NextTick[] {
  const two = control.next(job, 2) ?? [];
  const hasMore = two.length === 2 && two.every(({ startsAt }) => startsAt <= until);
  return hasMore ? (control.next(job, ticksPerJob) ?? []) : two;
}

/** The jobs that have a tick until then, by their next tick. */
function soonestFirst(nextRuns: ReadonlyMap<JobId, number>, until: number): JobId[] {
  const due = [...nextRuns].filter(([, at]) => at <= until);
  return due.toSorted(([a, at], [b, before]) => at - before || (a < b ? -1 : 1)).map(([id]) => id);
}

async function showComing(
  { job, tick: { tick, startsAt, skipped, peers } }: { job: JobId; tick: NextTick },
  usual: UsualDurations,
  control: ScopedControl,
): Promise<Coming> {
  const usualMs = await usual.of(job, control);
  const { count = 1 } = control.view().jobs.get(job)?.spec.target ?? {};
  const runners = count === "all" ? peers.length : Math.min(count, peers.length);
  const named = Math.min(Math.max(peersNamed, runners + 1), peersNamedMax);
  return {
    job,
    tick,
    startsAt: showInstant(startsAt),
    ...(skipped === undefined ? {} : { skipped }),
    peers: peers.slice(0, named).map(({ id, name }) => ({ id, name })),
    runners,
    usualMs,
  };
}
