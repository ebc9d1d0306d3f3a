/**
 * The job table: list, create, read, replace, change, delete.
 *
 * A 2xx to a change means that the change is durable on this peer; it reaches the others within moments. `If-Match` is
 * checked against this peer's replica: two edits on two sides of a split may both succeed, and are merged later.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { Type } from "typebox";
import { CicadaError } from "../../errors.ts";
import type { Control } from "../../ports/control.ts";
import type { JobId } from "../../schema/ids.ts";
import { jobStates, readOnlyFields } from "../../schema/job-vocabulary.ts";
import { JobSpecSchema, type CheckedSpec } from "../../schema/job.ts";
import { own } from "../access/rights.ts";
import { ask, askFor, noJob } from "../http/answers.ts";
import { closed, noCheck, none } from "../http/checking.ts";
import { answerJob } from "../show/warnings.ts";
import { byAttention, byNextRun, filterJobs, inState, jobOrders, orderJobs } from "./job-list.ts";
import type { Api, Decisions, RouteOptions } from "../options.ts";
import { ListOf, PageQuery, readCursor } from "../http/paging.ts";
import type { SharedLists } from "../http/shared-lists.ts";
import { refusal } from "../http/problems.ts";
import type { Overview } from "../show/overview.ts";
import type { RecentTicks } from "../show/recent-ticks.ts";
import { RecentSchema } from "../show/show-overview.ts";
import { JobParams, JobSchema, showJob, showQuarantined, type ShownJob } from "../show/show-job.ts";

const tags = ["jobs"];

export function jobRoutes(
  app: Api,
  options: RouteOptions,
  lists: SharedLists,
  overview: Overview,
  recent: RecentTicks,
): void {
  listJobs(app, lists, overview, recent);
  createJob(app, options);
  readJob(app);
  replaceJob(app, options);
  changeJob(app);
  deleteJob(app);
}

const ListedJobSchema = Type.Object({
  ...JobSchema.properties,
  recent: Type.Optional(RecentSchema),
});

function listJobs(app: Api, lists: SharedLists, overview: Overview, recent: RecentTicks): void {
  app.get(
    "/v1/jobs",
    {
      config: { right: own("viewer") },
      schema: {
        tags,
        summary: "List jobs",
        querystring: Type.Object(
          {
            ...PageQuery,
            group: Type.Optional(Type.String({ maxLength: 64 })),
            label: Type.Optional(
              Type.Union([Type.String({ maxLength: 512 }), Type.Array(Type.String({ maxLength: 512 }))], {
                description: "KEY or KEY=VALUE; if there are several, all must match",
              }),
            ),
            state: Type.Optional(Type.Enum(jobStates)),
            q: Type.Optional(
              Type.String({
                maxLength: 256,
                description: "a text in id, description, owner, command or address; case doesn't matter",
              }),
            ),
            sort: Type.Optional(
              Type.Enum(jobOrders, {
                description:
                  "default id; attention: what can't run or is failing first; next: what is due first comes first",
              }),
            ),
            recent: Type.Optional(Type.Boolean({ description: "with how each job's last ticks went" })),
          },
          closed,
        ),
        response: { 200: ListOf(ListedJobSchema) },
      },
    },
    (request, reply) => {
      const { control, query } = request;
      const { state, sort = "id", recent: withRecent = false, ...filter } = query;
      const list = sort === "id" ? "jobs" : `jobs by ${sort}`;
      return lists.answer(request, reply, list, async () => {
        const fits = state === undefined ? undefined : await inState(state, control);
        const after = readCursor(list, query.cursor);
        const keyOf =
          sort === "attention"
            ? byAttention(await overview.entries())
            : sort === "next"
              ? byNextRun(await overview.nextRuns())
              : undefined;
        const view = control.view();
        const found =
          keyOf === undefined
            ? filterJobs(view, { ...filter, after }, fits)
            : orderJobs(view, { ...filter, after }, keyOf, fits);
        const items = await Promise.all(
          found.items.map(async (item) => {
            if (!("spec" in item)) return showQuarantined(item);
            const shown = await showJob(item, control);
            return withRecent ? { ...shown, recent: await recent.of(item.id, control) } : shown;
          }),
        );
        return { ...found, items };
      });
    },
  );
}

function createJob(app: Api, { decisions }: RouteOptions): void {
  app.post(
    "/v1/jobs",
    {
      config: { right: own("editor"), repeatable: true },
      validatorCompiler: noCheck,
      schema: {
        tags,
        summary: "Create a job; 409 if the id is taken, unless ?update=true",
        querystring: Type.Object({ update: Type.Optional(Type.Boolean()) }, closed),
        body: JobSpecSchema,
        response: { 200: JobSchema, 201: JobSchema },
      },
    },
    async (request, reply) => {
      const spec = acceptJob(decisions, request.body);
      const mode = request.query.update === true ? "replace" : "create";
      return putJob(request, reply, spec, mode);
    },
  );
}

/** Writes a whole job, and answers with it. */
export async function putJob(
  request: FastifyRequest,
  reply: FastifyReply,
  spec: CheckedSpec,
  mode: "create" | "replace",
): Promise<ShownJob> {
  const { control, actor: by } = request;
  const ifMatch = readIfMatch(request, control, spec.id);
  const answer = await askFor("job", request, control, { kind: "put-job", spec, mode, ...ifMatch, by });
  const how = answer.created ? "created" : "changed";
  return answerJob(reply, control, answer.job, how, answer.warnings);
}

