/**
 * The members of the mesh, as the peer that answers sees them.
 */
import { Type } from "typebox";
import { own } from "../access/rights.ts";
import { none } from "../http/checking.ts";
import type { Api, RouteOptions } from "../options.ts";
import { ListOf } from "../http/paging.ts";
import { PeerSchema, peersOf, RosterSchema, showPeer, showRoster } from "../show/show-peer.ts";
import { Instant, orNull, showInstant } from "../show/show-run.ts";

export function peerRoutes(app: Api, { startedAt }: RouteOptions): void {
  app.get(
    "/v1/peers",
    {
      config: { right: own("viewer") },
      schema: {
        tags: ["peers"],
        summary: "List peers",
        querystring: none,
        response: {
          200: Type.Object({
            ...ListOf(PeerSchema).properties,
            roster: orNull(RosterSchema),
          }),
        },
      },
    },
    async (request, reply) => {
      const view = request.control.view();
      const items = peersOf(view);
      reply.header("x-total-count", items.length);
      return { items, nextCursor: null, roster: showRoster(view) };
    },
  );

  app.get(
    "/v1/peers/self",
    {
      config: { right: own("viewer") },
      schema: {
        tags: ["peers"],
        summary: "The peer that answers",
        querystring: none,
        response: {
          200: Type.Object({
            ...PeerSchema.properties,
            startedAt: Instant,
            notReady: Type.Array(Type.String(), {
              description: "why it is not keeping ticks; empty if it is ready",
            }),
          }),
        },
      },
    },
    async (request, reply) => {
      const view = request.control.view();
      return reply.send({
        ...showPeer(view.self),
        startedAt: showInstant(startedAt),
        notReady: view.notReady.map(({ message }) => message),
      });
    },
  );
}
