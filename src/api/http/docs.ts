/**
 * The description of the API: `/openapi.json` (OpenAPI 3.1, made from the schemas that check requests) and `/docs`,
 * which shows the same to people.
 */
import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import type { FastifySchema, RouteOptions } from "fastify";
import { Type } from "typebox";
import { errorTable } from "../../errors.ts";
import { own, type RouteRight } from "../access/rights.ts";
import type { Api, ApiOptions } from "../options.ts";
import { iconSvg } from "./page-files.ts";

/** As strict as the page's policy, except that the icons of the documentation are data URLs in its style sheet. */
const docsPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const Problem = {
  description: "a refusal",
  content: {
    "application/problem+json": {
      schema: Type.Object({
        type: Type.String({ description: "urn:cicada:error:CODE" }),
        title: Type.String(),
        status: Type.Integer(),
        code: Type.Enum(Object.keys(errorTable)),
        detail: Type.String(),
        hint: Type.String({ description: "what to do about it" }),
        errors: Type.Optional(
          Type.Array(Type.Object({ pointer: Type.String(), message: Type.String() }), {
            description: "each mistake, by JSON pointer into the body or the query",
          }),
        ),
      }),
    },
  },
};

const refusedForToken = { ...Problem, description: "no token, or one that doesn't count" };
const refusedForRight = { ...Problem, description: "the token may not do that" };

/** Adds the one form in which every call may be refused, and who may make the call. */
function withProblem(schema: FastifySchema | undefined, right: RouteRight | undefined): FastifySchema {
  const responses = typeof schema?.response === "object" ? schema.response : { "2XX": Type.Unknown() };
  if (right === "everyone") return { ...schema, security: [], response: { ...responses, default: Problem } };
  return {
    ...schema,
    ...(schema?.description === undefined && right === undefined
      ? {}
      : { description: [schema?.description, describeRight(right)].filter(Boolean).join("\n\n") }),
    response: { ...responses, 401: refusedForToken, 403: refusedForRight, default: Problem },
  };
}

function describeRight(right: RouteRight | undefined): string {
  if (right === undefined || right === "everyone") return "";
  if (right === "any-token") return "Any token may call it.";
  const within = right.groups === "all" ? ", not limited to groups" : "";
  return `Needs the role ${right.role}${within}.`;
}

/** Of a call whose right depends on the request, what its strictest form needs is said by the call itself. */
function rightOf({ config }: RouteOptions): RouteRight | undefined {
  return typeof config?.right === "function" ? undefined : config?.right;
}

/** Call it before the routes that it describes are registered. */
export function describeRoutes(app: Api, { version }: ApiOptions): void {
  app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "cicada",
        version,
        description:
          "A cron without a server. Any peer answers any call. A 2xx to a change means that the change is durable on the " +
          "peer that answered (`X-Cicada-Peer`); the others may not have it yet. Refusals are " +
          "`application/problem+json` with a stable `code`, a `hint`, and `errors: [{pointer, message}]`. " +
          "`If-Match` is checked against the answering peer's replica. `Idempotency-Key` is kept for 24 hours by " +
          "the peer that answered.",
      },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
      security: [{ token: [] }],
    },
    transform: ({ schema, url, route }) => ({ schema: withProblem(schema, rightOf(route)), url }),
  });
  app.register(swaggerUi, {
    routePrefix: "/docs",
    staticCSP: docsPolicy,
    uiConfig: { deepLinking: true, docExpansion: "list", tryItOutEnabled: true },
    theme: { title: "cicada: the API" },
    logo: {
      type: "image/svg+xml",
      content: Buffer.from(iconSvg()),
      href: "/",
    },
  });
}

export function documentRoutes(app: Api): void {
  app.get(
    "/openapi.json",
    { config: { right: own("viewer") }, schema: { hide: true } },
    async (_request, reply) =>
      reply.type("application/json; charset=utf-8").send(JSON.stringify(app.swagger())),
  );
}
