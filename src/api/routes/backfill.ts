/**
 * Runs past ticks of a job: from (in) to (out), each once however often it is asked for. A dry run says which.
 */
import { Type } from "typebox";
import type { BackfillPlan } from "../../ports/control.ts";
import { backfillMax } from "../../schema/backfill.ts";
import { runId } from "../../schema/ids.ts";
import { RunStateSchema } from "../../schema/run.ts";
import { own } from "../access/rights.ts";
import { askFor, jobNamed } from "../http/answers.ts";
import { closed, InstantText, none, readInstant } from "../http/checking.ts";
import { refusal } from "../http/problems.ts";
import type { Api } from "../options.ts";
import { JobParams } from "../show/show-job.ts";
import { orNull } from "../show/show-run.ts";

const Backfill = Type.Object({
  job: Type.String(),
  dryRun: Type.Boolean(),
  ticks: Type.Array(Type.String(), { description: "that run, oldest first" }),
  leftOut: Type.Array(
    Type.Object({
      tick: Type.String(),
      why: Type.String({
        description:
          "has-run, pending (the job's schedule runs it or is about to), or asked-before (an earlier backfill has it)",
      }),
      state: orNull(RunStateSchema),
      run: orNull(Type.String({ description: "its last run, if its record is still there" })),
    }),
  ),
});

const AnInstant = InstantText();

export function backfillRoutes(app: Api): void {
  app.post(
    "/v1/jobs/:id/backfill",
    {
      config: { right: own("operator"), repeatable: true },
      schema: {
        tags: ["jobs"],
        summary: "Run past ticks of a job, from (in) to (out), one after the other and behind its live ticks",
        description: `Each tick runs once however often it is asked for, unless it is forced. At most ${backfillMax} ticks at a time.`,
        params: JobParams,
        querystring: none,
        body: Type.Object(
          {
            from: AnInstant,
            to: AnInstant,
            dryRun: Type.Optional(Type.Boolean({ description: "only say which ticks would run" })),
            force: Type.Optional(
              Type.Boolean({
                description: "also ticks that have run, and even if the job is paused or disabled",
              }),
            ),
          },
          closed,
        ),
        response: { 200: Backfill, 202: Backfill },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { dryRun = false, force = false } = request.body;
      const from = readInstant(request.body.from, "/from") ?? 0;
      const to = readInstant(request.body.to, "/to") ?? 0;
      if (from < 0 || to <= from) {
        const message = "to is after from: the tick at from runs, the one at to doesn't";
        throw refusal("UNPROCESSABLE", [{ pointer: "/to", message }]);
      }
      jobNamed(request.control, id);
      const plan = await request.control.planBackfill(id, from, to, force);
      if (dryRun) return reply.code(200).send({ job: id, dryRun, ticks: plan.ticks, leftOut: shown(plan) });
      const { ticks } = await askFor("backfilled", request, request.control, {
        kind: "backfill-job",
        id,
        ticks: plan.ticks.map((tick) => Date.parse(tick)),
        ...(force ? { force } : {}),
        by: request.actor,
      });
      return reply.code(202).send({ job: id, dryRun, ticks: [...ticks], leftOut: shown(plan) });
    },
  );
}

function shown({ leftOut }: BackfillPlan) {
  return leftOut.map(({ tick, why, run }) => ({
    tick,
    why,
    state: run?.state ?? null,
    run: run === undefined ? null : runId(run),
  }));
}
