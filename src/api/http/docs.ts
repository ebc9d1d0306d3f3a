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

const notUnderstood = { ...Problem, description: "a request that is not understood" };
const notFound = { ...Problem, description: "there is nothing of that name" };
const tooLarge = { ...Problem, description: "a body that is too large" };
const wrongType = { ...Problem, description: "a body of a type that is not understood" };
const tooMany = { ...Problem, description: "too many requests without a valid token" };
const refusedForToken = { ...Problem, description: "no token, or one that doesn't count" };
const refusedForAddress = { ...Problem, description: "a Host that isn't served here, or a foreign page" };
const refusedForRight = { ...Problem, description: "the token may not do that" };

type Responses = Readonly<Record<string, unknown>>;

/** Adds a name, the form in which the call may be refused with the statuses that follow from what it takes, and who may make it. */
function completed({ schema, url, route }: { schema: FastifySchema | undefined } & Described): FastifySchema {
  const right = rightOf(route);
  const method = String(route.method);
  const description = [schema?.description, describeRight(right)].filter(Boolean).join("\n\n");
  return {
    ...schema,
    operationId: operationId(method, url),
    ...(description === "" ? {} : { description }),
    ...(right === "everyone" ? { security: [] } : {}),
    response: { ...answersOf(schema, method), ...refusalsOf({ schema, url, route }, right) },
  };
}

interface Described {
  url: string;
  route: RouteOptions;
}

/** `GET /v1/jobs/:id/runs` is getJobsByIdRuns. */
function operationId(method: string, url: string): string {
  const words = url
    .replace(/^\/v1\//, "/")
    .replaceAll(/\/:/g, "/by-")
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== "");
  return method.toLowerCase() + words.map((word) => word[0]?.toUpperCase() + word.slice(1)).join("");
}

function answersOf(schema: FastifySchema | undefined, method: string): Responses {
  if (typeof schema?.response === "object") return schema.response as Responses;
  return method === "DELETE"
    ? { 204: { description: "it is removed", type: "null" } }
    : { "2XX": Type.Unknown() };
}

function refusalsOf(
  { schema, url, route }: { schema: FastifySchema | undefined } & Described,
  right: RouteRight | undefined,
): Responses {
  const isPut = route.method === "PUT";
  return {
    400: notUnderstood,
    ...(right === "everyone" ? {} : { 401: refusedForToken, 429: tooMany }),
    403: right === "everyone" ? refusedForAddress : refusedForRight,
    ...(url.includes("/:") && !isPut ? { 404: notFound } : {}),
    ...(schema?.body === undefined ? {} : { 413: tooLarge, 415: wrongType }),
    default: Problem,
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
        license: { name: "MIT", identifier: "MIT" },
        description:
          "A cron without a server. Any peer answers any call. A 2xx to a change means that the change is durable on the " +
          "peer that answered (`X-Cicada-Peer`); the others may not have it yet. Refusals are " +
          "`application/problem+json` with a stable `code`, a `hint`, and `errors: [{pointer, message}]`. " +
          "`If-Match` is checked against the answering peer's replica. `Idempotency-Key` is kept for 24 hours by " +
          "the peer that answered.",
      },
      servers: [{ url: "/", description: "the peer that is asked" }],
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
      security: [{ token: [] }],
    },
    transform: ({ schema, url, route }) => ({ schema: completed({ schema, url, route }), url }),
    transformObject: (described) => {
      if (!("openapiObject" in described)) return described.swaggerObject;
      for (const path of Object.values(described.openapiObject.paths ?? {}))
        withOptionalBody(path?.post ?? {});
      return described.openapiObject;
    },
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

/** A body that is left out counts as an empty object (checking.ts), so one without required fields need not be sent. */
function withOptionalBody({ requestBody: body }: Operation): void {
  if (body === undefined || !("content" in body)) return;
  const schema = body.content["application/json"]?.schema;
  if (schema !== undefined && !("required" in schema)) body.required = false;
}

/** The part of the description of a call that is changed here. */
interface Operation {
  requestBody?: { content: Record<string, { schema?: object }>; required?: boolean } | { $ref: string };
}

export function documentRoutes(app: Api): void {
  app.get(
    "/openapi.json",
    { config: { right: own("viewer") }, schema: { hide: true } },
    async (_request, reply) =>
      reply.type("application/json; charset=utf-8").send(JSON.stringify(app.swagger())),
  );
}