function readJob(app: Api): void {
  app.get(
    "/v1/jobs/:id",
    {
      config: { right: own("viewer") },
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
      const view = request.control.view();
      const job = view.jobs.get(id);
      if (job !== undefined) return answerJob(reply, request.control, job);
      const quarantined = view.quarantined.find((one) => one.id === id);
      if (quarantined === undefined) throw noJob(id);
      return showQuarantined(quarantined);
    },
  );
}

function replaceJob(app: Api, { decisions }: RouteOptions): void {
  app.put(
    "/v1/jobs/:id",
    {
      config: { right: own("editor") },
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
      const spec = acceptJob(decisions, isObject(body) && body["id"] === undefined ? { ...body, id } : body);
      if (spec.id !== id) throw idMismatch(spec.id, id);
      const mode = request.headers["if-none-match"] === "*" ? "create" : "replace";
      return putJob(request, reply, spec, mode);
    },
  );
}

function changeJob(app: Api): void {
  app.patch(
    "/v1/jobs/:id",
    {
      config: { right: own("editor") },
      validatorCompiler: noCheck,
      schema: {
        tags,
        summary: "Change some fields of a job (RFC 7396: null removes a field)",
        params: JobParams,
        querystring: none,
        body: Type.Partial(JobSpecSchema),
        response: { 200: JobSchema },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const patch = readPatch(request.body, id);
      const ifMatch = readIfMatch(request, request.control, id);
      const by = request.actor;
      const answer = await askFor("job", request, request.control, {
        kind: "patch-job",
        id,
        patch,
        ...ifMatch,
        by,
      });
      return answerJob(reply, request.control, answer.job, "changed", answer.warnings);
    },
  );
}

function deleteJob(app: Api): void {
  app.delete(
    "/v1/jobs/:id",
    {
      config: { right: own("editor") },
      schema: {
        tags,
        summary: "Delete a job; its history stays for a while",
        params: JobParams,
        querystring: none,
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const ifMatch = readIfMatch(request, request.control, id);
      await ask(request, request.control, { kind: "delete-job", id, ...ifMatch, by: request.actor });
      return reply.code(204).send();
    },
  );
}

export function acceptJob(decisions: Decisions, input: unknown): CheckedSpec {
  const checked = decisions.checkJob(input);
  if (!checked.ok) throw refusal(checked.code, checked.problems);
  return checked.spec;
}

function idMismatch(given: unknown, id: JobId): CicadaError {
  return new CicadaError("ID_MISMATCH", `${JSON.stringify(given)} in the body, "${id}" in the address`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The patch without the read-only fields, which a body that was read and edited still has. */
function readPatch(body: unknown, id: JobId): Record<string, unknown> {
  if (!isObject(body)) {
    throw refusal("INVALID_JOB", [
      { pointer: "", message: "the patch must be an object of fields to change" },
    ]);
  }
  if (body["id"] !== undefined && body["id"] !== id) throw idMismatch(body["id"], id);
  const dropped: ReadonlySet<string> = new Set([...readOnlyFields, "id"]);
  return Object.fromEntries(Object.entries(body).filter(([name]) => !dropped.has(name)));
}

/**
 * `If-Match`: the change applies only to the revision that its author has read. A job's ETag is its revision. It is
 * compared with this peer's replica here, and again when the change is made. Empty if there is no such header.
 */
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
  // Weak tags never match (RFC 9110 §13.1.1).
  if (given.includes(`"${revision}"`)) return { ifMatch: revision };
  throw new CicadaError("REVISION_CONFLICT", `"${id}" is at revision "${revision}" here`);
}
