/** The chain that a job is in: the jobs that it runs after, those that run after it, and so on in both directions. */
import type { Job } from "../../schema/job.ts";
import type { JobId } from "../../schema/ids.ts";
import { own } from "../access/rights.ts";
import { jobNamed } from "../http/answers.ts";
import { none } from "../http/checking.ts";
import type { Api } from "../options.ts";
import type { Overview } from "../show/overview.ts";
import { JobParams } from "../show/show-job.ts";
import { ChainSchema, type Chain } from "../show/show-overview.ts";

/** Jobs of a chain that are listed. A picture of more can't be read. */
const chainMax = 60;

export function chainRoutes(app: Api, overview: Overview): void {
  app.get(
    "/v1/jobs/:id/chain",
    {
      config: { right: own("viewer") },
      schema: {
        tags: ["jobs"],
        summary: "The jobs that a job runs after, and those that run after it",
        params: JobParams,
        querystring: none,
        response: { 200: ChainSchema },
      },
    },
    async (request, reply) => {
      const start = jobNamed(request.control, request.params.id);
      const { jobs } = request.control.view();
      const links = [...jobs.values()].flatMap(({ id, spec }) =>
        (spec.after?.jobs ?? []).map((parent) => ({ parent, id })),
      );
      const childrenOf = Map.groupBy(links, ({ parent }): string => parent);
      const levels = new Map<string, number>([[start.id, 0]]);
      const parentsOf = (id: string): readonly string[] => jobs.get(id as JobId)?.spec.after?.jobs ?? [];
      const isWhole = [
        spread(levels, start.id, -1, parentsOf),
        spread(levels, start.id, 1, (id) => (childrenOf.get(id) ?? []).map((link) => link.id)),
      ].every(Boolean);
      const entries = await overview.entries();
      return reply.send({
        jobs: [...levels].map(([id, level]) => ({
          id,
          level,
          state: jobs.has(id as JobId) ? (entries.get(id as JobId)?.state ?? null) : null,
        })),
        links: [...levels.keys()].flatMap((id) => linksTo(jobs.get(id as JobId), levels)),
        more: !isWhole,
      });
    },
  );
}

/** Adds what is found from `start` on, one level further with each step. False: there is more than may be listed. */
function spread(
  levels: Map<string, number>,
  start: string,
  step: 1 | -1,
  nextOf: (id: string) => readonly string[],
): boolean {
  let front: readonly string[] = [start];
  for (let level = step; front.length > 0; level += step) {
    const found = [...new Set(front.flatMap(nextOf))].filter((id) => !levels.has(id));
    for (const id of found) {
      if (levels.size >= chainMax) return false;
      levels.set(id, level);
    }
    front = found;
  }
  return true;
}

function linksTo(job: Job | undefined, levels: ReadonlyMap<string, number>): Chain["links"] {
  const { after } = job?.spec ?? {};
  if (job === undefined || after === undefined) return [];
  return after.jobs
    .filter((parent) => levels.has(parent))
    .map((parent) => ({ from: parent, to: job.id, on: after.on ?? "success" }));
}
