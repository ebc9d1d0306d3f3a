/**
 * Skipping single ticks of a job, and taking that back.
 */
import { Type } from "typebox";
import type { Command } from "../../ports/command.ts";
import { skipNoteMax, skipsMax } from "../../schema/job.ts";
import { own } from "../access/rights.ts";
import { askFor } from "../http/answers.ts";
import { closed, none, readInstant } from "../http/checking.ts";
import { refusal } from "../http/problems.ts";
import type { Api } from "../options.ts";
import { JobParams } from "../show/show-job.ts";

const tags = ["jobs"];

const Which = {
  tick: Type.Optional(
    Type.String({ maxLength: 40, description: "a tick to come, such as 2026-11-20T02:00:00Z" }),
  ),
  next: Type.Optional(
    Type.Integer({ minimum: 1, maximum: skipsMax, description: "or how many of the next ones" }),
  ),
};
const Ticks = Type.Object({ job: Type.String(), ticks: Type.Array(Type.String()) });

export function skipRoutes(app: Api): void {
  app.post(
    "/v1/jobs/:id/skip",
    {
      config: { right: own("operator"), repeatable: true },
      schema: {
        tags,
        summary:
          "Skip a tick, or the next ones; a peer that has claimed one has confirmed the skip before the answer comes",
        params: JobParams,
        querystring: none,
        body: Type.Object(
          {
            ...Which,
            note: Type.Optional(Type.String({ maxLength: skipNoteMax, description: "shown with the tick" })),
          },
          closed,
        ),
        response: { 200: Ticks },
      },
    },
    async (request, reply) => {
      const { note, ...named } = request.body;
      const { job, ticks } = await askFor("skips", request, request.control, {
        kind: "skip-ticks",
        id: request.params.id,
        which: whichTicks(named),
        ...(note === undefined ? {} : { note }),
        by: request.actor,
      });
      return reply.send({ job, ticks: [...ticks] });
    },
  );
  app.post(
    "/v1/jobs/:id/unskip",
    {
      config: { right: own("operator"), repeatable: true },
      schema: {
        tags,
        summary: "Let a tick that was to be skipped run after all, or the next such ticks",
        params: JobParams,
        querystring: none,
        body: Type.Object(Which, closed),
        response: { 200: Ticks },
      },
    },
    async (request, reply) => {
      const { job, ticks } = await askFor("skips", request, request.control, {
        kind: "unskip-ticks",
        id: request.params.id,
        which: whichTicks(request.body),
        by: request.actor,
      });
      return reply.send({ job, ticks: [...ticks] });
    },
  );
}

type WhichTicks = Extract<Command, { kind: "unskip-ticks" }>["which"];

function whichTicks({ tick: text, next }: { tick?: string; next?: number }): WhichTicks {
  const tick = readInstant(text, "/tick");
  if (tick !== undefined && next === undefined) return { tick };
  if (tick === undefined && next !== undefined) return { next };
  const message = "say which: a tick, or how many of the next ones";
  throw refusal("UNPROCESSABLE", [{ pointer: next === undefined ? "/tick" : "/next", message }]);
}
