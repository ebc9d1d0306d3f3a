/**
 * Shows what a schedule means before a job uses it: its next ticks, with notes where daylight saving affects them.
 */
import { Type } from "typebox";
import { tickAt } from "../../schema/ids.ts";
import { JobSpecSchema } from "../../schema/job.ts";
import { own } from "../access/rights.ts";
import { closed, InstantText, none, readInstant } from "../http/checking.ts";
import type { Api, RouteOptions } from "../options.ts";
import { refusal } from "../http/problems.ts";

const Expressions = JobSpecSchema.properties.schedule;

export function scheduleRoutes(app: Api, { decisions }: RouteOptions): void {
  app.post(
    "/v1/schedules/preview",
    {
      config: { right: own("viewer") },
      schema: {
        tags: ["schedules"],
        summary: "The next ticks of a schedule",
        querystring: none,
        body: Type.Object(
          {
            schedule: Type.Union(Expressions.anyOf),
            timezone: Type.Optional(Type.String({ maxLength: 64, description: "default UTC" })),
            except: Type.Optional(JobSpecSchema.properties.except),
            id: Type.Optional(
              Type.String({ maxLength: 128, description: "the job's id, from which `H` is computed" }),
            ),
            from: Type.Optional(InstantText("an RFC 3339 instant; now if it is left out")),
            count: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, description: "default 10" })),
          },
          closed,
        ),
        response: {
          200: Type.Object({
            schedule: Type.Union(Expressions.anyOf),
            timezone: Type.String(),
            words: Type.String({ description: "the schedule in plain words" }),
            ticks: Type.Array(Type.String()),
            skipped: Type.Array(Type.String(), {
              description: "ticks that `except` leaves out, before the last of `ticks`; at most `count`",
            }),
            marks: Type.Array(
              Type.Object({
                tick: Type.String(),
                local: Type.String({ description: "what a clock in the zone shows" }),
                offset: Type.String(),
                mark: Type.String(),
                note: Type.String(),
              }),
              {
                description:
                  "ticks that a clock change moves or repeats, and ticks on the day of a clock change",
              },
            ),
          }),
        },
      },
    },
    async (request, reply) => {
      const { schedule, timezone = "UTC", except = [], id = "", count = 10 } = request.body;
      const from = readInstant(request.body.from, "/from") ?? Date.now();
      const calendars = request.control.settings("calendars");
      const preview = decisions.previewSchedule({ schedule, timezone, except, id, from, count, calendars });
      if (!preview.ok) throw refusal("INVALID_SCHEDULE", preview.problems);
      return reply.send({
        schedule,
        timezone,
        words: preview.words,
        ticks: preview.ticks.map(({ tick }) => tickAt(tick)),
        skipped: preview.skipped.map(({ tick }) => tickAt(tick)),
        marks: preview.ticks.flatMap(({ tick, local, offset, dst }) =>
          dst === undefined ? [] : [{ tick: tickAt(tick), local, offset, mark: dst.kind, note: dst.note }],
        ),
      });
    },
  );
}
