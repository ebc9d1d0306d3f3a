/**
 * For supervisors and load balancers: `/livez` says that the process answers, `/readyz` that this peer keeps its ticks.
 * Anyone gets the short codes of the reasons. The reasons in words name peers and jobs, so `?verbose` needs the token.
 */
import { Type } from "typebox";
import type { Control } from "../../ports/control.ts";
import { listSome } from "../../schema/listed.ts";
import { all } from "../access/rights.ts";
import { closed, none } from "../http/checking.ts";
import type { Api, ApiOptions } from "../options.ts";

const tags = ["health"];

export function healthRoutes(app: Api, { control, self, version }: ApiOptions): void {
  app.get(
    "/livez",
    {
      config: { right: "everyone" },
      schema: {
        tags,
        summary: "Whether the process answers",
        querystring: none,
        produces: ["text/plain"],
        response: { 200: Type.Unknown({ description: "`ok`" }) },
      },
    },
    async (_request, reply) => reply.type("text/plain; charset=utf-8").send("ok\n"),
  );

  app.get(
    "/readyz",
    {
      config: {
        right: (request) =>
          new URLSearchParams(request.url.split("?", 2)[1]).has("verbose") ? all("viewer") : "everyone",
      },
      schema: {
        tags,
        summary: "Whether ticks are being kept: 200, or 503 with the reasons' codes; ?verbose says more",
        querystring: Type.Object(
          { verbose: Type.Optional(Type.String({ maxLength: 8, description: "needs the token" })) },
          closed,
        ),
        produces: ["text/plain", "application/json"],
        response: {
          200: Type.Unknown({ description: "ticks are being kept" }),
          503: Type.Unknown({ description: "they are not, and this is why" }),
        },
      },
    },
    async (request, reply) => {
      const { notReady, warnings, members } = control.view();
      const ready = notReady.length === 0;
      reply.code(ready ? 200 : 503);
      if (request.query.verbose === undefined) {
        const codes = notReady.map(({ code }) => code).join(", ");
        return reply.type("text/plain; charset=utf-8").send(ready ? "ready\n" : `not ready: ${codes}\n`);
      }
      const alive = members.filter(({ state }) => state === "alive").length;
      return reply.type("application/json; charset=utf-8").send({
        ready,
        codes: notReady.map(({ code }) => code),
        reasons: notReady.map(({ message }) => message),
        warnings: [
          ...warnings,
          ...describeJobs(control.blocked(), "no peer can run"),
          ...describeJobs(control.unknownHere(), "this peer can't run"),
        ],
        peer: self.name,
        version,
        alive,
        members: members.length,
      });
    },
  );
}

/** How many reasons the warnings of one kind give, and how many jobs each of them names. */
const reasonsNamed = 10;
const jobsNamed = 5;

/** Each reason is given once, with its jobs: when all workers of a mesh are down, all of its jobs are blocked. */
function describeJobs(jobs: ReturnType<Control["blocked"]>, who: string): string[] {
  const groups = [...Map.groupBy(jobs, ({ hindrance }) => hindrance.message)];
  const texts = groups.slice(0, reasonsNamed).map(([why, blocked]) => {
    const names = listSome(
      blocked.map(({ id }) => id),
      jobsNamed,
    );
    return `${who} the ${blocked.length === 1 ? "job" : "jobs"} ${names}: ${why}`;
  });
  const more = groups.slice(reasonsNamed).flatMap(([, blocked]) => blocked).length;
  return more > 0 ? [...texts, `${who} ${more} more ${more === 1 ? "job" : "jobs"}`] : texts;
}
