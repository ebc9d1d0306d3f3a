/** The audit: who has changed what, and who was refused, newest first, at all peers that answer. */
import { Type } from "typebox";
import { auditActions, auditCursorMax, AuditEntrySchema, isAuditAction } from "../../schema/audit.ts";
import type { CicadaError } from "../../errors.ts";
import { own } from "../access/rights.ts";
import { closed, readInstant } from "../http/checking.ts";
import { defaultLimit, ListOf, page, PageQuery, readCursor } from "../http/paging.ts";
import { refusal } from "../http/problems.ts";
import type { Api } from "../options.ts";
import { Instant, showInstant } from "../show/show-run.ts";
import { InstantQuery } from "./ticks.ts";

const ShownEntry = Type.Object({
  ...AuditEntrySchema.properties,
  at: Instant,
  peer: Type.Object({ id: Type.String(), name: Type.String() }, { description: "the peer that was asked" }),
});

export function auditRoutes(app: Api): void {
  app.get(
    "/v1/audit",
    {
      config: { right: own("admin") },
      schema: {
        tags: ["audit"],
        summary:
          "Who has changed what, and who was refused for want of rights, newest first; deleted jobs included",
        description:
          "Each peer keeps what was asked of it. `peers` says whose audits are covered: those of peers that are alive and answer.",
        querystring: Type.Object(
          {
            ...PageQuery,
            cursor: Type.Optional(Type.String({ ...PageQuery.cursor, maxLength: auditCursorMax })),
            actor: Type.Optional(
              Type.String({ minLength: 1, maxLength: 256, description: "NAME@PEER, or part of it" }),
            ),
            job: Type.Optional(Type.String({ maxLength: 512 })),
            action: Type.Optional(
              Type.String({
                maxLength: 64,
                description: `one of ${auditActions.join(", ")}, or the method and route of a refused call`,
              }),
            ),
            from: InstantQuery,
            to: InstantQuery,
          },
          closed,
        ),
        response: {
          200: Type.Object({
            ...ListOf(ShownEntry).properties,
            peers: Type.Array(
              Type.Object({ id: Type.String(), name: Type.String(), covered: Type.Boolean() }),
            ),
          }),
        },
      },
    },
    async (request, reply) => {
      const { limit = defaultLimit, cursor, actor, job, action } = request.query;
      if (action !== undefined && !isAuditAction(action)) throw unknownAction(action);
      const after = readCursor("audit", cursor);
      const from = readInstant(request.query.from, "/from");
      const to = readInstant(request.query.to, "/to");
      const query = {
        limit,
        ...(actor === undefined ? {} : { actor }),
        ...(job === undefined ? {} : { job }),
        ...(action === undefined ? {} : { action }),
        ...(from === undefined ? {} : { from }),
        ...(to === undefined ? {} : { to }),
      };
      const { entries, next, covered } = await request.control.audit(query, after);
      const { members } = request.control.view();
      const names = new Map(members.map(({ id, name }) => [id, name]));
      const items = entries.map(({ peer, ...entry }) => ({
        ...entry,
        at: showInstant(entry.at),
        peer: { id: peer, name: names.get(peer) ?? peer.slice(-8) },
      }));
      const peers = members.map(({ id, name }) => ({ id, name, covered: covered.includes(id) }));
      return reply.send({ ...page(request, reply, "audit", { items, next }), peers });
    },
  );
}

function unknownAction(action: string): CicadaError {
  const message = `there is no action "${action}"; the actions are ${auditActions.join(", ")}`;
  return refusal("UNPROCESSABLE", [{ pointer: "/action", message }]);
}
