/**
 * Actions on a job: run it now, pause it, resume it.
 */
import { Type } from "typebox";
import { JobSpecSchema } from "../../schema/job.ts";
import type { ParamValue, ParamValues } from "../../schema/run.ts";
import { pointerTo } from "../../schema/pointer.ts";
import { own } from "../access/rights.ts";
import { ask, askFor, jobNamed } from "../http/answers.ts";
import { keyOfRun, markRepeated } from "../http/idempotency.ts";
import { closed, InstantText, none, readInstant } from "../http/checking.ts";
import type { Api } from "../options.ts";
import { refusal } from "../http/problems.ts";
import { JobParams, JobSchema } from "../show/show-job.ts";
import { answerJob, warningOf } from "../show/warnings.ts";

const tags = ["jobs"];

/** Largest request. Unit: bytes. It has to fit into one gossip message of at most 256 KiB. */
const runBodyCapBytes = 65_536;

const variableName = "^[A-Za-z_][A-Za-z0-9_]*$";
/** The names are given a second time, because the description of the API has no patterns of names otherwise. */
export const Environment = Type.Record(
  Type.String({ pattern: variableName }),
  Type.String({ maxLength: 32_768 }),
  {
    ...closed,
    propertyNames: { pattern: variableName },
    description: "added to the job's environment for this run",
  },
);

export const RunTarget = Type.Object(
  { peers: JobSpecSchema.properties.target.properties.peers },
  { ...closed, description: "these peers instead of the job's target" },
);

export function jobActionRoutes(app: Api): void {
  runJob(app);
  pauseJob(app);
  resumeJob(app);
}

function runJob(app: Api): void {
  app.post(
    "/v1/jobs/:id/run",
    {
      bodyLimit: runBodyCapBytes,
      config: { right: own("operator"), repeatable: true },
      schema: {
        tags,
        summary: "Run a job now, once",
        params: JobParams,
        querystring: none,
        body: Type.Object(
          {
            params: Type.Optional(
              Type.Record(Type.String(), Type.Unknown(), { description: "values of the job's parameters" }),
            ),
            env: Type.Optional(Environment),
            force: Type.Optional(Type.Boolean({ description: "even if it is paused or disabled" })),
            target: Type.Optional(RunTarget),
          },
          closed,
        ),
        response: {
          202: Type.Object({
            job: Type.String(),
            tick: Type.String(),
            warnings: Type.Optional(
              Type.Array(Type.String(), { description: "what keeps it from running now" }),
            ),
          }),
        },
      },
    },
    async (request, reply) => {
      const { env, force, params, target } = request.body;
      const { job, tick, hindrances, repeated } = await askFor("ordered", request, request.control, {
        kind: "run-job",
        id: request.params.id,
        ...(params === undefined ? {} : { params: readParams(params) }),
        ...(env === undefined ? {} : { env }),
        ...(force === undefined ? {} : { force }),
        ...(target?.peers === undefined ? {} : { peers: target.peers }),
        ...keyOfRun(request),
        by: request.actor,
      });
      if (repeated === true) markRepeated(reply);
      const warnings = hindrances.map(warningOf);
      return reply.code(202).send({ job, tick, ...(warnings.length === 0 ? {} : { warnings }) });
    },
  );
}

/** Each value is a text, a number, true or false. The job says which one fits. */
export function readParams(params: Readonly<Record<string, unknown>>): ParamValues {
  const wrong = Object.entries(params).filter(([, value]) => !isParamValue(value));
  if (wrong.length > 0) {
    throw refusal(
      "UNPROCESSABLE",
      wrong.map(([name]) => ({
        pointer: pointerTo("params", name),
        message: "a value is a text, a number, true or false",
      })),
    );
  }
  return params as ParamValues;
}

function isParamValue(value: unknown): value is ParamValue {
  return ["string", "number", "boolean"].includes(typeof value);
}

function pauseJob(app: Api): void {
  app.post(
    "/v1/jobs/:id/pause",
    {
      config: { right: own("operator"), repeatable: true },
      schema: {
        tags,
        summary: "Pause a job, for a while or until it is resumed",
        params: JobParams,
        querystring: none,
        body: Type.Object(
          {
            note: Type.Optional(Type.String({ maxLength: 1_024 })),
            until: Type.Optional(InstantText()),
          },
          closed,
        ),
        response: { 200: JobSchema },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { note, until: untilText } = request.body;
      const until = readInstant(untilText, "/until");
      if (until !== undefined && until <= Date.now()) {
        throw refusal("UNPROCESSABLE", [{ pointer: "/until", message: "is in the past" }]);
      }
      await ask(request, request.control, {
        kind: "pause-job",
        id,
        ...(note === undefined ? {} : { note }),
        ...(until === undefined ? {} : { until }),
        by: request.actor,
      });
      return answerJob(reply, request.control, jobNamed(request.control, id));
    },
  );
}

function resumeJob(app: Api): void {
  app.post(
    "/v1/jobs/:id/resume",
    {
      config: { right: own("operator"), repeatable: true },
      schema: {
        tags,
        summary: "Let a paused job run again; ticks during the pause are not caught up",
        params: JobParams,
        querystring: none,
        body: none,
        response: { 200: JobSchema },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      await ask(request, request.control, { kind: "resume-job", id, by: request.actor });
      return answerJob(reply, request.control, jobNamed(request.control, id));
    },
  );
}
