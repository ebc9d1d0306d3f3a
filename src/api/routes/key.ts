/**
 * The cluster key. It is never shown; when it has leaked, it can be replaced.
 */
import { Type } from "typebox";
import { askFor } from "../http/answers.ts";
import { closed, none } from "../http/checking.ts";
import type { Api, ApiOptions } from "../options.ts";
import { refusal } from "../http/problems.ts";
import { Instant, showInstant } from "../show/show-run.ts";

/** Long enough for a host that is being repaired to come back. A leaked key stays valid for as long. */
const graceDefault = "24h";
const graceMaxMs = 30 * 86_400_000;

export function keyRoutes(app: Api, { control, decisions }: ApiOptions): void {
  app.post(
    "/v1/key/rotate",
    {
      config: { repeatable: true },
      schema: {
        tags: ["peers"],
        summary: "Make a new cluster key and send it to every reachable member, without stopping anything",
        querystring: none,
        body: Type.Object(
          {
            grace: Type.Optional(
              Type.String({
                maxLength: 64,
                description: `how long the present key is still accepted, for members that are away: a duration of at least 10s; default ${graceDefault}`,
              }),
            ),
          },
          closed,
        ),
        response: {
          200: Type.Object({
            fingerprint: Type.String({ description: "names the new key without revealing it" }),
            oldAcceptedUntil: Instant,
            peers: Type.Array(
              Type.Object({
                id: Type.String(),
                name: Type.String(),
                has: Type.Boolean({ description: "it has confirmed that it has stored the new key" }),
              }),
            ),
          }),
        },
      },
    },
    async (request, reply) => {
      const { grace = graceDefault } = request.body;
      const graceMs = decisions.parseDuration(grace);
      if (graceMs === undefined || graceMs > graceMaxMs) {
        throw refusal("BAD_REQUEST", [
          { pointer: "/grace", message: `"${grace}" is not a duration such as 90s or 24h, up to 30d` },
        ]);
      }
      const command = { kind: "rotate-key", graceMs, by: request.actor } as const;
      const { fingerprint, oldUntil, peers } = await askFor("rotated", request, control, command);
      return reply.send({ fingerprint, oldAcceptedUntil: showInstant(oldUntil), peers });
    },
  );
}
