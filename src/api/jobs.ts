/**
 * The job table: list, create, read, replace, change, delete; pause, resume, run now.
 *
 * A 2xx to a change means that it is durable on this peer; it reaches the others within moments. `If-Match` is
 * checked against this peer's replica: on two sides of a split two edits may both succeed, and are merged later.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { Type } from "typebox";
import { CicadaError } from "../errors.ts";
import type { Answer, Control } from "../ports.ts";
import type { JobId } from "../schema/ids.ts";
import { JobSpecSchema, readOnlyFields, type Job, type JobSpec } from "../schema/job.ts";
import { noCheck, readInstant } from "./checking.ts";
import { filterJobs } from "./job-list.ts";
import type { Api, ApiOptions } from "./options.ts";
import { ListOf, page, PageQuery, readCursor } from "./paging.ts";
import { refusal } from "./problems.ts";
import { JobSchema, jobStates, runningJobs, showJob, showQuarantined } from "./show-job.ts";

/** Any text may be looked up; only checkJob decides what an id may be. */
const AnyJobId = Type.Unsafe<JobId>(Type.String({ maxLength: 512 }));
export const JobParams = Type.Object({ id: AnyJobId });
export const closed = { additionalProperties: false } as const;
const tags = ["jobs"];

const Environment = Type.Record(
  Type.String({ pattern: "^[A-Za-z_][A-Za-z0-9_]*$" }),
  Type.String({ maxLength: 32_768 }),
  { ...closed, description: "added to the job's own, for this run" },
);

