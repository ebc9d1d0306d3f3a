/**
 * A job's ticks: the next ones with the peers that would run them, the past ones with what was decided and why.
 */
import { Type } from "typebox";
import { CicadaError } from "../../errors.ts";
import { tickIdPattern, type TickId } from "../../schema/ids.ts";
import { own } from "../access/rights.ts";
import { noJob } from "../http/answers.ts";
import { JobParams } from "../show/show-job.ts";
import { closed, InstantText, readInstant } from "../http/checking.ts";
import type { Api, RouteOptions } from "../options.ts";
import { defaultLimit, ListOf, page, PageQuery, readCursor } from "../http/paging.ts";
import { Instant, showInstant, showTick, TickSchema } from "../show/show-run.ts";

const NextTickSchema = Type.Object({
  tick: Type.String(),
  startsAt: Instant,
  skipped: Type.Optional(
    Type.Enum(["except", "asked", "maintenance"], {
      description:
        "it will not run: the job's `except` leaves it out, a person has asked to skip it, or it comes during maintenance",
    }),
  ),
  skippedBy: Type.Optional(Type.String({ description: "who asked to skip it" })),
  note: Type.Optional(Type.String({ description: "what they said about it" })),
  peers: Type.Array(Type.Object({ id: Type.String(), name: Type.String(), rank: Type.Integer() }), {
    description: "the runner first, then the peers that would step in, in order",
  }),
  after: Type.Optional(
    Type.Array(Type.String(), {
      description: "it starts only when these jobs have ended at this tick",
    }),
  ),
});

export const InstantQuery = Type.Optional(InstantText());

const AnyTick = Type.Unsafe<TickId>(
  Type.String({
    pattern: tickIdPattern,
    description: "a tick as the lists show it, such as 2026-11-20T02:00:00Z",
  }),
);

export function tickRoutes(app: Api, options: RouteOptions): void {
  nextTicks(app);
  pastTicks(app, options);
  whyTick(app, options);
}

function nextTicks(app: Api): void {
  app.get(
    "/v1/jobs/:id/next",
    {
      config: { right: own("viewer") },
      schema: {
        tags: ["ticks"],
        summary: "The next ticks, and which peers would run them",
        params: JobParams,
        querystring: Type.Object(
          {
            count: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, description: "default 10" })),
          },
          closed,
        ),
        response: { 200: ListOf(NextTickSchema) },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const ticks = request.control.next(id, request.query.count ?? 10);
      if (ticks === undefined) throw noJob(id);
      const items = ticks.map(({ tick, startsAt, peers, skipped, skippedBy, note, after }) => ({
        tick,
        startsAt: showInstant(startsAt),
        ...(skipped === undefined ? {} : { skipped }),
        ...(skippedBy === undefined ? {} : { skippedBy }),
        ...(note === undefined ? {} : { note }),
        peers,
        ...(after === undefined ? {} : { after: [...after] }),
      }));
      return reply.send({ items, nextCursor: null });
    },
  );
}

function pastTicks(app: Api, { decisions }: RouteOptions): void {
  app.get(
    "/v1/jobs/:id/ticks",
    {
      config: { right: own("viewer") },
      schema: {
        tags: ["ticks"],
        summary: "What was decided for each past tick, newest first",
        params: JobParams,
        querystring: Type.Object({ ...PageQuery, from: InstantQuery, to: InstantQuery }, closed),
        response: { 200: ListOf(TickSchema) },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { limit = defaultLimit, cursor } = request.query;
      const after = readCursor("ticks", cursor);
      const from = readInstant(request.query.from, "/from");
      const to = readInstant(request.query.to, "/to");
      const found = await request.control.ticks(id, {
        limit,
        ...(after === undefined ? {} : { after }),
        ...(from === undefined ? {} : { from }),
        ...(to === undefined ? {} : { to }),
      });
      if (found === undefined) throw noJob(id);
      const view = request.control.view();
      const items = found.stories.map((story) => showTick(story, view, decisions));
      return page(request, reply, "ticks", { items, next: found.next });
    },
  );
}

const WhySchema = Type.Object({
  ...Type.Partial(TickSchema).properties,
  tick: Type.Union([Type.String(), Type.Null()], {
    description: "null if no tick of the job has gone wrong",
  }),
  obstacles: Type.Array(Type.String(), {
    description: "what keeps the next tick from running, in sentences",
  }),
});

function whyTick(app: Api, { decisions }: RouteOptions): void {
  app.get(
    "/v1/jobs/:id/why",
    {
      config: { right: own("viewer") },
      schema: {
        tags: ["ticks"],
        summary: "Why a tick went as it did; without a tick, the last one that went wrong",
        params: JobParams,
        querystring: Type.Object({ tick: Type.Optional(AnyTick) }, closed),
        response: { 200: WhySchema },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { tick } = request.query;
      const found = await request.control.why(id, tick);
      if (found === undefined) throw noJob(id);
      const { story, noTick, obstacles } = found;
      if (story !== undefined) {
        return reply.send({ ...showTick(story, request.control.view(), decisions), obstacles });
      }
      if (tick !== undefined) {
        throw new CicadaError("TICK_NOT_FOUND", `"${id}" has no tick ${tick}: ${noTick ?? "none is known"}`);
      }
      return reply.send({ tick: null, obstacles });
    },
  );
}
