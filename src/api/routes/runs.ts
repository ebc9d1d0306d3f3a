/**
 * Runs of all jobs: list, read, cancel. A run is named by its id, by `JOB@TICK` for the run that counts for the tick, by `JOB`
 * for the job's last run, or by `JOB~failed` for its last failed one.
 */
import { Type } from "typebox";
import { CicadaError } from "../../errors.ts";
import type { RunQuery } from "../../ports/disk.ts";
import type { Control, View } from "../../ports/control.ts";
import { describeAmbiguous } from "../../schema/find-peer.ts";
import {
  jobIdPattern,
  parseRunReference,
  runId,
  slotOfPeer,
  type JobId,
  type PeerId,
} from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { runStates, type RunState } from "../../schema/run-states.ts";
import { JobParams } from "../show/show-job.ts";
import { groupOfJob } from "../access/judge.ts";
import { own } from "../access/rights.ts";
import { ask, noJob } from "../http/answers.ts";
import { readInstant, closed, none } from "../http/checking.ts";
import type { Api, Decisions, RouteOptions } from "../options.ts";
import { defaultLimit, ListOf, PageQuery, readCursor } from "../http/paging.ts";
import type { SharedLists } from "../http/shared-lists.ts";
import { refusal } from "../http/problems.ts";
import { findShownPeer } from "../show/show-peer.ts";
import { recordsOfTick, RunSchema, showRuns } from "../show/show-run.ts";
import { InstantQuery } from "./ticks.ts";

export const RunParams = Type.Object({ run: Type.String({ maxLength: 512 }) });
const tags = ["runs"];

const RunFilter = {
  ...PageQuery,
  state: Type.Optional(
    Type.Union([Type.String({ maxLength: 256 }), Type.Array(Type.String({ maxLength: 64 }))], {
      description: `one or several, separated by commas: ${runStates.join(", ")}`,
    }),
  ),
  peer: Type.Optional(
    Type.String({
      maxLength: 128,
      description: "a peer's id, its name, or a part of either that fits no other peer",
    }),
  ),
  from: InstantQuery,
  to: InstantQuery,
};

export function runRoutes(app: Api, options: RouteOptions, lists: SharedLists): void {
  listRuns(app, options, lists);
  listRunsOfJob(app, options, lists);
  readRun(app, options);
  cancelRun(app, options);
}

function listRuns(app: Api, { decisions }: RouteOptions, lists: SharedLists): void {
  app.get(
    "/v1/runs",
    {
      config: { right: own("viewer") },
      schema: {
        tags,
        summary: "List runs and decisions, newest tick first; X-Total-Count counts up to 100,000",
        querystring: Type.Object(
          {
            ...RunFilter,
            job: Type.Optional(Type.String({ maxLength: 512 })),
            group: Type.Optional(
              Type.String({ maxLength: 64, description: "of the jobs that are in this group now" }),
            ),
          },
          closed,
        ),
        response: { 200: ListOf(RunSchema) },
      },
    },
    (request, reply) =>
      lists.answer(request, reply, "runs", async () => {
        const { control, query } = request;
        const view = control.view();
        const found = await control.history({ ...readFilter(query, view), beside: true });
        return { ...found, items: showRuns(found.records, found.beside, view, decisions) };
      }),
  );
}

function listRunsOfJob(app: Api, { decisions }: RouteOptions, lists: SharedLists): void {
  app.get(
    "/v1/jobs/:id/runs",
    {
      config: { right: own("viewer") },
      schema: {
        tags,
        summary: "List a job's runs and decisions, newest tick first; X-Total-Count counts up to 100,000",
        params: JobParams,
        querystring: Type.Object(RunFilter, closed),
        response: { 200: ListOf(RunSchema) },
      },
    },
    (request, reply) =>
      lists.answer(request, reply, "runs", async () => {
        const { control, query } = request;
        const { id } = request.params;
        const view = control.view();
        const found = await control.history({ ...readFilter({ ...query, job: id }, view), beside: true });
        const known = view.jobs.has(id) || view.quarantined.some((one) => one.id === id);
        if (found.total === 0 && !known) throw noJob(id);
        return { ...found, items: showRuns(found.records, found.beside, view, decisions) };
      }),
  );
}

function readRun(app: Api, { decisions }: RouteOptions): void {
  app.get(
    "/v1/runs/:run",
    {
      config: { right: own("viewer") },
      schema: {
        tags,
        summary: "Read a run",
        params: RunParams,
        querystring: none,
        response: { 200: RunSchema },
      },
    },
    async (request, reply) => {
      const record = await findRun(request.params.run, request.control, decisions);
      const { job, tick } = record;
      const { records } = await request.control.history({ job, tick, limit: recordsOfTick });
      const beside = records.filter((one) => runId(one) !== runId(record));
      const [run] = showRuns([record], beside, request.control.view(), decisions);
      if (run === undefined) throw new Error("a run was found and not shown");
      return reply.send(run);
    },
  );
}

function cancelRun(app: Api, { decisions }: RouteOptions): void {
  app.post(
    "/v1/runs/:run/cancel",
    {
      config: { right: own("operator") },
      schema: {
        tags,
        summary:
          "End a run on whichever peer it is; 202: its peer has confirmed, though the run may not have ended yet; 504: its peer has not confirmed",
        params: RunParams,
        querystring: none,
        body: Type.Object({ reason: Type.Optional(Type.String({ maxLength: 256 })) }, closed),
        response: { 202: Type.Object({ run: Type.String() }) },
      },
    },
    async (request, reply) => {
      const given = request.params.run;
      const latest = parseLatest(given);
      if (latest === undefined && parseRunReference(given) === undefined)
        throw await noRun(given, request.control);
      const run = latest === undefined ? given : runId(await findRun(given, request.control, decisions));
      const { reason = "" } = request.body;
      await ask(request, request.control, { kind: "cancel-run", run, reason, by: request.actor });
      return reply.code(202).send({ run });
    },
  );
}

