/**
 * The API tells of itself: `/openapi.json` (OpenAPI 3.1, made from the same schemas that check requests) and
 * `/docs`, the same for people.
 */
import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import type { Api, ApiOptions } from "./options.ts";

/** As strict as the page's; icons of the documentation are data URLs inside its style sheet. */
const docsPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** To be called before the routes that it is to tell of. */
export function describeRoutes(app: Api, { version }: ApiOptions): void {
  app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "cicada",
        version,
        description:
          "A cron without a server. Any peer answers any call. A 2xx to a change means that it is durable on the " +
          "peer that answered (`X-Cicada-Peer`), not yet that the others have it. Refusals are " +
          "`application/problem+json` with a stable `code`, a `hint`, and `errors: [{pointer, message}]`. " +
          "`If-Match` is checked against the answering peer's replica. `Idempotency-Key` is kept for 24 hours by " +
          "the peer that answered.",
      },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
      security: [{ token: [] }],
    },
  });
  app.register(swaggerUi, {
    routePrefix: "/docs",
    staticCSP: docsPolicy,
    uiConfig: { deepLinking: true, docExpansion: "list", tryItOutEnabled: true },
    theme: { title: "cicada: the API" },
  });
}

export function documentRoutes(app: Api): void {
  app.get("/openapi.json", { schema: { hide: true } }, async (_request, reply) =>
    reply.type("application/json; charset=utf-8").send(JSON.stringify(app.swagger())),
  );
}
