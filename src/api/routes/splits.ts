/** The splits of the mesh, as the answering peer has seen them, and what ran meanwhile on which side. */
import { Type } from "typebox";
import { CicadaError } from "../../errors.ts";
import { runId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import type { ScopedControl } from "../access/scoped-control.ts";
import { own } from "../access/rights.ts";
import { none } from "../http/checking.ts";
import type { Api, RouteOptions } from "../options.ts";
import { Instant, showInstant } from "../show/show-run.ts";
import { jobsPerPeer, listedMax, named, showSplit, SplitSchema, StorySchema } from "../show/show-split.ts";
import { splitsOf, storyOfSplit, type Split } from "../show/splits.ts";

const splitsMax = 20;
/** Records read for a story: a split of an hour with a run each second has 3,600. */
const recordsMax = 5_000;
const pageSize = 500;

export function splitRoutes(app: Api, { decisions, startedAt }: RouteOptions): void {
  app.get(
    "/v1/splits",
    {
      config: { right: own("viewer") },
      schema: {
        tags: ["peers"],
        summary: `The last ${splitsMax} splits that the answering peer has seen since it started, of 7 days at most, newest first`,
        querystring: none,
        response: { 200: Type.Object({ items: Type.Array(SplitSchema), since: Instant }) },
      },
    },
    async (request, reply) => {
      const view = request.control.view();
      const items = splitsOf(view).slice(0, splitsMax);
      return reply.send({ items: items.map((one) => showSplit(one, view)), since: showInstant(startedAt) });
    },
  );

  app.get(
    "/v1/splits/:id",
    {
      config: { right: own("viewer") },
      schema: {
        tags: ["peers"],
        summary:
          "The story of a split: who ran what on which side, which ticks ran twice, and which did not run",
        params: Type.Object({ id: Type.String({ maxLength: 64 }) }),
        querystring: none,
        response: { 200: StorySchema },
      },
    },
    async (request, reply) => {
      const { control } = request;
      const view = control.view();
      const { id } = request.params;
      const split = splitsOf(view).find(({ from }) => showInstant(from) === id);
      if (split === undefined)
        throw new CicadaError("SPLIT_NOT_FOUND", `this peer remembers no split that began at ${id}`);
      const { records, complete } = await recordsOf(split, control);
      const { ran, late, duplicates, gaps } = storyOfSplit(split, records, decisions);
      return reply.send({
        ...showSplit(split, view),
        ran: ran.map(({ peer, runs, jobs }) => ({
          ...named(peer, view),
          here: split.here.includes(peer),
          runs,
          jobs: jobs.slice(0, jobsPerPeer),
        })),
        late,
        duplicates: {
          total: duplicates.length,
          items: duplicates.slice(0, listedMax).map(({ job, tick, runs }) => ({
            job,
            tick,
            runs: runs.map((one) => ({
              run: runId(one),
              peer: named(one.peer, view).name,
              state: one.state,
            })),
          })),
        },
        gaps: {
          total: gaps.reduce((sum, { ticks }) => sum + ticks, 0),
          items: gaps.slice(0, listedMax).map(({ job, tick, ticks, record: { state, reason = null } }) => ({
            job,
            tick,
            ticks,
            state,
            reason,
          })),
        },
        complete,
      });
    },
  );
}

/** The records of the ticks that were due in the split. */
async function recordsOf(
  { from, to = Date.now() }: Split,
  control: ScopedControl,
): Promise<{ records: RunRecord[]; complete: boolean }> {
  const records: RunRecord[] = [];
  let after: string | null = null;
  do {
    const found: Awaited<ReturnType<ScopedControl["history"]>> = await control.history({
      from,
      to,
      limit: pageSize,
      ...(after === null ? {} : { after }),
    });
    records.push(...found.records);
    after = found.next;
  } while (after !== null && records.length < recordsMax);
  return { records, complete: after === null };
}