const formsOfRuns =
  "a run is named JOB@TICK~ATTEMPT@PEER, JOB@TICK, JOB (its last run) or JOB~failed (its last failed one)";

/** Says whether the job has not run yet, or its older runs were removed. */
async function noRun(run: string, control: Control): Promise<CicadaError> {
  const latest = parseLatest(run);
  const job = latest?.job ?? parseRunReference(run)?.job;
  const status = job === undefined ? undefined : await control.status(job);
  const keptFrom = status?.keptFrom === undefined ? undefined : new Date(status.keptFrom).toISOString();
  const describe = (): string => {
    if (job === undefined) return `there is no run "${run}": ${formsOfRuns}`;
    if (status !== undefined && latest?.started === true) {
      return keptFrom === undefined
        ? `the job "${job}" has not run yet`
        : `the job "${job}" has no run since ${keptFrom}, and what was before is removed`;
    }
    if (status !== undefined && latest !== undefined) {
      return `no run of the job "${job}" has failed${keptFrom === undefined ? "" : ` since ${keptFrom}, and what was before is removed`}`;
    }
    return `there is no run "${run}"${keptFrom === undefined ? "" : `; runs of the job before ${keptFrom} are removed`}`;
  };
  return new CicadaError("RUN_NOT_FOUND", describe());
}

const failedStates: readonly RunState[] = ["failed", "timeout", "lost"];
const latestReference = /^([^@#~]+)(~failed)?$/;
const jobId = new RegExp(jobIdPattern);

/**
 * Reads `JOB` and `JOB~failed`; undefined for any other text. The last run is the last that has started anything, a precheck
 * included, however it ended.
 */
function parseLatest(text: string): Pick<RunQuery, "job" | "states" | "started"> | undefined {
  const [, job = "", failed] = latestReference.exec(text) ?? [];
  if (!jobId.test(job)) return undefined;
  return { job: job as JobId, ...(failed === undefined ? { started: true } : { states: [...failedStates] }) };
}

/** The record of a run id; for a reference that fits several, the one that counts for their tick. */
export async function findRun(run: string, control: Control, decisions: Decisions): Promise<RunRecord> {
  const latest = parseLatest(run);
  const found =
    latest === undefined
      ? await findNamed(run, control, decisions)
      : await findLatest(latest, control, decisions);
  if (found === undefined) throw await noRun(run, control);
  return found;
}

async function findNamed(
  run: string,
  control: Control,
  decisions: Decisions,
): Promise<RunRecord | undefined> {
  const reference = parseRunReference(run);
  if (reference === undefined) return undefined;
  const { job, tick, attempt, peerEnd, slot } = reference;
  const { records } = await control.history({ job, tick, limit: recordsOfTick });
  const fitting = records.filter(
    (record) =>
      (attempt === undefined || record.attempt === attempt) &&
      (peerEnd === undefined || (slotOfPeer(record.peer) === peerEnd && record.slot === (slot ?? "0"))),
  );
  return decisions.storyOf(fitting);
}

async function findLatest(
  latest: Omit<RunQuery, "limit">,
  control: Control,
  decisions: Decisions,
): Promise<RunRecord | undefined> {
  const newest = await control.history({ ...latest, limit: 1 });
  const tick = newest.records[0]?.tick;
  if (tick === undefined) return undefined;
  const ofTick = await control.history({ ...latest, tick, limit: recordsOfTick });
  return decisions.storyOf(ofTick.records);
}

interface Filter {
  limit?: number;
  cursor?: string;
  job?: string;
  group?: string;
  state?: string | string[];
  peer?: string;
  from?: string;
  to?: string;
}

function readFilter(filter: Filter, view: View): RunQuery {
  const after = readCursor("runs", filter.cursor);
  const states = readStates(filter.state);
  const from = readInstant(filter.from, "/from");
  const to = readInstant(filter.to, "/to");
  return {
    limit: filter.limit ?? defaultLimit,
    // The text is looked up unchanged; one that isn't an id finds nothing.
    ...(filter.job === undefined ? {} : { job: filter.job as JobId }),
    ...(filter.group === undefined ? {} : { jobs: jobsIn(filter.group, view) }),
    ...(filter.peer === undefined ? {} : { peer: readPeer(filter.peer, view) }),
    ...(states === undefined ? {} : { states }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(after === undefined ? {} : { after }),
  };
}

function jobsIn(group: string, { jobs }: View): JobId[] {
  return [...jobs.values()].filter((job) => groupOfJob(job) === group).map(({ spec }) => spec.id);
}

function readStates(given: string | string[] | undefined): RunState[] | undefined {
  if (given === undefined) return undefined;
  const names = [given].flat().flatMap((text) => text.split(","));
  return names.map((name) => {
    const state = runStates.find((known) => known === name);
    if (state !== undefined) return state;
    const message = `"${name}" is not a state of a run; the states are ${runStates.join(", ")}`;
    throw refusal("UNPROCESSABLE", [{ pointer: "/state", message }]);
  });
}

/** Runs of a peer that no member remembers can still be found by its whole id. */
function readPeer(given: string, view: View): PeerId {
  const found = findShownPeer(view, given);
  if (found.kind === "none" && /^(12D3KooW|16Uiu2|Qm)/.test(given)) return given as PeerId;
  if (found.kind === "none") throw new CicadaError("PEER_NOT_FOUND", `there is no peer "${given}"`);
  if (found.kind === "one") return found.peer.id;
  throw refusal("UNPROCESSABLE", [{ pointer: "/peer", message: describeAmbiguous(given, found.candidates) }]);
}