export function jobRoutes(app: Api, { control, decisions }: ApiOptions): void {
  const show = (job: Job) => showJob(job, control, runningJobs(control.view()));
  const accept = (input: unknown): JobSpec => {
    const checked = decisions.checkJob(input);
    if (!checked.ok) throw refusal(checked.code, checked.problems);
    return checked.spec;
  };
  const answerJob = async (reply: FastifyReply, job: Job, created = false) => {
    reply.header("etag", `"${job.revision}"`);
    if (created) reply.code(201).header("location", `/v1/jobs/${job.id}`);
    return show(job);
  };

  app.get(
    "/v1/jobs",
    {
      schema: {
        tags,
        summary: "List jobs by id",
        querystring: Type.Object(
          {
            ...PageQuery,
            group: Type.Optional(Type.String({ maxLength: 64 })),
            label: Type.Optional(
              Type.Union([Type.String({ maxLength: 512 }), Type.Array(Type.String({ maxLength: 512 }))], {
                description: "KEY or KEY=VALUE; several must all fit",
              }),
            ),
            state: Type.Optional(Type.Enum(jobStates)),
            q: Type.Optional(
              Type.String({ maxLength: 256, description: "in id, description, owner or command; any case" }),
            ),
          },
          closed,
        ),
        response: { 200: ListOf(JobSchema) },
      },
    },
    async (request, reply) => {
      const view = control.view();
      const found = filterJobs(view, { ...request.query, after: readCursor("jobs", request.query.cursor) });
      const running = runningJobs(view);
      const items = await Promise.all(
        found.items.map(async (item) =>
          "spec" in item ? showJob(item, control, running) : showQuarantined(item),
        ),
      );
      return page(request, reply, "jobs", { ...found, items });
    },
  );

  app.post(
    "/v1/jobs",
    {
      config: { repeatable: true },
      validatorCompiler: noCheck,
      schema: {
        tags,
        summary: "Create a job; 409 when the id is taken, unless ?update=true",
        querystring: Type.Object({ update: Type.Optional(Type.Boolean()) }, closed),
        body: JobSpecSchema,
        response: { 200: JobSchema, 201: JobSchema },
      },
    },
    async (request, reply) => {
      const spec = accept(request.body);
      const mode = request.query.update === true ? "update" : "create";
      const ifMatch = readIfMatch(request, control, spec.id);
      const answer = await control.ask({ kind: "put-job", spec, mode, ...ifMatch, by: request.actor });
      const { job, created } = jobOf(answer);
      return answerJob(reply, job, created);
    },
  );

  app.get(
    "/v1/jobs/:id",
    {
      schema: {
        tags,
        summary: "Read a job",
        params: JobParams,
        querystring: none,
        response: { 200: JobSchema },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const view = control.view();
      const job = view.jobs.get(id);
      if (job !== undefined) return answerJob(reply, job);
      const quarantined = view.quarantined.find((one) => one.id === id);
      if (quarantined === undefined) throw noJob(id);
      return showQuarantined(quarantined);
    },
  );

  app.put(
    "/v1/jobs/:id",
    {
      validatorCompiler: noCheck,
      schema: {
        tags,
        summary: "Create or replace a job; fields that are left out get their defaults",
        params: JobParams,
        querystring: none,
        body: JobSpecSchema,
        response: { 200: JobSchema, 201: JobSchema },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const body: unknown = request.body;
      const spec = accept(isObject(body) && body["id"] === undefined ? { ...body, id } : body);
      if (spec.id !== id)
        throw new CicadaError("ID_MISMATCH", `"${spec.id}" in the body, "${id}" in the address`);
      const mode = request.headers["if-none-match"] === "*" ? "create" : "replace";
      const ifMatch = readIfMatch(request, control, id);
      const answer = await control.ask({ kind: "put-job", spec, mode, ...ifMatch, by: request.actor });
      const { job, created } = jobOf(answer);
      return answerJob(reply, job, created);
    },
  );

  app.patch(
    "/v1/jobs/:id",
    {
      validatorCompiler: noCheck,
      schema: {
        tags,
        summary: "Change some fields of a job (RFC 7396: null takes a field away)",
        params: JobParams,
        querystring: none,
        body: Type.Partial(JobSpecSchema),
        response: { 200: JobSchema },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const patch = readPatch(request.body, id);
      const ifMatch = readIfMatch(request, control, id);
      const answer = await control.ask({ kind: "patch-job", id, patch, ...ifMatch, by: request.actor });
      return answerJob(reply, jobOf(answer).job);
    },
  );

  app.delete(
    "/v1/jobs/:id",
    {
      schema: {
        tags,
        summary: "Delete a job; its history stays for a while",
        params: JobParams,
        querystring: none,
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const ifMatch = readIfMatch(request, control, id);
      accepted(await control.ask({ kind: "delete-job", id, ...ifMatch, by: request.actor }));
      return reply.code(204).send();
    },
  );

  app.post(
    "/v1/jobs/:id/run",
    {
      config: { repeatable: true },
      schema: {
        tags,
        summary: "Run a job now, once",
        params: JobParams,
        querystring: none,
        body: Type.Object(
          {
            env: Type.Optional(Environment),
            force: Type.Optional(Type.Boolean({ description: "although it is paused or disabled" })),
            target: JobSpecSchema.properties.target,
          },
          closed,
        ),
        response: { 202: Type.Object({ job: Type.String(), tick: Type.String() }) },
      },
    },
    async (request, reply) => {
      const { env, force, target } = request.body;
      const answer = accepted(
        await control.ask({
          kind: "run-job",
          id: request.params.id,
          ...(env === undefined ? {} : { env }),
          ...(force === undefined ? {} : { force }),
          ...(target?.peers === undefined ? {} : { peers: target.peers }),
          by: request.actor,
        }),
      );
      if (answer.kind !== "ordered") throw new Error(`run-job was answered with ${answer.kind}`);
      return reply.code(202).send({ job: answer.job, tick: answer.tick });
    },
  );

  app.post(
    "/v1/jobs/:id/pause",
    {
      config: { repeatable: true },
      schema: {
        tags,
        summary: "Keep a job from running, for a while or until it is resumed",
        params: JobParams,
        querystring: none,
        body: Type.Object(
          {
            note: Type.Optional(Type.String({ maxLength: 1_024 })),
            until: Type.Optional(Type.String({ maxLength: 40, description: "an RFC 3339 instant" })),
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
        throw refusal("BAD_REQUEST", [{ pointer: "/until", message: "lies in the past" }]);
      }
      accepted(
        await control.ask({
          kind: "pause-job",
          id,
          ...(note === undefined ? {} : { note }),
          ...(until === undefined ? {} : { until }),
          by: request.actor,
        }),
      );
      return answerJob(reply, present(control, id));
    },
  );

  app.post(
    "/v1/jobs/:id/resume",
    {
      config: { repeatable: true },
      schema: {
        tags,
        summary: "Let a paused job run again; ticks of the pause are not made up for",
        params: JobParams,
        querystring: none,
        body: none,
        response: { 200: JobSchema },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      accepted(await control.ask({ kind: "resume-job", id, by: request.actor }));
      return answerJob(reply, present(control, id));
    },
  );
}

export const none = Type.Object({}, closed);

export function noJob(id: string): CicadaError {
  return new CicadaError("JOB_NOT_FOUND", `there is no job "${id}"`);
}

function present(control: Control, id: JobId): Job {
  const job = control.view().jobs.get(id);
  if (job === undefined) throw noJob(id);
  return job;
}

/** The answer, unless it is a refusal. */
export function accepted(answer: Answer): Exclude<Answer, { kind: "refused" }> {
  if (answer.kind === "refused") throw answer.error;
  return answer;
}

function jobOf(answer: Answer): { job: Job; created: boolean } {
  const good = accepted(answer);
  if (good.kind !== "job") throw new Error(`a job was written and answered with ${good.kind}`);
  return good;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The patch without the read-only fields that an edited GET still has. */
function readPatch(body: unknown, id: JobId): Record<string, unknown> {
  if (!isObject(body)) {
    throw refusal("INVALID_JOB", [
      { pointer: "", message: "the patch must be an object of fields to change" },
    ]);
  }
  if (body["id"] !== undefined && body["id"] !== id) {
    throw new CicadaError("ID_MISMATCH", `${JSON.stringify(body["id"])} in the body, "${id}" in the address`);
  }
  const dropped: ReadonlySet<string> = new Set([...readOnlyFields, "id"]);
  return Object.fromEntries(Object.entries(body).filter(([name]) => !dropped.has(name)));
}

/** `If-Match` as the command takes it; refused here when this peer's replica has another revision. */
function readIfMatch(request: FastifyRequest, control: Control, id: JobId): { ifMatch?: string } {
  const header = request.headers["if-match"];
  if (header === undefined) return {};
  const revision = control.view().jobs.get(id)?.revision;
  if (revision === undefined) throw new CicadaError("REVISION_CONFLICT", `there is no job "${id}" any more`);
  if (header.trim() === "*") return { ifMatch: revision };
  const given = header.split(",").map((tag) => tag.trim());
  if (!given.every((tag) => /^(W\/)?"[^"]*"$/.test(tag))) {
    throw new CicadaError("BAD_REQUEST", "If-Match: give the ETag of the job, in its double quotes, or *");
  }
  if (given.includes(`"${revision}"`)) return { ifMatch: revision };
  throw new CicadaError("REVISION_CONFLICT", `"${id}" is at revision "${revision}" here`);
}
