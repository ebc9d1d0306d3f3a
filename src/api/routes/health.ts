/**
 * For supervisors and load balancers: `/livez` = the process answers, `/readyz` = ticks are being kept here. The
 * reasons tell of the inside, so they are for those who may in (`/readyz?verbose`).
 */
import { Type } from "typebox";
import { closed, none } from "../http/checking.ts";
import type { Api, ApiOptions } from "../options.ts";

const tags = ["health"];

export function healthRoutes(app: Api, { control, self, version }: ApiOptions): void {
  app.get(
    "/livez",
    {
      config: { open: true },
      schema: { tags, summary: "Whether the process answers", security: [], querystring: none },
    },
    async (_request, reply) => reply.type("text/plain; charset=utf-8").send("ok\n"),
  );

  app.get(
    "/readyz",
    {
      config: { open: (request) => !new URLSearchParams(request.url.split("?", 2)[1]).has("verbose") },
      schema: {
        tags,
        summary: "Whether ticks are being kept: 200 or 503; ?verbose says why not",
        querystring: Type.Object(
          { verbose: Type.Optional(Type.String({ maxLength: 8, description: "needs the token" })) },
          closed,
        ),
        produces: ["text/plain", "application/json"],
      },
    },
    async (request, reply) => {
      const { notReady, warnings, members } = control.view();
      const ready = notReady.length === 0;
      reply.code(ready ? 200 : 503);
      if (request.query.verbose === undefined) {
        return reply.type("text/plain; charset=utf-8").send(ready ? "ready\n" : "not ready\n");
      }
      const alive = members.filter(({ state }) => state === "alive").length;
      return reply.type("application/json; charset=utf-8").send({
        ready,
        reasons: notReady,
        warnings,
        peer: self.name,
        version,
        alive,
        members: members.length,
      });
    },
  );
}
