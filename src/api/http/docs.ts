/**
 * The description of the API: `/openapi.json` (OpenAPI 3.1, made from the schemas that check requests) and `/docs`,
 * which shows the same to people.
 */
import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import type { FastifySchema, RouteOptions } from "fastify";
import { Type, type TProperties } from "typebox";
import { errorTable } from "../../errors/table.ts";
import { own, type RouteRight } from "../access/rights.ts";
import type { Api, ApiOptions } from "../options.ts";
import { iconSvg } from "./page-files.ts";
import { takesIfMatch } from "./preconditions.ts";
import { conflictingCalls, creatingCalls, growingCalls, namingCalls } from "./refusals.ts";

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

const refused = (description: string) => ({ ...Problem, description });
const refusals = {
  400: "a request that is not understood",
  401: "no token, or one that isn't valid",
  403: "the token may not do that",
  404: "there is nothing of that name",
  409: "it conflicts with what is there",
  412: "the job has another revision than `If-Match` names",
  413: "a body that is too large",
  415: "a body of a type that is not understood",
  416: "the output has no such part",
  422: "a value can't be used, or values don't go together",
  429: "too many requests without a valid token, or from one caller at a time",
  500: "an internal fault, which the peer's log has",
  502: "the other side did not accept it",
  503: "this peer can't do it now",
  504: "the peer that holds the run did not confirm it in time",
  507: "there is no room for it",
} as const;
type Refusal = keyof typeof refusals;

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
    headers: Type.Object(headersOf({ schema, url, route }) as TProperties),
    response: { ...refusalsOf({ schema, url, route }, right), ...answersOf(schema, method, url) },
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

function answersOf(schema: FastifySchema | undefined, method: string, url: string): Responses {
  if (typeof schema?.response === "object") return schema.response as Responses;
  return method === "DELETE"
    ? { 204: { description: "it is removed", type: "null" } }
    : {
        200: Type.Unknown({ description: "done" }),
        ...(url.endsWith("/log/stream")
          ? { 204: { description: "nothing more will follow", type: "null" } }
          : {}),
      };
}

/** With which statuses the call may be refused, by what it takes and does. */
function refusalsOf(
  call: { schema: FastifySchema | undefined } & Described,
  right: RouteRight | undefined,
): Responses {
  const { url, route } = call;
  const writes = route.method !== "GET";
  const isOpen = right === "everyone";
  const statuses: Refusal[] = [400, 403, 500];
  if (!isOpen || writes) statuses.push(401, 429);
  if (!isOpen) statuses.push(503);
  if (writes) statuses.push(413, 415);
  const name = `${String(route.method)} ${url}`;
  if (namingCalls.has(name) || (url.includes("/:") && !creatingCalls.has(name))) statuses.push(404);
  if (!isOpen && judgesValues(call)) statuses.push(422);
  if (conflictingCalls.has(name)) statuses.push(409);
  if (growingCalls.has(name)) statuses.push(507);
  if (takesIfMatch(call.route.method, call.url)) statuses.push(412);
  if (url.endsWith("/log")) statuses.push(416);
  if (url.endsWith("/test")) statuses.push(502);
  if (/\/(skip|unskip|cancel)$/u.test(url)) statuses.push(504);
  return Object.fromEntries(statuses.map((status) => [status, refused(refusals[status])]));
}

/** Names, numbers and the like are checked by the schema (400). */
const judgedParameters = ["cursor", "from", "to", "tick", "peer"];

/** Whether the call takes values whose sense its schema can't check. */
function judgesValues({ schema, url, route }: { schema: FastifySchema | undefined } & Described): boolean {
  const takesBody = route.method !== "GET" && route.method !== "DELETE" && url !== "/logout";
  return takesBody || judgedParameters.some((name) => name in propertiesOf(schema?.querystring));
}

function propertiesOf(schema: unknown): object {
  const isObject = typeof schema === "object" && schema !== null && "properties" in schema;
  return isObject && typeof schema.properties === "object" ? (schema.properties ?? {}) : {};
}

/** The headers that a call looks at: they are not checked with the schema, but by what reads them. */
function headersOf(described: { schema: FastifySchema | undefined } & Described): object {
  const { schema, url, route } = described;
  return {
    ...propertiesOf(schema?.headers),
    ...(route.config?.repeatable === true
      ? {
          "idempotency-key": Type.Optional(
            Type.String({
              minLength: 1,
              maxLength: 255,
              pattern: "^[!-~]+$",
              description: "a repeat with the same key at the same peer gets the first answer again",
            }),
          ),
        }
      : {}),
    ...(takesIfMatch(route.method, url)
      ? {
          "if-match": Type.Optional(
            Type.String({
              minLength: 1,
              description: "the job's ETag in its double quotes, or several, or *",
            }),
          ),
        }
      : {}),
    ...(url.endsWith("/log")
      ? { range: Type.Optional(Type.String({ description: "`bytes=FROM-TO`" })) }
      : {}),
  };
}

function describeRight(right: RouteRight | undefined): string {
  if (right === undefined || right === "everyone") return "";
  if (right === "any-token") return "Any token may call it.";
  const within = right.groups === "all" ? ", not limited to groups" : "";
  return `Needs the role ${right.role}${within}.`;
}

/** Undefined if the right depends on the request: then the call's own description says what its strictest form needs. */
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
          "`If-Match` is checked against the answering peer's replica. `Idempotency-Key` counts for 24 hours: the peer " +
          "that answered gives the same answer again until it restarts. A run is found by its key at every peer that has " +
          "heard of it and still has it in its history. A peer that has not heard of it yet starts another one: so ask one " +
          "peer, and another only when the first doesn't answer. Other calls, repeated elsewhere, are judged by what is " +
          "there then.",
      },
      servers: [{ url: "/", description: "the peer that is asked" }],
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
      security: [{ token: [] }],
    },
    transform: ({ schema, url, route }) => ({ schema: completed({ schema, url, route }), url }),
    transformObject: (described) => {
      if (!("openapiObject" in described)) return described.swaggerObject;
      for (const path of Object.values(described.openapiObject.paths ?? {}))
        for (const operation of [path?.post, path?.patch]) withOptionalBody(operation ?? {});
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
