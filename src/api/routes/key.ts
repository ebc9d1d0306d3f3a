/**
 * The cluster key. It is never shown; when it has leaked, it can be replaced.
 */
import { Type, type Static } from "typebox";
import type { Heir } from "../../ports/control.ts";
import { graceMaxMs } from "../../schema/message.ts";
import { all } from "../access/rights.ts";
import { askFor } from "../http/answers.ts";
import { closed, none } from "../http/checking.ts";
import type { Api, RouteOptions } from "../options.ts";
import { refusal } from "../http/problems.ts";
import { admissionFields, showAdmission } from "../show/show-peer.ts";
import { Instant, orNull, showInstant } from "../show/show-run.ts";

/**
 * Long enough for a host that is being repaired to come back. If a peer is left out, it knows the old key, which is then good only
 * until linked members have stored the new one.
 */
const graceDefault = "24h";
const graceDefaultWithout = "1m";

const HeirSchema = Type.Object({
  id: Type.String(),
  name: Type.String(),
  state: Type.Enum(["alive", "suspect", "dead", "left"]),
  ...admissionFields,
  doubt: orNull(Type.String({ description: "why it gets a new key only if `accept` names it" })),
});

function showHeir({ id, name, state, doubt, ...admission }: Heir): Static<typeof HeirSchema> {
  return { id, name, state, ...showAdmission(admission), doubt: doubt ?? null };
}

export function keyRoutes(app: Api, { decisions }: RouteOptions): void {
  app.get(
    "/v1/key",
    {
      config: { right: all("admin") },
      schema: {
        tags: ["peers"],
        summary: "Who would get a new cluster key now",
        querystring: none,
        response: { 200: Type.Object({ peers: Type.Array(HeirSchema) }) },
      },
    },
    async (request, reply) => reply.send({ peers: request.control.heirs().map(showHeir) }),
  );

  app.post(
    "/v1/key/rotate",
    {
      config: { right: all("admin"), repeatable: true },
      schema: {
        tags: ["peers"],
        summary: "Make a new cluster key and send it to every reachable member, without stopping anything",
        querystring: none,
        body: Type.Object(
          {
            without: Type.Optional(
              Type.Array(Type.String({ minLength: 1, maxLength: 256 }), {
                maxItems: 1_000,
                description:
                  "peers that don't get the new key, by id or name; they are forgotten first, and if that fails nothing is rotated",
              }),
            ),
            accept: Type.Optional(
              Type.Array(Type.String({ minLength: 1, maxLength: 128 }), {
                maxItems: 1_000,
                description:
                  "ids of peers that get the new key although no person has confirmed them or they joined lately; " +
                  "without them the answer is 409 UNCONFIRMED_PEERS, which lists them",
              }),
            ),
            grace: Type.Optional(
              Type.String({
                maxLength: 64,
                description: `how long the present key is still accepted, for members that are away: a duration of at least 10s; default ${graceDefault}, or ${graceDefaultWithout} if peers are left out`,
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
      const { grace: given, ...chosen } = request.body;
      const isSomebodyLeftOut = (chosen.without ?? []).length > 0;
      const grace = given ?? (isSomebodyLeftOut ? graceDefaultWithout : graceDefault);
      const graceMs = decisions.parseDuration(grace);
      if (graceMs === undefined || graceMs > graceMaxMs) {
        throw refusal("UNPROCESSABLE", [
          { pointer: "/grace", message: `"${grace}" is not a duration such as 90s or 24h, up to 30d` },
        ]);
      }
      const command = { kind: "rotate-key", graceMs, ...chosen, by: request.actor } as const;
      const { fingerprint, oldUntil, peers } = await askFor("rotated", request, request.control, command);
      return reply.send({ fingerprint, oldAcceptedUntil: showInstant(oldUntil), peers });
    },
  );
}
