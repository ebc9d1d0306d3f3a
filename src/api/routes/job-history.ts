/**
 * What a job was: who changed which fields, and back to an earlier revision. A peer shows what it has seen itself, so after
 * an absence it shows several edits as one.
 */
import { Type } from "typebox";
import { CicadaError } from "../../errors.ts";
import { own } from "../access/rights.ts";
import { noJob } from "../http/answers.ts";
import { closed, none } from "../http/checking.ts";
import type { Api, RouteOptions } from "../options.ts";
import { defaultLimit, ListOf, page, PageQuery, readCursor } from "../http/paging.ts";
import { refusal } from "../http/problems.ts";
import { JobParams, JobSchema } from "../show/show-job.ts";
import { RevisionSchema, showRevision } from "../show/show-revision.ts";
import { acceptJob, putJob } from "./jobs.ts";

const tags = ["jobs"];

export function jobHistoryRoutes(app: Api, options: RouteOptions): void {
  listRevisions(app);
  revertJob(app, options);
}

function listRevisions(app: Api): void {
  app.get(
    "/v1/jobs/:id/history",
    {
      config: { right: own("viewer") },
      schema: {
        tags,
        summary: "Who changed which fields of a job, and when: newest first, even if it was deleted",
        params: JobParams,
        querystring: Type.Object(PageQuery, closed),
        response: { 200: ListOf(RevisionSchema) },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { limit = defaultLimit, cursor } = request.query;
      const revisions = await request.control.revisions(id);
      if (revisions.length === 0 && !request.control.view().jobs.has(id)) throw noJob(id);
      const after = readCursor("revisions", cursor);
      const start = after === undefined ? 0 : revisions.findIndex(({ revision }) => revision === after) + 1;
      const shown = await request.control.named(id, revisions.slice(start, start + limit));
      const items = shown.map((one, index) => showRevision(one, revisions[start + index + 1]));
      const isLast = start + limit >= revisions.length;
      const next = isLast ? null : (shown.at(-1)?.revision ?? null);
      return page(request, reply, "revisions", { items, next, total: revisions.length });
    },
  );
}

function revertJob(app: Api, { decisions }: RouteOptions): void {
  app.post(
    "/v1/jobs/:id/revert",
    {
      config: { right: own("editor"), repeatable: true },
      schema: {
        tags,
        summary:
          "Make a job what it was at an earlier revision, even if it was deleted; a pause stays as it is now",
        params: JobParams,
        querystring: none,
        body: Type.Object({ revision: Type.String({ minLength: 1, maxLength: 64 }) }, closed),
        response: { 200: JobSchema, 201: JobSchema },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { revision } = request.body;
      const revisions = await request.control.revisions(id);
      if (revisions.length === 0 && !request.control.view().jobs.has(id)) throw noJob(id);
      const wanted = revisions.find((one) => one.revision === revision);
      if (wanted === undefined) {
        throw new CicadaError("REVISION_NOT_FOUND", `"${id}" has no revision "${revision}" here`);
      }
      if (wanted.spec === undefined) {
        const message = "is the job's deletion: choose the revision before it";
        throw refusal("UNPROCESSABLE", [{ pointer: "/revision", message }]);
      }
      const spec = acceptJob(decisions, wanted.spec);
      return putJob(request, reply, spec, "replace");
    },
  );
}
